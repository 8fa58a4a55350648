//! Stages, in the exchange that runs them: each has its tests in a file of its name.

mod admission;
mod authorization;
mod defaults;
mod global_limit;
mod local_limit;
mod readings;
mod router_headers;
mod transformation;

use crate::counters::{Count, Counter};
use crate::decision::{Change, Reason, Reply};
use crate::exchange::tests::driven::Driven;
use crate::policy::Engine;
use crate::request::Given;
use crate::request::headers::Headers;
use serde_json::{Value, json};

pub(crate) const TEAM_A: &[u8] = b"spiffe://cluster.local/ns/team-a/sa/team-a";

/// A request: method GET unless there is another in `headers`.
pub(crate) struct Request<'a> {
    pub(crate) caller: &'a [u8],
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
}

pub(crate) const ZEN: Request<'static> =
    Request { caller: TEAM_A, host: "api.github.com", path: "/zen", headers: &[] };

pub(crate) fn rule(name: &str, action: &str, expression: &str) -> Value {
    json!({"name": name, "traffic": {"authorization": {"action": action,
        "policy": {"matchExpressions": [expression]}}}})
}

/// What was decided, with names in place of numbers.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) denial: Option<Reply>,
    pub(crate) detail: Option<&'static str>,
    pub(crate) policy_name: Option<String>,
    pub(crate) reason: Reason,
    pub(crate) shadow: Vec<usize>,
    pub(crate) errors: Vec<(usize, String)>,
    pub(crate) changes: Vec<Change<'static>>,
    pub(crate) counts: Vec<Count>,
    pub(crate) audit: Option<String>,
}

pub(crate) fn decide(policies: &[Value], request: &Request<'_>) -> Decided {
    decide_with(json!({"policies": policies, "audit": {"log": "All"}}), request)
}

pub(crate) fn load(config: &Value) -> Engine {
    Engine::load(config.to_string().as_bytes())
        .unwrap_or_else(|errors| panic!("{config}: {errors:?}"))
}

pub(crate) fn decide_with(config: Value, request: &Request<'_>) -> Decided {
    let engine = load(&config);
    let mut headers: Headers<'_> = [
        (&b":method"[..], &b"GET"[..]),
        (b":scheme", b"http"),
        (b":authority", request.host.as_bytes()),
        (b":path", request.path.as_bytes()),
    ]
    .into_iter()
    .collect();
    for (name, value) in request.headers {
        headers.add(name.as_bytes(), value);
    }
    let source = Given {
        peer_principal: request.caller,
        filter_chain_name: b"inbound-vip|80|http|api.github.com",
        ..Given::default()
    };
    let Driven { decision, reply, changes, audit, counts, .. } =
        Driven::decide(&engine, &headers, &source);
    Decided {
        policy_name: decision.policy.and_then(|index| engine.policy_name(index)).map(str::to_owned),
        changes,
        counts,
        denial: reply,
        detail: decision.detail,
        reason: decision.reason,
        shadow: decision.shadow,
        errors: decision.errors,
        audit,
    }
}

#[track_caller]
fn assert_decided(policies: &[Value], reason: &str, policy: Option<&str>) {
    let outcome = decide(policies, &ZEN);
    assert_eq!(
        (outcome.reason.as_str(), outcome.policy_name.as_deref()),
        (reason, policy),
        "{policies:?}"
    );
}
