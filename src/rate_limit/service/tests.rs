//! What of an answer matters for a decision.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::protobuf::MAX_ITEMS;

#[test]
fn only_the_code_ok_lets_a_request_pass() {
    for (bytes, code) in [
        (&b""[..], Code::Unknown),
        (&[8, 0], Code::Unknown),
        (&[8, 1], Code::Ok),
        (&[8, 2], Code::OverLimit),
        (&[8, 3], Code::Unknown),
        // 2^32 + 1.
        (&[8, 0x81, 0x80, 0x80, 0x80, 0x10], Code::Unknown),
    ] {
        assert_eq!(RateLimitResponse::decode(bytes).unwrap().code, code, "{bytes:?}");
    }
}

#[test]
fn a_time_that_is_over_is_no_time() {
    let until = |seconds: u64, nanos: u64| {
        let mut out = Writer::default();
        out.message(2, |out| {
            out.message(4, |out| {
                out.number(1, seconds);
                out.number(2, nanos);
            });
        });
        RateLimitResponse::decode(&out.finish()).unwrap().statuses[0].until_reset
    };
    assert_eq!(until(30, 500), Duration::new(30, 500));
    assert_eq!(until((-1_i64).cast_unsigned(), 0), Duration::ZERO);
    assert_eq!(until(1, 1_000_000_000), Duration::ZERO);
    assert_eq!(until(0, 0), Duration::ZERO);
}

#[test]
fn an_answer_has_a_bounded_number_of_items() {
    // Half of them statuses, half of them headers.
    let items = |count: usize| [0x12, 0, 0x1a, 0].repeat(count / 2);
    assert!(RateLimitResponse::decode(&items(MAX_ITEMS)).is_ok());
    assert_eq!(RateLimitResponse::decode(&items(MAX_ITEMS + 2)), Err(Malformed::Items));
}
