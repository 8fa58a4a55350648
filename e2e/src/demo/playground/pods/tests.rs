use super::target::{Asked, Unclear, of};
use super::*;
use crate::http1::Headers;

/// `payments:api`
const PAYMENTS: &str = "Basic cGF5bWVudHM6YXBp";

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> ReceivedRequest {
    let headers =
        headers.iter().map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into()));
    ReceivedRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: Headers(headers.collect()),
        body: Vec::new(),
        closes: false,
    }
}

fn asked(target: &str, credentials: &str) -> Result<(String, String, String), Unclear> {
    let headers: &[_] = match credentials {
        "" => &[],
        credentials => &[("Proxy-Authorization", credentials)],
    };
    let Asked { dialled, target } = of(&request("GET", target, headers))?;
    Ok((dialled.caller.spiffe_id("cluster.local"), dialled.host, target))
}

#[test]
fn the_proxys_user_and_password_are_the_caller() {
    let id = "spiffe://cluster.local/ns/payments/sa/api".to_owned();
    for (target, host, path) in [
        ("http://a.example/x?y=1", "a.example", "/x?y=1"),
        ("HTTP://A.Example:80", "a.example", "/"),
        ("http://a.example?y=/", "a.example", "/?y=/"),
    ] {
        let expected = Ok((id.clone(), host.to_owned(), path.to_owned()));
        assert_eq!(asked(target, PAYMENTS), expected, "{target}");
    }
}

#[test]
fn without_a_caller_that_can_be_one_there_is_no_call() {
    // No credentials, another scheme, no base64, `payments`, `a/b:c`, `payments:`, `Pay:api`.
    for credentials in [
        "",
        "Bearer cGF5bWVudHM6YXBp",
        "Basic ***",
        "Basic cGF5bWVudHM=",
        "Basic YS9iOmM=",
        "Basic cGF5bWVudHM6",
        "Basic UGF5OmFwaQ==",
    ] {
        assert_eq!(asked("http://a.example/", credentials), Err(Unclear::Caller), "{credentials}");
    }
}

#[test]
fn what_no_pod_can_call_in_plain_http_is_refused_with_the_reason() {
    for (method, target, reason) in [
        ("CONNECT", "a.example:443", "call it with `http://`"),
        ("GET", "/x", "a whole URL"),
        ("GET", "https://a.example/", "a whole URL"),
        ("GET", "ä", "a whole URL"),
        ("GET", "http://a.example:8080/", "port 80"),
        ("GET", "http://127.0.0.1/", "not the name of a host"),
        ("GET", "http://[::1]/", "port 80"),
        ("GET", "http:///x", "not the name of a host"),
        ("GET", "http://a..example/", "not the name of a host"),
    ] {
        let request = request(method, target, &[("proxy-authorization", PAYMENTS)]);
        match of(&request) {
            Err(Unclear::Target(message)) => assert!(message.contains(reason), "{message}"),
            other => panic!("{target}: {other:?}"),
        }
    }
}

#[test]
fn the_waypoint_gets_the_request_without_what_is_for_the_proxy() {
    let mut given = request(
        "POST",
        "http://a.example/x",
        &[
            ("Host", "other.example"),
            ("Proxy-Authorization", PAYMENTS),
            ("Proxy-Connection", "Keep-Alive"),
            ("Transfer-Encoding", "chunked"),
            ("X-Twice", "1"),
            ("x-twice", "2"),
        ],
    );
    given.body = b"body".to_vec();
    assert_eq!(
        String::from_utf8_lossy(&forwarded(&given, "/x", "7")),
        "POST /x HTTP/1.1\r\nHost: other.example\r\nX-Twice: 1\r\nx-twice: 2\r\nx-request-id: \
         7\r\ncontent-length: 4\r\n\r\nbody"
    );
    let given = request("GET", "http://a.example/", &[("X-Request-Id", "mine")]);
    assert_eq!(
        String::from_utf8_lossy(&forwarded(&given, "/", "mine")),
        "GET / HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n"
    );
}

#[test]
fn the_client_gets_the_response_in_one_piece() {
    let response = Response {
        status: 200,
        reason: "OK".to_owned(),
        headers: Headers(vec![
            (b"x-a".to_vec(), b"1".to_vec()),
            (b"transfer-encoding".to_vec(), b"chunked".to_vec()),
        ]),
        body: b"text".to_vec(),
        closes: false,
    };
    assert_eq!(
        String::from_utf8_lossy(&to_bytes(&response, false)),
        "HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 4\r\nconnection: close\r\n\r\ntext"
    );
}
