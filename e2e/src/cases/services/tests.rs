//! Each call of a service gets the next of its answers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use egressctl::cases::{Suite, parse};

use super::*;

const FILE: &str = "
config: {policies: []}
services:
  authorization:
  - {status: 403, headers: {x-a: b}, body: no}
  - {late: 300ms}
  - {late: 1s, fault: cutOff}
  - {fault: never}
  limits: {status: 429}
cases: [{name: a, caller: none, request: http://a.example, expect: deny}]
";

/// The clusters of a host, by name.
#[derive(Default)]
struct Served(RefCell<BTreeMap<String, NextDelivery>>);

impl Clusters for Served {
    fn serve(&self, cluster: &str, next: NextDelivery) {
        self.0.borrow_mut().insert(cluster.to_owned(), next);
    }
}

impl Served {
    fn call(&self, cluster: &str) -> Option<Delivery> {
        self.0.borrow()[cluster]()
    }
}

fn services() -> Vec<Service> {
    let suites: Vec<Suite> = parse("file.yaml", FILE).unwrap_or_else(|error| panic!("{error}"));
    suites[0].cases[0].services.clone()
}

#[test]
fn each_call_gets_the_next_answer_and_the_last_one_stays() {
    let served = Served::default();
    serve(&services(), &served);
    let origin = |status, body: &str| Origin { status, headers: Vec::new(), body: body.to_owned() };
    let refused = Origin { headers: vec![("x-a".to_owned(), "b".to_owned())], ..origin(403, "no") };
    let milliseconds = Duration::from_millis;
    let expected = [
        Some((Duration::ZERO, Ok(refused))),
        Some((milliseconds(300), Ok(origin(200, "")))),
        Some((milliseconds(1_000), Err(CutOff))),
        None,
        None,
    ];
    for (call, expected) in expected.into_iter().enumerate() {
        assert_eq!(served.call("authorization"), expected, "call {call}");
        let limited = Some((Duration::ZERO, Ok(origin(429, ""))));
        assert_eq!(served.call("limits"), limited, "each service counts its own calls");
    }
}

#[test]
fn a_case_begins_with_services_that_were_not_called() {
    let served = Served::default();
    serve(&services(), &served);
    assert!(served.call("authorization").is_some_and(|(late, _)| late.is_zero()));
    serve(&services(), &served);
    assert!(served.call("authorization").is_some_and(|(late, _)| late.is_zero()));
}
