//! `AgentgatewayPolicy` and `EnterpriseAgentgatewayPolicy`: the parts of `spec.traffic` and
//! `spec.backend` that this filter has are taken over as they are.

mod answers;
mod authorization;
mod backend;
mod behind;
mod conditional;
mod elsewhere;
mod ext_auth;
mod headers;
mod of_backends;
mod rate_limit;
mod service;
mod together;
pub(super) mod upstream;

use super::access_log::AccessLog;
use super::compile::{self, Position};
use super::emit::Tree;
use super::environment::Environment;
use super::note::{At, Effect, Notes};
use super::policy::{Directions, Headers, Policy, literal};
use super::scope::{self, Library, Scope};
use crate::diagnostic::Diagnostic;
pub(super) use backend::guard;
pub(super) use behind::check as check_behind;
pub(super) use headers::of_modifiers;
pub(super) use of_backends::is_one as is_backend;
pub(super) use of_backends::{convert as convert_backends, hosts as hosts_of_backend};
use service::Origin;
pub(super) use together::check_together;

/// What is read with a policy, and what its parts outside the list of policies go into.
#[derive(Debug)]
pub(super) struct Context<'a, 'd> {
    pub(super) library: &'a Library<'d>,
    pub(super) environment: &'a mut Environment,
    pub(super) access_log: &'a mut AccessLog,
}

/// A policy as it was read, before it has a unique name.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) policies: Vec<Policy>,
    pub(super) scope: Scope,
}

/// Converts a policy.
pub(super) fn convert<'d>(
    document: &At<'d>,
    name: &str,
    context: &mut Context<'_, 'd>,
    notes: &mut Notes<'d>,
) -> Read {
    let mut read = Read { policies: Vec::new(), scope: Scope::default() };
    let Some(spec) = document.get("spec") else {
        notes.add(
            document,
            Effect::Looser,
            "field `spec` is missing: nothing of this policy is in the result",
        );
        return read;
    };
    let (mut traffic, mut backend, mut frontend) = (None, None, None);
    let mut has_targets = false;
    let namespace = document.text_at("metadata.namespace");
    for field in notes.object(
        &spec,
        &["targetRefs", "targetSelectors", "traffic", "backend", "frontend", "strategy"],
    ) {
        match field.name() {
            "targetRefs" => {
                let targets = notes.list(&field);
                has_targets |= !targets.is_empty();
                read.scope = scope::resolve(&targets, namespace, context.library, notes);
            }
            "targetSelectors" => {
                has_targets = true;
                let message = "what a selector selects is known in the cluster only, so the \
                    policy would be for every host: use `targetRefs`";
                notes.field(&field, Effect::Looser, message);
            }
            "traffic" => traffic = Some(field),
            "backend" => backend = Some(field),
            "frontend" => frontend = Some(field),
            _ if field.text_at("inheritance") == Some("Default") => {
                notes.field(&field, Effect::Hint, "left out: it is the default");
            }
            _ => {
                let message = "`strategy` has no counterpart: here no policy takes another's \
                    place; the rules of all in scope decide together, and of features that apply \
                    once the first does";
                notes.field(&field, Effect::Looser, message);
            }
        }
    }
    if let Some(some) = traffic.as_ref().or(backend.as_ref()).filter(|_| !has_targets) {
        notes.field(
            some,
            Effect::Looser,
            "the policy has no target, so in AgentGateway it does nothing; here it would be \
             for every host",
        );
    }
    let hosts = read.scope.hosts.clone();
    let mut policy = Policy { name: name.to_owned(), hosts, ..Policy::default() };
    if let Some(traffic) = traffic {
        let of = Origin { namespace, library: context.library };
        of_traffic(&traffic, of, &mut policy, notes);
    }
    let behind = backend
        .and_then(|field| backend::of_backend(&field, namespace, context, &mut policy, notes));
    if let Some(frontend) = frontend {
        of_frontend(&frontend, context.access_log, notes);
    }
    let second = second_limits(&mut policy);
    if policy.is_empty() && behind.is_none() {
        if let Some(targets) = spec.get("targetRefs") {
            let message = "left out: there is no policy in the result that is for it";
            notes.field(&targets, Effect::Hint, message);
        }
    } else {
        let made = [Some(policy), second, behind].into_iter().flatten();
        read.policies.extend(made.filter(|policy| !policy.is_empty()));
    }
    read
}

