//! `extAuth` of gRPC in a real Envoy, with a tonic server as the authorization service: what it is
//! asked, and what each part of its answer does.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use e2e::envoy::{Pod, Waypoint, WaypointOptions};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Received, Wait};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use e2e::stand_ins::{AuthorizationService, Reaction, allowed, denied, header};
use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::QueryParameter;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value as Any};
use envoy_types::pb::google::rpc::Status;
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

const HOST: &str = "api.github.com";
/// The same service, asked with FailOpen.
const OPEN: &str = "open.example";
/// A service whose cluster has no endpoint.
const EMPTY: &str = "empty.example";
/// As Istio names clusters: what `:authority` would be if the filter gave none.
const CLUSTER: &str = "outbound|9000||auth.default.svc.cluster.local";

const LATE: &str = r#""x-user" in request.headers && request.headers["x-user"] == "mallory""#;
const ROLE: &str = r#"has(extauthz.role) ? string(extauthz.role) : "none""#;

struct Setting {
    origin: Origin,
    waypoint: Waypoint,
    service: AuthorizationService,
}

fn ask(mode: &str) -> serde_json::Value {
    json!({
        "backendRef": {"name": "auth", "namespace": "default", "port": 9000},
        "failureMode": mode,
        "timeout": "500ms",
        "grpc": {
            "contextExtensions": {"tier": "gold"},
            "requestMetadata": {"io.example": r#"{"sa": source.identity.serviceAccount}"#},
        },
    })
}

static SETTING: LazyLock<Mutex<Setting>> = LazyLock::new(|| {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let service = AuthorizationService::start(|_| Reaction::answer(allowed(&[])));
    let service = service.expect("the service starts");
    let mut closed = ask("FailClosed");
    closed["credentialHeaders"] = json!(["authorization"]);
    let mut empty = ask("FailClosed");
    empty["backendRef"]["name"] = json!("nobody");
    let deny = |expression: &str| {
        let policy = json!({"matchExpressions": [expression]});
        json!({"authorization": {"action": "Deny", "policy": policy}})
    };
    let config = json!({"policies": [
        {"name": "denied", "traffic": deny(r#"request.path == "/denied""#)},
        {"name": "ask", "hosts": [HOST], "traffic": {"extAuth": closed}},
        {"name": "open", "hosts": [OPEN], "traffic": {"extAuth": ask("FailOpen")}},
        {"name": "empty", "hosts": [EMPTY], "traffic": {"extAuth": empty}},
        {"name": "late", "hosts": [HOST],
            "traffic": deny(LATE)},
        {"name": "tell", "traffic": {"transformation": {"request": {"set": [
            {"name": "x-role", "value": ROLE},
            {"name": "x-seen", "value": r#"string("authorization" in request.headers)"#},
        ]}}}},
    ], "audit": {"log": "All"}});
    let port = service.port();
    let options = WaypointOptions::new(&pki, origin.port())
        .plugin_configuration(config.to_string())
        .service(HOST)
        .service(OPEN)
        .service(EMPTY)
        .grpc_cluster(CLUSTER, Some(port))
        .grpc_cluster("outbound|9000||nobody.default.svc.cluster.local", None);
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    Mutex::new(Setting { origin, waypoint, service })
});

/// One test at a time says what the service does.
async fn setting(
    react: impl Fn(&CheckRequest) -> Reaction<CheckResponse> + Send + Sync + 'static,
) -> MutexGuard<'static, Setting> {
    let setting = SETTING.lock().await;
    setting.service.react(react);
    setting.origin.take_requests();
    setting
}

impl Setting {
    async fn send(&self, request: &Request, host: &str) -> (Response, Option<Received>) {
        let response = self.waypoint.pod_request(Pod::TeamA, host, request).await;
        let response = response.expect("an answer");
        (response, self.origin.take_requests().into_iter().next())
    }
}

fn values(received: &Received, name: &str) -> Vec<String> {
    let lines = received.headers.0.iter();
    lines
        .filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

fn ok(response: OkHttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(Status::default()),
        http_response: Some(HttpResponse::OkResponse(response)),
        ..CheckResponse::default()
    }
}

fn with(action: HeaderAppendAction, name: &str, value: &str) -> HeaderValueOption {
    let mut option = header(name, value);
    option.append_action = action.into();
    option
}

#[tokio::test]
async fn the_service_is_told_who_calls_what() {
    let setting = setting(|_| Reaction::answer(allowed(&[]))).await;
    let before = setting.service.calls().len();
    let request = Request::get(HOST, "/zen?x=1").header("x-a", "1").header("x-a", "2");
    let (response, _) = setting.send(&request, HOST).await;
    assert_eq!(response.status, 200);
    let calls = setting.service.calls();
    assert_eq!(calls.len(), before + 1);
    let call = calls.last().expect("a call");
    assert_eq!(call.authority, "auth.default.svc.cluster.local");
    let attributes = call.message.attributes.clone().expect("attributes");
    let Peer { principal, address, .. } = attributes.source.expect("a source");
    assert_eq!(principal, TEAM_A_SPIFFE_ID);
    assert!(address.is_some());
    assert_eq!(attributes.context_extensions["tier"], "gold");
    let metadata = attributes.metadata_context.expect("metadata").filter_metadata;
    let kind = Some(Kind::StringValue("team-a".to_owned()));
    assert_eq!(metadata["io.example"].fields["sa"], Any { kind });
    let http = attributes.request.expect("a request").http.expect("of HTTP");
    assert_eq!((http.method.as_str(), http.path.as_str()), ("GET", "/zen?x=1"));
    assert_eq!((http.host.as_str(), http.protocol.as_str()), (HOST, "HTTP/1.1"));
    assert_eq!(http.headers["x-a"], "1, 2");
    assert_eq!(http.headers[":path"], "/zen?x=1");
}

#[tokio::test]
async fn what_the_service_says_becomes_of_the_request() {
    let parameter =
        |key: &str, value: &str| QueryParameter { key: key.to_owned(), value: value.to_owned() };
    let role = Any { kind: Some(Kind::StringValue("admin".to_owned())) };
    let answer = CheckResponse {
        dynamic_metadata: Some(Struct { fields: [("role".to_owned(), role)].into() }),
        ..ok(OkHttpResponse {
            headers: vec![
                header("X-User", "ada"),
                header("authorization", "Bearer of-the-service"),
                with(HeaderAppendAction::AddIfAbsent, "x-there", "new"),
                with(HeaderAppendAction::AddIfAbsent, "x-absent", "new"),
                with(HeaderAppendAction::OverwriteIfExists, "x-nowhere", "new"),
            ],
            headers_to_remove: vec!["x-secret".to_owned()],
            response_headers_to_add: vec![header("x-from-auth", "yes")],
            query_parameters_to_set: vec![parameter("user", "a&b")],
            query_parameters_to_remove: vec!["token".to_owned()],
            ..OkHttpResponse::default()
        })
    };
    let setting = setting(move |_| Reaction::answer(answer.clone())).await;
    let request = Request::get(HOST, "/a%20b?token=t&y=1&user=mallory")
        .header("x-user", "forged")
        .header("x-secret", "1")
        .header("x-there", "old")
        .header("authorization", "forged");
    let (response, received) = setting.send(&request, HOST).await;
    assert_eq!(response.status, 200);
    let told =
        response.headers.0.iter().any(|(name, value)| name == b"x-from-auth" && value == b"yes");
    assert!(told, "{response:?}");
    let received = received.expect("the origin is reached");
    assert_eq!(received.target, "/a%20b?y=1&user=a%26b");
    for (name, expected) in [
        ("x-user", vec!["ada"]),
        ("x-secret", vec![]),
        ("x-there", vec!["old"]),
        ("x-absent", vec!["new"]),
        ("x-nowhere", vec![]),
        ("x-role", vec!["admin"]),
        ("authorization", vec!["Bearer of-the-service"]),
        // No expression has seen it.
        ("x-seen", vec!["false"]),
    ] {
        assert_eq!(values(&received, name), expected, "{name}");
    }
    let lines = setting.waypoint.audit_lines();
    assert!(lines.iter().any(|line| line.contains("extAuth")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("of-the-service")), "{lines:?}");
}

#[tokio::test]
async fn a_denial_is_a_denial_whatever_its_status() {
    for (status, expected, body) in [(401, 401, "who?"), (200, 403, "fine"), (0, 403, "no")] {
        let setting = setting(move |_| {
            Reaction::answer(denied(status, &[("x-why", "1"), ("transfer-encoding", "x")], body))
        })
        .await;
        let (response, received) = setting.send(&Request::get(HOST, "/zen"), HOST).await;
        assert_eq!((response.status, &response.body[..]), (expected, body.as_bytes()), "{status}");
        assert!(received.is_none(), "{status}");
    }
}

#[tokio::test]
async fn late_rules_see_what_the_service_has_set_and_early_ones_spare_the_call() {
    let setting = setting(|_| Reaction::answer(allowed(&[("x-user", "mallory")]))).await;
    let before = setting.service.calls().len();
    let (response, received) = setting.send(&Request::get(HOST, "/denied"), HOST).await;
    assert_eq!((response.status, received.is_some()), (403, false));
    assert_eq!(setting.service.calls().len(), before);
    let (response, received) = setting.send(&Request::get(HOST, "/zen"), HOST).await;
    assert_eq!((response.status, received.is_some()), (403, false));
    assert_eq!(response.body, b"authorization failed");
    assert_eq!(setting.service.calls().len(), before + 1);
}

#[tokio::test]
async fn without_a_usable_answer_the_failure_mode_decides() {
    type React = fn(&CheckRequest) -> Reaction<CheckResponse>;
    let reactions: [(&str, React, &str); 6] = [
        ("an error", |_| Reaction::status(tonic::Code::Internal), "cut-off"),
        ("unavailable", |_| Reaction::status(tonic::Code::Unavailable), "unreachable"),
        ("denied by gRPC", |_| Reaction::status(tonic::Code::PermissionDenied), "error"),
        (
            "late",
            |_| Reaction::answer(allowed(&[])).after(Wait::For(Duration::from_secs(1))),
            "timeout",
        ),
        ("sets the host", |_| Reaction::answer(allowed(&[("host", "evil.example")])), "unusable"),
        ("nothing at all", |_| Reaction::answer(CheckResponse::default()), "unusable"),
    ];
    for (what, react, outcome) in reactions {
        let setting = setting(react).await;
        let logged = setting.waypoint.audit_lines().len();
        let (response, received) = setting.send(&Request::get(HOST, "/zen"), HOST).await;
        assert_eq!((response.status, received.is_some()), (403, false), "{what}");
        assert_eq!(response.body, b"external authorization failed", "{what}");
        let request = Request::get(OPEN, "/zen");
        let (response, received) = setting.send(&request, OPEN).await;
        assert_eq!((response.status, received.is_some()), (200, true), "{what}");
        let lines = setting.waypoint.audit_lines();
        let new: Vec<&String> = lines.iter().skip(logged).collect();
        assert!(new.iter().any(|line| line.contains(outcome)), "{what}: {new:?}");
    }
    let setting = setting(|_| Reaction::answer(allowed(&[]))).await;
    let (response, received) = setting.send(&Request::get(EMPTY, "/zen"), EMPTY).await;
    assert_eq!((response.status, received.is_some()), (403, false));
}
