//! What reaches the origin and what comes back, for messages that are unusual but valid.

use e2e::http1::{Connection, Request};
use e2e::origin::Received;

use super::{Answer, GITHUB, RAW};

fn reached(target: &str) -> Received {
    let found = RAW.origin.requests_where(|request| request.target == target);
    let [request] = &found[..] else { panic!("{target} reached the origin {} times", found.len()) };
    request.clone()
}

async fn send(request: &Request) -> e2e::http1::Response {
    RAW.team_a()
        .request(&RAW.vip(), request)
        .await
        .unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

#[tokio::test]
async fn bytes_pass_unread_and_a_value_that_is_no_text_is_not_copied() {
    let request = Request::get(GITHUB, "/bytes?a=%ff")
        .header("X-Note", b"\x80\xff")
        .header("X-In", b"\xc3\x28")
        .header("X-Copy", "spoof");
    let response = send(&request).await;
    let seen = reached("/bytes?a=%ff");
    assert_eq!(
        seen.headers.get("x-note"),
        Some(&b"\x80\xff"[..]),
        "bytes that no policy reads pass"
    );
    assert_eq!(
        seen.headers.all("x-copy").count(),
        0,
        "a value that cannot be read takes the caller's own with it"
    );
    assert_eq!(seen.values("x-caller-identity"), ["team-a/team-a"]);
    assert_eq!(seen.values("x-seen-path"), ["/bytes?a=%ff"]);
    assert_eq!(response.header("x-egress-in"), None, "nor is it in the response");
    assert_eq!(response.header("x-egress-method").as_deref(), Some("GET"));

    let request = Request::get(GITHUB, "/text")
        .header("X-In", "caf\u{e9}")
        .header("X-Copy", "a")
        .header("x_copy", "b")
        .header("X-COPY", "c");
    let response = send(&request).await;
    let seen = reached("/text");
    assert_eq!(seen.values("x-copy"), ["caf\u{e9}"]);
    assert_eq!(seen.values("x_copy"), [""; 0], "an origin may take it for x-copy");
    assert_eq!(response.header("x-egress-in").as_deref(), Some("caf\u{e9}"));
}

#[tokio::test]
async fn a_response_is_changed_and_a_denial_is_not() {
    let response = send(&Request::get(GITHUB, "/status/404")).await;
    assert_eq!(Answer::of(&response), Answer::Origin(404));
    let repeats: Vec<&[u8]> = response.headers.all("x-origin-repeat").collect();
    assert_eq!(repeats, [&b"one"[..], b"two", b"404"]);
    assert_eq!(response.header("x-origin-mode"), None);

    let denial = send(&Request::get(GITHUB, "/users/x")).await;
    assert_eq!(Answer::of(&denial), Answer::Filter(403));
    assert_eq!(
        (denial.header("x-egress-method"), denial.header("x-origin-repeat")),
        (None, None),
        "{denial:?}"
    );
}

#[tokio::test]
async fn bodies_in_chunks_and_heads_without_bodies() {
    let mut tunnel = RAW.team_a().tunnel(&RAW.vip()).await.expect("a tunnel");
    let chunked = b"POST /chunked HTTP/1.1\r\nhost: api.github.com\r\ntransfer-encoding: \
                    chunked\r\ntrailer: x-end\r\n\r\n\
        5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nx-end: \xff\r\n\r\n";
    assert_eq!(Answer::of(&tunnel.send_raw(chunked).await.expect("chunks")), Answer::Origin(200));
    assert_eq!(reached("/chunked").body_length, 11);
    // The connection is still in step: neither body nor trailer was taken for a request.
    let head = Request::new("HEAD", "/head").header("Host", GITHUB);
    let response = tunnel.request(&head).await.expect("HEAD");
    assert_eq!((Answer::of(&response), response.body.len()), (Answer::Origin(200), 0));
    let denied = Request::new("HEAD", "/users/head").header("Host", GITHUB);
    let response = tunnel.request(&denied).await.expect("a denied HEAD");
    assert_eq!((Answer::of(&response), response.body.len()), (Answer::Filter(403), 0));
    let body = vec![b'x'; 200_000];
    let denied = Request::new("POST", "/users/post").header("Host", GITHUB).body(&body);
    assert_eq!(
        Answer::of(&tunnel.request(&denied).await.expect("a denied body")),
        Answer::Filter(403)
    );
    let mut fresh = RAW.team_a().tunnel(&RAW.vip()).await.expect("a tunnel");
    let allowed = Request::new("POST", "/post").header("Host", GITHUB).body(&body);
    assert_eq!(Answer::of(&fresh.request(&allowed).await.expect("a body")), Answer::Origin(200));
    assert_eq!(reached("/post").body_length, body.len());
    RAW.assert_unharmed().await;
}

#[tokio::test]
async fn grpc_calls_get_grpc_denials() {
    for (path, status, grpc_status, message) in [
        ("/users.Service/Get", "200", None, None),
        ("/users/Get", "200", Some("7"), Some("authorization failed")),
        ("//Get", "200", Some("3"), Some("bad request")),
    ] {
        let request = Request::new("POST", path)
            .header("Host", GITHUB)
            .header("Content-Type", "application/grpc+proto")
            .header("TE", "trailers")
            .body(b"\0\0\0\0\x02\x08\x01");
        let response = send(&request).await;
        assert_eq!(response.status.to_string(), status, "{path}");
        assert_eq!(response.header("grpc-status").as_deref(), grpc_status, "{path}: {response:?}");
        assert_eq!(response.header("grpc-message").as_deref(), message, "{path}: {response:?}");
    }
    assert_eq!(reached("/users.Service/Get").body_length, 7);
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_turn() {
    // Envoy takes a second answer that waits to be sent for a flood and closes, with the filter and
    // without: so what stands behind a denial may go without an answer, and never before one.
    for (name, paths, expected) in [
        ("allowed", ["/turn/1", "/turn/2", "/turn/3"], [Some(Answer::Origin(200)); 3]),
        (
            "denied at the end",
            ["/turn/4", "/turn/5", "/users/turn"],
            [Some(Answer::Origin(200)), Some(Answer::Origin(200)), Some(Answer::Filter(403))],
        ),
        (
            "refused at the end",
            ["/turn/6", "/turn/7", "//turn"],
            [Some(Answer::Origin(200)), Some(Answer::Origin(200)), Some(Answer::Filter(400))],
        ),
        (
            "denied at the start",
            ["/users/turn", "/turn/8", "/turn/9"],
            [Some(Answer::Filter(403)), None, None],
        ),
    ] {
        let tunnel = RAW.team_a().tunnel(&RAW.vip()).await.expect("a tunnel");
        let mut connection = Connection::new(tunnel.into_stream());
        let all: String = paths
            .iter()
            .map(|path| format!("GET {path} HTTP/1.1\r\nhost: api.github.com\r\n\r\n"))
            .collect();
        connection.write(all.as_bytes()).await.expect("the tunnel takes them");
        for (path, expected) in paths.iter().zip(expected) {
            let response = tokio::time::timeout(
                std::time::Duration::from_secs(10),
                connection.read_response(false),
            );
            let response = response.await.unwrap_or_else(|_| panic!("{name}: {path} hung"));
            let Some(expected) = expected else { continue };
            let response = response.unwrap_or_else(|error| panic!("{name}: {path}: {error}"));
            assert_eq!(Answer::of(&response), expected, "{name}: {path}");
            assert!(
                expected != Answer::Origin(200) || response.text().contains(path),
                "{name}: {path}: {}",
                response.text()
            );
        }
    }
    RAW.assert_unharmed().await;
}
