//! Trailers: what a policy sets or removes in the headers does not come in behind the body.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use super::driven::Driven;
use crate::config::Direction;
use crate::decision::Change;
use crate::policy::Engine;
use crate::request::Given;
use crate::request::headers::Headers;

fn engine() -> Engine {
    let rules = |prefix: &str| {
        json!({
            "set": [{"name": format!("X-{prefix}-Set"), "value": "'v'"}],
            "add": [{"name": format!("X-{prefix}-Added"), "value": "'v'"}],
            "remove": [format!("X-{prefix}-Removed")],
        })
    };
    let policy = |name: &str, host: &str, mode: &str| {
        json!({"name": name, "hosts": [host], "mode": mode, "traffic": {"transformation": {
            "request": rules("Request"), "response": rules("Response")}}})
    };
    let json = json!({"policies": [
        policy("other", "other.example", "Enforce"),
        policy("here", "api.example", "Enforce"),
        policy("shadow", "shadow.example", "Shadow"),
    ]});
    Engine::load(json.to_string().as_bytes()).unwrap()
}

fn headers<'a>(names: &[&'a str]) -> Headers<'a> {
    names.iter().map(|name| (name.as_bytes(), &b"1"[..])).collect()
}

/// Which of these trailers are dropped from a request to a host, or from its response.
fn dropped(host: &str, direction: Direction, trailers: &[&str]) -> Vec<String> {
    let engine = engine();
    let request = [(":authority", host), (":path", "/"), (":method", "GET")];
    let lines = request.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let source = Given::default();
    let mut driven = Driven::decide(&engine, &lines.into_iter().collect(), &source);
    assert!(driven.decision.allows(), "{driven:?}");
    let changes = driven.trailers(direction, &headers(trailers));
    let name = |change: &Change<'_>| match change {
        Change::Remove(name) => name.to_string(),
        other => panic!("{other:?}"),
    };
    changes.iter().map(name).collect()
}

#[test]
fn what_is_set_or_removed_is_dropped_in_every_spelling() {
    let trailers = [
        "x-request-set",
        "x_request_set",
        "X-Request_Removed",
        "x-request-added",
        "x-response-set",
        "x-request-sets",
        "grpc-status",
        "x-request-removed",
        "x-request-set",
    ];
    assert_eq!(
        dropped("api.example", Direction::Request, &trailers),
        ["x_request_set", "x-request-set", "X-Request_Removed", "x-request-removed"],
    );
    assert_eq!(dropped("api.example", Direction::Response, &trailers), ["x-response-set"]);
    assert_eq!(dropped("api.example", Direction::Request, &["x-request-added"]), [""; 0]);
}

#[test]
fn policies_that_were_not_applied_drop_nothing() {
    for host in ["shadow.example", "third.example"] {
        for direction in [Direction::Request, Direction::Response] {
            let trailers = ["x-request-set", "x-response-removed"];
            assert_eq!(dropped(host, direction, &trailers), [""; 0], "{host} {direction:?}");
        }
    }
}
