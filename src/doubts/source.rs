//! What can be seen in the source of an expression alone.

use crate::config::Spot;

/// A word, a string or a sign of a source, and the byte at which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'s> {
    pub(super) at: usize,
    pub(super) text: &'s str,
}

/// The tokens of a source that parses; comments and blanks are left out.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..) {
        let Some(first) = rest.chars().next() else { break };
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            let length = token(rest, first);
            found.extend(rest.get(..length).map(|text| Token { at, text }));
            length
        };
        at = at.saturating_add(length.max(1));
    }
    found
}

/// How long the token is that a source begins with.
fn token(rest: &str, first: char) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    let is_prefix =
        word <= 2 && rest.get(..word).is_some_and(|word| word.chars().all(|c| "rRbB".contains(c)));
    let quoted = if is_prefix { word } else { 0 };
    let raw = rest.get(..quoted).is_some_and(|prefix| prefix.contains(['r', 'R']));
    match rest.get(quoted..).and_then(|text| text.chars().next()) {
        Some(quote @ ('"' | '\'')) => {
            quoted.saturating_add(string(rest.get(quoted..).unwrap_or_default(), quote, raw))
        }
        _ if word > 0 => word,
        _ => first.len_utf8(),
    }
}

/// How long the string is that a text begins with.
fn string(text: &str, quote: char, raw: bool) -> usize {
    let three = quote.to_string().repeat(3);
    let mark = if text.starts_with(&three) { three } else { quote.to_string() };
    let mut at = mark.len();
    while let Some(rest) = text.get(at..) {
        if rest.starts_with(&mark) {
            return at.saturating_add(mark.len());
        }
        let Some(next) = rest.chars().next() else { break };
        at = at.saturating_add(next.len_utf8());
        if next == '\\' && !raw {
            let escaped = rest.chars().nth(1).map_or(0, char::len_utf8);
            at = at.saturating_add(escaped);
        }
    }
    text.len()
}

/// A string's text, where it is written without escapes that would make it another.
pub(super) fn text(token: &str) -> Option<String> {
    let raw = token.starts_with(['r', 'R']);
    let inner = token.trim_start_matches(['r', 'R']);
    let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = inner.trim_matches(quote);
    Some(if raw { inner.to_owned() } else { inner.replace("\\\\", "\\") })
}

/// Whether a part of an expression stands in parentheses of its own, which are not those of a call.
pub(super) fn is_grouped(source: &str) -> bool {
    let all = tokens(source);
    let is_word = |text: &str| text.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    all.iter().enumerate().any(|(index, token)| {
        let before = index.checked_sub(1).and_then(|index| all.get(index));
        token.text == "(" && !before.is_some_and(|before| is_word(before.text))
    })
}

/// A literal that is compared with a text in one letter case, and is in the other.
fn other_case(all: &[Token<'_>], index: usize) -> Option<String> {
    let of = |offset: usize| index.checked_add(offset).and_then(|at| all.get(at)).map(|it| it.text);
    let is_lower = match of(0)? {
        "lowerAscii" => true,
        "upperAscii" => false,
        _ => return None,
    };
    if (of(1)?, of(2)?) != ("(", ")") {
        return None;
    }
    let written = match (of(3)?, of(4)?) {
        (".", "startsWith" | "endsWith" | "contains") if of(5)? == "(" => of(6)?,
        ("=" | "!", "=") => of(5)?,
        _ => return None,
    };
    let written = text(written)?;
    let is_other = |c: char| if is_lower { c.is_ascii_uppercase() } else { c.is_ascii_lowercase() };
    written.contains(is_other).then_some(written)
}

/// Slips that can be seen in a rule's source: the name of the kind, where, and the message.
pub(super) fn slips(source: &str) -> Vec<(&'static str, Spot, String)> {
    let all = tokens(source);
    let mut found = Vec::new();
    for (index, token) in all.iter().enumerate() {
        if token.text == "unvalidatedJwtPayload" {
            let message = "nobody has verified this token: its sender writes into it what they \
                like, so decide nothing by it; what identifies a caller is `source.identity`";
            found.push(("unverified-token", spot(source, token.at), message.to_owned()));
        }
        if let Some(written) = other_case(&all, index) {
            let message = format!(
                "what `{}` returns never has a letter of the other case, and `{written}` has: \
                 write it so",
                token.text
            );
            found.push(("odd-comparison", spot(source, token.at), message));
        }
        if token.text == "null"
            && let Some((at, name)) = compared_header(&all, index)
        {
            let message = format!(
                "a header is never null: reading one that is not there fails; ask `\"{name}\" in \
                 request.headers`"
            );
            found.push(("header-is-never-null", spot(source, at), message));
        }
    }
    found
}

/// The header that is compared with the `null` of this position, and where it is written.
fn compared_header(all: &[Token<'_>], null: usize) -> Option<(usize, String)> {
    let of = |index: usize| all.get(index).map_or("", |token| token.text);
    let is_sign =
        |index: usize| of(index) == "=" && matches!(of(index.saturating_sub(1)), "=" | "!");
    if null.checked_sub(1).is_some_and(is_sign) {
        let end = null.checked_sub(3)?;
        let (start, name) = match of(end) {
            "]" => (end.checked_sub(5)?, text(of(end.checked_sub(1)?))?),
            name => (end.checked_sub(4)?, name.to_owned()),
        };
        return is_headers(all, start).then(|| (all.get(start).map_or(0, |it| it.at), name));
    }
    let start = null.checked_add(3)?;
    if !is_sign(null.checked_add(2)?) || !is_headers(all, start) {
        return None;
    }
    let name = match of(start.checked_add(3)?) {
        "[" => text(of(start.checked_add(4)?))?,
        _ => of(start.checked_add(4)?).to_owned(),
    };
    Some((all.get(start)?.at, name))
}

/// Whether `request.headers` is written here.
fn is_headers(all: &[Token<'_>], start: usize) -> bool {
    let part = all.get(start..).unwrap_or_default().iter().map(|token| token.text).take(3);
    part.eq(["request", ".", "headers"])
}

/// Line and column of a byte.
pub(super) fn spot(source: &str, at: usize) -> Spot {
    let before = source.get(..at).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let last = before.rsplit('\n').next().unwrap_or_default();
    Spot::Source { line, column: last.chars().count().saturating_add(1) }
}

/// A source in one line, cut where it is long.
pub(super) fn shown(source: &str) -> String {
    const LONGEST: usize = 60;
    let line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        None => line,
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
    }
}
