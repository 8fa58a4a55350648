//! The path of a request, and percent escapes (RFC 3986 section 2.1).

/// The characters that need no escape in a segment (RFC 3986 section 3.3, `pchar`, and others that
/// Envoy accepts), and that clients escape nonetheless: Amazon's clients write `%3A` in a path,
/// Debian's `%7e`. Most origins decode them before they look for a route.
const PLAIN: &[u8] = b":@!$&'()*+,=~|[]{}\"<>^`";

/// The path and query with such escapes in the path decoded; `None` if there are none.
pub fn plain(path_and_query: &[u8]) -> Option<String> {
    let path = without_query(path_and_query);
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

/// The path without its query.
#[must_use]
pub fn without_query(path_and_query: &[u8]) -> &[u8] {
    let end = path_and_query.iter().position(|byte| *byte == b'?').unwrap_or(path_and_query.len());
    path_and_query.get(..end).unwrap_or_default()
}

/// The byte that two hex digits at the start of `bytes` stand for, and what follows them.
pub fn escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(2)?;
    let [high, low] = digits else { return None };
    let high = u8::try_from(char::from(*high).to_digit(16)?).ok()?;
    let low = u8::try_from(char::from(*low).to_digit(16)?).ok()?;
    Some(((high << 4) | low, rest))
}

/// Percent-decodes once. Anything that is no escape stays as it is.
pub fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        match escape(after).filter(|_| byte == b'%') {
            Some((byte, after)) => {
                decoded.push(byte);
                rest = after;
            }
            None => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    decoded
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

    #[test]
    fn decoding_leaves_what_is_no_escape() {
        assert_eq!(decode(b"%41%4a%zz%4%"), b"AJ%zz%4%");
    }

    #[test]
    fn the_query_is_not_the_path() {
        assert_eq!(without_query(b"/a?b?c"), b"/a");
        assert_eq!(without_query(b"/a"), b"/a");
    }
}
