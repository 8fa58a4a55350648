//! Headers that services ask for in their answers. A service is trusted to choose them, but not to
//! break the message: it can set what a policy could set, and no pseudo-header.

use std::borrow::Cow;

use super::collected::{Collected, Write};
use crate::config::Direction;
use crate::decision::Change;
use crate::header_name::{self, is_value};
use crate::protobuf::header::HeaderValue;
use crate::reading::name::same_to_some_origin;
use crate::request::headers::Headers;

/// A header as a service asks for it: the name in lower case, and the value.
pub(super) type Line = (String, Vec<u8>);

/// The header, if a service may ask for it.
pub(super) fn legal(header: &HeaderValue<'_>, direction: Direction) -> Option<Line> {
    let (name, value) = (header.name.to_ascii_lowercase(), header.value());
    let is_legal = header_name::check(&name, direction, false).is_ok() && is_value(value);
    is_legal.then(|| (name, value.to_vec()))
}

/// All of these headers; none if there is one among them that a service must not ask for.
pub(super) fn all_legal(headers: &[HeaderValue<'_>], direction: Direction) -> Option<Vec<Line>> {
    headers.iter().map(|header| legal(header, direction)).collect()
}

/// Removes all lines that some origin takes for this header. Returns whether there were any.
pub(super) fn take_out<'a>(
    headers: &mut Headers<'a>,
    changes: &mut Vec<Change<'a>>,
    name: &str,
) -> bool {
    let mut names: Vec<String> = Vec::new();
    if headers.may_have(name.as_bytes()) {
        headers.remove(name.as_bytes(), |line| {
            let is_it = same_to_some_origin(line, name.as_bytes());
            if is_it && !names.iter().any(|own| own.as_bytes() == line) {
                names.push(String::from_utf8_lossy(line).into_owned());
            }
            is_it
        });
    }
    let had = !names.is_empty();
    changes.extend(names.into_iter().map(|name| Change::Remove(Cow::Owned(name))));
    had
}

/// Gives a request's header this one value. Every header that some origin would take for it goes.
pub(super) fn overwrite<'a>(
    headers: &mut Headers<'a>,
    changes: &mut Vec<Change<'a>>,
    (name, value): Line,
) {
    take_out(headers, changes, &name);
    headers.add(name.as_bytes(), &value);
    changes.push(Change::Add(name.into(), value.into()));
}

/// Collects lines for the response that take the place of what it has, all those of one name
/// together.
pub(super) fn collect(lines: Vec<Line>, collected: &mut Vec<Collected>) {
    let before = collected.len();
    for (name, value) in lines {
        let own = collected.get(before..).unwrap_or_default();
        let is_first = !own.iter().any(|line| line.name == name);
        let write = if is_first { Write::Over } else { Write::Beside };
        collected.push(Collected { name, value, write });
    }
}
