//! The quick look against the thorough ways to read a host and a path.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn what_most_requests_have_is_plain() {
    for host in ["a", "api.github.com", "a_b.c-d.e1", "10.0.0.1"] {
        assert!(is_host(host.as_bytes()), "{host}");
    }
    for host in ["", ".", "a.", ".a", "a..b", "A", "a:80", "a/b", "[::1]", "\u{e9}"] {
        assert!(!is_host(host.as_bytes()), "{host}");
    }
    for (path_and_query, plain) in [
        ("/", "/"),
        ("/zen", "/zen"),
        ("/repos/a.b/c_d/~e:f@g/", "/repos/a.b/c_d/~e:f@g/"),
        ("/a?b=%2e&c=../;\\ \u{e9}", "/a"),
        ("/?a?b", "/"),
    ] {
        assert_eq!(path(path_and_query.as_bytes()), Some(plain), "{path_and_query}");
    }
    for other in [
        "", "*", "a", "//", "/a//b", "/.a", "/a%20b", "/a;b", "/a\\b", "/a b", "/#", "/?#",
        "/\u{e9}",
    ] {
        assert_eq!(path(other.as_bytes()), None, "{other}");
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod generated {
    use proptest::prelude::*;

    use super::super::*;
    use crate::path::{PathSafety, without_query};
    use crate::request::host;

    /// Bytes of which many are near the borders of what is plain.
    fn bytes(first: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let usual = b"aaaaaaaabzAZ0919/////...?%#;\\-_:@[`{ !\x00\x1f\x7f\x80\xff".to_vec();
        let byte = prop_oneof![8 => prop::sample::select(usual), 1 => any::<u8>()];
        prop::collection::vec(byte, 0..80)
            .prop_map(move |rest| [first.as_bytes(), rest.as_slice()].concat())
    }

    /// Texts of many labels, some of them too long.
    fn authority() -> impl Strategy<Value = Vec<u8>> {
        let label = "[a-z0-9_-]{0,12}|[a-z]{60,66}|[A-Za-z:]{1,4}";
        prop::collection::vec(label, 0..6).prop_map(|labels| labels.join(".").into_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn a_plain_host_is_one_that_is_canonical_as_it_is(
            authority in prop_oneof![bytes(""), authority()]
        ) {
            let is_canonical = host::is_canonical_by_labels(&authority);
            prop_assert_eq!(is_host(&authority), is_canonical && authority.len() <= 63);
        }

        #[test]
        fn no_mode_objects_to_a_plain_path(sent in prop_oneof![bytes("/"), bytes("")]) {
            if let Some(plain) = path(&sent) {
                prop_assert_eq!(plain.as_bytes(), without_query(&sent));
                prop_assert_eq!(PathSafety::Strict.objection(&sent), None);
                prop_assert_eq!(PathSafety::Lenient.objection(&sent), None);
                prop_assert!(plain.is_ascii() && !plain.contains('%'));
            }
        }

        #[test]
        fn a_path_without_anything_special_is_plain(
            sent in "(/[a-zA-Z0-9_~:@=+-][a-z.]{0,9}){1,9}"
        ) {
            prop_assert_eq!(path(sent.as_bytes()), Some(&*sent));
        }
    }
}
