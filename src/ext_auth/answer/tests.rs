//! What answers say, and which are of no use.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::protobuf::Writer;

const SECRET: &[&str] = &["authorization"];

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn http(
    status: u16,
    lines: &[(&str, &str)],
    body: (&[u8], bool),
    names: &[&str],
) -> Result<Verdict, Failure> {
    let lines = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let headers: Headers<'_> = lines.collect();
    Verdict::of_http((status, &headers), body, (&owned(names), &owned(SECRET)))
}

fn header(name: &str, value: &str, action: HeaderAction) -> Header {
    Header { name: name.to_owned(), value: value.as_bytes().to_vec(), action }
}

#[test]
fn a_2xx_allows_with_the_headers_that_are_named() {
    let lines = [("x-user", "ada"), ("x-user", "bob"), ("x-other", "1"), ("authorization", "t")];
    let expected = Allowed {
        removed: owned(&["authorization", "x-absent"]),
        headers: vec![
            header("x-user", "ada", HeaderAction::Overwrite),
            header("x-user", "bob", HeaderAction::Append),
        ],
        credentials: vec![("authorization".to_owned(), Secret::new(*b"t"))],
        ..Allowed::default()
    };
    for status in [200, 204, 299] {
        let found = http(status, &lines, (b"", false), &["x-user", "x-absent"]);
        assert_eq!(found, Ok(Verdict::Allowed(Box::new(expected.clone()))), "{status}");
    }
    assert_eq!(http(200, &lines, (b"", true), &[]), Err(Failure::TooLarge));
    let illegal = [("x-user", "a\u{1}")];
    assert_eq!(http(200, &illegal, (b"", false), &["x-user"]), Err(Failure::Unusable));
}

#[test]
fn any_other_status_denies_and_none_looks_like_success() {
    for (status, expected) in [(100, 403), (199, 403), (302, 302), (401, 401), (600, 403)] {
        let lines = [
            ("www-authenticate", "Bearer"),
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("set-cookie", "a=b"),
            ("content-length", "3"),
            ("x-envoy-overloaded", "true"),
            (":status", "401"),
        ];
        let found = http(status, &lines, (b"no", false), &[]);
        let headers = vec![("www-authenticate".to_owned(), b"Bearer".to_vec())];
        let body = Some(b"no".to_vec());
        let metadata = Vec::new();
        let expected = Denied { status: expected, headers, body, metadata };
        assert_eq!(found, Ok(Verdict::Denied(Box::new(expected))), "{status}");
    }
    let cut = http(403, &[], (b"part", true), &[]);
    let expected = Denied { status: 403, ..Denied::default() };
    assert_eq!(cut, Ok(Verdict::Denied(Box::new(expected))), "a part of a body is none");
}

/// A message with this status code, and a response in the field of this number.
fn message(code: Option<u64>, response: Option<(u32, &[(&str, &str)])>) -> Vec<u8> {
    let mut out = Writer::with_capacity(64);
    if let Some(code) = code {
        out.message(1, |out| out.varint(1, code));
    }
    if let Some((number, headers)) = response {
        out.message(number, |out| {
            for (name, value) in headers {
                out.message(2, |out| {
                    out.message(1, |out| {
                        out.text(1, name.as_bytes());
                        out.text(2, value.as_bytes());
                    });
                });
            }
        });
    }
    out.finish()
}

fn says(message: &[u8]) -> Result<&'static str, Failure> {
    match Verdict::of_grpc(message, &owned(SECRET))? {
        Verdict::Allowed(_) => Ok("allowed"),
        Verdict::Denied(denied) if denied.status == 403 => Ok("denied"),
        Verdict::Denied(_) => Ok("denied with another status"),
    }
}

#[test]
fn a_message_that_contradicts_itself_or_says_nothing_allows_nothing() {
    let (denied, ok, error) = (Some((2, &[][..])), Some((3, &[][..])), Some((5, &[][..])));
    for (code, response, expected) in [
        (Some(0), None, Ok("allowed")),
        (Some(0), ok, Ok("allowed")),
        (None, ok, Ok("allowed")),
        (None, None, Err(Failure::Unusable)),
        (Some(0), denied, Ok("denied")),
        (None, denied, Ok("denied")),
        (Some(7), None, Ok("denied")),
        (Some(7), ok, Ok("denied")),
        (Some(0), error, Err(Failure::Error)),
        (Some(7), error, Err(Failure::Error)),
    ] {
        assert_eq!(says(&message(code, response)), expected, "{code:?} {response:?}");
    }
    assert_eq!(says(b"\xff"), Err(Failure::Unusable));
}

#[test]
fn an_answer_that_asks_for_what_none_may_is_of_no_use() {
    for name in ["host", "Host", ":path", ":authority", "connection", "content-length", "a b", ""] {
        let answer = message(Some(0), Some((3, &[(name, "1")])));
        assert_eq!(says(&answer), Err(Failure::Unusable), "{name:?}");
        let mut removing = message(Some(0), None);
        let mut ok = Writer::with_capacity(16);
        ok.message(3, |out| {
            out.text(5, b"x-a");
            out.message(2, |out| out.message(1, |out| out.text(1, name.as_bytes())));
        });
        removing.extend(ok.finish());
        assert_eq!(says(&removing), Err(Failure::Unusable), "{name:?}");
    }
    for value in ["a\nb: c", "a\0", " a"] {
        let answer = message(Some(0), Some((3, &[("x-a", value)])));
        assert_eq!(says(&answer), Err(Failure::Unusable), "{value:?}");
    }
}

#[test]
fn a_credential_is_a_secret_however_its_name_is_spelt() {
    for name in ["authorization", "Authorization"] {
        let answer = message(Some(0), Some((3, &[("x-a", "1"), (name, "Bearer t")])));
        let Ok(Verdict::Allowed(allowed)) = Verdict::of_grpc(&answer, &owned(SECRET)) else {
            panic!("{name}");
        };
        assert_eq!(allowed.headers, [header("x-a", "1", HeaderAction::Overwrite)]);
        let secret = Secret::new(*b"Bearer t");
        assert_eq!(allowed.credentials, [("authorization".to_owned(), secret)]);
        assert!(!format!("{allowed:?}").contains("Bearer t"));
    }
}

#[test]
fn only_what_is_no_matter_of_the_moment_is_kept() {
    for (status, kept) in [(302, true), (401, true), (403, true), (404, false), (429, false)] {
        let verdict = http(status, &[], (b"", false), &[]).unwrap();
        assert_eq!(verdict.may_be_kept(), kept, "{status}");
    }
    assert!(http(200, &[], (b"", false), &[]).unwrap().may_be_kept());
}
