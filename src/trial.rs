//! Runs an engine on a request that is given as data, for tools and tests without a proxy.

mod brought;
mod serving;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::call::Answer;
use crate::config::{Direction, IdentityConfig, IdentitySource};
use crate::counters::{Count, PolicyOf};
use crate::decision::{Change, Reason, Reply};
use crate::exchange::{Event, Exchange, Pairs, Part, Report, Step};
use crate::policy::Engine;
use crate::request::headers::Headers;
use crate::request::{Facts, Given, SharedData, Source, address_and_port, inline};

pub(crate) use brought::Brought;
pub(crate) use serving::Serving;
pub use serving::{Came, Served, Service};

/// The name of the plugin in the names of counters: a trial has none.
const PLUGIN: &str = "";

/// When a request comes whose time does not matter: 2026-01-01T12:00:00Z.
const NOON: i64 = 1_767_268_800_000_000_000;

/// Header lines in order, names in lower case.
pub type Lines = Vec<(String, Vec<u8>)>;

/// A request, its connection, and the origin's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What Istio's filter chain writes as the peer's principal: a SPIFFE ID, several joined with
    /// commas, `-` or nothing.
    pub principal: String,
    /// The URI SAN of the peer's certificate, where the filter's own listener terminates mTLS.
    pub peer_certificate: String,
    /// The waypoint's own SPIFFE ID. Its trust domain counts if the configuration names none.
    pub local_principal: String,
    /// The destination that the caller dialled, from which the name of the filter chain is made.
    /// None if the waypoint has no name for it.
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
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// What the filters before this one know of it, as [`crate::request::jwt::metadata`] writes
    /// it; empty for nothing.
    pub metadata: Vec<u8>,
    /// The caller's address with its port.
    pub source_address: String,
    /// The address that the caller dialled, with its port.
    pub destination_address: String,
    /// When the request comes, in nanoseconds since 1970.
    pub time: i64,
    /// The time on the clock that only goes forward, for what lasts from request to request.
    pub now: Duration,
    /// The origin's response.
    pub response: Response,
    /// The services that answer calls about it.
    pub services: Vec<Service>,
}

/// An origin's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header lines in order.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// What happened to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The answer that it got instead of being forwarded.
    pub denial: Option<Reply>,
    /// What exactly was wrong with a request that is refused.
    pub detail: Option<&'static str>,
    /// The policy that decided, where one did.
    pub policy: Option<String>,
    /// The reason.
    pub reason: Reason,
    /// Shadow policies that would have denied it.
    pub shadow: Vec<String>,
    /// Expressions that failed: the policy and the message.
    pub errors: Vec<(String, String)>,
    /// The headers that the origin gets, the pseudo-headers among them; none for a denied request.
    pub upstream: Option<Lines>,
    /// The body that the origin gets; none for a denied request.
    pub upstream_body: Option<Vec<u8>>,
    /// The headers that the caller gets of the origin's answer, `:status` among them; none for a
    /// denied request.
    pub downstream: Option<Lines>,
    /// The body that the caller gets of the origin's answer; none if it is cut off.
    pub downstream_body: Option<Vec<u8>>,
    /// The line of the audit log.
    pub audit: Option<String>,
    /// How long it has waited for services.
    pub waited: Duration,
    /// How often each cluster was called about it.
    pub calls: BTreeMap<String, usize>,
    /// The counters that went up: by name, the amount.
    pub counters: BTreeMap<String, u64>,
}

impl Default for Trial {
    /// `GET /` over HTTP/1.1 at noon, from a caller without a certificate, for a host that must
    /// still be set, answered with 200.
    fn default() -> Self {
        Trial {
            principal: String::new(),
            peer_certificate: String::new(),
            local_principal: "spiffe://cluster.local/ns/istio-egress/sa/waypoint".to_owned(),
            service: None,
            method: "GET".to_owned(),
            authority: String::new(),
            path: "/".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            metadata: Vec::new(),
            source_address: "127.0.0.1:40000".to_owned(),
            destination_address: "240.240.0.1:80".to_owned(),
            time: NOON,
            now: Duration::ZERO,
            response: Response { status: 200, headers: Vec::new(), body: Vec::new() },
            services: Vec::new(),
        }
    }
}

