//! The waypoint itself, without the filter but for its part in the access log: who gets in, where
//! they get to, what the origin must show, and what the log says.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use e2e::envoy::{Pod, StartError, Waypoint, WaypointOptions};
use e2e::hbone::HboneError;
use e2e::http1::Request;
use e2e::origin::{Mode, Origin, Presented, Received};
use e2e::pki::{Pki, San, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID, WAYPOINT_SPIFFE_ID};

const GITHUB: &str = "api.github.com";
const HTTPBINGO: &str = "httpbingo.org";
const WRONG_AUTHORITY: &str = "wrong-authority.example";
const WRONG_NAME: &str = "wrong-name.example";

struct Setting {
    pki: Arc<Pki>,
    origin: Origin,
    waypoint: Waypoint,
}

/// One waypoint for all cases here; each marks its requests with a path of its own.
static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    origin.present(WRONG_AUTHORITY, Presented::WrongAuthority);
    origin.present(WRONG_NAME, Presented::WrongName);
    let options = WaypointOptions::new(&pki, origin.port())
        .without_filter()
        .workers(2)
        .service(WRONG_AUTHORITY)
        .service(WRONG_NAME);
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    Setting { pki, origin, waypoint }
});

fn reached(target: &str) -> Vec<Received> {
    SETTING.origin.requests_where(|request| request.target == target)
}

fn peer_principal(target: &str) -> serde_json::Value {
    let entry = SETTING.waypoint.await_access_log(|entry| entry["path"] == target);
    entry.unwrap_or_else(|| panic!("no access log entry for {target}"))["peer_principal"].clone()
}

#[tokio::test]
async fn each_pod_reaches_each_service_under_its_own_identity() {
    for (pod, spiffe_id) in [(Pod::TeamA, TEAM_A_SPIFFE_ID), (Pod::TeamB, TEAM_B_SPIFFE_ID)] {
        for host in [GITHUB, HTTPBINGO] {
            let target = format!("/pod/{}/{host}", pod.name());
            let response = SETTING
                .waypoint
                .pod_request(pod, host, &Request::get(host, &target))
                .await
                .expect(&target);
            assert_eq!(response.status, 200, "{target}: {}", response.text());

            let [request] = &reached(&target)[..] else {
                panic!("{target} reached the origin other than once")
            };
            assert_eq!(
                (request.host.as_str(), request.sni.as_deref()),
                (host, Some(host)),
                "{target}"
            );

            let entry = SETTING
                .waypoint
                .await_access_log(|entry| entry["path"] == target.as_str())
                .expect(&target);
            assert_eq!(entry["peer_principal"], spiffe_id, "{target}");
            assert_eq!(entry["local_principal"], WAYPOINT_SPIFFE_ID, "{target}");
            assert_eq!(entry["local_address"], SETTING.waypoint.vip(host), "{target}");
            assert_eq!(
                entry["upstream_cluster"],
                format!("inbound-vip|80|http|{host}"),
                "{target}"
            );
        }
    }
}

#[tokio::test]
async fn the_hbone_client_is_known_by_its_certificate() {
    for (name, spiffe_id) in [("a", TEAM_A_SPIFFE_ID), ("b", TEAM_B_SPIFFE_ID)] {
        let target = format!("/hbone/{name}");
        let client = SETTING.waypoint.caller(spiffe_id);
        let response = client
            .request(&SETTING.waypoint.vip(GITHUB), &Request::get(GITHUB, &target))
            .await
            .expect(&target);
        assert_eq!(response.status, 200, "{target}");
        assert_eq!(response.header("x-origin-host").as_deref(), Some(GITHUB));
        assert_eq!(peer_principal(&target), spiffe_id);
    }
}

#[tokio::test]
async fn several_uri_sans_come_joined_and_none_comes_empty() {
    let two = [San::Uri(TEAM_A_SPIFFE_ID.into()), San::Uri(TEAM_B_SPIFFE_ID.into())];
    let dns = [San::Dns("team-a.example".into())];
    for (target, names, principal) in [
        (
            "/names/two",
            &two[..],
            serde_json::json!(format!("{TEAM_A_SPIFFE_ID},{TEAM_B_SPIFFE_ID}")),
        ),
        ("/names/dns", &dns[..], serde_json::json!("-")),
        ("/names/none", &[], serde_json::json!("-")),
    ] {
        let client = SETTING.waypoint.client(&SETTING.pki.caller_with(names));
        let response = client
            .request(&SETTING.waypoint.vip(GITHUB), &Request::get(GITHUB, target))
            .await
            .expect(target);
        assert_eq!(response.status, 200, "{target}");
        assert_eq!(peer_principal(target), principal, "{target}");
    }
}

