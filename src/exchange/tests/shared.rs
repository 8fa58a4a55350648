//! What holds of requests that wait for one token together, whatever happens in whatever order.
//!
//! `EGRESS_EVENT_ORDERS` sets how many events the longest orders have (4: each has an engine of its
//! own, which takes time).

#![expect(clippy::arithmetic_side_effects, reason = "what a test counts stays small")]

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::json;

use super::driven::owned;
use super::laws::request;
use crate::call::Answer;
use crate::credential::Secret;
use crate::credential::token::{Ended, Fetch};
use crate::decision::{Change, Reason};
use crate::exchange::{Event, Exchange, Step};
use crate::policy::Engine;
use crate::request::Given;

/// Something that happens to one of two requests, to the fetch, or to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happening {
    Headers(usize),
    Gone(usize),
    /// A token comes, or an answer without one.
    Token,
    Refusal,
    /// A request is told that a fetch has ended for which it does not wait.
    Stray(usize),
    /// So much time passes that every token has expired, and every pause is over.
    Later,
}

use Happening::*;

/// The requests are alike, so that it is enough if one of them goes, and is told of other fetches.
const ALL: [Happening; 7] = [Headers(0), Headers(1), Gone(0), Token, Refusal, Stray(0), Later];

/// An engine that gives every request for `a.example` a token, and changes its headers before.
fn engine() -> Engine {
    let json = json!({"audit": {"log": "All"}, "policies": [
        {"name": "who", "traffic": {"authorization": {"policy": {"matchExpressions": ["true"]}}}},
        {"name": "token", "hosts": ["a.example"],
         "traffic": {"transformation": {"request": {
            "set": [{"name": "x-request", "value": "'1'"}]}}},
         "backend": {"auth": {"oauthClientCredentials": {
            "cluster": "sts", "host": "sts.example", "path": "/token", "clientId": "me",
            "clientSecretEnv": "SECRET"}}}},
    ]});
    let environment = BTreeMap::from([("SECRET".to_owned(), "hush".to_owned())]);
    Engine::load_with(json.to_string().as_bytes(), &environment).unwrap()
}

/// One request, and what came of it.
#[derive(Default)]
struct Held {
    exchange: Exchange,
    has_begun: bool,
    is_waiting: bool,
    is_gone: bool,
    forwarded: Vec<Vec<Change<'static>>>,
    replies: Vec<u16>,
    decided: Vec<Reason>,
}

/// A proxy with two requests.
struct Proxy<'e> {
    engine: &'e Engine,
    requests: [Held; 2],
    pending: Option<Fetch>,
    /// How many tokens were given out, and whether the last fetch failed.
    tokens: usize,
    now: Duration,
    began: Duration,
}

impl<'e> Proxy<'e> {
    fn new(engine: &'e Engine) -> Self {
        let requests = [Held::default(), Held::default()];
        let now = Duration::from_secs(1);
        Proxy { engine, requests, pending: None, tokens: 0, now, began: now }
    }

