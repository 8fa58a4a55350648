//! What a request is for: its host, method, version and path, each as sent on the wire.

use super::Answer::{Envoy, Filter, Origin};
use super::requests::{check, named, target, with};

#[tokio::test]
async fn one_host_and_no_other() {
    let lines = |lines: &[u8]| [b"GET /zen HTTP/1.1\r\n", lines, b"\r\n"].concat();
    let full =
        |uri: &str| format!("GET {uri} HTTP/1.1\r\nhost: api.github.com\r\n\r\n").into_bytes();
    check(vec![
        named("no Host", lines(b""), Envoy(400)),
        named("an empty Host", lines(b"host:\r\n"), Filter(400)),
        named("a blank Host", lines(b"host:   \r\n"), Filter(400)),
        named("two Hosts", lines(b"host: api.github.com\r\nhost: evil.example\r\n"), Filter(400)),
        named(
            "the same Host twice",
            lines(b"host: api.github.com\r\nhost: api.github.com\r\n"),
            Filter(400),
        ),
        named("Hosts with a comma", lines(b"host: api.github.com,evil.example\r\n"), Filter(400)),
        named("a Host with user information", lines(b"host: user@api.github.com\r\n"), Filter(400)),
        named(
            "a Host with bytes of 0x80 and above",
            lines(b"host: api.github.com\xff\r\n"),
            Envoy(400),
        ),
        named("a Host with a path", lines(b"host: api.github.com/x\r\n"), Envoy(400)),
        named("a Host with a bad port", lines(b"host: api.github.com:99999\r\n"), Filter(400)),
        named(
            "a Host of 60 KB",
            lines(format!("host: {}\r\n", "a".repeat(60 << 10)).as_bytes()),
            Filter(400),
        ),
        named("an IPv6 Host", lines(b"host: [::1]:80\r\n"), Filter(403)),
        named("an unclosed IPv6 Host", lines(b"host: [::1\r\n"), Filter(400)),
        named("another service's Host", lines(b"host: httpbingo.org\r\n"), Filter(403)),
        named(
            "a Host in capitals, with a port",
            lines(b"host: API.GitHub.com:80\r\n"),
            Origin(200),
        ),
        // The same host to the filter; but Envoy asks the origin for a certificate of that very
        // name, dot and all.
        named("a Host with a dot behind it", lines(b"host: api.github.com.\r\n"), Envoy(503)),
        named("a whole URI", full("http://api.github.com/zen"), Origin(200)),
        named("a whole URI of another host", full("http://evil.example/zen"), Filter(403)),
        named("a whole URI without a path", full("http://api.github.com"), Origin(200)),
        named("a whole URI with https", full("https://api.github.com/zen"), Origin(200)),
        // Envoy drops the user information of a whole URI before anything looks at it.
        named(
            "a whole URI with user information",
            full("http://user:word@api.github.com/zen"),
            Origin(200),
        ),
        named(
            "a whole URI with a host for a user",
            full("http://api.github.com@evil.example/zen"),
            Filter(403),
        ),
        named(
            "a whole URI with two users",
            full("http://a@api.github.com@evil.example/zen"),
            Envoy(400),
        ),
        named(
            "a whole URI with a fragment for a host",
            full("http://evil.example#@api.github.com/zen"),
            Envoy(400),
        ),
        named(
            "a whole URI with a backslash",
            full("http://evil.example\\@api.github.com/zen"),
            Envoy(400),
        ),
        // Envoy's connection manager has 404 for a path that does not begin with `/`.
        named(
            "a whole URI with a query at once",
            full("http://api.github.com?/users/x"),
            Envoy(404),
        ),
        named("a whole URI that is denied", full("http://api.github.com/users/x"), Filter(403)),
        named("a whole URI without a host", full("http:///zen"), Envoy(400)),
        named("another scheme", full("ftp://api.github.com/zen"), Envoy(400)),
        named("a bare host for a target", full("api.github.com"), Envoy(400)),
    ])
    .await;
}

