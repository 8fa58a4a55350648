//! HTTP/2 inside the tunnel: a waypoint takes what begins with its preface for that, so the filter
//! meets what only HTTP/2 can say.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, Uri, Version};

use super::{GITHUB, RAW};

async fn connect() -> SendRequest<Bytes> {
    let tunnel = RAW.team_a().tunnel(&RAW.vip()).await.expect("a tunnel");
    let (sender, connection) =
        h2::client::handshake(tunnel.into_stream()).await.expect("HTTP/2 in the tunnel");
    tokio::spawn(connection);
    sender
}

/// The status and the body of the answer; `None` where the stream was reset.
async fn ask(request: Request<()>) -> Option<(u16, String)> {
    let mut sender = connect().await.ready().await.expect("the connection is ready");
    let exchange = async {
        let (response, _) = sender.send_request(request, true).expect("a legal request");
        let response = response.await.ok()?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(data) = body.data().await {
            text.extend_from_slice(&data.ok()?);
        }
        Some((status, String::from_utf8_lossy(&text).into_owned()))
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), exchange)
        .await
        .expect("no request hangs")
}

fn get(authority: &str, path: &str) -> http::request::Builder {
    let uri = Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query(path)
        .build()
        .expect("a legal URI");
    Request::builder().method(Method::GET).version(Version::HTTP_2).uri(uri)
}

#[tokio::test]
async fn the_rules_are_the_same() {
    let forbidden = Some((403, "authorization failed".to_owned()));
    let bad = Some((400, "bad request".to_owned()));
    for (name, request, expected) in [
        ("denied", get(GITHUB, "/users/x").body(()), &forbidden),
        ("another host", get("evil.example", "/zen").body(()), &forbidden),
        (
            "a bad token",
            get(GITHUB, "/zen").header("x-token", "good").header("x-token", "bad").body(()),
            &forbidden,
        ),
        (
            "a token that is no text",
            get(GITHUB, "/zen").header("x-token", &b"\xff"[..]).body(()),
            &forbidden,
        ),
        ("an empty segment", get(GITHUB, "//zen").body(()), &bad),
        ("a dot segment", get(GITHUB, "/repos/../users/x").body(()), &bad),
        // Envoy's HTTP/2 codec resets a request without a legal authority.
        ("user information", get("user@api.github.com", "/zen").body(()), &None),
    ] {
        assert_eq!(ask(request.expect(name)).await, *expected, "{name}");
    }
    let (status, body) =
        ask(get(GITHUB, "/over/h2").header("x-caller-identity", "spoof").body(()).unwrap())
            .await
            .expect("an answer");
    assert_eq!(status, 200, "{body}");
    let found = RAW.origin.requests_where(|request| request.target == "/over/h2");
    assert_eq!(found[0].values("x-caller-identity"), ["team-a/team-a"]);
    RAW.assert_unharmed().await;
}

#[tokio::test]
async fn a_host_beside_the_authority_does_not_lead_elsewhere() {
    for (name, authority, host, status) in [
        ("same", GITHUB, GITHUB, 200),
        ("host", GITHUB, "evil.example", 200),
        ("authority", "evil.example", GITHUB, 403),
    ] {
        let path = format!("/h2/{name}");
        let answer = ask(get(authority, &path).header("host", host).body(()).expect(name)).await;
        assert_eq!(answer.map(|(status, _)| status), Some(status), "{name}");
        let hosts: Vec<_> = RAW
            .origin
            .requests_where(|request| request.target == path)
            .iter()
            .map(|request| request.values("host"))
            .collect();
        // Envoy drops a Host beside an authority, so none reaches the origin but the one that was
        // judged.
        assert_eq!(hosts, vec![vec![GITHUB.to_owned()]; usize::from(status == 200)], "{name}");
    }
    RAW.assert_unharmed().await;
}
