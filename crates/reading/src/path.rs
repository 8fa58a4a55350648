//! The path of a request, beside what [`crate::path`] refuses.

use crate::path::escape;

/// The characters that a segment may hold as they are (RFC 3986 section 3.3, `pchar`, and what
/// Envoy lets pass beside), and that clients escape nonetheless: Amazon's write `%3A` in a path,
/// Debian's `%7e`. Most origins decode them before they look for a route.
const PLAIN: &[u8] = b":@!$&'()*+,=~|[]{}\"<>^`";

/// The path and query with such escapes in the path undone; nothing where there are none.
pub(crate) fn plain(path_and_query: &[u8]) -> Option<String> {
    let path = crate::path::without_query(path_and_query);
    let query = path_and_query.get(path.len()..).unwrap_or_default();
    let mut plain = Vec::with_capacity(path_and_query.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        match escape(after).filter(|(decoded, _)| byte == b'%' && PLAIN.contains(decoded)) {
            Some((decoded, behind)) => {
                plain.push(decoded);
                rest = behind;
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    if plain.len() == path.len() {
        return None;
    }
    plain.extend_from_slice(query);
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_a_segment_may_hold_is_decoded() {
        for (path, plain_path) in [
            ("/v1/p%3Adelete", Some("/v1/p:delete")),
            ("/%40internal/x?a=%3A", Some("/@internal/x?a=%3A")),
            ("/a_1%7eb%2b2", Some("/a_1~b+2")),
            ("/a%20b", None),
            ("/a?b=%3A", None),
            ("/a", None),
        ] {
            assert_eq!(plain(path.as_bytes()).as_deref(), plain_path, "{path}");
        }
    }
}
