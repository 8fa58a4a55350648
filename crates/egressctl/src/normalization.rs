//! What Envoy makes of a path before any filter sees it, as `meshConfig.pathNormalization` of Istio
//! has it do.
//!
//! Tests hold this to a real Envoy.

use clap::ValueEnum;

/// `meshConfig.pathNormalization.normalization`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum Normalization {
    /// `NONE`: the path stays as it was sent.
    None,
    /// `BASE`, which is also Istio's `DEFAULT`: dot segments are resolved, `\` becomes `/`, and
    /// characters are escaped or not as they are in canonical paths.
    #[default]
    Base,
    /// `MERGE_SLASHES`: `//` becomes `/`, too.
    MergeSlashes,
    /// `DECODE_AND_MERGE_SLASHES`: before that, `%2F` and `%5C` become what they stand for.
    DecodeAndMergeSlashes,
}

/// The path and query that the filters see of those that were sent; none if Envoy refuses the
/// request with `400`.
///
/// A fragment is cut off, as Istio's proxies do.
#[must_use]
pub fn normalized(target: &str, normalization: Normalization) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    if normalization == Normalization::None || !target.starts_with('/') {
        return Some(target.to_owned());
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let decoded = match normalization {
        Normalization::DecodeAndMergeSlashes => with_slashes(path),
        _ => path.to_owned(),
    };
    let mut path = canonical(&without_parameters(&decoded))?;
    if matches!(normalization, Normalization::MergeSlashes | Normalization::DecodeAndMergeSlashes) {
        path = merged(&path);
    }
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    Some(path)
}

/// The byte that an escape stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)?.wrapping_mul(16).wrapping_add(digit(*low)?))
}

/// Escaped slashes and backslashes as themselves.
fn with_slashes(path: &str) -> String {
    let mut found = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let (taken, letter) = match escaped(rest.as_bytes()) {
            Some(b'/') => (3, '/'),
            Some(b'\\') => (3, '\\'),
            _ => (first.len_utf8(), first),
        };
        found.push(letter);
        rest = rest.get(taken..).unwrap_or_default();
    }
    found
}

/// Dot segments without the parameters behind a `;` that make them look like others.
fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.split_once(';') {
        Some((dots @ ("." | ".."), _)) => dots,
        _ => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The canonical form of a path; none if it has an escaped NUL.
fn canonical(path: &str) -> Option<String> {
    let mut found = String::with_capacity(path.len());
    let mut rest = path;
    // Where the last `%` is that begins no escape.
    let mut bare = None;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        match (dot(rest), escaped(rest.as_bytes())) {
            (Some(length), _) if found.ends_with('/') => {
                match directory(rest.get(length..).unwrap_or_default()) {
                    Directory::Current(more) => taken = length.saturating_add(more),
                    Directory::Up(more) => {
                        taken = length.saturating_add(more);
                        back(&mut found);
                    }
                    Directory::Not => {
                        taken = length;
                        found.push('.');
                    }
                }
            }
            (_, Some(0)) => return None,
            (_, Some(byte)) if is_unreserved(byte) => {
                taken = 3;
                found.push(char::from(byte));
                if let Some(bare) = bare {
                    keep_bare(&mut found, bare, rest.get(3..).unwrap_or_default());
                }
            }
            (_, Some(_)) => {
                taken = 3;
                found.push_str(rest.get(..3).unwrap_or_default());
            }
            (_, None) => match first {
                '\\' => found.push('/'),
                '%' => {
                    bare = Some(found.len());
                    found.push('%');
                }
                '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}' => {
                    found.push_str(&format!("%{:02X}", u32::from(first)));
                }
                _ => found.push(first),
            },
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    Some(found)
}

/// Escapes a bare `%` if, with what has just been unescaped and the text that follows, it has
/// become an escape itself.
fn keep_bare(found: &mut String, bare: usize, rest: &str) {
    let digits = match found.get(bare.saturating_add(1)..) {
        Some(one) if one.len() == 1 => {
            rest.chars().next().map(|next| format!("%{one}{next}")).unwrap_or_default()
        }
        Some(two) if two.len() == 2 => format!("%{two}"),
        _ => return,
    };
    if escaped(digits.as_bytes()).is_some()
        && found.get(bare..).is_some_and(|it| it.starts_with('%'))
    {
        found.insert_str(bare.saturating_add(1), "25");
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// How long the dot is that a text begins with, escaped or not.
fn dot(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [b'.', ..] => Some(1),
        bytes if escaped(bytes) == Some(b'.') => Some(3),
        _ => None,
    }
}

/// What a dot at the beginning of a segment is, with how much more belongs to it.
enum Directory {
    Current(usize),
    Up(usize),
    Not,
}

/// What it is, by what follows the dot.
fn directory(after: &str) -> Directory {
    let ends = |text: &str| match text.as_bytes() {
        [] => Some(0),
        [b'/' | b'\\', ..] => Some(1),
        _ => None,
    };
    if let Some(more) = ends(after) {
        return Directory::Current(more);
    }
    let second = dot(after);
    match second.and_then(|length| Some((length, ends(after.get(length..)?)?))) {
        Some((length, more)) => Directory::Up(length.saturating_add(more)),
        None => Directory::Not,
    }
}

/// Takes the last segment away, up to the slash before it. The path ends with a slash.
fn back(path: &mut String) {
    path.pop();
    let kept = path.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    path.truncate(kept);
    if path.is_empty() {
        path.push('/');
    }
}

fn merged(path: &str) -> String {
    let mut found = String::with_capacity(path.len());
    // Envoy leaves two slashes of a path that has nothing else.
    if path.len() > 1 && path.bytes().all(|byte| byte == b'/') {
        return "//".to_owned();
    }
    for letter in path.chars() {
        if letter != '/' || !found.ends_with('/') {
            found.push(letter);
        }
    }
    found
}
