//! Requests as bytes, one each through a tunnel of its own, and who answers them how.

use super::{Answer, RAW};
use Answer::{Envoy, Filter, Origin};

/// A GET of api.github.com with these further header lines.
pub(crate) fn with(lines: &[u8]) -> Vec<u8> {
    [b"GET /zen HTTP/1.1\r\nhost: api.github.com\r\n", lines, b"\r\n"].concat()
}

/// A GET of this target.
pub(crate) fn target(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nhost: api.github.com\r\n\r\n"].concat()
}

pub(crate) async fn check(cases: Vec<(String, Vec<u8>, Answer)>) {
    let mut wrong = Vec::new();
    for (name, bytes, expected) in cases {
        let mut tunnel =
            RAW.team_a().tunnel(&RAW.vip()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        match tunnel.send_raw(&bytes).await {
            Ok(response) if Answer::of(&response) == expected => {}
            Ok(response) => wrong.push(format!(
                "{name}: expected {expected:?}, got {:?}: {response:?}",
                Answer::of(&response)
            )),
            Err(error) => wrong.push(format!("{name}: expected {expected:?}, got: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    RAW.assert_unharmed().await;
}

pub(crate) fn named(name: &str, bytes: Vec<u8>, expected: Answer) -> (String, Vec<u8>, Answer) {
    (name.to_owned(), bytes, expected)
}

#[tokio::test]
async fn header_values_are_bytes_and_names_are_tokens() {
    let mut cases = vec![
        named(
            "UTF-8 nobody reads",
            with("x-note: caf\u{e9} \u{1f980}\r\n".as_bytes()),
            Origin(200),
        ),
        named("no UTF-8, nobody reads it", with(b"x-note: \x80\xfe\xff\r\n"), Origin(200)),
        named("UTF-8 that is copied", with("x-in: caf\u{e9}\r\n".as_bytes()), Origin(200)),
        named("no UTF-8 where it is copied", with(b"x-in: \xc3\x28\r\n"), Origin(200)),
        named(
            "UTF-8 that a deny rule reads",
            with("x-token: caf\u{e9}\r\n".as_bytes()),
            Origin(200),
        ),
        named("no UTF-8 where a deny rule reads it", with(b"x-token: \xff\r\n"), Filter(403)),
        named(
            "a deny rule's header on two lines",
            with(b"x-token: good\r\nX-Token: bad\r\n"),
            Filter(403),
        ),
        named("an empty value", with(b"x-in:\r\nx-token:\r\n"), Origin(200)),
        named("an empty name", with(b": a\r\n"), Envoy(400)),
        named("a name with a space", with(b"x y: a\r\n"), Envoy(400)),
        named("a name with a space behind it", with(b"x-y : a\r\n"), Envoy(400)),
        named("a name that is UTF-8", with("x-caf\u{e9}: a\r\n".as_bytes()), Envoy(400)),
        named("a name that is no UTF-8", with(b"x-\xff: a\r\n"), Envoy(400)),
        named("a pseudo-header", with(b":path: /users/x\r\n"), Envoy(400)),
        named("a line without a colon", with(b"x-y\r\n"), Envoy(400)),
        named("every character of a token", with(b"x!#$%&'*+-.^_`|~9: a\r\n"), Origin(200)),
        named("a folded line", with(b"x-note: a\r\n b\r\n"), Origin(200)),
        named("an underscore for a hyphen", with(b"x_caller_identity: admin\r\n"), Origin(200)),
    ];
    for byte in [0x00, 0x01, 0x08, 0x0b, 0x1f, 0x7f] {
        cases.push((
            format!("the control byte {byte:#x} in a value"),
            with(&[b"x-note: a", &[byte][..], b"b\r\n"].concat()),
            Envoy(400),
        ));
    }
    // Envoy's codec makes a space of it (RFC 9112 section 2.2).
    cases.push(named(
        "a carriage return in a value",
        with(b"x-note: a\rx-internal-debug: b\r\n"),
        Origin(200),
    ));
    check(cases).await;
}

#[tokio::test]
async fn many_and_long_headers() {
    let lines = |count: usize| {
        (0..count).map(|i| format!("x-h{i}: {i}\r\n")).collect::<String>().into_bytes()
    };
    let long = |size: usize| format!("x-long: {}\r\n", "l".repeat(size)).into_bytes();
    check(vec![
        // Envoy's limit is 100 lines, Host among them.
        named("100 header lines", with(&lines(99)), Origin(200)),
        named("101 header lines", with(&lines(100)), Envoy(431)),
        named("1,000 header lines", with(&lines(999)), Envoy(431)),
        named("a header on 99 lines", with(&b"x-note: a\r\n".repeat(99)), Origin(200)),
        named(
            "a header that a deny rule reads on 64 lines",
            with(&b"x-token: a\r\n".repeat(64)),
            Origin(200),
        ),
        named(
            "a header that a deny rule reads on 65 lines",
            with(&b"x-token: a\r\n".repeat(65)),
            Origin(200),
        ),
        named("60 KB in one header", with(&long(60 << 10)), Origin(200)),
        named(
            "60 KB in ten headers",
            with(
                &(0..10)
                    .flat_map(|i| format!("x-l{i}: {}\r\n", "l".repeat(6 << 10)).into_bytes())
                    .collect::<Vec<_>>(),
            ),
            Origin(200),
        ),
        named(
            "60 KB where a deny rule reads",
            with(format!("x-token: {}\r\n", "g".repeat(60 << 10)).as_bytes()),
            Origin(200),
        ),
        named(
            "60 KB that are copied",
            with(format!("x-in: {}\r\n", "g".repeat(30 << 10)).as_bytes()),
            Origin(200),
        ),
        named(
            "a name of 60 KB",
            with(format!("{}: a\r\n", "n".repeat(60 << 10)).as_bytes()),
            Origin(200),
        ),
        // Istio's limit is 96 KiB.
        named("100 KB of headers", with(&long(100 << 10)), Envoy(431)),
        named(
            "a path of 60 KB",
            target(format!("/{}", "p".repeat(60 << 10)).as_bytes()),
            Origin(200),
        ),
        named(
            "a query of 60 KB",
            target(format!("/?{}", "q".repeat(60 << 10)).as_bytes()),
            Origin(200),
        ),
        named(
            "a path of 60 KB of escapes",
            target(format!("/a{}b", "%20".repeat(20 << 10)).as_bytes()),
            Origin(200),
        ),
        named(
            "a path of 10,000 dot segments",
            target("/..".repeat(10_000).as_bytes()),
            Filter(400),
        ),
    ])
    .await;
}

#[tokio::test]
async fn framing_that_two_could_read_in_two_ways() {
    let post = |lines: &str, body: &str| {
        format!("POST /zen HTTP/1.1\r\nhost: api.github.com\r\n{lines}\r\n{body}").into_bytes()
    };
    check(vec![
        named(
            "two lengths",
            post("content-length: 3\r\ncontent-length: 5\r\n", "abcde"),
            Envoy(400),
        ),
        named(
            "a length and chunks",
            post("content-length: 3\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
            Envoy(400),
        ),
        named("a length of letters", post("content-length: abc\r\n", ""), Envoy(400)),
        named("a length below zero", post("content-length: -1\r\n", ""), Envoy(400)),
        named(
            "a length past all numbers",
            post("content-length: 99999999999999999999\r\n", ""),
            Envoy(400),
        ),
        // RFC 9112 section 6.1 asks for 501 here; it is Envoy's codec that answers, before the
        // filter.
        named("an unknown transfer coding", post("transfer-encoding: gzip\r\n", ""), Envoy(501)),
        named(
            "a chunk of no size",
            post("transfer-encoding: chunked\r\n", "zz\r\n\r\n"),
            Envoy(400),
        ),
        named(
            "an endless chunk size",
            post("transfer-encoding: chunked\r\n", &format!("{}\r\n\r\n", "f".repeat(40))),
            Envoy(400),
        ),
        named(
            "a body with GET",
            [with(b"content-length: 5\r\n"), b"hello".to_vec()].concat(),
            Origin(200),
        ),
        named("a denied body", post("x-token: bad\r\ncontent-length: 5\r\n", "hello"), Filter(403)),
    ])
    .await;
}
