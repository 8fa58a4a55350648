//! Header lines that stages collect for the response, whoever makes it: the origin, or the filter
//! itself.

use super::Services;
use crate::decision::{Change, Reply};
use crate::rate_limit::quota::NAMES;
use crate::request::headers::Headers;

/// A line for the response. Its name is lower-case and one that may be changed, and its value is a
/// legal header value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
    pub(crate) write: Write,
}

/// What becomes of lines of the same name that the response has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// They are replaced.
    Over,
    /// They are replaced; if there are none, the line is left out.
    OverIfThere,
    /// They stay, and the line is added.
    Beside,
    /// If there are any, they stay, and the line is left out.
    IfAbsent,
}

/// Writes the lines into a response of the origin.
pub(super) fn write<'a>(said: &Services, headers: &mut Headers<'a>, changes: &mut Vec<Change<'a>>) {
    let collected = &said.response_headers;
    let had: Vec<bool> =
        collected.iter().map(|line| headers.first(line.name.as_bytes()).is_some()).collect();
    for (line, had) in collected.iter().zip(had) {
        match line.write {
            Write::IfAbsent if had => continue,
            Write::OverIfThere if !had => continue,
            _ => {}
        }
        if matches!(line.write, Write::Over | Write::OverIfThere) {
            headers.remove(line.name.as_bytes(), |name| name == line.name.as_bytes());
            changes.push(Change::Remove(line.name.clone().into()));
        }
        changes.push(Change::Add(line.name.clone().into(), line.value.clone().into()));
    }
    let tells = NAMES.iter().any(|name| headers.first(name.as_bytes()).is_some());
    if let Some(quota) = said.quota.filter(|_| !tells) {
        for (name, value) in NAMES.into_iter().zip(quota.values()) {
            changes.push(Change::Add(name.into(), value.into_bytes().into()));
        }
    }
}

/// Adds the lines to an answer of the filter.
pub(crate) fn add_to(said: &Services, reply: &mut Reply) {
    for Collected { name, value, write } in &said.response_headers {
        let has = reply.headers.iter().any(|(own, _)| own == name);
        match write {
            Write::IfAbsent if has => continue,
            Write::OverIfThere if !has => continue,
            Write::Over | Write::OverIfThere => reply.headers.retain(|(own, _)| own != name),
            Write::IfAbsent | Write::Beside => {}
        }
        reply.headers.push((name.clone(), value.clone()));
    }
    if let Some(quota) = said.quota {
        quota.tell(reply);
    }
}