#[tokio::test]
async fn a_caller_of_an_unknown_authority_is_refused() {
    let client = SETTING.waypoint.client(&SETTING.pki.unknown_caller(TEAM_A_SPIFFE_ID));
    let vip = SETTING.waypoint.vip(GITHUB);
    let error = client.tunnel(&vip).await.expect_err("an unknown authority");
    assert!(
        matches!(&error, HboneError::TlsRefused(alert) if alert.contains("UnknownCA")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_caller_without_a_certificate_is_refused() {
    let client = SETTING.waypoint.client_without_certificate();
    let vip = SETTING.waypoint.vip(GITHUB);
    let error = client.tunnel(&vip).await.expect_err("no certificate");
    assert!(
        matches!(&error, HboneError::TlsRefused(alert) if alert.contains("CertificateRequired")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_waypoint_under_another_name_is_refused_by_every_caller() {
    let mut pki = Pki::new();
    pki.waypoint = pki.caller("spiffe://cluster.local/ns/elsewhere/sa/egress");
    let waypoint = Waypoint::start(
        WaypointOptions::new(&Arc::new(pki), SETTING.origin.port()).without_filter(),
    );
    let waypoint = waypoint.unwrap_or_else(|error| panic!("{error}"));
    let error = waypoint.caller(TEAM_A_SPIFFE_ID).connect().await.expect_err("another name");
    assert!(
        matches!(&error, HboneError::TlsRefused(reason) if reason.contains("NotValidForName")),
        "{error:?}"
    );
    let target = "/another/name";
    assert!(waypoint.pod_request(Pod::TeamA, GITHUB, &Request::get(GITHUB, target)).await.is_err());
    assert_eq!(reached(target), []);
}

#[tokio::test]
async fn a_request_that_hangs_is_an_error_that_says_so() {
    let client = SETTING.waypoint.caller(TEAM_A_SPIFFE_ID).timeout(Duration::from_millis(500));
    let result =
        client.request(&SETTING.waypoint.vip(GITHUB), &Request::get(GITHUB, "/hang")).await;
    assert!(matches!(&result, Err(HboneError::TimedOut { step: "the request", .. })), "{result:?}");
    assert_eq!(reached("/hang").len(), 1);
}

#[tokio::test]
async fn an_address_of_no_service_is_refused() {
    let client = SETTING.waypoint.caller(TEAM_A_SPIFFE_ID);
    for authority in ["240.240.9.9:80", "240.240.0.1:81", "127.0.0.1:80"] {
        match client.tunnel(authority).await {
            Err(HboneError::ConnectRefused { status: 503, .. }) => {}
            other => panic!("{authority}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_origin_with_a_wrong_certificate_is_not_trusted() {
    let client = SETTING.waypoint.caller(TEAM_A_SPIFFE_ID);
    for host in [WRONG_AUTHORITY, WRONG_NAME] {
        let target = format!("/secret/{host}");
        let response = client
            .request(&SETTING.waypoint.vip(host), &Request::get(host, &target))
            .await
            .expect(host);
        assert_eq!(response.status, 503, "{host}");
        let entry = SETTING
            .waypoint
            .await_access_log(|entry| entry["path"] == target.as_str())
            .expect(host);
        let details = entry["response_code_details"].as_str().unwrap_or_default();
        assert!(details.contains("CERTIFICATE_VERIFY_FAILED"), "{host}: {details}");
        assert_eq!(reached(&target), [], "{host} was sent a request");
    }
}

/// As ztunnel's do: one connection for all addresses, and another past a hundred streams.
#[tokio::test]
async fn the_tunnels_of_one_pod_share_a_connection() {
    let options = WaypointOptions::new(&SETTING.pki, SETTING.origin.port()).without_filter();
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    let client = waypoint.caller(TEAM_A_SPIFFE_ID);
    let vips = [waypoint.vip(GITHUB), waypoint.vip("httpbingo.org")];
    let mut tunnels = Vec::new();
    for (number, connections) in [(100, 1), (101, 2), (200, 2)] {
        while tunnels.len() < number {
            let vip = &vips[tunnels.len() % 2];
            tunnels.push(client.tunnel(vip).await.expect("a tunnel"));
        }
        assert_eq!(waypoint.connections(1), [connections], "of {number} tunnels");
    }
    // A pod that is gone leaves its connection to the others.
    tunnels.clear();
    let target = "/pooled";
    let answer = client.request(&vips[0], &Request::get(GITHUB, target)).await;
    assert_eq!(answer.expect("an answer").status, 200);
    assert_eq!(waypoint.connections(1), [2]);
    let other = waypoint.caller(TEAM_B_SPIFFE_ID);
    drop(other.tunnel(&vips[0]).await.expect("a tunnel"));
    assert_eq!(waypoint.connections(1), [3], "another identity shares none");
}

#[tokio::test]
async fn a_tunnel_serves_one_request_after_another() {
    let mut tunnel = SETTING
        .waypoint
        .caller(TEAM_A_SPIFFE_ID)
        .tunnel(&SETTING.waypoint.vip(GITHUB))
        .await
        .expect("a tunnel");
    let head = tunnel
        .request(&Request::new("HEAD", "/kept/head").header("Host", GITHUB))
        .await
        .expect("HEAD");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.header("content-length").is_some_and(|length| length != "0"), "{head:?}");
    let empty = tunnel.request(&Request::get(GITHUB, "/status/204")).await.expect("204");
    assert_eq!((empty.status, empty.body.len()), (204, 0));
    let body = vec![b'x'; 300_000];
    let post = Request::new("POST", "/kept/post").header("Host", GITHUB).body(&body);
    assert_eq!(tunnel.request(&post).await.expect("POST").status, 200);
    assert_eq!(reached("/kept/post")[0].body_length, body.len());
    let raw = tunnel
        .send_raw(
            b"GET /kept/raw HTTP/1.1\r\nhost: api.github.com\r\nX-Twice: \
                                1\r\nx-twice: \xff2\r\n\r\n",
        )
        .await;
    assert_eq!(raw.expect("raw").status, 200);
    let twice: Vec<Vec<u8>> =
        reached("/kept/raw")[0].headers.all("x-twice").map(<[u8]>::to_vec).collect();
    assert_eq!(twice, [b"1".to_vec(), b"\xff2".to_vec()]);
}

#[tokio::test]
async fn a_malformed_request_is_answered_with_400_and_the_worker_serves_on() {
    let client = SETTING.waypoint.caller(TEAM_A_SPIFFE_ID);
    let vip = SETTING.waypoint.vip(GITHUB);
    for raw in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x00\x01\x02\r\n\r\n",
        b"GET /bad HTTP/1.1\r\nhost: a\r\nx y: z\r\n\r\n",
    ] {
        let response = client.tunnel(&vip).await.expect("a tunnel").send_raw(raw).await;
        assert_eq!(response.expect("a response").status, 400, "{}", String::from_utf8_lossy(raw));
    }
    let response =
        client.request(&vip, &Request::get(GITHUB, "/after/malformed")).await.expect("a response");
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn sixty_kilobytes_of_headers_pass() {
    let client = SETTING.waypoint.caller(TEAM_A_SPIFFE_ID);
    let request = Request::get(GITHUB, "/big").header("x-big", "b".repeat(60 * 1024));
    let response =
        client.request(&SETTING.waypoint.vip(GITHUB), &request).await.expect("a response");
    assert_eq!(response.status, 200);
    assert_eq!(reached("/big")[0].values("x-big")[0].len(), 60 * 1024);
}

#[tokio::test]
async fn dot_segments_are_resolved_unless_switched_off() {
    let raw = "/repos/../users/dots";
    let vip = SETTING.waypoint.vip(GITHUB);
    let client = SETTING.waypoint.caller(TEAM_A_SPIFFE_ID);
    client.request(&vip, &Request::get(GITHUB, raw)).await.expect("a response");
    assert_eq!((reached(raw).len(), reached("/users/dots").len()), (0, 1));

    let options = WaypointOptions::new(&SETTING.pki, SETTING.origin.port())
        .without_filter()
        .normalize_path(false);
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    waypoint
        .caller(TEAM_A_SPIFFE_ID)
        .request(&vip, &Request::get(GITHUB, raw))
        .await
        .expect("a response");
    assert_eq!(reached(raw).len(), 1);
}

#[tokio::test]
async fn the_stand_ins_answer_as_the_real_origins_do() {
    let origin = Origin::start(&SETTING.pki, Mode::Workshop, 0).expect("the origin starts");
    let options =
        WaypointOptions::new(&SETTING.pki, origin.port()).without_filter().service("example.com");
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    for (host, path, status, part) in [
        (GITHUB, "/zen", 200, "Half measures"),
        (GITHUB, "/zen?x=1", 200, "Half measures"),
        (GITHUB, "/repos/anthropics/claude-code", 200, "\"full_name\": \"anthropics/claude-code\""),
        (GITHUB, "/users/torvalds", 200, "\"login\": \"torvalds\""),
        (GITHUB, "/headers", 404, "Not Found"),
        (HTTPBINGO, "/headers", 200, "\"X-Two-Words\": [\n      \"1\",\n      \"2\"\n    ]"),
        (HTTPBINGO, "/get?a=1&a=2", 200, "\"url\": \"https://httpbingo.org/get?a=1&a=2\""),
        (HTTPBINGO, "/anything/at/all", 200, "\"method\": \"GET\""),
        (HTTPBINGO, "/anythingelse", 404, "Not Found"),
        (HTTPBINGO, "/zen", 404, "Not Found"),
        ("example.com", "/zen", 404, "no such site"),
    ] {
        let request =
            Request::get(host, path).header("x-two-words", "1").header("X-Two-Words", "2");
        let response = waypoint.pod_request(Pod::TeamB, host, &request).await.expect(path);
        assert_eq!(response.status, status, "{host}{path}");
        assert!(response.text().contains(part), "{host}{path}: {}", response.text());
    }
}

#[test]
fn a_configuration_that_envoy_refuses_is_an_error_with_its_log() {
    let options =
        WaypointOptions::new(&SETTING.pki, SETTING.origin.port()).without_filter().edit(|envoy| {
            envoy["static_resources"]["listeners"][0]["no_such_field"] = serde_json::json!(1)
        });
    match Waypoint::start(options) {
        Err(StartError::Exited { log, .. }) => assert!(log.contains("no_such_field"), "{log}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_waypoint_that_is_dropped_is_gone() {
    let options = WaypointOptions::new(&SETTING.pki, SETTING.origin.port()).without_filter();
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    let (pid, port) = (waypoint.process().pid(), waypoint.ports().hbone);
    assert!(!e2e::ports::is_free(port));
    drop(waypoint);
    assert!(e2e::ports::is_free(port), "port {port} is still taken");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "Envoy {pid} was not reaped");
}

#[test]
fn statistics_and_usage_can_be_read() {
    let stats = SETTING.waypoint.stats("http.connect_terminate.").expect("the admin port");
    assert!(stats.contains_key("http.connect_terminate.downstream_rq_total"), "{stats:?}");
    if cfg!(target_os = "linux") {
        assert!(SETTING.waypoint.cpu_time().expect("/proc").as_millis() > 0);
        assert!(SETTING.waypoint.resident_bytes().expect("/proc") > 10 << 20);
    }
}

#[tokio::test]
async fn the_access_log_is_told_of_decisions_where_it_is_asked_for() {
    let rule = r#"source.identity.namespace == \"team-a\""#;
    for tells in [true, false] {
        let configuration = format!(
            r#"{{"policies": [{{"name": "callers", "traffic": {{"authorization": {{
                "action": "Allow", "policy": {{"matchExpressions": ["{rule}"]}}}}}}}}],
            "audit": {{"accessLog": {tells}, "fields": {{"add": {{
                "source": "source", "agent": "request.headers[?'x-agent']"}}}}}}}}"#
        );
        let options = WaypointOptions::new(&SETTING.pki, SETTING.origin.port())
            .plugin_configuration(configuration)
            .edit(|envoy| log_fields(envoy, &["source", "agent"]));
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        for (pod, id, decision, policy) in [
            (Pod::TeamA, TEAM_A_SPIFFE_ID, "allow", Some("callers")),
            (Pod::TeamB, TEAM_B_SPIFFE_ID, "deny", None),
        ] {
            let target = format!("/zen?{decision}");
            let request = Request::get(GITHUB, &target).header("x-agent", "a\"\tb");
            waypoint.pod_request(pod, GITHUB, &request).await.expect(&target);
            let entry =
                waypoint.await_access_log(|entry| entry["path"] == target.as_str()).expect(&target);
            let told = ["egress_caller", "egress_decision", "egress_policy"]
                .map(|name| entry[name].as_str().filter(|text| *text != "-"));
            let expected = if tells { [Some(id), Some(decision), policy] } else { [None; 3] };
            assert_eq!(told, expected, "{entry}");
            let [source, agent] =
                ["field_source", "field_agent"].map(|name| entry[name].as_str().unwrap_or("-"));
            if !tells {
                assert_eq!((source, agent), ("-", "-"), "{entry}");
                continue;
            }
            assert_eq!(agent, r#"a\"\tb"#, "escaped as in JSON");
            let source: serde_json::Value = serde_json::from_str(source).expect("an object");
            assert_eq!(source["spiffeId"], id);
            assert_eq!(source["identity"]["namespace"], pod.name());
            assert_eq!(source["address"], "127.0.0.1");
            assert!(source["port"].is_u64(), "{source}");
        }
    }
}

/// Adds fields of audit records to the access logs.
fn log_fields(value: &mut serde_json::Value, names: &[&str]) {
    match value {
        serde_json::Value::Object(object) => {
            if let Some(format) = object.get_mut("json_format") {
                for name in names {
                    format[format!("field_{name}")] =
                        format!("%FILTER_STATE(wasm.egress_field_{name}:PLAIN)%").into();
                }
            }
            object.values_mut().for_each(|value| log_fields(value, names));
        }
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| log_fields(item, names));
        }
        _ => {}
    }
}
