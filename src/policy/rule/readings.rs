//! The readings of a request for which a rule is evaluated: with each line of a repeated header,
//! and with cookies as each origin reads them. So no rule can be evaded by sending what the origin
//! reads in another way.

use std::borrow::Cow;
use std::sync::Arc;

use crate::attributes::view::{ChosenLine, HeadersView, View};
use crate::attributes::{PATH, PATH_AND_QUERY};
use crate::cel::meter::Allowance;
use crate::cel::variables::Memo;
use crate::cel::{HeadersRead, Uses};
use crate::config::Action;
use crate::reading::name::same_to_some_origin;
use crate::reading::{cookie, value};
use crate::request::inline;

/// The most readings for which a rule is evaluated; for a request with more, it fails. Each costs
/// as much as evaluating the rule once.
pub(crate) const MAX_READINGS: usize = 512;
/// How many bytes of a line can be searched for a comma for one step.
const SEARCHED_A_STEP: usize = 128;
/// How many bytes of a line can be split at commas for one step.
const PARTED_A_STEP: usize = 16;
/// How many bytes of cookies can be examined for one step.
const COOKIES_A_STEP: usize = 4;
/// How many bytes of names can be compared for one step.
const COMPARED_A_STEP: usize = 96;

/// One way to read a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading<'a> {
    /// One line of each repeated header.
    pub(crate) lines: Vec<ChosenLine<'a>>,
    pub(crate) cookies: cookie::Dialect,
    /// Whether a line is only a part of one that was sent, which the origin may not split.
    pub(crate) is_part: bool,
    /// The path and query in another reading than as they were sent.
    pub(crate) path: Option<Arc<str>>,
    /// The outcomes of variables in this reading.
    pub(crate) memo: Memo,
}

/// The readings for which a rule is evaluated.
#[derive(Debug)]
pub(crate) enum Readings<'a> {
    /// The request as it is.
    One,
    /// The request in each of these readings.
    Several(Vec<Reading<'a>>),
    /// There are more readings than the steps allow.
    TooMany,
}

impl<'a> Readings<'a> {
    /// Whether some request has several readings of what an expression reads.
    pub(crate) fn may_be_several(uses: &Uses, action: Action) -> bool {
        uses.cookies
            || !matches!(&uses.request_headers, HeadersRead::Names(names) if names.is_empty())
            || reads_both_paths(uses, action)
    }

    /// Whether what an expression reads is seen at once to have one reading. If it is not, it may
    /// have one all the same.
    #[inline]
    pub(crate) fn is_one(uses: &Uses, action: Action, view: &View<'_>) -> bool {
        !uses.cookies
            && match &uses.request_headers {
                HeadersRead::Names(names) => {
                    names.is_empty() || names.iter().all(|name| view.has_one_line(name, action))
                }
                HeadersRead::All => false,
            }
            && other_path(uses, action, view).is_none()
    }

    /// The readings of what an expression reads.
    pub(crate) fn of(
        uses: &'a Uses,
        action: Action,
        view: &View<'a>,
        allowance: &Allowance,
    ) -> Readings<'a> {
        if Readings::is_one(uses, action, view) {
            return Readings::One;
        }
        let (read, path) = (&uses.request_headers, other_path(uses, action, view));
        let headers = view.request_headers();
        let found = Repeated::all(read, headers, action, allowance).zip(if uses.cookies {
            cookie_dialects(uses, headers, allowance)
        } else {
            Some(Vec::new())
        });
        let Some((repeated, cookies)) = found else { return Readings::TooMany };
        if repeated.is_empty() && cookies.len() < 2 && path.is_none() {
            return Readings::One;
        }
        let mut readings: Vec<Reading<'a>> =
            cookies.into_iter().map(|cookies| Reading { cookies, ..Reading::default() }).collect();
        if readings.is_empty() {
            readings.push(Reading::default());
        }
        if let Some(path) = path {
            let others: Vec<Reading<'a>> = readings
                .iter()
                .map(|reading| Reading { path: Some(Arc::clone(path)), ..reading.clone() })
                .collect();
            readings.extend(others);
        }
        let combined = match read {
            HeadersRead::Names(_) => with_parts(readings, &repeated, allowance),
            HeadersRead::All => with_parts_one_at_a_time(readings, &repeated, allowance),
        };
        combined.map_or(Readings::TooMany, Readings::Several)
    }
}

/// The other reading of the path, if there is one and the expression is evaluated for it.
#[inline]
fn other_path<'v>(uses: &Uses, action: Action, view: &'v View<'_>) -> Option<&'v Arc<str>> {
    if reads_both_paths(uses, action) { view.other_path() } else { None }
}

/// Whether an expression is evaluated for both readings of a path.
#[inline]
fn reads_both_paths(uses: &Uses, action: Action) -> bool {
    // An Allow that contains `%3A` means the path as it was sent, and would not match the other
    // reading.
    let reads_path = uses.attributes.contains(PATH) || uses.attributes.contains(PATH_AND_QUERY);
    reads_path && (action != Action::Allow || !uses.escapes)
}

/// The ways in which origins read the cookies that an expression reads; none where looking through
/// them takes more steps than there are.
fn cookie_dialects(
    uses: &Uses,
    headers: HeadersView<'_>,
    allowance: &Allowance,
) -> Option<Vec<cookie::Dialect>> {
    let length = headers.values("cookie").fold(0_usize, |sum, line| sum.saturating_add(line.len()));
    let names = uses.cookie_names.as_ref().map_or(1, Vec::len);
    let afforded = allowance.spend_on(length.saturating_mul(names), COOKIES_A_STEP);
    let all = || cookie::Dialect::all(headers.values("cookie"), uses.cookie_names.as_deref());
    afforded.then(all)
}