/// A policy of its own for the Enterprise resource's limits, where it has others beside them.
fn second_limits(policy: &mut Policy) -> Option<Policy> {
    let is_limit = |feature: &(&str, Tree)| feature.0 == "rateLimit";
    if policy.features.iter().filter(|feature| is_limit(feature)).count() < 2 {
        return None;
    }
    let last = policy.features.iter().rposition(is_limit)?;
    let features = vec![policy.features.remove(last)];
    let (name, hosts) = (format!("{}-limits", policy.name), policy.hosts.clone());
    Some(Policy { name, hosts, features, ..Policy::default() })
}

fn of_traffic<'d>(
    traffic: &At<'d>,
    of: Origin<'_, 'd>,
    policy: &mut Policy,
    notes: &mut Notes<'d>,
) {
    if traffic.node.fields().is_none() {
        notes.wrong(traffic, "an object");
    }
    let mut fields = traffic.fields();
    // Behind the other limits, beside which it is a policy of its own.
    fields.sort_by_key(|field| field.name() == "entRateLimit");
    for field in fields {
        let feature = match field.name() {
            "authorization" => {
                policy.authorization = authorization::of_authorization(&field, notes);
                continue;
            }
            "transformation" => {
                headers::of_transformation(&field, policy, notes);
                continue;
            }
            "headerModifiers" => {
                policy.modifiers = directions(&field, notes, of_modifiers);
                continue;
            }
            "extAuth" => ext_auth::ext_auth(&field, of, notes),
            "rateLimit" => rate_limit::rate_limit(&field, of, notes),
            "entRateLimit" => rate_limit::enterprise(&field, &policy.name, of, notes),
            "hostRewrite" => upstream::host_rewrite(&field, notes),
            "urlRewrite" => answers::of_filter(&field, "urlRewrite", notes),
            "timeouts" => upstream::timeouts(&field, notes),
            "retry" => upstream::retry(&field, notes),
            "requestRedirect" => answers::of_filter(&field, "requestRedirect", notes),
            "directResponse" => answers::direct_response(&field, notes),
            _ => {
                elsewhere::tell_traffic(&field, notes);
                continue;
            }
        };
        policy.features.extend(feature);
    }
    policy.features.sort_by_key(|(name, _)| FEATURES.iter().position(|known| known == name));
}

/// The fields of `traffic` that apply once, in the order in which this filter applies them.
pub(super) const FEATURES: [&str; 6] =
    ["urlRewrite", "hostRewrite", "timeouts", "retry", "requestRedirect", "directResponse"];

/// A feature that the result has.
pub(super) type Feature = Option<(&'static str, Tree)>;

/// The headers of both directions.
fn directions<'d>(
    at: &At<'d>,
    notes: &mut Notes<'d>,
    mut read: impl FnMut(&At<'d>, &'static str, &mut Notes<'d>) -> Headers,
) -> Directions {
    let mut headers = Directions::default();
    for direction in notes.object(at, &["request", "response"]) {
        match direction.name() {
            "request" => headers.request = read(&direction, "request", notes),
            _ => headers.response = read(&direction, "response", notes),
        }
    }
    headers
}

fn of_frontend<'d>(frontend: &At<'d>, log: &mut AccessLog, notes: &mut Notes<'d>) {
    if frontend.node.fields().is_none() {
        notes.wrong(frontend, "an object");
    }
    for field in frontend.fields() {
        match field.name() {
            "accessLog" => log.of_policy(&field, notes),
            _ => elsewhere::tell_frontend(&field, notes),
        }
    }
}