impl Trial {
    /// Moves the caller's principal to where the configuration looks for it. If `filterState` is a
    /// source, it stays where it is, as in a waypoint. Otherwise it goes into the peer's
    /// certificate, or into `x-forwarded-client-cert` in the form in which Istio's gateways append
    /// it.
    pub fn present(&mut self, identity: &IdentityConfig) {
        let reads = |source| identity.sources.contains(&source);
        if self.principal.is_empty() || reads(IdentitySource::FilterState) {
            return;
        }
        let principal = std::mem::take(&mut self.principal);
        if reads(IdentitySource::PeerCertificate) {
            self.peer_certificate = principal;
        } else if reads(IdentitySource::ForwardedClientCert) {
            let uri = if principal == "-" { String::new() } else { format!(";URI={principal}") };
            self.headers.push((
                "x-forwarded-client-cert".to_owned(),
                format!("Hash={:064};Subject=\"\"{uri}", 0),
            ));
        }
    }

    /// Runs the engine on it, as the first request of all.
    #[must_use]
    pub fn run(&self, engine: &Engine) -> Tried {
        self.run_with(engine, &SharedData::default())
    }

    /// Runs the engine on it, after other requests that shared this data.
    #[must_use]
    pub fn run_with(&self, engine: &Engine, shared: &SharedData) -> Tried {
        self.sharing(shared, |source| {
            let serving = Serving::new(&self.services, source);
            let source: &dyn Source = &serving;
            let (request, response) = (self.request_headers(), self.response_headers());
            let mut exchange = self.exchange();
            let mut tried = Tried::new();
            let mut event = Event::RequestHeaders(request.to_pairs());
            loop {
                match exchange.on(engine, source, event) {
                    Step::Forward(changes) => {
                        tried.upstream = Some(changed(Direction::Request, &request, &changes));
                    }
                    Step::Reply(reply) => tried.denial = Some(reply),
                    Step::Await(credential) => {
                        serve_tokens(engine);
                        event = Event::Fetched(credential);
                        continue;
                    }
                    Step::Call(call) => {
                        event = serving.answer(&call);
                        continue;
                    }
                    Step::Hold | Step::Replace(_) | Step::Reset | Step::Ignore => {}
                }
                break;
            }
            if tried.upstream.is_some() {
                match serving.bring(&mut exchange, engine, &self.body, None) {
                    None | Some(Brought::Forward) => tried.upstream_body = Some(self.body.clone()),
                    Some(Brought::Replace(new)) => tried.upstream_body = Some(new),
                    Some(Brought::Reply(reply)) => tried.denial = Some(reply),
                    Some(Brought::Ended) => {}
                }
            }
            // Of a request that its body denies, the origin sees the headers alone.
            if tried.upstream_body.is_none() {
                tried.upstream = None;
            }
            tried.note(engine, exchange.take_report());
            if tried.upstream.is_some() {
                let (bytes, count) = (response.to_pairs(), response.lines().count());
                let event = Event::ResponseHeaders(Pairs { bytes: &bytes, count });
                if let Step::Forward(changes) = exchange.on(engine, source, event) {
                    tried.downstream = Some(changed(Direction::Response, &response, &changes));
                }
                let (part, body) = (Part::ResponseBody, self.response.body.as_slice());
                tried.downstream_body = match exchange.bring(engine, source, part, body, None) {
                    None | Some(Step::Forward(_)) => Some(body.to_vec()),
                    Some(Step::Replace(new)) => Some(new),
                    Some(_) => None,
                };
                tried.note(engine, exchange.take_report());
            }
            (tried.waited, tried.calls) = (serving.waited(), serving.calls());
            tried
        })
    }

