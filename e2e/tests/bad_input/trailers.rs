//! Trailers, which only HTTP/2 carries through: a caller that speaks it inside the tunnel, an
//! origin that speaks it too.

use std::sync::{Arc, LazyLock};

use e2e::envoy::{Waypoint, WaypointOptions};
use e2e::origin::{Mode, Origin, Script};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::json;

use super::{GITHUB, POLICIES};

struct Setting {
    origin: Origin,
    waypoint: Waypoint,
}

/// Origins that speak HTTP/2, and a policy for another host that would drop more.
static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
    origin.script(Script {
        body: "body".to_owned(),
        trailers: lines(&[
            ("grpc-status", "0"),
            ("x-origin-mode", "secret"),
            ("x_origin_mode", "secret"),
            ("x-egress-method", "spoof"),
            ("x-origin-repeat", "added"),
            ("x-origins", "1"),
        ]),
        ..Script::default()
    });
    let mut policies: serde_json::Value = serde_json::from_str(POLICIES).expect("it is JSON");
    let elsewhere =
        json!({"request": {"remove": ["x-mine"]}, "response": {"remove": ["x-origins"]}});
    let elsewhere = json!({
        "name": "elsewhere",
        "hosts": ["httpbingo.org"],
        "traffic": {"transformation": elsewhere},
    });
    policies["policies"].as_array_mut().expect("policies").push(elsewhere);
    let options = WaypointOptions::new(&pki, origin.port());
    let options = options
        .plugin_configuration(policies.to_string())
        .http2_origins(|name| name.starts_with("inbound-vip"));
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    Setting { origin, waypoint }
});

fn lines(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Sends a request with a body and trailers; gives the status and the names of the answer's
/// trailers.
async fn ask(caller: &str, path: &str, trailers: &[(&str, &str)]) -> (u16, Vec<String>) {
    let exchange = async {
        let tunnel = SETTING
            .waypoint
            .caller(caller)
            .tunnel(&SETTING.waypoint.vip(GITHUB))
            .await
            .expect("a tunnel");
        let (sender, connection) =
            h2::client::handshake(tunnel.into_stream()).await.expect("HTTP/2 in the tunnel");
        tokio::spawn(connection);
        let request = Request::post(format!("http://{GITHUB}{path}"))
            .header("te", "trailers")
            .body(())
            .expect("a legal request");
        let (response, mut body) =
            sender.ready().await.expect("ready").send_request(request, false).expect("sent");
        body.send_data("payload".into(), trailers.is_empty()).expect("a body");
        if !trailers.is_empty() {
            let line = |(name, value): &(&str, &str)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                    HeaderValue::from_str(value).expect("a value"),
                )
            };
            // A denial may have ended the stream already.
            let _ = body.send_trailers(trailers.iter().map(line).collect::<HeaderMap>());
        }
        let response = response.await.expect("an answer");
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let length = data.expect("a body").len();
            body.flow_control().release_capacity(length).expect("capacity");
        }
        let trailers = body.trailers().await.expect("the end").unwrap_or_default();
        (status, trailers.keys().map(ToString::to_string).collect())
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), exchange)
        .await
        .expect("no request hangs")
}

fn arrived(path: &str) -> Option<Vec<String>> {
    let mut found = SETTING.origin.requests_where(|request| request.target == path);
    assert!(found.len() < 2, "{found:?}");
    let names = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    Some(found.pop()?.trailers.0.iter().map(|(name, _)| names(name)).collect())
}

#[tokio::test]
async fn trailers_lose_what_policies_set_or_remove_both_ways() {
    let sent = [
        ("x-caller-identity", "admin/root"),
        ("x_caller_identity", "admin/root"),
        ("x-internal-debug", "1"),
        ("x-internal_debug", "1"),
        ("x-forwarded-by", "added, not set"),
        ("x-mine", "1"),
    ];
    let (status, trailers) = ask(TEAM_A_SPIFFE_ID, "/trailers", &sent).await;
    assert_eq!(status, 200);
    assert_eq!(arrived("/trailers"), Some(vec!["x-forwarded-by".to_owned(), "x-mine".to_owned()]));
    assert_eq!(trailers, ["grpc-status", "x-origin-repeat", "x-origins"]);
    assert_no_refusals();
}

#[tokio::test]
async fn trailers_of_other_names_and_none_pass() {
    for (path, sent) in
        [("/none", &[][..]), ("/others", &[("grpc-message", "m"), ("x-caller-identity-2", "1")])]
    {
        let (status, _) = ask(TEAM_A_SPIFFE_ID, path, sent).await;
        let names: Vec<String> =
            sent.iter().map(|(name, _): &(&str, &str)| (*name).to_owned()).collect();
        assert_eq!((status, arrived(path)), (200, Some(names)), "{path}");
    }
    assert_no_refusals();
}

#[tokio::test]
async fn trailers_do_not_carry_a_denied_request_on() {
    for attempt in 0..20 {
        let (status, trailers) = ask(TEAM_B_SPIFFE_ID, "/denied", &[("x-mine", "1")]).await;
        assert_eq!((status, trailers), (403, Vec::new()), "{attempt}");
        assert_eq!(arrived("/denied"), None, "{attempt}");
    }
    assert_no_refusals();
}

fn assert_no_refusals() {
    let refused = SETTING
        .waypoint
        .audit_records()
        .into_iter()
        .find(|record| record["reason"] == "internal-error");
    assert_eq!(refused, None);
    let bad = SETTING
        .waypoint
        .log_lines()
        .into_iter()
        .find(|line| line.contains("stream reset") || line.contains("wasm trap"));
    assert_eq!(bad, None);
}
