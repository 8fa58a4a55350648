//! A request as data, tried on an engine: for tools and tests, which have no proxy.

use std::collections::BTreeMap;

use crate::outcome::{Change, Denial, Outcome, Reason, ResponseOutcome};
use crate::policy::Engine;
use crate::request::headers::Headers;
use crate::request::{Facts, Given};

/// Header lines in order, names in lower case.
pub type Lines = Vec<(String, Vec<u8>)>;

/// A request, its connection, and what the origin would answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What Istio's filter chain writes as the peer's principal: a SPIFFE ID, several joined with commas, `-` or nothing.
    pub principal: String,
    /// The service that the caller dialled; its name for the waypoint is made of it. None where the waypoint has no name for it.
    pub service: Option<String>,
    /// The method.
    pub method: String,
    /// The authority, with its port if it has one.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// The protocol, as Envoy names it: `HTTP/1.1`, `HTTP/2`.
    pub protocol: String,
    /// Header lines in order, beside those of the request line.
    pub headers: Vec<(String, String)>,
    /// The caller's address with its port.
    pub source_address: String,
    /// The address that the caller dialled, with its port.
    pub destination_address: String,
    /// What the origin answers.
    pub response: Response,
}

/// What an origin answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The answer that it got instead of being forwarded, if it was denied.
    pub denial: Option<Denial>,
    /// The policy that decided, where one did.
    pub policy: Option<String>,
    /// Why.
    pub reason: Reason,
    /// Shadow policies that would have denied it.
    pub shadow: Vec<String>,
    /// Expressions that erred: the policy and the message.
    pub errors: Vec<(String, String)>,
    /// The headers that the origin gets, the pseudo-headers among them; none for a denied request.
    pub upstream: Option<Lines>,
    /// The headers that the caller gets of the origin's answer, `:status` among them; none for a denied request.
    pub downstream: Option<Lines>,
    /// The line of the audit log.
    pub audit: Option<String>,
    /// By how much counters went up, by their names.
    pub counters: BTreeMap<String, u64>,
}

impl Default for Trial {
    /// `GET /` over HTTP/1.1, of a caller without a certificate, for a host that is yet to be named, answered with 200.
    fn default() -> Self {
        Trial {
            principal: String::new(),
            service: None,
            method: "GET".to_owned(),
            authority: String::new(),
            path: "/".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            headers: Vec::new(),
            source_address: "127.0.0.1:40000".to_owned(),
            destination_address: "240.240.0.1:80".to_owned(),
            response: Response { status: 200, headers: Vec::new() },
        }
    }
}

impl Trial {
    /// Tries it.
    #[must_use]
    pub fn run(&self, engine: &Engine) -> Tried {
        self.with_facts(|facts| {
            let outcome = engine.decide(facts);
            let response = self.response_headers();
            let respond = || (engine.respond(&outcome.responding, facts, &response), &response);
            Tried::of(engine, facts, &outcome, outcome.denial.is_none().then(respond))
        })
    }

    /// Does something with the request's facts, as an engine gets them.
    pub fn with_facts<T>(&self, f: impl FnOnce(&Facts<'_>) -> T) -> T {
        let chain = self.service.as_ref().map(|service| format!("inbound-vip|80|http|{service}"));
        let source = Given {
            peer_principal: self.principal.as_bytes(),
            filter_chain_name: chain.as_deref().unwrap_or_default().as_bytes(),
            protocol: self.protocol.as_bytes(),
            source_address: self.source_address.as_bytes(),
            destination_address: self.destination_address.as_bytes(),
            ..Given::default()
        };
        f(&Facts::new(self.request_headers(), &source))
    }

    /// The request's headers as the filter gets them of Envoy.
    #[must_use]
    pub fn request_headers(&self) -> Headers<'static> {
        let mut headers = Headers::default();
        headers.add(b":method", self.method.as_bytes());
        headers.add(b":scheme", b"http");
        headers.add(b":authority", self.authority.as_bytes());
        headers.add(b":path", self.path.as_bytes());
        for (name, value) in &self.headers {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        // Envoy gives every request an ID.
        if headers.first(b"x-request-id").is_none() {
            headers.add(b"x-request-id", b"00000000-0000-4000-8000-000000000000");
        }
        headers
    }

    /// The headers of the origin's answer.
    #[must_use]
    pub fn response_headers(&self) -> Headers<'static> {
        let mut headers = Headers::default();
        headers.add(b":status", self.response.status.to_string().as_bytes());
        for (name, value) in &self.response.headers {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        headers
    }
}

impl Tried {
    fn of(engine: &Engine, facts: &Facts<'_>, outcome: &Outcome<'_>, responded: Option<(ResponseOutcome<'_>, &Headers<'_>)>) -> Tried {
        let name = |index: usize| engine.policy_name(index).map(str::to_owned);
        let named = |errors: &[(usize, String)]| {
            errors.iter().filter_map(|(index, message)| Some((name(*index)?, message.clone()))).collect::<Vec<_>>()
        };
        let mut counters = BTreeMap::new();
        let mut count = |count: crate::outcome::Count| {
            let counter = count.counter.name(count.policy.and_then(|index| engine.policy_name(index)));
            let value: &mut u64 = counters.entry(counter).or_insert(0);
            *value = value.saturating_add(1);
        };
        outcome.count(&mut count);
        if let Some((responded, _)) = &responded {
            responded.count(&mut count);
        }
        let mut errors = named(&outcome.errors);
        errors.extend(responded.iter().flat_map(|(responded, _)| named(&responded.errors)));
        Tried {
            denial: outcome.denial,
            policy: outcome.policy.and_then(name),
            reason: outcome.reason,
            shadow: outcome.shadow.iter().filter_map(|index| name(*index)).collect(),
            errors,
            upstream: outcome.denial.is_none().then(|| changed(&facts.headers, &outcome.changes)),
            downstream: responded.map(|(responded, headers)| changed(headers, &responded.changes)),
            audit: outcome.audit.clone(),
            counters,
        }
    }
}

/// Headers after changes, made as the host makes them on the filter's calls.
#[must_use]
pub fn changed(headers: &Headers<'_>, changes: &[Change<'_>]) -> Lines {
    let mut lines = lines(headers);
    for change in changes {
        match change {
            Change::Add(name, value) => lines.push(((*name).to_owned(), value.to_vec())),
            Change::Replace(name, value) => {
                lines.retain(|(line, _)| line != name);
                lines.push(((*name).to_owned(), value.to_vec()));
            }
            Change::Remove(name) => lines.retain(|(line, _)| line != &**name),
        }
    }
    lines
}

/// Headers as lines, names in lower case.
#[must_use]
pub fn lines(headers: &Headers<'_>) -> Lines {
    headers.lines().map(|(name, value)| (String::from_utf8_lossy(name).to_lowercase(), value.to_vec())).collect()
}
