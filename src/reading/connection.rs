//! The `Connection` header.

/// What `Connection` may name (RFC 9110 section 7.6.1).
const OPTIONS: [&[u8]; 3] = [b"upgrade", b"keep-alive", b"close"];

/// What is wrong with a `Connection` line.
///
/// Envoy removes the header, unless the request asks for an upgrade: then the header reaches the
/// origin. A proxy in front of the origin's application removes every header that it names, even
/// one that a policy has set.
pub(crate) fn objection(value: &[u8]) -> Option<&'static str> {
    let known = |option: &[u8]| {
        option.is_empty() || OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(option))
    };
    let all = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).all(known);
    (!all).then_some("connection names a header")
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn only_the_connections_own_options_are_named() {
        for value in
            ["Upgrade", "upgrade, keep-alive", "close", "", "keep-alive,,Upgrade", "\tUPGRADE "]
        {
            assert_eq!(objection(value.as_bytes()), None, "{value}");
        }
        for value in [
            "Upgrade, x-caller-identity",
            "x-a",
            "upgrade keep-alive",
            "te",
            "\"upgrade\"",
            "upgrade;x-a",
        ] {
            assert!(objection(value.as_bytes()).is_some(), "{value}");
        }
    }
}
