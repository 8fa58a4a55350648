//! External authorization by this filter: the Open Policy Agent, Istio's server, oauth2-proxy.

use e2e::http1::Request;
use e2e::pki::{TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use serde_json::{Value, json};
use services::{Cluster, ExtAuthz, Native, OAuth2Proxy, Opa, Stage};

use crate::setting::{CLOSED, EXT_AUTHZ, OPA, OPEN, configuration, get, grpc, record_of, send};

const OAUTH2_PROXY: &str = "outbound|4180||oauth2-proxy.default.svc.cluster.local";
const EXT_AUTHZ_HTTP: &str = "outbound|8000||ext-authz.default.svc.cluster.local";

/// A policy that asks a server about the requests for one host.
fn ask(host: &str, server: &str, port: u16, fields: &Value) -> Value {
    let mut ext_auth = json!({
        "backendRef": {"name": server, "namespace": "default", "port": port},
        "timeout": "5s",
    });
    for (name, field) in fields.as_object().into_iter().flatten() {
        ext_auth[name] = field.clone();
    }
    json!({"name": format!("ask-for-{host}"), "hosts": [host], "traffic": {"extAuth": ext_auth}})
}

/// Asks OPA for both hosts, and keeps `/gold` for whom OPA says is gold.
fn opa_configuration() -> Value {
    configuration(&[
        ask(CLOSED, "opa", 9191, &json!({"grpc": {}})),
        ask(OPEN, "opa", 9191, &json!({"grpc": {}, "failureMode": "FailOpen"})),
        json!({"name": "gold", "traffic": {"authorization": {
            "action": "Require",
            "policy": {"matchExpressions": ["request.path != '/gold' || extauthz.tier == 'gold'"]},
        }}}),
    ])
}

fn ask_opa(opa: &Opa) -> Stage {
    Stage::ours(&opa_configuration(), &[CLOSED, OPEN], &[grpc(OPA, opa.port())])
        .unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn opa_knows_the_caller_and_its_headers_reach_the_origin() {
    let opa = Opa::start().expect("OPA starts");
    let stage = ask_opa(&opa);
    for caller in [TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID] {
        let seen = get(&stage, caller, CLOSED, "/zen").await;
        assert_eq!(seen.response.status, 200, "{seen:?}");
        assert_eq!(seen.arrived_with("x-opa-caller"), [caller]);
    }
    let decisions = opa.decisions();
    let principals: Vec<&Value> = decisions
        .iter()
        .map(|decision| &decision["input"]["attributes"]["source"]["principal"])
        .collect();
    assert_eq!(principals, [TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID]);
    let http = &decisions[0]["input"]["attributes"]["request"]["http"];
    assert_eq!(
        (&http["method"], &http["path"], &http["host"]),
        (&json!("GET"), &json!("/zen"), &json!(CLOSED),)
    );
}

#[tokio::test]
async fn opas_answers_are_those_that_envoys_filter_gives() {
    let opa = Opa::start().expect("OPA starts");
    let clusters = [grpc(OPA, opa.port())];
    let native = Native::ext_authz(OPA, false);
    let theirs = Stage::native(&[(CLOSED, native)], &clusters).expect("Envoy starts");
    let ours = ask_opa(&opa);

    let requests = [
        Request::get(CLOSED, "/zen"),
        Request::get(CLOSED, "/zen").header("x-dropped", "1").header("x-overwritten", "1"),
        Request::get(CLOSED, "/zen").header("x-dropped", "1").header("X-Dropped", "2"),
        Request::new("POST", "/zen").header("host", CLOSED),
        Request::get(CLOSED, "/legal"),
        Request::get(CLOSED, "/legal").header("x-tier", "gold"),
        Request::get(CLOSED, "/unknown?/zen"),
    ];
    let response = ["content-type", "x-decided-by", "x-denied-by", "x-tier"];
    let request = ["x-overwritten", "x-dropped"];
    for asked in requests {
        let mut outlines = Vec::new();
        for stage in [&theirs, &ours] {
            // To Envoy's filter everybody is a stranger, as team-b is to the policy.
            let seen = send(stage, TEAM_B_SPIFFE_ID, CLOSED, asked.clone()).await;
            outlines.push(seen.outline(&response, &request));
        }
        assert_eq!(outlines[0], outlines[1], "{asked:?}");
    }
}

#[tokio::test]
async fn a_rule_reads_what_opa_says_of_the_request() {
    let opa = Opa::start().expect("OPA starts");
    let stage = ask_opa(&opa);
    assert_eq!(get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/gold").await.response.status, 200);
    let seen = get(&stage, TEAM_B_SPIFFE_ID, CLOSED, "/gold").await;
    assert_eq!((seen.response.status, &*seen.response.text()), (403, "authorization failed"));
    assert!(seen.arrived.is_none());
    let asked = opa.decisions();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1]["result"]["dynamic_metadata"], json!({"tier": "basic"}));
    assert_eq!(record_of(&stage, "/gold", 1).await["policy"], "gold");
}

#[tokio::test]
async fn opa_gives_the_origin_a_credential_that_is_seen_nowhere_else() {
    let opa = Opa::start().expect("OPA starts");
    let ask =
        ask(CLOSED, "opa", 9191, &json!({"grpc": {}, "credentialHeaders": ["authorization"]}));
    let clusters = [grpc(OPA, opa.port())];
    let stage = Stage::ours(&configuration(&[ask]), &[CLOSED], &clusters).expect("Envoy starts");
    let request = Request::get(CLOSED, "/token").header("authorization", "Bearer of the caller");
    let seen = send(&stage, TEAM_A_SPIFFE_ID, CLOSED, request).await;
    assert_eq!(seen.response.status, 200, "{seen:?}");
    assert_eq!(seen.arrived_with("authorization"), ["Bearer from OPA"]);
    record_of(&stage, "/token", 0).await;
    let log = stage.waypoint().log_lines().join("\n");
    assert!(!log.contains("from OPA"), "{log}");
}

#[tokio::test]
async fn opa_is_asked_once_where_its_answers_are_kept() {
    let opa = Opa::start().expect("OPA starts");
    let cache = json!({"key": ["source.spiffeId", "request.path"], "ttl": "5m"});
    let ask = ask(CLOSED, "opa", 9191, &json!({"grpc": {}, "cache": cache}));
    let clusters = [grpc(OPA, opa.port())];
    let stage = Stage::ours(&configuration(&[ask]), &[CLOSED], &clusters).expect("Envoy starts");
    for (path, status) in [("/zen", 200), ("/unknown", 403)] {
        for caller in [TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID] {
            let seen = get(&stage, caller, CLOSED, path).await;
            assert_eq!(seen.response.status, status, "{seen:?}");
            let callers = if status == 200 { vec![caller.to_owned()] } else { Vec::new() };
            assert_eq!(seen.arrived_with("x-opa-caller"), callers);
        }
    }
    assert_eq!(opa.decisions().len(), 4);
}

#[tokio::test]
async fn opa_that_errs_or_is_gone_is_answered_by_the_failure_mode() {
    let mut opa = Opa::start().expect("OPA starts");
    let stage = ask_opa(&opa);
    let mut outcomes = Vec::new();
    for path in ["/broken", "/zen"] {
        if path == "/zen" {
            opa.stop();
        }
        let seen = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, path).await;
        let answer = (seen.response.status, &*seen.response.text());
        assert_eq!(answer, (403, "external authorization failed"), "{path}");
        assert!(seen.arrived.is_none(), "{path}");
        let seen = get(&stage, TEAM_A_SPIFFE_ID, OPEN, path).await;
        assert_eq!(seen.response.status, 200, "{path}: {seen:?}");
        assert_eq!(seen.arrived_with("x-opa-caller"), [""; 0]);
        for (index, open) in [(0, Value::Null), (1, json!(true))] {
            let record = record_of(&stage, path, index).await;
            assert_eq!(record["calls"][0]["failedOpen"], open, "{record}");
            outcomes.push(record["calls"][0]["outcome"].clone());
        }
    }
    assert_eq!(outcomes, ["error", "error", "unreachable", "unreachable"]);
}