    /// An exchange for the request.
    pub(crate) fn exchange(&self) -> Exchange {
        let mut exchange = Exchange::default();
        if self.body.is_empty() {
            exchange.note_end(Part::RequestHeaders);
        }
        if self.response.body.is_empty() {
            exchange.note_end(Part::ResponseHeaders);
        }
        exchange
    }

    /// Runs a function on the request's facts, as stages get them.
    pub fn with_facts<T>(&self, f: impl FnOnce(&Facts<'_>) -> T) -> T {
        self.with_source(|source| f(&Facts::new(self.request_headers(), source)))
    }

    /// The request's facts, with its body if the engine reads bodies.
    pub(crate) fn facts<'a>(&'a self, engine: &Engine, source: &'a dyn Source) -> Facts<'a> {
        let headers = self.request_headers();
        match engine.bodies().map(|bodies| bodies.read(&headers, &self.body)) {
            Some(body) => Facts::new(headers, source).with_body(body),
            None => Facts::new(headers, source),
        }
    }

    /// Runs a function on what a proxy would know of the request besides its headers.
    pub fn with_source<T>(&self, f: impl FnOnce(&dyn Source) -> T) -> T {
        self.sharing(&SharedData::default(), f)
    }

    /// The same, with data that was shared before.
    fn sharing<T>(&self, shared: &SharedData, f: impl FnOnce(&dyn Source) -> T) -> T {
        let chain = self.service.as_ref().map(|service| format!("inbound-vip|80|http|{service}"));
        let (address, port) = address_and_port(self.source_address.as_bytes()).unwrap_or_default();
        let port = i64::from(port).to_le_bytes();
        let time = self.time.to_le_bytes();
        let source = Given {
            time: &time,
            peer_principal: self.principal.as_bytes(),
            local_principal: self.local_principal.as_bytes(),
            tls_version: if self.peer_certificate.is_empty() { b"" } else { b"TLSv1.3" },
            peer_certificate: self.peer_certificate.as_bytes(),
            filter_chain_name: chain.as_deref().unwrap_or_default().as_bytes(),
            protocol: self.protocol.as_bytes(),
            source_address: address.as_bytes(),
            source_port: if address.is_empty() { &[] } else { &port },
            destination_address: self.destination_address.as_bytes(),
            metadata: &self.metadata,
            now: self.now,
            shared: Some(shared),
            ..Given::default()
        };
        f(&source)
    }

    /// The request's headers as the filter gets them from Envoy.
    #[must_use]
    pub fn request_headers(&self) -> Headers<'static> {
        let mut lines: Lines = Vec::with_capacity(self.headers.len().saturating_add(5));
        let (method, authority, path) = (&self.method, &self.authority, &self.path);
        for (name, value) in [
            (":method", method.as_str()),
            (":scheme", "http"),
            (":authority", authority),
            (":path", path),
        ] {
            add(&mut lines, Direction::Request, name, value.as_bytes());
        }
        for (name, value) in &self.headers {
            add(&mut lines, Direction::Request, name, value.as_bytes());
        }
        // Envoy gives every request an ID.
        if !lines.iter().any(|(name, _)| name == "x-request-id") {
            add(
                &mut lines,
                Direction::Request,
                "x-request-id",
                b"00000000-0000-4000-8000-000000000000",
            );
        }
        headers(&lines)
    }

    /// The headers of the origin's answer.
    #[must_use]
    pub fn response_headers(&self) -> Headers<'static> {
        let mut lines: Lines =
            vec![(":status".to_owned(), self.response.status.to_string().into_bytes())];
        for (name, value) in &self.response.headers {
            add(&mut lines, Direction::Response, name, value.as_bytes());
        }
        headers(&lines)
    }
}

/// Adds a line as Envoy does: a header that it keeps on one line is appended to that line.
fn add(lines: &mut Lines, direction: Direction, name: &str, value: &[u8]) {
    let name = name.to_ascii_lowercase();
    // Envoy has one entry for both.
    let name = if direction == Direction::Request && name == "host" {
        ":authority".to_owned()
    } else {
        name
    };
    match lines
        .iter_mut()
        .find(|(line, _)| *line == name)
        .filter(|_| inline::is_inline(direction, name.as_bytes()))
    {
        Some((_, there)) => inline::join(there, value),
        None => lines.push((name, value.to_vec())),
    }
}

