//! How `urlRewrite` and `requestRedirect` change a path (Gateway API, `HTTPPathModifier`).

use crate::PathChange;

impl PathChange {
    /// The path and query after the change; none if the change is not for this path.
    ///
    /// The query is kept, and so is what is behind a prefix, byte for byte. A prefix is compared
    /// with the path as it is written: the rules have decided about the request as it came, so a
    /// path that is written in another way is one that they have let through as it is.
    #[must_use]
    pub fn apply(&self, path_and_query: &[u8]) -> Option<Vec<u8>> {
        let end = path_and_query.iter().position(|byte| *byte == b'?');
        let (path, query) = path_and_query.split_at_checked(end.unwrap_or(path_and_query.len()))?;
        // The `*` of OPTIONS is no path.
        path.starts_with(b"/").then_some(())?;
        let changed = match self {
            PathChange::Full { prefix, path: new } => {
                if let Some(prefix) = prefix {
                    behind(path, prefix)?;
                }
                new.as_bytes().to_vec()
            }
            PathChange::Prefix { prefix, replacement } => match behind(path, prefix)? {
                b"" => replacement.as_bytes().to_vec(),
                rest => {
                    let start = replacement.strip_suffix('/').unwrap_or(replacement);
                    // Further slashes stay: what rules have let through as `/old//a` must not
                    // become `/new/a`.
                    [start.as_bytes(), rest].concat()
                }
            },
        };
        Some([changed.as_slice(), query].concat())
    }
}

/// What is behind a prefix: nothing, or a slash and more. The prefix ends where a segment does.
fn behind<'p>(path: &'p [u8], prefix: &str) -> Option<&'p [u8]> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = path.strip_prefix(prefix.as_bytes())?;
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn replaced(path: &str, prefix: &str, replacement: &str) -> Option<String> {
        let change =
            PathChange::Prefix { prefix: prefix.to_owned(), replacement: replacement.to_owned() };
        change.apply(path.as_bytes()).map(|path| String::from_utf8(path).unwrap())
    }

    /// The table of Gateway API's `HTTPPathModifier`, and more.
    #[test]
    fn a_prefix_is_replaced_at_the_border_of_a_segment() {
        for (path, prefix, replacement, expected) in [
            ("/foo/bar", "/foo", "/xyz", Some("/xyz/bar")),
            ("/foo/bar", "/foo", "/xyz/", Some("/xyz/bar")),
            ("/foo/bar", "/foo/", "/xyz", Some("/xyz/bar")),
            ("/foo/bar", "/foo/", "/xyz/", Some("/xyz/bar")),
            ("/foo", "/foo", "/xyz", Some("/xyz")),
            ("/foo/", "/foo", "/xyz", Some("/xyz/")),
            ("/foo/bar", "/foo", "/", Some("/bar")),
            ("/foo/", "/foo", "/", Some("/")),
            ("/foo", "/foo", "/", Some("/")),
            ("/foo", "/foo/", "/xyz", Some("/xyz")),
            ("/foobar", "/foo", "/xyz", None),
            ("/fo", "/foo", "/xyz", None),
            ("/Foo", "/foo", "/xyz", None),
            ("/", "/", "/xyz", Some("/xyz/")),
            ("/a/b", "/", "/xyz", Some("/xyz/a/b")),
            ("/foo?a=/foo&b", "/foo", "/xyz", Some("/xyz?a=/foo&b")),
            ("/foo/?", "/foo", "/xyz", Some("/xyz/?")),
            ("/foo/a%2Fb%20c", "/foo", "/xyz", Some("/xyz/a%2Fb%20c")),
            ("/%66oo/a", "/foo", "/xyz", None),
            // The rules have seen two slashes. A redirect is absolute, so that its host is safe.
            ("/foo//evil.example", "/foo", "/", Some("//evil.example")),
            ("/foo//a//b", "/foo", "/xyz", Some("/xyz//a//b")),
            ("/foo//a", "/foo/", "/xyz/", Some("/xyz//a")),
            ("//", "/", "/", Some("//")),
            ("*", "/", "/xyz", None),
            ("", "/", "/xyz", None),
        ] {
            assert_eq!(
                replaced(path, prefix, replacement).as_deref(),
                expected,
                "{path}, {prefix}, {replacement}"
            );
        }
    }

    #[test]
    fn a_whole_path_is_replaced_and_the_query_kept() {
        for (path, prefix, expected) in [
            ("/a/b?q=1", None, Some("/new?q=1")),
            ("/", None, Some("/new")),
            ("/a/b?q=1", Some("/a"), Some("/new?q=1")),
            ("/ab", Some("/a"), None),
            ("*", None, None),
        ] {
            let prefix = prefix.map(str::to_owned);
            let change = PathChange::Full { prefix, path: "/new".to_owned() };
            let found = change.apply(path.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }
}