#[tokio::test]
async fn istios_server_is_told_who_calls() {
    let server = ExtAuthz::start("team-a").expect("the server starts");
    let configuration = configuration(&[ask(CLOSED, "ext-authz", 9000, &json!({"grpc": {}}))]);
    let clusters = [grpc(EXT_AUTHZ, server.grpc_port())];
    let stage = Stage::ours(&configuration, &[CLOSED], &clusters).expect("Envoy starts");

    let seen = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await;
    assert_eq!(seen.response.status, 200, "{seen:?}");
    assert_eq!(seen.arrived_with("x-ext-authz-check-result"), ["allowed"]);
    let [received] = &seen.arrived_with("x-ext-authz-check-received")[..] else {
        panic!("{seen:?}")
    };
    assert!(received.contains(TEAM_A_SPIFFE_ID), "{received}");

    let seen = get(&stage, TEAM_B_SPIFFE_ID, CLOSED, "/zen").await;
    assert_eq!(seen.response.status, 403, "{seen:?}");
    assert!(seen.response.text().starts_with("denied by ext_authz"), "{seen:?}");
    assert_eq!(seen.response.header("x-ext-authz-check-result").as_deref(), Some("denied"));
    assert!(seen.arrived.is_none());
}

#[tokio::test]
async fn istios_server_is_asked_over_http() {
    let server = ExtAuthz::start("team-a").expect("the server starts");
    let http = json!({"http": {
        "allowedRequestHeaders": ["x-ext-authz"],
        "allowedResponseHeaders": ["x-ext-authz-check-result"],
    }});
    let configuration = configuration(&[ask(CLOSED, "ext-authz", 8000, &http)]);
    let cluster = Cluster { name: EXT_AUTHZ_HTTP, port: server.http_port(), http2: false };
    let stage = Stage::ours(&configuration, &[CLOSED], &[cluster]).expect("Envoy starts");

    let request = Request::get(CLOSED, "/zen").header("x-ext-authz", "allow");
    let seen = send(&stage, TEAM_A_SPIFFE_ID, CLOSED, request).await;
    assert_eq!(seen.response.status, 200, "{seen:?}");
    assert_eq!(seen.arrived_with("x-ext-authz-check-result"), ["allowed"]);
    assert_eq!(seen.arrived_with("x-ext-authz-check-received"), [""; 0], "not asked for");

    let seen = get(&stage, TEAM_A_SPIFFE_ID, CLOSED, "/zen").await;
    assert_eq!(seen.response.status, 403, "{seen:?}");
    assert!(seen.response.text().starts_with("denied by ext_authz"), "{seen:?}");
}

