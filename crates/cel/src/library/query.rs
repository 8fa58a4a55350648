//! `query`, `addQuery` and `setQuery`: the query string of a path or URL.

use cel::ExecutionError;
use cel::common::value::CowVal;

use super::Parameter::Text;
use super::Style::Member;
use super::urlencoded::{Space, encode};
use super::{Evaluated, MAX_PARTS, Made, Overload, failed, run, strings, text, too_large};
use egress_reading::query::{self as reading, Fault};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("query", Member, &[Text, Text], |arguments| run(arguments, query)),
    Overload("addQuery", Member, &[Text, Text, Text], |arguments| run(arguments, add_query)),
    Overload("setQuery", Member, &[Text, Text, Text], |arguments| run(arguments, set_query)),
];

fn add_query<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    with_query("addQuery", arguments, None)
}

fn set_query<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    with_query("setQuery", arguments, Some(text("setQuery", arguments, 1)?))
}

/// The part before the `?`, the query if there is one, and the fragment with its `#`.
pub(crate) fn parts(url: &str) -> (&str, Option<&str>, &str) {
    let at = url.find('#').unwrap_or(url.len());
    let (url, fragment) = url.split_at_checked(at).unwrap_or((url, ""));
    match url.split_once('?') {
        Some((path, query)) => (path, Some(query), fragment),
        None => (url, None, fragment),
    }
}

fn query<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let (url, name) = (text("query", arguments, 0)?, text("query", arguments, 1)?);
    let (_, query, _) = parts(url);
    let found = reading::values(query.unwrap_or_default().as_bytes(), name, MAX_PARTS).map_err(
        |fault| match fault {
            Fault::NotUtf8 => failed("query", "not UTF-8"),
            Fault::Ambiguous => failed("query", "origins do not agree on what it is"),
            Fault::TooMany => too_large("query"),
        },
    )?;
    if found.is_empty() { Err(ExecutionError::no_such_key(name)) } else { Ok(strings(found)) }
}

/// The URL without the pairs in which some origin finds the removed name, and with the new pair at
/// the end.
fn with_query<'b, 'v>(
    function: &'static str,
    arguments: &[CowVal<'_, '_>],
    removed: Option<&str>,
) -> Evaluated<'b, 'v> {
    let (url, name, value) = (
        text(function, arguments, 0)?,
        text(function, arguments, 1)?,
        text(function, arguments, 2)?,
    );
    let (path, query, fragment) = parts(url);
    let mut made = Made::new(function);
    made.push(path)?;
    let mut separator = "?";
    for pair in query.unwrap_or_default().split('&').filter(|pair| {
        !pair.is_empty() && !removed.is_some_and(|name| reading::is_of(pair.as_bytes(), name))
    }) {
        made.push(separator)?;
        made.push(pair)?;
        separator = "&";
    }
    for part in [
        separator,
        &encode(name.as_bytes(), Space::Plus),
        "=",
        &encode(value.as_bytes(), Space::Plus),
        fragment,
    ] {
        made.push(part)?;
    }
    Ok(made.value())
}
