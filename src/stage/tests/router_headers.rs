//! What Envoy's router is told, and what a caller must not tell it.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::{Request, ZEN, decide};
use crate::decision::Change;
use crate::policy::Engine;

fn policy(name: &str, traffic: Value) -> Value {
    json!({"name": name, "traffic": traffic})
}

/// The changes of a request, one line each.
fn changes(policies: &[Value], headers: &[(&str, &[u8])]) -> Vec<String> {
    let decided = decide(policies, &Request { headers, ..ZEN });
    let shown = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let line = |change: &Change<'_>| match change {
        Change::Add(name, value) => format!("+{name}: {}", shown(value)),
        Change::Replace(name, value) => format!("={name}: {}", shown(value)),
        Change::Remove(name) => format!("-{name}"),
        Change::Inject(name, _) => format!("*{name}"),
    };
    decided.changes.iter().map(line).collect()
}

#[test]
fn the_router_is_told_what_the_first_policies_say() {
    let policies = [
        policy("none", json!({"authorization": {"policy": {"matchExpressions": ["true"]}}})),
        json!({"name": "elsewhere", "hosts": ["other.example"],
            "traffic": {"timeouts": {"request": "1s"}}}),
        json!({"name": "shadow", "mode": "Shadow", "traffic": {"timeouts": {"request": "2s"}}}),
        policy("a", json!({"retry": {"codes": [502, 503]}})),
        policy("b", json!({"timeouts": {"request": "1m30s"}, "retry": {"attempts": 9}})),
        policy("c", json!({"timeouts": {"request": "1ms"}})),
    ];
    assert_eq!(
        changes(&policies, &[]),
        [
            "=x-envoy-upstream-rq-timeout-ms: 90000",
            "=x-envoy-max-retries: 1",
            "=x-envoy-retry-on: reset,connect-failure,refused-stream,retriable-status-codes",
            "=x-envoy-retriable-status-codes: 502,503",
        ]
    );
}

#[test]
fn what_the_caller_tells_the_router_goes_where_a_policy_tells_it_something() {
    let own: [(&str, &[u8]); 5] = [
        ("x-envoy-retry-on", b"5xx"),
        ("X-Envoy-Max-Retries", b"1000"),
        ("x-envoy-max-retries", b"1001"),
        ("x-envoy-upstream-rq-timeout-alt-response", b"1"),
        ("x-envoy-external-address", b"10.0.0.1"),
    ];
    let timeout = policy("t", json!({"timeouts": {"request": "1s"}}));
    assert_eq!(
        changes(&[timeout], &own),
        [
            "-x-envoy-max-retries",
            "-x-envoy-retry-on",
            "-x-envoy-upstream-rq-timeout-alt-response",
            "=x-envoy-upstream-rq-timeout-ms: 1000",
        ]
    );
    // So does what a transformation has set, wherever its policy stands.
    let name = "x-envoy-upstream-rq-timeout-ms";
    let set = policy(
        "s",
        json!({"transformation": {"request": {"set": [{"name": name, "value": "'5'"}]}},
            "retry": {"attempts": 3}}),
    );
    assert_eq!(
        changes(&[set], &[]),
        [
            "=x-envoy-upstream-rq-timeout-ms: 5",
            "-x-envoy-upstream-rq-timeout-ms",
            "=x-envoy-max-retries: 3",
            "=x-envoy-retry-on: reset,connect-failure,refused-stream",
        ]
    );
    assert_eq!(
        changes(
            &[policy(
                "n",
                json!({"authorization":
        {"policy": {"matchExpressions": ["true"]}}})
            )],
            &own
        ),
        Vec::<String>::new()
    );
}

#[test]
fn a_precondition_is_about_the_request_as_it_came_and_fails_to_no_retries() {
    let retry = |precondition: &str| {
        policy(
            "r",
            json!({"retry": {"attempts": 0, "precondition": precondition}, "transformation":
                {"request": {"set": [{"name": "x-a", "value": "'changed'"}]}}}),
        )
    };
    for (precondition, tries, errors) in [
        ("request.method == 'GET'", "1", 0),
        ("request.method == 'POST'", "0", 0),
        ("request.headers['x-a'] == 'came'", "1", 0),
        ("request.headers['x-a'] == 'changed'", "0", 0),
        ("request.headers['x-none'] == 'a'", "0", 1),
        ("default(request.headers['x-bytes'], '') == ''", "0", 1),
    ] {
        let headers: [(&str, &[u8]); 2] = [("x-a", b"came"), ("x-bytes", b"\xff")];
        let policies = [retry(precondition)];
        let changes = changes(&policies, &headers);
        let expected = format!("=x-envoy-max-retries: {tries}");
        assert!(changes.contains(&expected), "{precondition}: {changes:?}");
        let is_tried = changes.iter().any(|change| change.starts_with("=x-envoy-retry-on"));
        assert_eq!(is_tried, tries != "0", "{precondition}: {changes:?}");
        let decided = decide(&policies, &Request { headers: &headers, ..ZEN });
        assert_eq!(decided.errors.len(), errors, "{precondition}: {:?}", decided.errors);
        assert_eq!(decided.denial, None, "{precondition}");
    }
}

#[test]
fn what_the_router_cannot_do_is_refused_when_the_configuration_loads() {
    let refused = |traffic: Value| {
        let config = json!({"policies": [policy("p", traffic)]});
        let errors = Engine::load(config.to_string().as_bytes()).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (traffic, expected) in [
        (json!({"timeouts": {}}), "timeouts: field `request` is missing"),
        (json!({"timeouts": {"request": "0s"}}), "a timeout is at least `1ms`"),
        (json!({"timeouts": {"request": "1.5s"}}), "`1.5s` is no duration"),
        (json!({"timeouts": {"request": 5}}), "expected a string"),
        (json!({"retry": {"attempts": 256}}), "expected a whole number from 0 to 255, got 256"),
        (json!({"retry": {"codes": []}}), "`codes` is empty"),
        (json!({"retry": {"codes": [200]}}), "expected a whole number from 400 to 599, got 200"),
        (json!({"retry": {"backoff": "1s"}}), "there is no `backoff` here: Envoy's router"),
        (json!({"retry": {"condition": "true"}}), "there is no `condition` here: Envoy's router"),
        (json!({"retry": {"precondition": "1"}}), "a rule gives a bool"),
        (json!({"retry": {"precondition": "response.code == 1"}}), "is not there yet"),
    ] {
        let found = refused(traffic);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}
