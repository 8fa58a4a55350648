//! What an attacker in a pod could do, finding by finding, in a real Envoy: HTTP/2 inside the
//! tunnel, since it carries what HTTP/1.1 does not. Trailers, upgrades, costs, metrics and
//! configurations have tests of their own; `make attack` looks for what nobody has thought of.

#[path = "red_team/requests.rs"]
mod requests;
#[path = "red_team/values.rs"]
mod values;

use std::sync::Arc;

use e2e::envoy::{Waypoint, WaypointOptions};
use e2e::hbone::HboneClient;
use e2e::origin::{Mode, Origin};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use http::{HeaderValue, Method, Request, Uri, Version};
use serde_json::{Value, json};

/// What is tried of one finding: its policy's traffic, and requests with the status that each must
/// get.
struct Finding {
    number: &'static str,
    traffic: Value,
    requests: Vec<Asked>,
}

#[derive(Clone)]
struct Asked {
    method: &'static str,
    target: &'static str,
    headers: Vec<(&'static str, &'static [u8])>,
    status: u16,
}

fn rule(action: &str, expression: &str) -> Value {
    json!({"authorization": {"action": action, "policy": {"matchExpressions": [expression]}}})
}

fn deny(expression: &str) -> Value {
    rule("Deny", expression)
}

fn asked(
    method: &'static str,
    target: &'static str,
    headers: &[(&'static str, &'static [u8])],
    status: u16,
) -> Asked {
    Asked { method, target, headers: headers.to_vec(), status }
}

/// `GET /zen` with these headers.
fn get(headers: &[(&'static str, &'static [u8])], status: u16) -> Asked {
    asked("GET", "/zen", headers, status)
}

fn path(target: &'static str, status: u16) -> Asked {
    asked("GET", target, &[], status)
}

async fn ask(client: &HboneClient, vip: &str, host: &str, asked: &Asked) -> Option<u16> {
    let tunnel = client.tunnel(vip).await.expect("a tunnel");
    let (sender, connection) =
        h2::client::handshake(tunnel.into_stream()).await.expect("HTTP/2 in the tunnel");
    tokio::spawn(connection);
    let uri = Uri::builder()
        .scheme("http")
        .authority(host)
        .path_and_query(asked.target)
        .build()
        .expect(asked.target);
    let method = Method::from_bytes(asked.method.as_bytes()).expect("a method");
    let mut request = Request::builder().method(method).version(Version::HTTP_2).uri(uri);
    for (name, value) in &asked.headers {
        request = request.header(*name, HeaderValue::from_bytes(value).expect("a value"));
    }
    let mut sender = sender.ready().await.expect("the connection is ready");
    let (response, _) =
        sender.send_request(request.body(()).expect("a request"), true).expect("it is sent");
    let response = tokio::time::timeout(std::time::Duration::from_secs(10), response)
        .await
        .expect("no request hangs");
    response.ok().map(|response| response.status().as_u16())
}

#[tokio::test]
async fn no_finding_of_the_red_team_comes_back() {
    let findings: Vec<Finding> =
        values::of_values().into_iter().chain(requests::of_requests()).collect();
    let host = |index: usize| format!("finding-{index}.example");
    let policies: Vec<Value> = findings
        .iter()
        .enumerate()
        .map(|(index, finding)| {
            json!({
                "name": format!("p{index}"),
                "hosts": [host(index)],
                "traffic": finding.traffic,
            })
        })
        .collect();
    let configuration =
        json!({"hostBinding": "Off", "audit": {"log": "All"}, "policies": policies});
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let options =
        WaypointOptions::new(&pki, origin.port()).plugin_configuration(configuration.to_string());
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    let client = waypoint.caller(TEAM_A_SPIFFE_ID);
    let vip = waypoint.vip("api.github.com");
    let mut wrong = Vec::new();
    for (index, finding) in findings.iter().enumerate() {
        for asked in &finding.requests {
            origin.take_requests();
            let status = ask(&client, &vip, &host(index), asked).await;
            let arrived = origin.take_requests();
            // Another status than the origin's says that the request did not come to it.
            if status != Some(asked.status) || arrived.len() != usize::from(asked.status == 200) {
                let headers: Vec<String> = asked
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
                    .collect();
                wrong.push(format!(
                    "{}: {} {} {headers:?}: {status:?}, {} arrived",
                    finding.number,
                    asked.method,
                    asked.target,
                    arrived.len()
                ));
            }
            if asked.target == "/removed" {
                let lines = arrived.iter().flat_map(|request| &request.headers.0);
                let left: Vec<String> =
                    lines.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
                if left.is_empty() || left.iter().any(|name| name.contains("internal")) {
                    wrong.push(format!(
                        "{}: what is to be removed arrived: {left:?}",
                        finding.number
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
