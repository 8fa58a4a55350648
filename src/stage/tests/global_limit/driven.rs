//! A service of global limits as tests make it up, and a request that is driven through its calls.

use std::time::Duration;

use serde_json::{Value, json};

use crate::call::{Answer, Call, Form};
use crate::decision::{Change, Decision, Reply};
use crate::exchange::tests::driven::owned;
use crate::exchange::{Event, Exchange, Pairs, Step};
use crate::policy::Engine;
use crate::protobuf::Writer;
use crate::rate_limit::service::{Descriptor, RateLimitRequest};
use crate::request::Given;
use crate::request::headers::Headers;

use super::super::{TEAM_A, load};

/// A service's answer, of which a test gives what it is about.
#[derive(Default, Clone)]
pub(super) struct Said<'s> {
    pub(super) code: u64,
    /// Code, limit, remaining, and milliseconds until the reset.
    pub(super) statuses: &'s [(u64, u64, u64, u64)],
    pub(super) response_headers: &'s [(&'s str, &'s str)],
    pub(super) request_headers: &'s [(&'s str, &'s str)],
    pub(super) body: &'s str,
}

pub(super) const OK: Said<'static> =
    Said { code: 1, statuses: &[], response_headers: &[], request_headers: &[], body: "" };
pub(super) const OVER: Said<'static> = Said { code: 2, ..OK };

impl Said<'_> {
    pub(super) fn message(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.number(1, self.code);
        for (code, limit, remaining, reset) in self.statuses {
            out.message(2, |out| {
                out.number(1, *code);
                if *limit > 0 {
                    out.message(2, |out| out.number(1, *limit));
                }
                out.number(3, *remaining);
                out.message(4, |out| {
                    out.number(1, reset / 1000);
                    out.number(2, (reset % 1000).saturating_mul(1_000_000));
                });
            });
        }
        for (field, headers) in [(3, self.response_headers), (4, self.request_headers)] {
            for (name, value) in headers {
                out.message(field, |out| {
                    out.text(1, name.as_bytes());
                    out.text(2, value.as_bytes());
                });
            }
        }
        out.text(5, self.body.as_bytes());
        out.finish()
    }
}

/// A policy that asks a service about the caller's namespace, with more or other fields.
pub(super) fn policy(name: &str, more: &Value) -> Value {
    let mut global = json!({"cluster": "rls", "host": "rls.example", "domain": "egress",
        "descriptors": [{"entries": [{"name": "ns", "expression": "source.identity.namespace"}]}]});
    for (field, value) in more.as_object().unwrap() {
        global[field] = value.clone();
    }
    json!({"name": name, "traffic": {"rateLimit": {"global": global}}})
}

pub(super) fn engine(policies: &[Value]) -> Engine {
    load(&json!({"policies": policies}))
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) decision: Decision,
    pub(super) reply: Option<Reply>,
    pub(super) changes: Vec<Change<'static>>,
    /// What the response of the origin has in the end.
    pub(super) response: Vec<String>,
}

/// Runs a request, whose calls get these answers, each after so many milliseconds.
pub(super) fn run(
    engine: &Engine,
    headers: &[(&str, &str)],
    answers: &[(u64, Answer<'_>)],
) -> (Vec<Call>, Done) {
    let usual = [(":method", "GET"), (":authority", "api.example"), (":path", "/a?b")];
    let lines =
        usual.iter().chain(headers).map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let lines: Headers<'_> = lines.collect();
    let mut source = Given { peer_principal: TEAM_A, ..Given::default() };
    let mut exchange = Exchange::default();
    let mut calls = Vec::new();
    let mut waiting = match exchange.on(engine, &source, Event::RequestHeaders(lines.to_pairs())) {
        Step::Call(call) => call,
        step => {
            let (reply, changes) = ended(step);
            return (calls, done(exchange, reply, changes, engine, &source));
        }
    };
    for (took, answer) in answers {
        let id = waiting.id;
        calls.push(*waiting);
        source.now = source.now.saturating_add(Duration::from_millis(*took));
        let answer = match answer {
            Answer::Message(message) => Answer::Message(message),
            Answer::Status(status) => Answer::Status(*status),
            Answer::CutOff => Answer::CutOff,
            Answer::TooLarge => Answer::TooLarge,
            _ => Answer::NotSent,
        };
        match exchange.on(engine, &source, Event::Answer(id, answer)) {
            Step::Call(call) => waiting = call,
            step => {
                let (reply, changes) = ended(step);
                return (calls, done(exchange, reply, changes, engine, &source));
            }
        }
    }
    panic!("no answer for {waiting:?}");
}

fn ended(step: Step<'_>) -> (Option<Reply>, Vec<Change<'static>>) {
    match step {
        Step::Forward(changes) => (None, owned(&changes)),
        Step::Reply(reply) => (Some(reply), Vec::new()),
        step => panic!("{step:?}"),
    }
}

fn done(
    mut exchange: Exchange,
    reply: Option<Reply>,
    changes: Vec<Change<'static>>,
    engine: &Engine,
    source: &Given<'_>,
) -> Done {
    let decision = exchange.take_report().unwrap().decision.unwrap().clone();
    let lines: Headers<'_> =
        [(&b":status"[..], &b"200"[..]), (b"x-own", b"1")].into_iter().collect();
    let bytes = lines.to_pairs();
    let mut response = Vec::new();
    if reply.is_none() {
        let event = Event::ResponseHeaders(Pairs { bytes: &bytes, count: 2 });
        match exchange.on(engine, source, event) {
            Step::Forward(changes) => response = shown(&owned(&changes)),
            step => panic!("{step:?}"),
        }
    }
    Done { decision, reply, changes, response }
}

pub(super) fn shown(changes: &[Change<'_>]) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let line = |change: &Change<'_>| match change {
        Change::Add(name, value) => format!("+{name}: {}", text(value)),
        Change::Replace(name, value) => format!("={name}: {}", text(value)),
        Change::Remove(name) => format!("-{name}"),
        Change::Inject(name, _) => format!("*{name}"),
    };
    changes.iter().map(line).collect()
}

pub(super) fn headers(reply: &Reply) -> Vec<String> {
    let line =
        |(name, value): &(String, Vec<u8>)| format!("{name}: {}", String::from_utf8_lossy(value));
    reply.headers.iter().map(line).collect()
}

/// The message of a call.
pub(super) fn message(call: &Call) -> &[u8] {
    match &call.form {
        Form::Grpc { service, method, message, .. } => {
            assert_eq!(*service, "envoy.service.ratelimit.v3.RateLimitService");
            assert_eq!(*method, "ShouldRateLimit");
            message
        }
        Form::Http { .. } => panic!("a call of HTTP"),
    }
}

pub(super) fn plain<'d>(entries: &[(&'d str, &str)]) -> Descriptor<'d> {
    let entries = entries.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    Descriptor { entries, limit: None, hits: None }
}

pub(super) fn asked(domain: &str, descriptors: &[Descriptor<'_>]) -> Vec<u8> {
    RateLimitRequest { domain, descriptors }.encode()
}