#[tokio::test]
async fn methods_and_versions() {
    let line = |line: &str| format!("{line}\r\nhost: api.github.com\r\n\r\n").into_bytes();
    check(vec![
        // The filter lets it pass; Envoy has no route for it, since the routes of a waypoint begin
        // with `/`.
        named("OPTIONS *", line("OPTIONS * HTTP/1.1"), Envoy(404)),
        // It has no path, so there is none that could be safe.
        named(
            "CONNECT within the tunnel",
            line("CONNECT api.github.com:443 HTTP/1.1"),
            Filter(400),
        ),
        named("CONNECT to another host", line("CONNECT evil.example:443 HTTP/1.1"), Filter(400)),
        named("CONNECT to a path", line("CONNECT /zen HTTP/1.1"), Envoy(400)),
        // Istio's listeners do not accept HTTP/1.0.
        named("HTTP/1.0", line("GET /zen HTTP/1.0"), Envoy(426)),
        named("HTTP/0.9", b"GET /zen\r\n\r\n".to_vec(), Envoy(426)),
        named("HTTP/1.2", line("GET /zen HTTP/1.2"), Envoy(426)),
        named("a method of its own", line("FROBNICATE /zen HTTP/1.1"), Envoy(400)),
        named("a method in small letters", line("get /zen HTTP/1.1"), Envoy(400)),
        named(
            "a method of a byte of 0x80",
            [b"G\x80T", &target(b"/zen")[3..]].concat(),
            Envoy(400),
        ),
        named(
            "a TLS handshake",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            Envoy(400),
        ),
        // Istio's listeners take it; an origin that does not switch answers as it would without.
        named(
            "an upgrade to WebSocket",
            with(b"connection: upgrade\r\nupgrade: websocket\r\n"),
            Origin(200),
        ),
        named(
            "an upgrade that names a header",
            with(b"connection: Upgrade, x-caller-identity\r\nupgrade: websocket\r\n"),
            Filter(400),
        ),
        named(
            "an upgrade with two lines",
            with(b"connection: upgrade\r\nconnection: x-a\r\nupgrade: websocket\r\n"),
            Filter(400),
        ),
        named(
            "an upgrade kept alive",
            with(b"connection: keep-alive, Upgrade\r\nupgrade: websocket\r\n"),
            Origin(200),
        ),
        named(
            "a header that is named without an upgrade, which Envoy takes off",
            with(b"connection: x-a\r\n"),
            Origin(200),
        ),
        named(
            "an upgrade to HTTP/2, which Envoy takes off",
            with(b"connection: upgrade\r\nupgrade: h2c\r\n"),
            Origin(200),
        ),
        named("another upgrade", with(b"connection: upgrade\r\nupgrade: tunnel/1\r\n"), Envoy(403)),
    ])
    .await;
}

#[tokio::test]
async fn paths_that_two_could_read_in_two_ways() {
    let mut cases = Vec::new();
    for path in [
        "/repos/../users/x",
        "/repos/%2e%2e/users/x",
        "/repos/.%2E/users/x",
        "/./zen",
        "/zen/.",
        "/zen/..",
        "/..",
        "//zen",
        "/repos//x",
        "/zen;a=b",
        "/repos/..;/users/x",
        "/repos\\..\\users\\x",
        "/zen%2Fx",
        "/zen%5cx",
        "/zen%00",
        "/zen%0d%0a",
        "/zen%7f",
        "/users/%41",
        "/zen%252e",
        "/zen%",
        "/zen%2",
        "/zen%zz",
        "/%2E%2E/zen",
        "/zen%3Bx",
        "/%2f%2fusers",
    ] {
        cases.push((path.to_owned(), target(path.as_bytes()), Filter(400)));
    }
    for path in [
        "/",
        "/zen",
        "/zen/",
        "/ZEN",
        "/zen?",
        "/zen?x=../..;//\\",
        "/a%20b",
        "/%C3%A9",
        "/~a:b@c",
        "/zen?x=%",
        "/...",
        "/?/users/",
    ] {
        cases.push((path.to_owned(), target(path.as_bytes()), Origin(200)));
    }
    for path in ["/users/x", "/users/", "/zen?x=forbidden", "/users/x?"] {
        cases.push((path.to_owned(), target(path.as_bytes()), Filter(403)));
    }
    // Envoy refuses bytes that no path may have, and fragments, by itself.
    for path in [
        &b"/zen#f"[..],
        b"/zen?x=1#f",
        b"/zen\xff",
        b"/\x80",
        b"/caf\xc3\xa9",
        b"/zen?\xff",
        b"/zen\x01",
        b"/zen\x7f",
        b"/zen\0",
    ] {
        cases.push((format!("{:?}", path.escape_ascii().to_string()), target(path), Envoy(400)));
    }
    check(cases).await;
}
