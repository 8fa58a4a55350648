//! What of an answer matters for a decision, and what is refused.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::protobuf::{MAX_ITEMS, Malformed, Writer};

fn message(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::default();
    write(&mut out);
    out.finish()
}

#[test]
fn a_status_that_is_absent_is_told_from_one_that_allows() {
    assert_eq!(CheckResponse::decode(b"").unwrap(), CheckResponse::default());
    assert_eq!(CheckResponse::decode(&[0x0a, 0]).unwrap().code, Some(0));
    let denied = message(|out| out.message(1, |out| out.number(1, 7)));
    assert_eq!(CheckResponse::decode(&denied).unwrap().code, Some(7));
    // A code whose low 32 bits are 0 is not 0.
    let long = message(|out| out.message(1, |out| out.number(1, 1 << 32)));
    assert_eq!(CheckResponse::decode(&long).unwrap().code, Some(1 << 32));
    // A status that is no message is no status that allows.
    let number = message(|out| out.number(1, 0x10));
    assert_eq!(CheckResponse::decode(&number), Err(Malformed::Type));
}

#[test]
fn of_several_kinds_of_response_the_last_stands() {
    let bytes = message(|out| {
        out.message(3, |out| out.bytes(5, b"x-a"));
        out.message(2, |out| out.bytes(3, b"no"));
    });
    let answer = CheckResponse::decode(&bytes).unwrap();
    let reply = Reply { body: "no", ..Reply::default() };
    assert_eq!(answer.response, HttpResponse::Denied(reply.clone()));
    let bytes = message(|out| out.message(5, |out| out.bytes(3, b"no")));
    assert_eq!(CheckResponse::decode(&bytes).unwrap().response, HttpResponse::Error(reply));
}

#[test]
fn an_answer_has_a_bounded_number_of_changes() {
    let names = |count: usize| {
        message(|out| {
            out.message(3, |out| {
                (0..count).for_each(|index| out.bytes(if index % 2 == 0 { 5 } else { 8 }, b"a"));
            });
        })
    };
    assert!(CheckResponse::decode(&names(MAX_ITEMS)).is_ok());
    assert_eq!(CheckResponse::decode(&names(MAX_ITEMS + 1)), Err(Malformed::Items));
}
