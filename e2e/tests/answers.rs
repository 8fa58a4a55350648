//! What a caller gets where its request does not reach the origin: each row of the table of answers
//! in `docs/agentgateway.md`, in a real Envoy.

use std::sync::Arc;
use std::time::Duration;

use e2e::envoy::{Pod, Waypoint, WaypointOptions, bodies_wasm, workspace_root};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Reaction, Service};
use e2e::pki::Pki;
use e2e::stand_ins::{AuthorizationService, RateLimitService, Reaction as Rpc, over_limit};
use egress_filter::policy::Engine;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::RateLimit;
use envoy_types::pb::google::rpc::Status;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

/// What the table says where nothing is sent, because the configuration is refused.
const REFUSED: &str = "refused when the configuration loads";
/// More than `bodies.maxSize`, and less than the buffer filter takes.
const LONG: usize = 70_000;
/// More than the buffer filter takes.
const LONGER: usize = 200_000;
/// What the buffer filter takes.
const BUFFERED: usize = 100_000;

/// The rows of the table, as cause and answer.
fn rows() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(workspace_root().join("docs/agentgateway.md"));
    let page = page.expect("the page");
    let table = page.split("\n## Answers\n").nth(1).expect("the table's heading");
    let table = table.split("\n## ").next().unwrap_or_default();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| cause"));
    rows.map(|line| match cells(line).as_slice() {
        [cause, _, here] => (cause.clone(), here.clone()),
        other => panic!("a row of another form: {other:?}"),
    })
    .collect()
}

/// The configuration that is refused for a row; none if a request shows it.
fn refused(cause: &str) -> Option<Value> {
    let traffic = match cause {
        "a response's body is too long for `buffer`" => json!({"buffer": {}}),
        "`extProc` fails" => json!({"extProc": {}}),
        "`jwtAuthentication` fails" => json!({"jwtAuthentication": {}}),
        "`apiKeyAuthentication` fails" => json!({"apiKeyAuthentication": {}}),
        "`basicAuthentication` fails" => json!({"basicAuthentication": {}}),
        "`csrf` fails" => json!({"csrf": {}}),
        _ => return None,
    };
    Some(json!({"policies": [{"name": "p", "traffic": traffic}]}))
}

/// The request that shows a row.
fn request(cause: &str) -> (&'static str, Request) {
    let host = match cause {
        "`authorization` denies" => "denied.example",
        "`extAuth` denies without an answer of its own" => "unauthorized.example",
        "`extAuth` has no answer" => "unanswered.example",
        "a body is too long to be judged" => "judged.example",
        "`rateLimit.local`" => "limited.example",
        "`rateLimit.global`: the service denies without a body" => "over.example",
        "`rateLimit.global`: the service denies with a body" => "told.example",
        "`rateLimit.global` has no answer" => "uncounted.example",
        "`timeouts.request` is over" => "slow.example",
        "the origin refuses the connection" => "refusing.example",
        "there is no endpoint of the origin" => "empty.example",
        "a credential cannot be had" => "credential.example",
        "a rewrite gives no path that can be sent" => "rewritten.example",
        "the body of `directResponse` fails" => "answered.example",
        "a body is too long for `buffer`" => "buffered.example",
        other => panic!("no request shows {other:?}"),
    };
    let post = |host: &str, length: usize| {
        let body = vec![b'a'; length];
        Request::new("POST", "/")
            .header("host", host)
            .header("content-type", "text/plain")
            .body(body)
    };
    let request = match host {
        "slow.example" => Request::get(host, "/wait"),
        "judged.example" => post(host, LONG),
        "buffered.example" => post(host, LONGER),
        "rewritten.example" => Request::get(host, "/old").header("x-path", "/old/a;b"),
        _ => Request::get(host, "/"),
    };
    (host, request)
}

