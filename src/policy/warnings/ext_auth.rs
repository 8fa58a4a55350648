//! Warnings about `extAuth`: requests that are not asked about, and answers that reach too far.

use super::{ConfigWarning, Warnings};
use crate::attributes::{self, EXTAUTHZ};
use crate::config::{
    Action, ConditionalConfig, Config, DefaultAction, FailureMode, Mode, PolicyConfig, Spot,
};
use crate::policy::Policy;
use crate::policy::ext_auth::{ExtAuth, MANY, Protocol, covered, overlap, reads_header_of};

const SHADOW: &str = "a policy in mode Shadow asks nobody: enforce it, perhaps for one host first";
const NO_FALLBACK: &str = "the last entry has a condition, so a request for which none is true is \
    not asked about: add an entry without a condition, or leave the condition of the last one out";
const ONLY_GUARD: &str = "while the service fails, every request goes on, since no Allow is in \
    scope and the default action is Allow: leave `failureMode` out, or add an Allow";
const SHARED: &str = "the key reads nothing of the caller, so that one caller gets what the \
    service has said about another: add `source.spiffeId`, unless that is meant";
const NEVER_SET: &str = "no `extAuth` is enforced for these hosts, so that `extauthz` is never \
    there: add one, or leave the rule out";
const NOT_EVERYWHERE: &str = "some of these hosts have no `extAuth` that sets the header that the \
    rule reads, so that there it is the caller's: give both policies the same hosts, or read \
    `extauthz`";
const OPEN_TO_FORGERY: &str = "while the service fails, the rule reads headers as the caller sent \
    them, since what a service of gRPC would set is known from its answer alone: read `extauthz`, \
    or leave `failureMode` out";

impl Warnings {
    #[inline(never)]
    pub(super) fn add_ext_auth(&mut self, config: &Config, policies: &[Policy]) {
        let asks =
            |policy: &PolicyConfig| policy.mode == Mode::Enforce && policy.ext_auth.is_some();
        for (own, policy) in config.policies.iter().zip(policies) {
            let place = || format!("{}.traffic.extAuth", own.place);
            if let (Some(forms), Some(compiled)) = (&own.ext_auth, &policy.ext_auth) {
                if own.mode == Mode::Shadow {
                    self.add_about("call-in-shadow", own, place(), SHADOW);
                }
                if let ConditionalConfig::FirstTrue { place, entries } = forms {
                    let last = entries.last().and_then(|entry| entry.condition.as_ref());
                    if last.is_some_and(|condition| condition.source.trim() != "true") {
                        self.add_about("no-fallback", own, place.clone(), NO_FALLBACK);
                    }
                }
                let opens = |form: &ExtAuth| form.failure_mode == FailureMode::FailOpen;
                if own.mode == Mode::Enforce
                    && compiled.forms().any(opens)
                    && !is_guarded(config, own)
                {
                    self.add_about("only-guard", own, place(), ONLY_GUARD);
                }
                for (form, compiled) in forms.forms().zip(compiled.forms()) {
                    let cache = form.cache.as_ref().zip(compiled.cache.as_ref());
                    if let Some((cache, compiled)) = cache
                        && !compiled.key.iter().any(reads_caller)
                    {
                        self.add_about(
                            "shared-answer",
                            own,
                            [&cache.place, ".key"].concat(),
                            SHARED,
                        );
                    }
                }
            }
            let reads = policy.rule.as_ref().is_some_and(|rule| {
                rule.expressions().iter().any(|rule| rule.uses().attributes.contains(EXTAUTHZ))
            });
            if reads
                && !config
                    .policies
                    .iter()
                    .any(|other| asks(other) && overlap(&own.hosts, &other.hosts))
            {
                let place = format!("{}.traffic.authorization", own.place);
                self.add_about("never-set", own, place, NEVER_SET);
            }
        }
        self.add_headers_of_services(config, policies);
    }

    /// Warns of rules that read a header of a service where the service may not have set it.
    fn add_headers_of_services(&mut self, config: &Config, policies: &[Policy]) {
        let all = config.policies.iter().zip(policies);
        let asking: Vec<_> = all
            .filter(|(own, _)| own.mode == Mode::Enforce)
            .filter_map(|(own, policy)| Some((own, policy.ext_auth.as_deref()?)))
            .collect();
        if asking.is_empty() || asking.len() > MANY {
            return;
        }
        for (own, policy) in config.policies.iter().zip(policies) {
            let Some(rule) = &policy.rule else { continue };
            let place = || format!("{}.traffic.authorization", own.place);
            let of_http = |form: &ExtAuth| matches!(form.protocol, Protocol::Http(_));
            let setting = asking.iter().filter(|(_, forms)| {
                forms.forms().any(|form| of_http(form) && reads_header_of(rule, form))
            });
            let hosts = setting.map(|(other, _)| other.hosts.as_slice());
            if hosts.clone().any(|hosts| overlap(&own.hosts, hosts)) && !covered(&own.hosts, hosts)
            {
                self.add_about("set-elsewhere", own, place(), NOT_EVERYWHERE);
            }
            let mut in_scope = asking.iter().filter(|(other, _)| overlap(&own.hosts, &other.hosts));
            if in_scope.any(|(_, forms)| {
                forms.forms().any(|form| {
                    !of_http(form)
                        && form.failure_mode == FailureMode::FailOpen
                        && reads_header_of(rule, form)
                })
            }) {
                self.add_about("open-to-forgery", own, place(), OPEN_TO_FORGERY);
            }
        }
    }

