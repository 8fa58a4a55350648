//! The readings of a request for which a rule is evaluated: with each line of a repeated header,
//! and with cookies as each origin reads them. So no rule can be evaded by sending what the origin
//! reads in another way.

use std::borrow::Cow;
use std::sync::Arc;

use crate::attributes::view::{ChosenLine, View};
use crate::attributes::{PATH, PATH_AND_QUERY};
use crate::cel::meter::Allowance;
use crate::cel::{HeadersRead, Uses};
use crate::config::Action;
use crate::reading::name::same_to_some_origin;
use crate::reading::{cookie, value};
use crate::request::inline;

/// The most readings for which a rule is evaluated; for a request with more, it fails. Each costs
/// as much as evaluating the rule once.
pub(crate) const MAX_READINGS: usize = 512;
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
    /// The readings of what an expression reads.
    pub(crate) fn of(
        uses: &'a Uses,
        action: Action,
        view: &View<'a>,
        allowance: &Allowance,
    ) -> Readings<'a> {
        let read = &uses.request_headers;
        // An Allow that contains `%3A` means the path as it was sent, and would not match the other
        // reading.
        let reads_path = uses.attributes.contains(PATH) || uses.attributes.contains(PATH_AND_QUERY);
        let both = reads_path && (action != Action::Allow || !uses.escapes);
        let path = if both { view.other_path() } else { None };
        if path.is_none()
            && !uses.cookies
            && matches!(read, HeadersRead::Names(names) if names.is_empty())
        {
            return Readings::One;
        }
        let headers = view.request_headers();
        let mut repeated: Vec<Repeated<'a>> = Vec::new();
        let mut consider = |name: Cow<'a, str>| {
            let counted =
                |known: &Repeated<'_>| same_to_some_origin(known.name.as_bytes(), name.as_bytes());
            if repeated.iter().any(counted) {
                return;
            }
            let lines: Vec<&'a [u8]> = headers.values(&name).collect();
            // Envoy may have joined the lines, and the origin may split them again: a Deny is
            // evaluated for the parts as well.
            let joined = action == Action::Deny
                && lines.iter().any(|line| line.contains(&b','))
                && inline::is_of_request(&name);
            let parts: Vec<&[u8]> = if joined {
                lines.iter().copied().flat_map(value::joined_parts).collect()
            } else {
                Vec::new()
            };
            if joined {
                allowance.spend_on(
                    lines.iter().fold(0, |sum, line| line.len().saturating_add(sum)),
                    PARTED_A_STEP,
                );
            }
            if lines.len() > 1 || !parts.is_empty() {
                repeated.push(Repeated { name, lines, parts });
            }
        };
        match read {
            HeadersRead::Names(names) => {
                names.iter().for_each(|name| consider(Cow::Borrowed(name)))
            }
            HeadersRead::All => {
                // The names are compared once to find them, and once more to find their lines.
                if !allowance
                    .spend_on(headers.comparing_all_names().saturating_mul(2), COMPARED_A_STEP)
                {
                    return Readings::TooMany;
                }
                headers.names().into_iter().for_each(consider);
            }
        }
        let mut cookies = Vec::new();
        if uses.cookies {
            let length =
                headers.values("cookie").fold(0_usize, |sum, line| sum.saturating_add(line.len()));
            let names = uses.cookie_names.as_ref().map_or(1, Vec::len);
            if !allowance.spend_on(length.saturating_mul(names), COOKIES_A_STEP) {
                return Readings::TooMany;
            }
            cookies = cookie::Dialect::all(headers.values("cookie"), uses.cookie_names.as_deref());
        }
        if repeated.is_empty() && cookies.len() < 2 && path.is_none() {
            return Readings::One;
        }
        let reading = |cookies| Reading { cookies, ..Reading::default() };
        let mut readings: Vec<Reading<'a>> = cookies.into_iter().map(reading).collect();
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
        let together =
            |chosen: &Reading<'a>, name: &Cow<'a, str>, value: &'a [u8], is_part: bool| {
                let line = ChosenLine { name: name.clone(), value };
                // The first line of a name is the one that counts.
                let lines = std::iter::once(line).chain(chosen.lines.iter().cloned()).collect();
                Reading { lines, is_part: is_part || chosen.is_part, ..chosen.clone() }
            };
        // If a rule may read any header, it is evaluated for the parts of one header at a time,
        // with the whole lines of the others. A browser's headers have so many parts that there
        // would be hundreds of combinations.
        let alone = *read == HeadersRead::All;
        let afford = |count: usize| {
            count <= MAX_READINGS && allowance.spend(u64::try_from(count).unwrap_or(u64::MAX))
        };
        for Repeated { name, lines, parts } in &repeated {
            let parts = if alone { &[][..] } else { parts.as_slice() };
            let each = lines.len().saturating_add(parts.len());
            if each < 2 {
                continue;
            }
            if !afford(readings.len().saturating_mul(each)) {
                return Readings::TooMany;
            }
            let lines = || {
                lines.iter().map(|line| (line, false)).chain(parts.iter().map(|part| (part, true)))
            };
            readings = readings
                .iter()
                .flat_map(|reading| {
                    lines().map(|(line, is_part)| together(reading, name, line, is_part))
                })
                .collect();
        }
        let mut of_one: Vec<Reading<'a>> = Vec::new();
        for Repeated { name, parts, .. } in repeated.iter().filter(|_| alone) {
            if !afford(
                readings
                    .len()
                    .saturating_mul(parts.len())
                    .saturating_add(readings.len())
                    .saturating_add(of_one.len()),
            ) {
                return Readings::TooMany;
            }
            of_one.extend(
                readings.iter().flat_map(|reading| {
                    parts.iter().map(|part| together(reading, name, part, true))
                }),
            );
        }
        readings.extend(of_one);
        Readings::Several(readings)
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
