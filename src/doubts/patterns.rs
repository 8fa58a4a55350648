//! Patterns of `matches` that more texts pass than their writer thought: a pattern is looked for
//! anywhere in a text, unless `^` and `$` bind it.

use super::rules::subject;
use super::source::{Token, spot, text, tokens};
use crate::attributes::REQUEST_HEADERS;
use crate::cel::lowered::Text;
use crate::config::Spot;

/// Headers of free text, or with a list in it, of which a part is often all that is meant.
const OF_PARTS: &str = "user-agent accept accept-encoding accept-language cache-control cookie \
    forwarded link prefer referer via";

/// The name of what is matched: of an attribute, or `request.headers[name]`. It is the one that
/// [`of`] finds in the source.
pub(super) fn name(text: &Text) -> Option<String> {
    match text.written_out() {
        Text::Header(REQUEST_HEADERS, name) => Some(header(name)),
        Text::Default(parts) => name(parts.first()?),
        _ => subject(text).map(|id| crate::attributes::name(id).to_owned()),
    }
}

/// The literal patterns of `matches`, each with the name of what it is matched with, and where that
/// is written.
pub(super) fn of(source: &str) -> Vec<(String, String, Spot)> {
    let all = tokens(source);
    let calls = all.windows(3).enumerate().filter_map(|(index, window)| match window {
        [name, open, pattern] if name.text == "matches" && open.text == "(" => {
            let (subject, at) = written(all.get(..index.checked_sub(1)?)?)?;
            Some((subject, text(pattern.text)?, spot(source, at)))
        }
        _ => None,
    });
    calls.collect()
}