    fn add_about(
        &mut self,
        name: &'static str,
        policy: &PolicyConfig,
        place: String,
        message: &str,
    ) {
        self.add(|| ConfigWarning {
            name,
            policy: Some(policy.name.clone()),
            place,
            spot: Spot::Whole,
            message: message.to_owned(),
        });
    }
}

fn reads_caller(expression: &crate::cel::Expression) -> bool {
    expression.uses().attributes.iter().any(|id| attributes::name(id).starts_with("source"))
}

/// Whether something besides the service decides about requests for a policy's hosts.
fn is_guarded(config: &Config, policy: &PolicyConfig) -> bool {
    config.default_action == DefaultAction::Deny
        || config.policies.iter().any(|other| {
            let denies = other.default_action == Some(DefaultAction::Deny);
            let rule = other.authorization.as_ref();
            let allows = rule.is_some_and(|rule| rule.action == Action::Allow);
            other.mode == Mode::Enforce
                && (denies || allows)
                && overlap(&policy.hosts, &other.hosts)
        })
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use super::*;
    use crate::policy::Engine;

    fn warnings(policies: Value) -> Vec<(String, String)> {
        let config = json!({"policies": policies});
        let engine = Engine::load(config.to_string().as_bytes())
            .unwrap_or_else(|errors| panic!("{config}: {errors:?}"));
        let warnings = engine.warnings().iter();
        warnings.map(|warning| (warning.place.clone(), warning.message.clone())).collect()
    }

    fn with(more: Value) -> Value {
        let mut form = json!({"cluster": "auth", "host": "auth.example", "http": {}});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        form
    }

    fn asking(form: Value) -> Value {
        json!({"name": "ask", "hosts": ["a.com"], "traffic": {"extAuth": form}})
    }

    #[test]
    fn what_can_hardly_be_meant_is_warned_about() {
        let cache = |key: &str| with(json!({"cache": {"key": [key], "ttl": "1m"}}));
        let conditional = |last: Value| {
            json!({"conditional": [{"condition": "request.path == '/a'", "policy": with(json!({}))},
                last]})
        };
        let open = asking(with(json!({"failureMode": "FailOpen"})));
        let mut shadow = asking(with(json!({})));
        shadow["mode"] = json!("Shadow");
        let allow = json!({"name": "allow", "hosts": ["*.com"], "traffic": {"authorization":
            {"policy": {"matchExpressions": ["source.identity.namespace == 'a'"]}}}});
        let reading = |host: &str| {
            json!({"name": "late", "hosts": [host], "traffic": {"authorization":
                {"action": "Require", "policy": {"matchExpressions": ["extauthz.a == 'b'"]}}}})
        };
        let trusting = |host: &str| {
            json!({"name": "trust", "hosts": [host], "traffic": {"authorization":
                {"policy": {"matchExpressions": ["request.headers['x-role'] == 'b'"]}}}})
        };
        let naming = asking(with(json!({"http": {"allowedResponseHeaders": ["x-role"]}})));
        let grpc = |mode: &str| {
            asking(json!({"cluster": "a", "host": "a.example", "grpc": {}, "failureMode": mode}))
        };
        let whole = "policies[0].traffic.extAuth";
        let last = json!({"condition": "request.path == '/b'", "policy": with(json!({}))});
        for (policies, expected) in [
            (json!([asking(with(json!({})))]), vec![]),
            (json!([open.clone()]), vec![(whole, ONLY_GUARD)]),
            (json!([open, allow.clone()]), vec![]),
            (json!([shadow.clone()]), vec![(whole, SHADOW)]),
            (
                json!([asking(cache("request.path"))]),
                vec![("policies[0].traffic.extAuth.cache.key", SHARED)],
            ),
            (json!([asking(cache("source.spiffeId"))]), vec![]),
            (
                json!([asking(conditional(last))]),
                vec![("policies[0].traffic.extAuth.conditional", NO_FALLBACK)],
            ),
            (json!([asking(conditional(json!({"policy": with(json!({}))})))]), vec![]),
            (json!([asking(with(json!({}))), reading("a.com")]), vec![]),
            (
                json!([asking(with(json!({}))), reading("b.com")]),
                vec![("policies[1].traffic.authorization", NEVER_SET)],
            ),
            (json!([naming.clone(), trusting("a.com")]), vec![]),
            (
                json!([naming.clone(), trusting("*.com")]),
                vec![("policies[1].traffic.authorization", NOT_EVERYWHERE)],
            ),
            (json!([naming.clone(), trusting("b.com")]), vec![]),
            (json!([grpc("FailClosed"), trusting("a.com")]), vec![]),
            (
                json!([grpc("FailOpen"), trusting("a.com"), allow]),
                vec![("policies[1].traffic.authorization", OPEN_TO_FORGERY)],
            ),
            (
                json!([shadow, reading("a.com")]),
                vec![(whole, SHADOW), ("policies[1].traffic.authorization", NEVER_SET)],
            ),
        ] {
            let found = warnings(policies.clone());
            let found: Vec<(&str, &str)> =
                found.iter().map(|(place, text)| (place.as_str(), text.as_str())).collect();
            assert_eq!(found, expected, "{policies}");
        }
    }
}
