//! In which readings of a request a rule is asked about it: with each line of a repeated header, and with cookies as each
//! origin reads them, so that no rule is dodged by sending what the origin reads in another way.

use std::borrow::Cow;
use std::sync::Arc;

use crate::cel::view::{ChosenLine, View};
use crate::cel::{HeadersRead, Uses, meter};
use crate::config::Action;
use crate::reading::name::same_to_some_origin;
use crate::reading::{cookie, value};
use crate::request::inline;

/// The most readings that a rule is asked about; a request with more errs. Each costs what asking the rule costs.
pub(super) const MAX_CHOICES: usize = 512;
/// How many bytes of cookies are looked through in a step.
const COOKIES_A_STEP: usize = 8;
/// How many bytes of names are compared in a step.
const COMPARED_A_STEP: usize = 96;

/// One way to read a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice<'a> {
    /// One line of each repeated header.
    pub(super) lines: Vec<ChosenLine<'a>>,
    pub(super) cookies: cookie::Reading,
    /// The path and query in another reading than as they came.
    pub(super) path: Option<Arc<str>>,
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
        // An Allow that names `%3A` means what came, and would not hold of the other reading.
        let both = uses.path && (action == Action::Deny || !uses.escapes);
        let path = if both { view.other_path() } else { None };
        if path.is_none() && !uses.cookies && matches!(read, HeadersRead::Names(names) if names.is_empty()) {
            return Choices::One;
        }
        let headers = view.request_headers();
        let mut repeated: Vec<Repeated<'a>> = Vec::new();
        let mut consider = |name: Cow<'a, str>| {
            let counted = |known: &Repeated<'_>| same_to_some_origin(known.name.as_bytes(), name.as_bytes());
            if repeated.iter().any(counted) {
                return;
            }
            let lines: Vec<&'a [u8]> = headers.values(&name).collect();
            // Envoy may have joined them, and what it joined the origin may split: a Deny looks at the parts as well.
            let joined = action == Action::Deny && lines.iter().any(|line| line.contains(&b',')) && inline::is_of_request(&name);
            let parts = if joined { lines.iter().copied().flat_map(value::joined_parts).collect() } else { Vec::new() };
            if lines.len() > 1 || !parts.is_empty() {
                repeated.push(Repeated { name, lines, parts });
            }
        };
        match read {
            HeadersRead::Names(names) => names.iter().for_each(|name| consider(Cow::Borrowed(name))),
            HeadersRead::All => {
                // Once to find the names, and once more to find their lines.
                if !meter::spend_on(headers.comparing_all_names().saturating_mul(2), COMPARED_A_STEP) {
                    return Choices::TooMany;
                }
                headers.names().into_iter().for_each(consider);
            }
        }
        let mut cookies = Vec::new();
        if uses.cookies {
            let length = headers.values("cookie").fold(0_usize, |sum, line| sum.saturating_add(line.len()));
            if !meter::spend_on(length, COOKIES_A_STEP) {
                return Choices::TooMany;
            }
            cookies = cookie::Reading::all(headers.values("cookie"));
        }
        if repeated.is_empty() && cookies.len() < 2 && path.is_none() {
            return Choices::One;
        }
        let reading = |cookies| Choice { cookies, ..Choice::default() };
        let mut choices: Vec<Choice<'a>> = cookies.into_iter().map(reading).collect();
        if choices.is_empty() {
            choices.push(Choice::default());
        }
        if let Some(path) = path {
            let others: Vec<Choice<'a>> = choices.iter().map(|choice| Choice { path: Some(Arc::clone(path)), ..choice.clone() }).collect();
            choices.extend(others);
        }
        let together = |chosen: &Choice<'a>, name: &Cow<'a, str>, value: &'a [u8]| {
            let line = ChosenLine { name: name.clone(), value };
            Choice { lines: chosen.lines.iter().cloned().chain([line]).collect(), ..chosen.clone() }
        };
        // Where any header may be read, parts are looked at in one header at a time, beside the whole lines of the others: a
        // browser's headers have so many that all ways to choose would be hundreds.
        let alone = *read == HeadersRead::All;
        let mut of_one: Vec<Choice<'a>> = Vec::new();
        for Repeated { name, lines, parts } in &repeated {
            let (each, apart) = if alone { (lines.len(), parts.len()) } else { (lines.len().saturating_add(parts.len()), 0) };
            if choices.len().saturating_mul(each.max(1)).saturating_add(of_one.len()).saturating_add(apart) > MAX_CHOICES {
                return Choices::TooMany;
            }
            let plain = choices.first().cloned().unwrap_or_default();
            let parts_alone =
                parts.iter().filter(|_| alone).map(|part| together(&Choice { lines: Vec::new(), ..plain.clone() }, name, part));
            of_one.extend(parts_alone);
            let lines = lines.iter().chain(parts.iter().filter(|_| !alone));
            choices = choices.iter().flat_map(|choice| lines.clone().map(|line| together(choice, name, line))).collect();
        }
        choices.extend(of_one);
        Choices::Several(choices)
    }
}

/// A header that came on several lines, or on one that may have been joined of several.
#[derive(Debug)]
struct Repeated<'a> {
    name: Cow<'a, str>,
    lines: Vec<&'a [u8]>,
    /// What the lines may have been joined of.
    parts: Vec<&'a [u8]>,
}