/// What is read at the end of these tokens, and where that begins: an attribute, a header, or the
/// first argument of `default`.
fn written(all: &[Token<'_>]) -> Option<(String, usize)> {
    match all {
        [.., request, dot, headers, open, name, close]
            if (request.text, dot.text, headers.text) == ("request", ".", "headers")
                && (open.text, close.text) == ("[", "]") =>
        {
            Some((header(&text(name.text)?), request.at))
        }
        [.., close] if close.text == ")" => {
            let open = opening(all)?;
            let function = all.get(open.checked_sub(1)?)?;
            let arguments = all.get(open.checked_add(1)?..)?;
            let comma = arguments.iter().position(|token| token.text == ",")?;
            let (name, _) = written(arguments.get(..comma)?)?;
            (function.text == "default").then_some((name, function.at))
        }
        _ => dotted(all),
    }
}

fn header(name: &str) -> String {
    format!("request.headers[{}]", name.to_ascii_lowercase())
}

/// The parenthesis that the last of these tokens closes.
fn opening(all: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in all.iter().enumerate().rev() {
        match token.text {
            ")" => depth = depth.saturating_add(1),
            "(" if depth <= 1 => return Some(index),
            "(" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// A name such as `request.host`, at the end of these tokens.
fn dotted(all: &[Token<'_>]) -> Option<(String, usize)> {
    let is_word = |token: &Token<'_>| token.text.starts_with(|c: char| c.is_alphabetic());
    let (last, mut rest) = all.split_last().filter(|(last, _)| is_word(last))?;
    let (mut names, mut at) = (vec![last.text], last.at);
    while let [head @ .., word, dot] = rest {
        if dot.text != "." || !is_word(word) {
            break;
        }
        names.push(word.text);
        (at, rest) = (word.at, head);
    }
    names.reverse();
    let name = match names.as_slice() {
        ["request", "headers", name] => header(name),
        names => names.join("."),
    };
    Some((name, at))
}

/// What is doubtful about a pattern, which lets through more the more it matches.
pub(super) fn doubt(name: &str, written: &str) -> Option<String> {
    let header = name.strip_prefix("request.headers[").and_then(|rest| rest.strip_suffix(']'));
    let is_host = name == "request.host";
    let is_path = matches!(name, "request.path" | "request.pathAndQuery");
    let is_caller = name.starts_with("source.identity.") || name == "source.spiffeId";
    let is_header = header.is_some_and(|header| !OF_PARTS.split(' ').any(|it| it == header));
    if !(is_host || is_path || is_caller || is_header) {
        return None;
    }
    let name = &header.map_or_else(|| name.to_owned(), |it| format!("request.headers[\"{it}\"]"));
    let bare = without_flags(written);
    if is_host && has_bare_dot(bare) {
        return Some(format!(
            "a `.` in the pattern `{written}` stands for any character: write `[.]`, or compare \
             `{name}` by `==`"
        ));
    }
    let alternatives = alternatives(bare);
    // A header's value may have what is looked for anywhere, where signs are around that.
    let starts = |part: &&str| is_bound_before(part) || (is_header && !begins_within(part));
    let ends = |part: &&str| is_bound_behind(part) || (!is_host && !ends_within(part));
    let (starts, ends) = (alternatives.iter().all(starts), alternatives.iter().all(ends));
    let below = if is_path { ", or `(/|$)` if what is below it is meant too" } else { "" };
    let mend = match (starts, ends) {
        (true, true) => return None,
        (false, true) => "write `^` before it".to_owned(),
        (false, false) => format!("write `^` before it and `$` behind it{below}"),
        (true, false) => format!("write `$` behind it{below}"),
    };
    let group = if alternatives.len() > 1 { ", around a group of all alternatives" } else { "" };
    Some(if starts {
        format!("anything may follow the pattern `{written}` in `{name}`: {mend}{group}")
    } else {
        format!("the pattern `{written}` is looked for anywhere in `{name}`: {mend}{group}")
    })
}

/// A pattern without the flags that it begins with.
fn without_flags(pattern: &str) -> &str {
    let is_flags = |flags: &&str| flags.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    let flags = pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    flags.filter(|(flags, _)| is_flags(flags)).map_or(pattern, |(_, rest)| rest)
}

/// The letters of a pattern outside of escapes, each with its byte and whether it is in a class.
fn letters(pattern: &str) -> impl Iterator<Item = (usize, char, bool)> {
    let (mut is_escaped, mut is_class) = (false, false);
    pattern.char_indices().filter_map(move |(at, letter)| {
        let was_escaped = is_escaped;
        is_escaped = letter == '\\' && !was_escaped;
        if was_escaped || is_escaped {
            return None;
        }
        let was_class = is_class;
        is_class = if is_class { letter != ']' } else { letter == '[' };
        Some((at, letter, was_class))
    })
}

/// The alternatives of a pattern that are not in a group.
fn alternatives(pattern: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, letter, is_class) in letters(pattern) {
        match letter {
            _ if is_class => {}
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                found.extend(pattern.get(start..at));
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    found.extend(pattern.get(start..));
    found
}

fn inner_start(pattern: &str) -> &str {
    pattern.trim_start_matches('(').trim_start_matches("?:")
}

fn is_bound_before(pattern: &str) -> bool {
    let inner = inner_start(pattern);
    ["^", "\\A", ".*"].iter().any(|anchor| inner.starts_with(anchor))
}

fn is_bound_behind(pattern: &str) -> bool {
    let outer = pattern.trim_end_matches(')');
    (outer.ends_with('$') && !outer.ends_with("\\$"))
        || ["\\z", ".*"].iter().any(|anchor| outer.ends_with(anchor))
}

/// Whether a pattern begins with what may be the rest of a word: a letter, a digit or a class of
/// these.
fn begins_within(pattern: &str) -> bool {
    let inner = inner_start(pattern);
    match inner.strip_prefix('\\') {
        Some(escape) => escape.starts_with(['w', 'd', 'p']),
        None if inner.starts_with('[') => !is_sign_class(inner.split_inclusive(']').next()),
        None => inner.starts_with(|first: char| first.is_alphanumeric() || first == '.'),
    }
}

/// Whether a pattern ends with what may go on: a letter, a digit, a class of these, or a number of
/// them, except of any characters.
fn ends_within(pattern: &str) -> bool {
    let outer = pattern.trim_end_matches(')');
    if outer.ends_with(".+") && !outer.ends_with("\\.+") {
        return false;
    }
    let mut before = outer.chars().rev();
    let (last, escape) = (before.next(), before.next() == Some('\\'));
    match last {
        Some(']') => !is_sign_class(outer.rfind('[').and_then(|start| outer.get(start..))),
        Some('b' | 's' | 'W') if escape => false,
        Some(last) => last.is_alphanumeric() || (!escape && "+*?}".contains(last)),
        None => false,
    }
}

/// Whether a class is one sign, such as `[.]`.
fn is_sign_class(class: Option<&str>) -> bool {
    let inner = class.and_then(|class| class.strip_prefix('[')?.strip_suffix(']'));
    inner.is_some_and(|inner| {
        let inner = inner.strip_prefix('\\').unwrap_or(inner);
        inner.len() == 1 && inner.starts_with(|sign: char| sign.is_ascii_punctuation())
    })
}

/// Whether a pattern of a host has a dot that stands for any character, one of them.
fn has_bare_dot(pattern: &str) -> bool {
    letters(pattern).any(|(at, letter, is_class)| {
        let next = pattern.get(at.saturating_add(1)..).unwrap_or_default();
        letter == '.' && !is_class && !next.starts_with(['*', '+', '?', '{'])
    })
}
