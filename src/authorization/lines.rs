//! Which lines of a repeated header a rule is asked about: each, so that none is dodged by sending the header twice.

use crate::cel::HeadersRead;
use crate::cel::view::{ChosenLine, View};
use crate::config::Action;
use crate::header_name::same_to_some_origin;
use crate::request::inline;

/// The most ways to choose one line of each header that came on several; a request with more errs.
pub(super) const MAX_CHOICES: usize = 64;

/// What a rule is asked about.
#[derive(Debug)]
pub(super) enum Choices<'a> {
    /// The request as it is.
    One,
    /// Each of these, one line of each repeated header.
    Several(Vec<Vec<ChosenLine<'a>>>),
    /// More than there is time for.
    TooMany,
}

impl<'a> Choices<'a> {
    /// The choices among the headers that a rule reads.
    pub(super) fn of(read: &'a HeadersRead, action: Action, view: &View<'a>) -> Choices<'a> {
        if matches!(read, HeadersRead::Names(names) if names.is_empty()) {
            return Choices::One;
        }
        let headers = view.request_headers();
        let mut repeated: Vec<Vec<ChosenLine<'a>>> = Vec::new();
        let mut consider = |name: &'a str| {
            let mut lines: Vec<&'a [u8]> = headers.values(name).collect();
            // Envoy may have joined them, and what it joined the origin may split: a Deny looks at the parts as well.
            if action == Action::Deny && inline::REQUEST.iter().any(|joined| same_to_some_origin(joined.as_bytes(), name.as_bytes())) {
                let parts: Vec<&[u8]> = lines.iter().copied().flat_map(joined_parts).collect();
                lines.extend(parts);
            }
            let counted =
                |known: &Vec<ChosenLine<'_>>| known.first().is_some_and(|line| same_to_some_origin(line.name.as_bytes(), name.as_bytes()));
            if lines.len() > 1 && !repeated.iter().any(counted) {
                repeated.push(lines.into_iter().map(|value| ChosenLine { name, value }).collect());
            }
        };
        match read {
            HeadersRead::Names(names) => names.iter().for_each(|name| consider(name)),
            HeadersRead::All => headers.names().into_iter().for_each(consider),
        }
        if repeated.is_empty() {
            return Choices::One;
        }
        let mut choices: Vec<Vec<ChosenLine<'a>>> = vec![Vec::new()];
        for lines in &repeated {
            if choices.len().saturating_mul(lines.len()) > MAX_CHOICES {
                return Choices::TooMany;
            }
            let with = |choice: &Vec<ChosenLine<'a>>, line: &ChosenLine<'a>| choice.iter().chain([line]).copied().collect();
            choices = choices.iter().flat_map(|choice| lines.iter().map(move |line| with(choice, line))).collect();
        }
        Choices::Several(choices)
    }
}

/// The lines that a value may have been joined from: Envoy puts no space behind its comma, and takes those around a value away.
fn joined_parts(value: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut start = 0_usize;
    for (position, byte) in value.iter().enumerate() {
        let after = position.saturating_add(1);
        if *byte == b',' && !matches!(value.get(after), Some(b' ' | b'\t')) {
            parts.extend(value.get(start..position));
            start = after;
        }
    }
    if start > 0 {
        parts.extend(value.get(start..));
    }
    parts
}
