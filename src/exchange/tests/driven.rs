//! An exchange under test, driven by events in the usual order.

use std::borrow::Cow;

use crate::config::Direction;
use crate::counters::Count;
use crate::decision::{Change, Decision, Reply};
use crate::exchange::{Event, Exchange, Pairs, Step};
use crate::policy::Engine;
use crate::request::Source;
use crate::request::headers::Headers;

/// A request that was decided.
#[derive(Debug)]
pub(crate) struct Driven<'e> {
    engine: &'e Engine,
    source: &'e dyn Source,
    exchange: Exchange,
    pub(crate) decision: Decision,
    pub(crate) reply: Option<Reply>,
    pub(crate) changes: Vec<Change<'static>>,
    pub(crate) audit: Option<String>,
    pub(crate) counts: Vec<Count>,
}

impl<'e> Driven<'e> {
    /// Has an engine decide about a request.
    pub(crate) fn decide(
        engine: &'e Engine,
        headers: &Headers<'_>,
        source: &'e dyn Source,
    ) -> Driven<'e> {
        let mut exchange = Exchange::default();
        let event = Event::RequestHeaders(headers.to_pairs());
        let (reply, changes) = match exchange.on(engine, source, event) {
            Step::Forward(changes) => (None, owned(&changes)),
            Step::Reply(reply) => (Some(reply), Vec::new()),
            step => panic!("{step:?}"),
        };
        let report = exchange.take_report().unwrap();
        let mut counts = Vec::new();
        report.count(|count| counts.push(count));
        let decision = report.decision.unwrap().clone();
        let audit = report.audit_text().map(str::to_owned);
        Driven { engine, source, exchange, decision, reply, changes, audit, counts }
    }

    /// The changes of the response, and the expressions that failed.
    pub(crate) fn respond(
        &mut self,
        response: &Headers<'_>,
    ) -> (Vec<Change<'static>>, Vec<(usize, String)>) {
        let (bytes, count) = (response.to_pairs(), response.lines().count());
        let event = Event::ResponseHeaders(Pairs { bytes: &bytes, count });
        let changes = match self.exchange.on(self.engine, self.source, event) {
            Step::Forward(changes) => owned(&changes),
            step => panic!("{step:?}"),
        };
        (
            changes,
            self.exchange.take_report().map_or_else(Vec::new, |report| report.errors.to_vec()),
        )
    }

    /// The changes of trailers.
    pub(crate) fn trailers(
        &mut self,
        direction: Direction,
        trailers: &Headers<'_>,
    ) -> Vec<Change<'static>> {
        let (bytes, count) = (trailers.to_pairs(), trailers.lines().count());
        let pairs = Pairs { bytes: &bytes, count };
        let event = match direction {
            Direction::Request => Event::RequestTrailers(pairs),
            Direction::Response => Event::ResponseTrailers(pairs),
        };
        match self.exchange.on(self.engine, self.source, event) {
            Step::Forward(changes) => owned(&changes),
            step => panic!("{step:?}"),
        }
    }
}

/// Changes that outlive what they are of.
pub(crate) fn owned(changes: &[Change<'_>]) -> Vec<Change<'static>> {
    let name = |name: &str| &*name.to_owned().leak();
    let value = |value: &[u8]| Cow::Owned(value.to_vec());
    let change = |change: &Change<'_>| match change {
        Change::Add(of, bytes) => Change::Add(Cow::Owned(of.to_string()), value(bytes)),
        Change::Replace(of, bytes) => Change::Replace(Cow::Owned(of.to_string()), value(bytes)),
        Change::Remove(of) => Change::Remove(Cow::Owned(of.to_string())),
        Change::Inject(of, secret) => {
            Change::Inject(name(of), Cow::Owned(secret.clone().into_owned()))
        }
    };
    changes.iter().map(change).collect()
}
