//! Configurations that must not load: what each is told, in every layer, and what Envoy does
//! meanwhile.

use std::sync::{Arc, LazyLock};

use e2e::envoy::{StartError, Waypoint, WaypointOptions};
use e2e::host::{HostOptions, LogLevel, Module, Request, Response, Vm};
use e2e::pki::Pki;
use egress_filter::policy::Engine;
use serde::Deserialize;
use serde_json::{Value, json};

/// One configuration of `e2e/configurations.yaml`, written in one of five ways.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    config: Option<Value>,
    text: Option<String>,
    policy: Option<Value>,
    rule: Option<String>,
    value: Option<String>,
    #[serde(default)]
    envoy: bool,
    errors: Vec<String>,
}

impl Case {
    /// The filter's configuration.
    fn text(&self) -> String {
        let policy = |mut policy: Value| {
            policy["name"] = json!("p");
            json!({ "policies": [policy] }).to_string()
        };
        let ways = [
            self.text.clone(),
            self.config.as_ref().map(Value::to_string),
            self.policy.clone().map(policy),
            self.rule.as_ref().map(|rule| {
                policy(json!({
                    "traffic": {
                        "authorization": {
                            "action": "Allow",
                            "policy": {"matchExpressions": [rule]},
                        },
                    },
                }))
            }),
            self.value.as_ref().map(|value| {
                policy(json!({
                    "traffic": {
                        "transformation": {
                            "request": {"set": [{"name": "x-a", "value": value}]},
                        },
                    },
                }))
            }),
        ];
        let mut ways = ways.into_iter().flatten();
        match (ways.next(), ways.next()) {
            (Some(text), None) => text,
            _ => {
                panic!("{}: give one of `config`, `text`, `policy`, `rule` and `value`", self.name)
            }
        }
    }
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    serde_yaml_ng::from_str(include_str!("../configurations.yaml"))
        .unwrap_or_else(|error| panic!("{error}"))
});

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(e2e::envoy::filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"))
});

/// The text that the filter logs before each of its errors.
const PREFIX: &str = "egress filter: configuration error: ";

#[test]
fn the_engine_tells_every_error_with_its_place() {
    let mut wrong = Vec::new();
    for case in &*CASES {
        let errors: Vec<String> = match Engine::load(case.text().as_bytes()) {
            Ok(_) => vec!["it loads".to_owned()],
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        if errors != case.errors || errors.is_empty() {
            wrong.push(format!("{}:\n  expected {:#?}\n  got {errors:#?}", case.name, case.errors));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        CASES.len() > 40 && CASES.iter().filter(|case| case.envoy).count() > 3,
        "the file has been emptied"
    );
}

#[test]
fn the_emulated_host_logs_every_error_and_serves_nothing() {
    let vm = Vm::new(&MODULE, HostOptions { canary: false, ..HostOptions::default() })
        .expect("the filter starts");
    for case in &*CASES {
        let configured = vm.configure(case.text());
        assert!(!configured.accepted, "{}", case.name);
        let mut expected: Vec<String> =
            case.errors.iter().map(|error| format!("{PREFIX}{error}")).collect();
        expected.push(format!(
            "egress filter: configuration refused, errors: {}; every request is refused until a \
             good one comes",
            case.errors.len()
        ));
        let logged: Vec<_> = configured
            .logs
            .iter()
            .filter(|log| log.level == LogLevel::Error)
            .map(|log| log.text.as_str())
            .collect();
        assert_eq!(logged, expected, "{}", case.name);
        assert!(
            logged.iter().all(|line| !line.contains('\n')),
            "{}: an error of several lines",
            case.name
        );
        let result =
            vm.stream(Request::new("GET", "api.github.com", "/zen")).run(Response::new(200));
        let answer =
            result.local_response.unwrap_or_else(|| panic!("{}: a request passed", case.name));
        assert_eq!((answer.status, result.failure), (500, None), "{}", case.name);
    }
    assert_eq!(vm.failure(), None);
}

#[test]
fn an_update_that_is_refused_leaves_the_last_good_one_in_force() {
    let vm = Vm::new(&MODULE, HostOptions { canary: false, ..HostOptions::default() })
        .expect("the filter starts");
    let good = vm.configure(r#"{"policies": []}"#);
    assert!(good.accepted, "{:?}", good.logs);
    for case in &*CASES {
        let configured = vm.configure(case.text());
        assert!(!configured.accepted, "{}", case.name);
        let last = configured.logs.last().map(|log| log.text.as_str()).unwrap_or_default();
        assert!(
            last.ends_with("; the last good configuration stays in force"),
            "{}: {last}",
            case.name
        );
        let result =
            vm.stream(Request::new("GET", "api.github.com", "/zen")).run(Response::new(200));
        assert_eq!((result.local_response, result.failure), (None, None), "{}", case.name);
    }
}

#[test]
fn what_cannot_be_meant_is_warned_of_and_loaded() {
    let vm = Vm::new(&MODULE, HostOptions { canary: false, ..HostOptions::default() })
        .expect("the filter starts");
    let policy = |index: usize| {
        let rule = r#"request.host == "b.com""#;
        json!({
            "name": format!("p{index}"),
            "hosts": ["a.com"],
            "traffic": {
                "authorization": {"action": "Allow", "policy": {"matchExpressions": [rule]}},
            },
        })
    };
    let configured =
        vm.configure(json!({"policies": (0..25).map(policy).collect::<Vec<_>>()}).to_string());
    assert!(configured.accepted, "{:?}", configured.logs);
    let warned: Vec<_> = configured
        .logs
        .iter()
        .filter(|log| log.level == LogLevel::Warn)
        .map(|log| log.text.as_str())
        .collect();
    assert_eq!(warned.len(), 21, "{warned:#?}");
    assert_eq!(
        warned[0],
        "egress filter: configuration warning: policy `p0`: \
         policies[0].traffic.authorization.policy.matchExpressions[0]: line 1, column 1: \
         `request.host` is never `b.com`: the policy's `hosts` do not have it"
    );
    assert_eq!(warned[20], "egress filter: configuration warnings: 25, of which 20 are shown");
    let records = |logs: &[e2e::host::Log]| -> Vec<Value> {
        logs.iter().filter_map(|log| serde_json::from_str(&log.text).ok()).collect()
    };
    let [record] = &records(&configured.logs)[..] else { panic!("{:?}", configured.logs) };
    assert_eq!(
        (&record["event"], &record["verdict"], &record["policies"]),
        (&json!("egress-configuration"), &json!("loaded"), &json!(25))
    );
    let [record] = &records(&vm.configure("{}").logs)[..] else {
        panic!("one record of a refusal")
    };
    assert_eq!(
        (&record["verdict"], &record["errors"][0]["message"]),
        (&json!("refused"), &json!("field `policies` is missing"))
    );
}

#[test]
fn envoy_does_not_start_with_them() {
    let pki = Arc::new(Pki::new());
    for case in CASES.iter().filter(|case| case.envoy) {
        match Waypoint::start(WaypointOptions::new(&pki, 1).plugin_configuration(case.text())) {
            Err(StartError::Exited { log, .. }) => {
                for error in &case.errors {
                    assert!(
                        log.contains(&format!("{PREFIX}{error}")),
                        "{}: {error} is not in\n{log}",
                        case.name
                    );
                }
                assert!(
                    log.contains("every request is refused until a good one comes"),
                    "{}:\n{log}",
                    case.name
                );
            }
            other => panic!("{}: {other:?}", case.name),
        }
    }
}
