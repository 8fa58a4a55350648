//! Requests that need two tokens, of two credentials.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::driven::owned;
use super::laws::request;
use crate::call::Answer;
use crate::credential::token::Ended;
use crate::decision::Change;
use crate::exchange::{Event, Exchange, Step};
use crate::policy::Engine;
use crate::request::Given;

/// An engine that gives every request for `a.example` two tokens.
fn engine() -> Engine {
    let policy = |name: &str, location: Value| {
        json!({"name": name, "hosts": ["a.example"],
            "traffic": {"authorization": {"policy": {"matchExpressions": ["true"]}}},
            "backend": {"auth": {"location": {"header": location}, "oauthClientCredentials": {
                "cluster": name, "host": "sts.example", "path": "/token", "clientId": "me",
                "clientSecretEnv": "SECRET"}}}})
    };
    let one = policy("one", json!({"name": "x-one"}));
    let two = policy("two", json!({"name": "x-two"}));
    let environment = BTreeMap::from([("SECRET".to_owned(), "hush".to_owned())]);
    Engine::load_with(json!({"policies": [one, two]}).to_string().as_bytes(), &environment).unwrap()
}

/// The tokens that a request gets at this time, each with what it was fetched for, and how often it
/// waits. The servers answer with these lifetimes, and the time as the token.
fn tokens_at(engine: &Engine, seconds: u64, lifetimes: [u64; 2]) -> (Vec<String>, usize) {
    let now = Duration::from_secs(seconds);
    let filter_chain_name = b"inbound-vip|80|http|a.example";
    let source = Given { filter_chain_name, now, ..Given::default() };
    let mut exchange = Exchange::default();
    let mut step = Event::RequestHeaders(request("/"));
    for waits in 0..4 {
        let credential = match exchange.on(engine, &source, step) {
            Step::Await(credential) => credential,
            Step::Forward(changes) => {
                let injected = owned(&changes).into_iter().filter_map(|change| match change {
                    Change::Inject(_, secret) => {
                        Some(String::from_utf8(secret.expose().to_vec()).unwrap())
                    }
                    _ => None,
                });
                return (injected.collect(), waits);
            }
            step => panic!("{step:?}"),
        };
        while let Some((fetch, _)) = engine.due_fetch() {
            let lifetime = lifetimes[fetch.credential];
            let body = format!(
                r#"{{"access_token":"t{seconds}","token_type":"Bearer","expires_in":{lifetime}}}"#
            );
            let headers = [(&b":status"[..], &b"200"[..])].into_iter().collect();
            let answer = Answer::response(headers, body.as_bytes(), false);
            assert_eq!(engine.end_fetch(fetch, &answer, now), Ended::Fetched);
        }
        step = Event::Fetched(credential);
    }
    panic!("the request waits for ever")
}

#[test]
fn a_wait_for_one_token_does_not_make_an_expired_one_good() {
    let engine = engine();
    assert_eq!(tokens_at(&engine, 1, [60, 120]), (vec!["t1".into(), "t1".into()], 2));
    assert_eq!(tokens_at(&engine, 500, [60, 120]), (vec!["t500".into(), "t500".into()], 2));
}

#[test]
fn tokens_that_live_for_no_time_are_waited_for_once() {
    let engine = engine();
    assert_eq!(tokens_at(&engine, 1, [0, 0]), (vec!["t1".into(), "t1".into()], 2));
    assert_eq!(tokens_at(&engine, 2, [0, 0]), (vec!["t2".into(), "t2".into()], 2));
}
