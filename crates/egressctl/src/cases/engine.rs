//! Cases on the engine, natively.

use std::collections::BTreeMap;

use egress_filter::config::IdentityConfig;
use egress_filter::decision::Reply;
use egress_filter::request::jwt;
use egress_filter::trial::{self, Came, Response, Served, Trial, Tried};

use super::model::{Answer, Caller, Case, Fault, Origin, Service, Step};
use super::observed::{
    Decision, HeaderLines, Observed, Reached, audit_records, short_counter, values,
};
use crate::normalization::{Normalization, normalized};
use crate::{hop_by_hop, request};

/// Header lines as a file of cases has them.
type HeaderTexts = Vec<(String, String)>;

impl Case {
    /// The services as the engine calls them, once each cluster was called so often.
    #[must_use]
    pub fn services_after(&self, calls: &BTreeMap<String, usize>) -> Vec<trial::Service> {
        let service = |service: &Service| {
            let made = calls.get(&service.cluster).copied().unwrap_or(0);
            let last = service.answers.len().saturating_sub(1);
            let answers = service.answers.iter().skip(made.min(last)).map(served);
            trial::Service { cluster: service.cluster.clone(), answers: answers.collect() }
        };
        self.services.iter().map(service).collect()
    }
}

fn served(answer: &Answer) -> Served {
    let outcome = match &answer.outcome {
        Err(Fault::Never) => Came::Nothing,
        Err(Fault::CutOff) => Came::CutOff,
        Ok(Origin { status, headers, body }) => {
            Came::Answer { status: *status, headers: headers.clone(), body: body.clone() }
        }
    };
    Served { late: answer.late, outcome }
}

/// Adds the calls that were made about a request.
pub fn add_calls(sum: &mut BTreeMap<String, usize>, more: &BTreeMap<String, usize>) {
    for (cluster, count) in more {
        let calls: &mut usize = sum.entry(cluster.clone()).or_insert(0);
        *calls = calls.saturating_add(*count);
    }
}

impl Step {
    /// The path and query that the filter sees. Those that Envoy refuses stay as they are.
    #[must_use]
    pub fn seen_path(&self) -> String {
        let sent = &self.request.path;
        let seen = self.normalize_path.then(|| normalized(sent, Normalization::Base)).flatten();
        seen.unwrap_or_else(|| sent.clone())
    }

    /// The dynamic metadata of a request with this token.
    #[must_use]
    pub fn metadata(&self) -> Vec<u8> {
        // Claims that are nested too deep have been reported.
        self.jwt.as_ref().and_then(|claims| jwt::metadata(claims).ok()).unwrap_or_default()
    }

    /// The headers that the filter sees. Those that Envoy refuses stay as they are.
    fn seen_headers(&self) -> HeaderTexts {
        let sent = &self.request.headers;
        hop_by_hop::seen(sent, &self.request.version).unwrap_or_else(|_| sent.clone())
    }

    /// The request as the engine takes it, under a configuration of this identity.
    #[must_use]
    pub fn trial(&self, identity: &IdentityConfig) -> Trial {
        let usual = Trial::default();
        let port = request::port(self.request.host.as_deref().unwrap_or_default());
        let mut trial = Trial {
            principal: self.caller.principal().unwrap_or_default(),
            local_principal: request::waypoint(&self.trust_domain),
            service: self.destination.clone(),
            method: self.request.method.clone(),
            authority: self.request.host.clone().unwrap_or_default(),
            path: self.seen_path(),
            protocol: self.request.version.clone(),
            headers: self.seen_headers(),
            source_address: self.source_address.clone().unwrap_or(usual.source_address),
            destination_address: self
                .destination_address
                .clone()
                .unwrap_or_else(|| format!("240.240.0.1:{port}")),
            time: self.time.unwrap_or(usual.time),
            body: self.request.body.clone().into_bytes(),
            metadata: self.metadata(),
            response: Response {
                status: self.origin.status,
                headers: self.origin.headers.clone(),
                body: self.origin.body.clone().into_bytes(),
            },
            ..usual
        };
        trial.present(identity);
        trial
    }

