//! `AgentgatewayBackend`: its `spec.policies` has the fields of a policy's `backend`, for the one
//! host that it names. What says where the origin is has no counterpart in a waypoint.

use super::*;
use crate::convert::names::{self, Names};

/// The fields of `spec` that say what is called, with what is said of them; none for what a
/// ServiceEntry has.
const ORIGINS: &[(&str, Option<&str>)] = &[
    ("static", None),
    ("a2a", None),
    ("dynamicForwardProxy", Some("a ServiceEntry with `resolution: DYNAMIC_DNS` has the hosts")),
    (
        "ai",
        Some(
            "the calls go on to the provider's host as they came, and no model, prompt or format \
             is changed: a ServiceEntry has the host",
        ),
    ),
    (
        "mcp",
        Some(
            "calls go on to the server that the caller dialled, and are not shared out among \
             several: a ServiceEntry has each host",
        ),
    ),
    ("aws", Some("requests are not signed here: a service of your own that signs them")),
];

/// Whether a document is one.
pub(in crate::convert) fn is_one(document: &At<'_>) -> bool {
    let group = document.text_at("apiVersion").and_then(|version| version.split_once('/'));
    matches!(
        (group, document.text_at("kind")),
        (Some(("agentgateway.dev", _)), Some("AgentgatewayBackend"))
            | (Some(("enterpriseagentgateway.solo.io", _)), Some("EnterpriseAgentgatewayBackend"))
    )
}

/// The hosts of a backend that a waypoint may know it by.
pub(in crate::convert) fn hosts(backend: &At<'_>) -> Vec<String> {
    let host = ["spec.static.host", "spec.a2a.host"];
    host.iter().filter_map(|path| backend.text_at(path)).map(str::to_owned).collect()
}

/// Converts the backends among the resources. A field of `auth` that one has takes the place of
/// what policies have for its host.
pub(in crate::convert) fn convert<'d>(
    made: &mut Vec<(At<'d>, Policy)>,
    context: &mut Context<'_, 'd>,
    names: &mut Names,
    notes: &mut Notes<'d>,
) {
    let library = context.library;
    for document in library.resources.iter().filter(|resource| is_one(resource)) {
        let message = "passed over: where the origin is a ServiceEntry says (`targetPort: 443`), \
            and its TLS a DestinationRule (`tls.mode: SIMPLE`)";
        notes.once("backend", document, message);
        let Some(spec) = document.get("spec") else { continue };
        let known: Vec<&str> = ORIGINS.iter().map(|(name, _)| *name).chain(["policies"]).collect();
        let mut policies = None;
        for field in notes.object(&spec, &known) {
            match ORIGINS.iter().find(|(name, _)| *name == field.name()) {
                None => policies = Some(field),
                Some((_, None)) => {}
                Some((name, Some(message))) => {
                    notes.field(
                        &field,
                        Effect::Lost,
                        format!("`{name}`: no counterpart: {message}"),
                    );
                    inner_policies(&field, notes);
                }
            }
        }
        let Some(policies) = policies else { continue };
        let name = names.name_of(document, notes);
        let start = notes.len();
        notes.duplicates(document);
        names::metadata(document, false, notes);
        let hosts = hosts(document);
        if hosts.is_empty() {
            let message = "the backend names no host (`static.host`), so that these would be for \
                every host: nothing of them is in the result";
            notes.field(&policies, Effect::Looser, message);
            notes.of_policy(None);
            continue;
        }
        if policies.get("auth").is_some() {
            yield_credentials(made, &hosts, &policies, names, notes);
        }
        let mut policy = Policy { name, hosts, ..Policy::default() };
        let namespace = document.text_at("metadata.namespace");
        let last = backend::of_backend(&policies, namespace, context, &mut policy, notes);
        let mut comment = vec![names::origin(document)];
        comment.extend(notes.comments_since(start));
        for mut policy in [Some(policy), last].into_iter().flatten() {
            if !policy.is_empty() {
                policy.comment = std::mem::take(&mut comment);
                policy.name = names.unique(&policy.name);
                made.push((document.clone(), policy));
            }
        }
        notes.of_policy(None);
    }
}

/// Policies of single providers or targets, within what a backend calls.
fn inner_policies<'d>(at: &At<'d>, notes: &mut Notes<'d>) {
    for below in at.fields().iter().chain(&at.items()) {
        if below.name() == "policies" {
            let message = "policies of one provider have no counterpart: a policy here is for \
                hosts; put them into the backend's own `policies`";
            notes.field(below, Effect::Looser, message);
        } else {
            inner_policies(below, notes);
        }
    }
}

/// Leaves out the credentials of policies for some hosts, which have one of their own.
fn yield_credentials<'d>(
    made: &mut Vec<(At<'d>, Policy)>,
    hosts: &[String],
    own: &At<'d>,
    names: &mut Names,
    notes: &mut Notes<'d>,
) {
    let mut rest = Vec::new();
    for (document, policy) in made.iter_mut() {
        if policy.backend.is_empty() || !policy.hosts.iter().any(|host| hosts.contains(host)) {
            continue;
        }
        let message = format!(
            "policy `{}` has credentials for this host too: those of the backend are used, as in \
             AgentGateway",
            policy.name
        );
        notes.field(own, Effect::Hint, message);
        let others: Vec<String> =
            policy.hosts.iter().filter(|host| !hosts.contains(host)).cloned().collect();
        let backend = std::mem::take(&mut policy.backend);
        if !others.is_empty() {
            let name = names.unique(&format!("{}-credentials", policy.name));
            let part = Policy { name, hosts: others, backend, ..Policy::default() };
            rest.push((document.clone(), part));
        }
    }
    made.retain(|(_, policy)| !policy.is_empty());
    made.extend(rest);
}
