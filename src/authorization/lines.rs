//! In which readings of a request a rule is asked about it: with each line of a repeated header, and with cookies as each
//! origin reads them, so that no rule is dodged by sending what the origin reads in another way.

use std::borrow::Cow;

use crate::cel::view::{ChosenLine, View};
use crate::cel::{HeadersRead, Uses};
use crate::config::Action;
use crate::reading::name::same_to_some_origin;
use crate::reading::{cookie, value};
use crate::request::inline;

/// The most ways to choose one line of each header that came on several; a request with more errs.
pub(super) const MAX_CHOICES: usize = 64;

/// One way to read a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice<'a> {
    /// One line of each repeated header.
    pub(super) lines: Vec<ChosenLine<'a>>,
    pub(super) cookies: cookie::Reading,
}

/// What a rule is asked about.
#[derive(Debug)]
pub(super) enum Choices<'a> {
    /// The request as it is.
    One,
    /// The request in each of these readings.
    Several(Vec<Choice<'a>>),
    /// More than there is time for.
    TooMany,
}

impl<'a> Choices<'a> {
    /// The choices among what an expression reads.
    pub(super) fn of(uses: &'a Uses, action: Action, view: &View<'a>) -> Choices<'a> {
        let read = &uses.request_headers;
        if !uses.cookies && matches!(read, HeadersRead::Names(names) if names.is_empty()) {
            return Choices::One;
        }
        let headers = view.request_headers();
        let mut repeated: Vec<Vec<ChosenLine<'a>>> = Vec::new();
        let mut consider = |name: Cow<'a, str>| {
            let counted =
                |known: &Vec<ChosenLine<'_>>| known.first().is_some_and(|line| same_to_some_origin(line.name.as_bytes(), name.as_bytes()));
            if repeated.iter().any(counted) {
                return;
            }
            let mut lines: Vec<&'a [u8]> = headers.values(&name).collect();
            // Envoy may have joined them, and what it joined the origin may split: a Deny looks at the parts as well.
            if action == Action::Deny && lines.iter().any(|line| line.contains(&b',')) && inline::is_of_request(&name) {
                let parts: Vec<&[u8]> = lines.iter().copied().flat_map(value::joined_parts).collect();
                lines.extend(parts);
            }
            if lines.len() > 1 {
                repeated.push(lines.into_iter().map(|value| ChosenLine { name: name.clone(), value }).collect());
            }
        };
        match read {
            HeadersRead::Names(names) => names.iter().for_each(|name| consider(Cow::Borrowed(name))),
            HeadersRead::All => headers.names().into_iter().for_each(consider),
        }
        let cookies = if uses.cookies { cookie::Reading::all(headers.values("cookie")) } else { Vec::new() };
        if repeated.is_empty() && cookies.len() < 2 {
            return Choices::One;
        }
        let reading = |cookies| Choice { lines: Vec::new(), cookies };
        let mut choices: Vec<Choice<'a>> = cookies.into_iter().map(reading).collect();
        if choices.is_empty() {
            choices.push(Choice::default());
        }
        for lines in &repeated {
            if choices.len().saturating_mul(lines.len()) > MAX_CHOICES {
                return Choices::TooMany;
            }
            let with = |choice: &Choice<'a>, line: &ChosenLine<'a>| {
                let lines = choice.lines.iter().chain([line]).cloned().collect();
                Choice { lines, cookies: choice.cookies }
            };
            choices = choices.iter().flat_map(|choice| lines.iter().map(move |line| with(choice, line))).collect();
        }
        Choices::Several(choices)
    }
}