#[tokio::test]
async fn oauth2_proxy_says_which_user_it_is() {
    let server = OAuth2Proxy::start().expect("oauth2-proxy starts");
    let http = |more: Value| {
        let mut http = json!({
            "path": "'/oauth2/auth'",
            "allowedResponseHeaders": ["x-auth-request-user"],
        });
        for (name, field) in more.as_object().into_iter().flatten() {
            http[name] = field.clone();
        }
        json!({"http": http})
    };
    let redirect = json!({"redirect": "'https://login.example/?rd=' + request.path"});
    let configuration = configuration(&[
        ask(CLOSED, "oauth2-proxy", 4180, &http(json!({}))),
        ask(OPEN, "oauth2-proxy", 4180, &http(redirect)),
    ]);
    let cluster = Cluster { name: OAUTH2_PROXY, port: server.port(), http2: false };
    let stage = Stage::ours(&configuration, &[CLOSED, OPEN], &[cluster]).expect("Envoy starts");

    // It answers 202, which is a denial to Envoy's own filter.
    let request = Request::get(CLOSED, "/zen")
        .header("authorization", OAuth2Proxy::CREDENTIALS)
        .header("x-auth-request-user", "admin");
    let seen = send(&stage, TEAM_A_SPIFFE_ID, CLOSED, request).await;
    assert_eq!(seen.response.status, 200, "{seen:?}");
    assert_eq!(seen.arrived_with("x-auth-request-user"), [OAuth2Proxy::USER]);

    let request = Request::get(CLOSED, "/zen").header("x-auth-request-user", "admin");
    let seen = send(&stage, TEAM_A_SPIFFE_ID, CLOSED, request).await;
    assert_eq!((seen.response.status, seen.response.text().trim_end()), (401, "Unauthorized"));
    assert!(seen.arrived.is_none());

    let seen = get(&stage, TEAM_A_SPIFFE_ID, OPEN, "/zen").await;
    assert_eq!(seen.response.status, 302, "{seen:?}");
    let location = seen.response.header("location");
    assert_eq!(location.as_deref(), Some("https://login.example/?rd=/zen"));
}