    /// Gives the caller the trust domain of the configuration, if the file leaves it open.
    pub(crate) fn meet(&mut self, identity: &IdentityConfig) {
        let short = self.short_caller.take();
        let principal =
            short.and_then(|short| request::principal(&short, request::trust_domain(identity)));
        if let Some(principal) = principal {
            self.caller = Caller::of(principal);
        }
    }
}

/// Runs a step's request in the engine, and returns the outcome in the form that all layers share.
#[must_use]
pub fn observed(step: &Step, tried: &Tried) -> Observed {
    let answer = tried.denial.as_ref().map(|reply| answer(step, reply));
    let of_origin = || {
        let lines = tried.downstream.as_ref()?;
        let status = values(lines, ":status").first()?.parse().ok();
        let is_body = step.request.method != "HEAD";
        let body = tried.downstream_body.clone().filter(|_| is_body).unwrap_or_default();
        Some((status, without(lines, &[":status"]), body))
    };
    let (status, headers, body) = answer.or_else(of_origin).unwrap_or_default();
    let counters = tried.counters.iter().map(|(name, value)| (short_counter(name), *value));
    Observed {
        status,
        body,
        headers,
        upstream: tried.upstream.as_ref().map(reached),
        decision: Some(Decision {
            verdict: tried.reason.verdict(),
            policy: tried.policy.clone(),
            reason: tried.reason,
            shadow: tried.shadow.clone(),
        }),
        errors: Some(tried.errors.iter().map(|(policy, _)| policy.clone()).collect()),
        audit: Some(audit_records(tried.audit.as_deref())),
        counters: Some(counters.collect()),
    }
}

/// The filter's answer as Envoy sends it: status, header lines and body.
fn answer(step: &Step, reply: &Reply) -> (Option<u16>, HeaderLines, Vec<u8>) {
    let mut headers = reply.headers.clone();
    if is_grpc(step) {
        return (Some(200), of_grpc(reply, headers), Vec::new());
    }
    // A type of nothing is left out.
    if reply.body.is_empty() {
        headers.retain(|(name, _)| name != "content-type");
    } else {
        if !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), b"text/plain".to_vec()));
        }
        let length = reply.body.len().to_string().into_bytes();
        headers.push(("content-length".to_owned(), length));
    }
    let has_body = step.request.method != "HEAD";
    let body = if has_body { reply.body.to_vec() } else { Vec::new() };
    (Some(reply.status), headers, body)
}

/// Whether Envoy takes the request for a call of gRPC, of which an answer has another form.
fn is_grpc(step: &Step) -> bool {
    let types: Vec<&str> = step
        .request
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map(|(_, value)| value.as_str())
        .collect();
    let rest = types.join(",");
    rest.strip_prefix("application/grpc").is_some_and(|it| it.is_empty() || it.starts_with('+'))
}

/// The headers of an answer to a call of gRPC: its body is the message.
fn of_grpc(reply: &Reply, mut headers: HeaderLines) -> HeaderLines {
    headers.retain(|(name, _)| !matches!(name.as_str(), "content-type" | "content-length"));
    headers.push(("content-type".to_owned(), b"application/grpc".to_vec()));
    if !headers.iter().any(|(name, _)| name == "grpc-status") {
        headers.push(("grpc-status".to_owned(), reply.grpc_status.to_string().into_bytes()));
    }
    if !reply.body.is_empty() {
        headers.retain(|(name, _)| name != "grpc-message");
        let mut message = Vec::with_capacity(reply.body.len());
        for byte in reply.body.iter() {
            if (b' '..b'~').contains(byte) && *byte != b'%' {
                message.push(*byte);
            } else {
                message.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        }
        headers.push(("grpc-message".to_owned(), message));
    }
    headers
}

fn reached(lines: &HeaderLines) -> Reached {
    let one = |name: &str| values(lines, name).into_iter().next().unwrap_or_default();
    Reached {
        method: one(":method"),
        host: one(":authority"),
        path: one(":path"),
        headers: without(lines, &[":method", ":authority", ":path"]),
    }
}

fn without(lines: &HeaderLines, names: &[&str]) -> HeaderLines {
    lines.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect()
}
