//! The request's method.

use crate::header_name::is_token;

/// What is wrong with a method.
///
/// Methods are case-sensitive (RFC 9110 section 9.1), and every one that is registered is in
/// capitals. Some origins (Werkzeug, Flask) take `delete` for DELETE, which a rule that names
/// DELETE would not, so small letters are refused.
pub(crate) fn objection(method: &[u8]) -> Option<&'static str> {
    if !method.is_empty() && method.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    objection_to_other(method)
}

#[cold]
#[inline(never)]
fn objection_to_other(method: &[u8]) -> Option<&'static str> {
    if method.iter().any(u8::is_ascii_lowercase) {
        return Some("small letters");
    }
    (!is_token(method)).then_some("not a token")
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_method_is_a_token_without_small_letters() {
        for method in ["GET", "DELETE", "M-SEARCH", "BASELINE-CONTROL", "X_1"] {
            assert_eq!(objection(method.as_bytes()), None, "{method}");
        }
        for method in ["delete", "Delete", "DELETe", "", "GET ", "G\u{c4}T", "GET\0"] {
            assert!(objection(method.as_bytes()).is_some(), "{method:?}");
        }
    }
}