    fn source(&self) -> Given<'static> {
        let filter_chain_name = b"inbound-vip|80|http|a.example";
        Given { filter_chain_name, now: self.now, ..Given::default() }
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Headers(which) if self.requests[which].has_begun => {}
            Headers(which) => {
                self.requests[which].has_begun = true;
                self.step(which, Event::RequestHeaders(request("/")));
            }
            Gone(which) => {
                self.requests[which].is_waiting = false;
                self.step(which, Event::Gone);
                self.requests[which].is_gone = true;
            }
            Stray(which) => {
                // Nobody waits for another credential.
                self.step(which, Event::Fetched(7));
                if !self.requests[which].is_waiting {
                    self.step(which, Event::Fetched(0));
                }
            }
            Token | Refusal => self.answer(happening == Token),
            Later => self.now += Duration::from_secs(3_600),
        }
        let is_fetching = self.pending.is_some();
        let waits = |held: &Held| held.is_waiting;
        assert!(is_fetching || !self.requests.iter().any(waits), "who waits waits for a fetch");
    }

    fn answer(&mut self, is_token: bool) {
        let Some(fetch) = self.pending.take() else { return };
        let (status, token) = if is_token { ("200", self.tokens + 1) } else { ("401", 0) };
        let body = format!(r#"{{"access_token":"t{token}","token_type":"Bearer"}}"#);
        let headers = [(&b":status"[..], status.as_bytes())].into_iter().collect();
        let answer = Answer::response(headers, body.as_bytes(), false);
        let ended = self.engine.end_fetch(fetch, &answer, self.now);
        assert_eq!(ended == Ended::Fetched, is_token, "the answer to the one fetch counts");
        self.tokens += usize::from(is_token);
        let again = self.engine.end_fetch(fetch, &answer, self.now);
        assert_eq!(again, Ended::Ignored, "an answer counts once");
        for which in 0..2 {
            if self.requests[which].is_waiting {
                self.requests[which].is_waiting = false;
                self.step(which, Event::Fetched(0));
                assert!(!self.requests[which].is_waiting, "no request waits twice");
            }
        }
    }

    fn step(&mut self, which: usize, event: Event<'_>) {
        let source = self.source();
        let held = &mut self.requests[which];
        let is_over = held.is_gone || !held.forwarded.is_empty() || !held.replies.is_empty();
        match held.exchange.on(self.engine, &source, event) {
            Step::Await(0) => {
                assert!(!is_over && !held.is_waiting);
                held.is_waiting = true;
            }
            Step::Forward(changes) => {
                assert!(!is_over, "it ends once");
                held.forwarded.push(owned(&changes));
            }
            Step::Reply(reply) => {
                assert!(!is_over, "it ends once");
                held.replies.push(reply.status);
            }
            Step::Hold | Step::Ignore => {}
            other => panic!("{other:?}"),
        }
        let report = held.exchange.take_report();
        held.decided.extend(report.and_then(|report| report.decision).map(|of| of.reason));
        assert_eq!(held.exchange.is_waiting(), held.is_waiting);
        self.send();
        self.hold_laws();
    }

    /// Makes the calls that are due.
    fn send(&mut self) {
        while let Some((fetch, call)) = self.engine.due_fetch() {
            let is_lost = self.now - self.began > Duration::from_secs(20);
            assert!(self.pending.is_none() || is_lost, "one fetch at a time");
            assert!(!call.timeout.is_zero());
            self.pending = Some(fetch);
            self.began = self.now;
        }
    }

    fn hold_laws(&self) {
        for held in &self.requests {
            assert!(held.decided.len() <= 1, "one decision, one record: {:?}", held.decided);
            for changes in &held.forwarded {
                let [Change::Replace(name, _), Change::Inject("authorization", secret)] =
                    &changes[..]
                else {
                    panic!("what came before the wait, and the token, each once: {changes:?}");
                };
                assert_eq!(name, "x-request");
                let token = Secret::new(format!("Bearer t{}", self.tokens).into_bytes());
                assert!(**secret == token, "the newest token");
            }
            for status in &held.replies {
                assert_eq!(
                    (*status, &held.decided[..]),
                    (500, &[Reason::CredentialUnavailable][..])
                );
            }
        }
    }
}

fn run(order: &[Happening]) {
    let engine = engine();
    let mut proxy = Proxy::new(&engine);
    for happening in order {
        proxy.happens(*happening);
        // A request that has ended is of no more interest, so another may come.
        for held in &mut proxy.requests {
            if !held.is_waiting && (!held.forwarded.is_empty() || !held.replies.is_empty()) {
                *held = Held::default();
            }
        }
    }
    for which in 0..2 {
        let was_waiting = proxy.requests[which].is_waiting;
        proxy.happens(Gone(which));
        let decided = &proxy.requests[which].decided;
        assert!(!was_waiting || decided == &[Reason::Gone], "{decided:?}");
    }
}

#[test]
fn the_laws_of_shared_waits_hold_in_every_order_of_events() {
    let length = std::env::var("EGRESS_EVENT_ORDERS").ok().and_then(|length| length.parse().ok());
    let length: u32 = length.unwrap_or(4);
    for number in 0..ALL.len().pow(length) {
        let digit = |place| number / ALL.len().pow(place) % ALL.len();
        let order: Vec<Happening> = (0..length).map(|place| ALL[digit(place)]).collect();
        let tried = catch_unwind(AssertUnwindSafe(|| run(&order)));
        assert!(tried.is_ok(), "{order:?}");
    }
}

/// If the laws forbade everything, they would hold as well.
#[test]
fn the_usual_orders_end_as_they_should() {
    type Expected<'a> = (&'a [Happening], [usize; 2], [&'a [u16]; 2]);
    let orders: [Expected<'_>; 6] = [
        (&[Headers(0), Headers(1), Token], [1, 1], [&[], &[]]),
        (&[Headers(0), Token, Headers(1)], [1, 1], [&[], &[]]),
        (&[Headers(0), Headers(1), Refusal], [0, 0], [&[500], &[500]]),
        (&[Headers(0), Refusal, Headers(1)], [0, 0], [&[500], &[500]]),
        (&[Headers(0), Refusal, Later, Headers(1), Token], [0, 1], [&[500], &[]]),
        (&[Headers(0), Headers(1), Gone(0), Token], [0, 1], [&[], &[]]),
    ];
    for (order, forwarded, replies) in orders {
        let engine = engine();
        let mut proxy = Proxy::new(&engine);
        order.iter().for_each(|happening| proxy.happens(*happening));
        let [one, two] = &proxy.requests;
        assert_eq!([one.forwarded.len(), two.forwarded.len()], forwarded, "{order:?}");
        assert_eq!([&one.replies[..], &two.replies[..]], replies, "{order:?}");
    }
}