fn headers(lines: &Lines) -> Headers<'static> {
    let mut headers = Headers::default();
    lines.iter().for_each(|(name, value)| headers.add(name.as_bytes(), value));
    headers
}

impl Tried {
    /// The state before anything has happened.
    fn new() -> Tried {
        Tried {
            denial: None,
            detail: None,
            policy: None,
            reason: Reason::Gone,
            shadow: Vec::new(),
            errors: Vec::new(),
            upstream: None,
            upstream_body: None,
            downstream: None,
            downstream_body: None,
            audit: None,
            waited: Duration::ZERO,
            calls: BTreeMap::new(),
            counters: BTreeMap::new(),
        }
    }

    /// Takes over a report.
    fn note(&mut self, engine: &Engine, report: Option<Report<'_>>) {
        let Some(report) = report else { return };
        let name = |index: usize| engine.policy_name(index).map(str::to_owned);
        report.count(|count: Count| {
            let of = count.policy.and_then(|index| {
                Some(PolicyOf { policy: engine.policy_name(index)?, plugin: PLUGIN })
            });
            let value: &mut u64 = self.counters.entry(count.counter.name(of)).or_insert(0);
            *value = value.saturating_add(1);
        });
        let of_request = report.decision.iter().flat_map(|decision| &decision.errors);
        for (index, message) in of_request.chain(report.errors) {
            self.errors.extend(name(*index).map(|name| (name, message.clone())));
        }
        self.audit = self.audit.take().or(report.audit_text().map(str::to_owned));
        if let Some(decision) = report.decision {
            self.detail = decision.detail;
            self.policy = decision.policy.and_then(name);
            self.reason = decision.reason;
            self.shadow = decision.shadow.iter().filter_map(|index| name(*index)).collect();
        }
    }
}

/// Answers the calls for tokens in the place of their authorization servers. Where a token would
/// be, tools show `<redacted>`.
pub(crate) fn serve_tokens(engine: &Engine) {
    let body = br#"{"access_token":"<redacted>","token_type":"bearer"}"#;
    while let Some((fetch, _)) = engine.due_fetch() {
        let headers = [(&b":status"[..], &b"200"[..])].into_iter().collect();
        engine.end_fetch(fetch, &Answer::response(headers, body, false), Duration::ZERO);
    }
}

/// Runs an engine on a request with these headers.
#[must_use]
pub fn allows(engine: &Engine, headers: &Headers<'_>, source: &dyn Source) -> bool {
    let mut exchange = Exchange::default();
    let step = exchange.on(engine, source, Event::RequestHeaders(headers.to_pairs()));
    matches!(step, Step::Forward(_) | Step::Await(_))
}

/// Headers after changes, made as the host makes them when the filter calls it.
#[must_use]
pub fn changed(direction: Direction, headers: &Headers<'_>, changes: &[Change<'_>]) -> Lines {
    let mut lines = lines(headers);
    for change in changes {
        match change {
            Change::Add(name, value) => add(&mut lines, direction, name, value),
            Change::Replace(name, value) => {
                lines.retain(|(line, _)| line != name);
                lines.push((name.to_string(), value.to_vec()));
            }
            Change::Remove(name) => lines.retain(|(line, _)| line != &**name),
            Change::Inject(name, value) => {
                lines.retain(|(line, _)| line != name);
                lines.push(((*name).to_owned(), value.expose().to_vec()));
            }
        }
    }
    lines
}

/// Headers as lines, names in lower case.
#[must_use]
pub fn lines(headers: &Headers<'_>) -> Lines {
    headers
        .lines()
        .map(|(name, value)| (String::from_utf8_lossy(name).to_lowercase(), value.to_vec()))
        .collect()
}