const HOSTS: [&str; 15] = [
    "denied.example",
    "unauthorized.example",
    "unanswered.example",
    "judged.example",
    "limited.example",
    "over.example",
    "told.example",
    "uncounted.example",
    "slow.example",
    "refusing.example",
    "empty.example",
    "credential.example",
    "rewritten.example",
    "answered.example",
    "buffered.example",
];

fn policies() -> Value {
    let service = |name: &str| json!({"name": name, "namespace": "infra", "port": 9000});
    let ask = |name: &str| json!({"backendRef": service(name), "grpc": {}, "timeout": "20s"});
    let count = |name: &str, domain: &str| {
        json!({"global": {"backendRef": service(name), "domain": domain, "timeout": "20s",
            "descriptors": [{"entries": [{"name": "all", "expression": "'all'"}]}]}})
    };
    let rule = |action: &str, rule: &str| json!({"action": action, "policy": {"matchExpressions": [rule]}});
    let policy =
        |host: &str, traffic: Value| json!({"name": host, "hosts": [host], "traffic": traffic});
    json!({"callouts": {"deadline": "20s"}, "policies": [
        policy("denied.example", json!({"authorization": rule("Deny", "true")})),
        policy("unauthorized.example", json!({"extAuth": ask("auth")})),
        policy("unanswered.example", json!({"extAuth": ask("nowhere")})),
        policy("judged.example", json!({
            "authorization": rule("Deny", "string(request.body) == 'b'")})),
        policy("limited.example", json!({
            "rateLimit": {"local": [{"requests": 1, "unit": "Hours"}]}})),
        policy("over.example", json!({"rateLimit": count("limits", "silent")})),
        policy("told.example", json!({"rateLimit": count("limits", "telling")})),
        policy("uncounted.example", json!({"rateLimit": count("nowhere", "silent")})),
        policy("slow.example", json!({"timeouts": {"request": "300ms"}})),
        {"name": "credential.example", "hosts": ["credential.example"],
            "traffic": {"authorization": rule("Allow", "true")},
            "backend": {"auth": {"oauthClientCredentials": {"backendRef": service("nowhere"),
                "path": "/token", "clientId": "egress", "clientSecretEnv": "SECRET"}}}},
        policy("rewritten.example", json!({"transformation": {"request": {"set": [
            {"name": ":path", "value": "request.headers['x-path']"}]}}, "urlRewrite": {"path": {
            "type": "ReplacePrefixMatch", "prefix": "/old", "replacePrefixMatch": "/new"}}})),
        policy("answered.example", json!({"directResponse": {"status": 200,
            "bodyExpression": "request.headers['x-none']"}})),
    ]})
}

/// Leads one host to another port, in plain HTTP; nowhere without a port.
fn lead(envoy: &mut Value, host: &str, port: Option<u16>) {
    let clusters = envoy["static_resources"]["clusters"].as_array_mut().expect("clusters");
    let name = format!("inbound-vip|80|http|{host}");
    let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == name.as_str());
    let cluster = cluster.expect("its cluster");
    let endpoints = &mut cluster["load_assignment"]["endpoints"];
    match port {
        Some(port) => {
            let address = &mut endpoints[0]["lb_endpoints"][0]["endpoint"]["address"];
            address["socket_address"]["port_value"] = json!(port);
            let cluster = cluster.as_object_mut().expect("an object");
            cluster.remove("transport_socket");
            cluster.remove("typed_extension_protocol_options");
        }
        None => *endpoints = json!([]),
    }
}

