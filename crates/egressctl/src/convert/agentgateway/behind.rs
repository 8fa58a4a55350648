//! What AgentGateway does where a request leaves for its backend, behind all of `traffic`:
//! `transformation`, `extAuth` and `http` of `backend`.
//!
//! Here they are fields of `traffic`, of policies at the end of the list. What comes behind
//! transformations here and before these there is looked for in [`check`].

use super::backend::backend_of;
use super::together::{Changed, changed_by, changed_later, meet};
use super::*;

/// A policy for the hosts of another, at the end of the list.
pub(super) fn of_policy(policy: &Policy) -> Policy {
    Policy {
        name: format!("{}-backend", policy.name),
        hosts: policy.hosts.clone(),
        is_behind: true,
        ..Policy::default()
    }
}

/// One of the fields.
pub(super) fn read<'d>(
    field: &At<'d>,
    of: Origin<'_, 'd>,
    policy: &mut Policy,
    notes: &mut Notes<'d>,
) {
    match field.name() {
        "transformation" => {
            // Unlike that of `traffic`, it has no conditions.
            policy.headers = directions(field, notes, headers::of_headers);
            if !policy.headers.is_empty() {
                let message = "written as `traffic.transformation`, behind those of all other \
                    policies: what applies where the request leaves for a backend";
                notes.field(field, Effect::Hint, message);
            }
        }
        "extAuth" => {
            let feature = ext_auth::ext_auth(field, of, notes);
            if feature.is_some() {
                let message = "written as `traffic.extAuth`: the service is asked once, of the \
                    request as it came; AgentGateway asks it behind all of `traffic`, and again \
                    at each retry";
                notes.field(field, Effect::Hint, message);
            }
            policy.features.extend(feature);
        }
        _ => policy.features.extend(http(field, notes)),
    }
}

/// `http`: the timeout has a counterpart, the version is the connection pool's.
fn http<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Feature {
    let mut timeout = None;
    for field in notes.object(at, &["version", "requestTimeout"]) {
        if field.name() == "version" {
            let message = "`version` has no counterpart in this filter: \
                `connectionPool.http.h2UpgradePolicy` of a DestinationRule, or the `appProtocol` \
                of the port";
            notes.field(&field, Effect::Lost, message);
            continue;
        }
        let node = compile::fields(&field, vec![("request", field.node.clone())]);
        timeout = upstream::timeouts_of(&field, node, notes);
    }
    timeout
}

/// Looks for what is in another order here than there, and leaves out what another policy has
/// already.
pub(in crate::convert) fn check<'d>(made: &mut [(At<'d>, Policy)], notes: &mut Notes<'d>) {
    let all: Vec<Policy> = made.iter().map(|(_, policy)| policy.clone()).collect();
    for (index, (document, policy)) in made.iter_mut().enumerate() {
        if !policy.is_behind {
            continue;
        }
        notes.of_policy(Some(policy.name.clone()));
        let of = backend_of(document).unwrap_or_else(|| document.clone());
        let field = |name: &str| of.at(name).unwrap_or_else(|| of.clone());
        let (earlier, meeting): (Vec<_>, Vec<_>) = (
            all.iter().take(index).filter(|other| other.is_behind && meet(other, policy)).collect(),
            all.iter().filter(|other| meet(other, policy)).collect(),
        );
        let before: Vec<&Policy> =
            meeting.iter().copied().filter(|other| !other.is_behind).collect();
        check_order(&field("transformation"), &before, &meeting, policy, notes);
        for (name, there) in [
            ("transformation", !policy.headers.is_empty()),
            ("extAuth", policy.feature("extAuth").is_some()),
        ] {
            let has = |other: &&&Policy| match name {
                "extAuth" => other.feature("extAuth").is_some(),
                _ => !other.headers.is_empty(),
            };
            if let Some(other) = earlier.iter().find(has).filter(|_| there) {
                let message = format!(
                    "policy `{}` has a `{name}` for these backends as well: here each applies in \
                     turn, in AgentGateway the one with the narrowest target",
                    other.name
                );
                notes.field(&field(name), Effect::Lost, message);
            }
        }
        check_service(&field("extAuth"), &before, policy, notes);
        check_timeout(&field("http.requestTimeout"), &before, policy, notes);
        notes.of_policy(None);
    }
}

/// An authorization service is asked before the request is changed.
fn check_service<'d>(at: &At<'d>, before: &[&Policy], policy: &Policy, notes: &mut Notes<'d>) {
    if policy.feature("extAuth").is_none() {
        return;
    }
    if let Some(changed) = before.iter().flat_map(|other| changed_by(other)).next() {
        let message = format!(
            "here the service is asked of the request as it came, in AgentGateway as `traffic` \
             left it, and a policy changes {}",
            changed.title()
        );
        notes.field(at, Effect::Looser, message);
    }
}

/// A timeout of each attempt is one of all of them here.
fn check_timeout<'d>(at: &At<'d>, before: &[&Policy], policy: &mut Policy, notes: &mut Notes<'d>) {
    if policy.feature("timeouts").is_none() {
        return;
    }
    let has = |name: &str| before.iter().find(|other| other.feature(name).is_some());
    if let Some(other) = has("timeouts") {
        let message = format!(
            "`requestTimeout` is for one attempt: policy `{}` has a timeout for all of them, \
             beside which there is none for each here: left out",
            other.name
        );
        notes.field(at, Effect::Lost, message);
        policy.features.retain(|(name, _)| *name != "timeouts");
    } else if has("retry").is_some() {
        let message = "`requestTimeout` is for one attempt in AgentGateway, here for all of them \
            together";
        notes.field(at, Effect::Lost, message);
    }
}

/// Where header modifiers, rewrites and credentials, which come behind transformations here, meet
/// a transformation that is behind them there.
fn check_order<'d>(
    at: &At<'d>,
    before: &[&Policy],
    meeting: &[&Policy],
    policy: &Policy,
    notes: &mut Notes<'d>,
) {
    let own = &policy.headers.request;
    let written = own.set.iter().chain(&own.add);
    let names = written.clone().map(|(name, _)| name).chain(&own.remove);
    let touched: Vec<Changed> = names.map(|name| Changed::of_header(name)).collect();
    let later = before.iter().flat_map(|other| changed_later(other));
    let credentials = meeting.iter().flat_map(|other| other.credential_headers());
    let credentials = credentials.map(|name| Changed::of_header(&name));
    let found = later.chain(credentials).find(|changed| {
        touched.contains(changed) || written.clone().any(|(_, value)| changed.is_read_by(value))
    });
    if let Some(changed) = found {
        let message = format!(
            "a transformation of a backend is behind all of `traffic` in AgentGateway, here before \
             header modifiers, rewrites and credentials, of which one changes {}",
            changed.title()
        );
        notes.field(at, Effect::Looser, message);
    }
}
