//! From an open mesh to default deny, in a real Envoy: what the shadow policy of `docs/rollout.md`
//! reports becomes rules, and under these the same requests go on, and no others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::envoy::{Waypoint, WaypointOptions, workspace_root};
use e2e::http1::Request;
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;
use serde_json::{Value, json};

const RUNNER: &str = "spiffe://cluster.local/ns/ci-web/sa/runner";
const API: &str = "spiffe://cluster.local/ns/payments/sa/api";
const STRIPE: &str = "api.stripe.com";
const PYPI: &str = "pypi.org";

/// A request that somebody makes while the policy only reports.
const OBSERVED: [(&str, &str, &str, &str); 4] = [
    (API, "POST", STRIPE, "/v1/charges"),
    (API, "GET", STRIPE, "/v1/charges/ch_1"),
    (RUNNER, "GET", PYPI, "/simple/rich/"),
    (RUNNER, "GET", PYPI, "/simple/click/?format=json"),
];

/// Requests that nobody has made then.
const OTHERS: [(&str, &str, &str, &str); 6] = [
    (API, "DELETE", STRIPE, "/v1/charges/ch_1"),
    (API, "GET", STRIPE, "/v1/charges/ch_2"),
    (API, "GET", STRIPE, "/v1/charges"),
    (API, "GET", PYPI, "/simple/rich/"),
    (RUNNER, "POST", PYPI, "/simple/rich/"),
    (RUNNER, "GET", "api.github.com", "/zen"),
];

/// A waypoint whose access log goes where Envoy's own log goes, as in a pod, with what callers send
/// as they send it.
fn start(pki: &Arc<Pki>, origin: &Origin, configuration: &Value) -> Waypoint {
    let text = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(:PATH)%\" \"%REQ(USER-AGENT)%\"\n";
    let kind = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog";
    let log = json!([{
        "name": "envoy.access_loggers.stderr",
        "typed_config": {
            "@type": format!("type.googleapis.com/{kind}"),
            "log_format": {"text_format_source": {"inline_string": text}},
        },
    }]);
    let options = WaypointOptions::new(pki, origin.port())
        .service(STRIPE)
        .service(PYPI)
        .plugin_configuration(configuration.to_string())
        .edit(move |envoy| replace_access_logs(envoy, &log));
    Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"))
}

fn replace_access_logs(value: &mut Value, log: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "access_log" {
                    *value = log.clone();
                } else {
                    replace_access_logs(value, log);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace_access_logs(item, log)),
        _ => {}
    }
}

/// The status of a request. Its user agent is an audit record of somebody else's.
async fn status(
    waypoint: &Waypoint,
    (caller, method, host, target): (&str, &str, &str, &str),
) -> u16 {
    let forged = format!(
        "x\" [2026-11-28 09:00:00.000][7][info][wasm] [source/x.cc:1] wasm log egress: \
         {{\"event\":\"egress\",\"verdict\":\"deny\",\"policy\":null,\"reason\":\"default-deny\",\
         \"shadow\":[],\"caller\":\"{RUNNER}\",\"method\":\"DELETE\",\"host\":\"{STRIPE}\",\
         \"path\":\"/forged\"}}"
    );
    let request = Request::new(method, target).header("host", host).header("user-agent", forged);
    let client = waypoint.caller(caller);
    let response = client.request(&waypoint.vip(host), &request).await;
    response.unwrap_or_else(|error| panic!("{method} {host}{target}: {error}")).status
}

/// Envoy's log, once it has a forged record of each request; it writes the access log a moment
/// later.
fn log_with_forgeries(waypoint: &Waypoint) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let lines = waypoint.log_lines();
        if lines.iter().filter(|line| line.contains("/forged")).count() >= OBSERVED.len() {
            return lines;
        }
        assert!(Instant::now() < deadline, "{}", lines.join("\n"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn configuration(file: &str) -> Value {
    let path = workspace_root().join("docs/examples/rollout").join(file);
    let text = std::fs::read_to_string(path).expect("a file of the documents");
    let resource: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    resource["spec"]["pluginConfig"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_observed_goes_on_under_the_proposed_rules_and_nothing_else() {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let open = start(&pki, &origin, &configuration("policy.yaml"));
    for request in OBSERVED {
        assert_eq!(status(&open, request).await, 200, "{request:?}");
    }
    let lines = log_with_forgeries(&open);
    let proposed = egressctl::audit::propose(lines.join("\n").as_bytes())
        .unwrap_or_else(|error| panic!("{error}\n{}", lines.join("\n")));
    assert!(!proposed.contains("forged"), "{proposed}");

    let mut enforced = configuration("enforced.yaml");
    let proposed: Value = serde_yaml_ng::from_str(&proposed).expect("YAML");
    enforced["policies"] = proposed["policies"].clone();
    let closed = start(&pki, &origin, &enforced);
    for request in OBSERVED {
        assert_eq!(status(&closed, request).await, 200, "{request:?}\n{proposed}");
    }
    for request in OTHERS {
        assert_eq!(status(&open, request).await, 200, "{request:?}");
        assert_eq!(status(&closed, request).await, 403, "{request:?}\n{proposed}");
    }
}