/// Has the services spoken to in HTTP/2, as gRPC needs, and puts Envoy's buffer filter behind ours.
fn complete(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let is_service = object
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(|name| name.starts_with("outbound|"));
            if is_service {
                let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
                let options = json!({"@type": format!("type.googleapis.com/{kind}"),
                    "explicit_http_config": {"http2_protocol_options": {}}});
                object
                    .insert("typed_extension_protocol_options".to_owned(), json!({kind: options}));
            }
            if let Some(Value::Array(filters)) = object.get_mut("http_filters") {
                let is_ours = |filter: &Value| filter.to_string().contains("http.wasm.v3.Wasm");
                if let Some(at) = filters.iter().position(is_ours) {
                    let kind = "envoy.extensions.filters.http.buffer.v3.Buffer";
                    let config = json!({"@type": format!("type.googleapis.com/{kind}"),
                        "max_request_bytes": BUFFERED});
                    let filter =
                        json!({"name": "envoy.filters.http.buffer", "typed_config": config});
                    filters.insert(at + 1, filter);
                }
            }
            object.values_mut().for_each(complete);
        }
        Value::Array(items) => items.iter_mut().for_each(complete),
        _ => {}
    }
}

/// What the table has to say of an answer: whether it is this one.
fn is_said(here: &str, response: &Response) -> bool {
    let body = String::from_utf8_lossy(&response.body);
    let Some((status, rest)) = here.strip_prefix('`').and_then(|rest| rest.split_once('`')) else {
        return false;
    };
    let body_is = match rest.trim_start_matches([' ', ',']).split('`').nth(1) {
        Some(text) => match text.strip_suffix("...") {
            Some(start) => body.starts_with(start),
            None => body == text,
        },
        None if rest.contains("its body") => body == "too many of you",
        None => false,
    };
    status == response.status.to_string() && body_is
}

#[tokio::test]
async fn every_row_of_the_table_of_answers_is_so() {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let slow = Service::start(|_| Reaction::never()).expect("the slow origin starts");
    let auth = AuthorizationService::start(|_| {
        let status = Status { code: 7, ..Status::default() };
        Rpc::answer(CheckResponse { status: Some(status), ..CheckResponse::default() })
    });
    let auth = auth.expect("the service starts");
    let limits = RateLimitService::start(|request| {
        let over = over_limit(&RateLimit { requests_per_unit: 1, ..RateLimit::default() });
        let body = if request.domain == "telling" { "too many of you" } else { "" };
        Rpc::answer(RateLimitResponse { raw_body: body.into(), ..over })
    });
    let limits = limits.expect("the service starts");
    // Holds a port on which nobody listens.
    let refusing = TcpSocket::new_v4().expect("a socket");
    refusing.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let refusing_port = refusing.local_addr().expect("an address").port();
    let slow_port = slow.port();
    let mut options = WaypointOptions::new(&pki, origin.port())
        .wasm(bodies_wasm())
        .plugin_configuration(policies().to_string())
        .environment("SECRET", "hidden")
        .cluster("outbound|9000||auth.infra.svc.cluster.local", Some(auth.port()))
        .cluster("outbound|9000||limits.infra.svc.cluster.local", Some(limits.port()));
    for host in HOSTS {
        options = options.service(host);
    }
    let options = options.edit(move |envoy| {
        complete(envoy);
        lead(envoy, "slow.example", Some(slow_port));
        lead(envoy, "refusing.example", Some(refusing_port));
        lead(envoy, "empty.example", None);
    });
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));

    let rows = rows();
    assert_eq!(rows.len(), HOSTS.len() + 6, "{rows:?}");
    for (cause, here) in rows {
        if let Some(configuration) = refused(&cause) {
            assert_eq!(here, REFUSED, "{cause}");
            let loaded = Engine::load(configuration.to_string().as_bytes());
            assert!(loaded.is_err(), "{cause}: {configuration} loads");
            continue;
        }
        let (host, request) = request(&cause);
        let send = || async {
            let sent = tokio::time::timeout(
                Duration::from_secs(60),
                waypoint.pod_request(Pod::TeamA, host, &request),
            );
            sent.await.expect("in time").unwrap_or_else(|error| panic!("{cause}: {error}"))
        };
        let mut response = send().await;
        if host == "limited.example" {
            assert_eq!(response.status, 200, "the first request of the limit");
            response = send().await;
        }
        let body = String::from_utf8_lossy(&response.body);
        assert!(is_said(&here, &response), "{cause}: {here}, and got {} {body}", response.status);
    }
}