/// Spends the steps of so many readings; whether they may be made.
fn afford(count: usize, allowance: &Allowance) -> bool {
    count <= MAX_READINGS && allowance.spend(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Each reading with each line, and each part of a line, of every header; none where there would be
/// more than the steps allow.
fn with_parts<'a>(
    mut readings: Vec<Reading<'a>>,
    repeated: &[Repeated<'a>],
    allowance: &Allowance,
) -> Option<Vec<Reading<'a>>> {
    for Repeated { name, lines, parts } in repeated {
        readings = with_each(readings, name, lines, parts, allowance)?;
    }
    Some(readings)
}

/// Each reading with each line of every header, and with each part of one header at a time beside
/// the whole lines of the others. A browser's headers have so many parts that there would be
/// hundreds of combinations.
fn with_parts_one_at_a_time<'a>(
    mut readings: Vec<Reading<'a>>,
    repeated: &[Repeated<'a>],
    allowance: &Allowance,
) -> Option<Vec<Reading<'a>>> {
    for Repeated { name, lines, .. } in repeated {
        readings = with_each(readings, name, lines, &[], allowance)?;
    }
    let mut of_parts: Vec<Reading<'a>> = Vec::new();
    for Repeated { name, parts, .. } in repeated {
        let all = readings.len().saturating_mul(parts.len()).saturating_add(readings.len());
        if !afford(all.saturating_add(of_parts.len()), allowance) {
            return None;
        }
        of_parts.extend(
            readings
                .iter()
                .flat_map(|reading| parts.iter().map(|part| reading.with(name, part, true))),
        );
    }
    readings.extend(of_parts);
    Some(readings)
}

/// Each reading with each of these lines and parts of one header.
fn with_each<'a>(
    readings: Vec<Reading<'a>>,
    name: &Cow<'a, str>,
    lines: &[&'a [u8]],
    parts: &[&'a [u8]],
    allowance: &Allowance,
) -> Option<Vec<Reading<'a>>> {
    let each = lines.len().saturating_add(parts.len());
    if each < 2 {
        return Some(readings);
    }
    if !afford(readings.len().saturating_mul(each), allowance) {
        return None;
    }
    let with_each_line = |reading: &Reading<'a>| {
        let whole = lines.iter().map(|line| reading.with(name, line, false));
        whole.chain(parts.iter().map(|part| reading.with(name, part, true))).collect::<Vec<_>>()
    };
    Some(readings.iter().flat_map(with_each_line).collect())
}

impl<'a> Reading<'a> {
    /// The view of a request in this reading.
    pub(crate) fn of<'b>(&'b self, view: &'b View<'b>) -> View<'b> {
        view.at(&self.lines, self.cookies, self.path.as_deref(), &self.memo)
    }

    /// The same with one line of a header chosen.
    fn with(&self, name: &Cow<'a, str>, value: &'a [u8], is_part: bool) -> Reading<'a> {
        let line = ChosenLine { name: name.clone(), value };
        // The first line of a name is the one that counts.
        let lines = std::iter::once(line).chain(self.lines.iter().cloned()).collect();
        Reading { lines, is_part: is_part || self.is_part, ..self.clone() }
    }
}

/// A header that was sent on several lines, or on one that may have been joined from several.
#[derive(Debug)]
struct Repeated<'a> {
    name: Cow<'a, str>,
    lines: Vec<&'a [u8]>,
    /// The parts that the lines may have been joined from.
    parts: Vec<&'a [u8]>,
}

impl<'a> Repeated<'a> {
    /// Those of the headers that an expression reads; none where finding them takes more steps than
    /// there are.
    fn all(
        read: &'a HeadersRead,
        headers: HeadersView<'a>,
        action: Action,
        allowance: &Allowance,
    ) -> Option<Vec<Repeated<'a>>> {
        let names: Vec<Cow<'a, str>> = match read {
            HeadersRead::Names(names) => names.iter().map(|name| Cow::Borrowed(&**name)).collect(),
            HeadersRead::All => {
                // The names are compared once to find them, and once more to find their lines.
                let bytes = headers.comparing_all_names().saturating_mul(2);
                if !allowance.spend_on(bytes, COMPARED_A_STEP) {
                    return None;
                }
                headers.names()
            }
        };
        let mut repeated: Vec<Repeated<'a>> = Vec::new();
        for name in names {
            let is_same =
                |known: &Repeated<'_>| same_to_some_origin(known.name.as_bytes(), name.as_bytes());
            if !repeated.iter().any(is_same) {
                repeated.extend(Repeated::of(name, headers, action, allowance));
            }
        }
        Some(repeated)
    }

    /// A header, if it is one of these.
    fn of(
        name: Cow<'a, str>,
        headers: HeadersView<'a>,
        action: Action,
        allowance: &Allowance,
    ) -> Option<Repeated<'a>> {
        let lines: Vec<&'a [u8]> = headers.values(&name).collect();
        // Envoy may have joined the lines, and the origin may split them again: a Deny is evaluated
        // for the parts as well.
        let mut parts: Vec<&[u8]> = Vec::new();
        if action == Action::Deny && inline::is_of_request(&name) {
            let length = lines.iter().fold(0, |sum, line| line.len().saturating_add(sum));
            allowance.spend_on(length, SEARCHED_A_STEP);
            if lines.iter().any(|line| line.contains(&b',')) {
                parts.extend(lines.iter().copied().flat_map(value::joined_parts));
                allowance.spend_on(length, PARTED_A_STEP);
            }
        }
        (lines.len() > 1 || !parts.is_empty()).then_some(Repeated { name, lines, parts })
    }
}
