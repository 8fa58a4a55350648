//! Compiles credentials, and checks that each can only go where it is meant to go.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::environment::{Environment, Value};
use super::secret::REDACTED;
use super::token::{Client, Tokens};
use super::{Credential, Credentials, Origin, Secret, place};
use crate::config::{
    Action, Config, ConfigError, CredentialConfig, CredentialValue, DefaultAction, HostBinding,
    HostPattern, Location, MAX_ERRORS, Mode, PolicyConfig, Spot, Variable,
};

/// The longest value of an environment variable that is used, in bytes.
const MAX_VALUE: usize = 8 * 1024;

/// Compiles the credentials of a configuration. `errors` gets everything that is wrong with them.
#[inline(never)]
pub(crate) fn compile(
    config: &Config,
    environment: &dyn Environment,
    errors: &mut Vec<ConfigError>,
) -> Credentials {
    let mut credentials = Credentials::default();
    let has_any = config.policies.iter().any(|policy| !policy.credentials.is_empty());
    let mut by_host: HashMap<&str, Vec<usize>> = HashMap::new();
    let guards = if has_any { Guards::of(config) } else { Guards::default() };
    let mut compiling = Compiling { config, guards, environment, errors };
    for (index, policy) in config.policies.iter().enumerate() {
        if policy.credentials.is_empty() || compiling.errors.len() > MAX_ERRORS {
            continue;
        }
        compiling.check_policy(policy);
        for configured in &policy.credentials {
            let Some(source) = compiling.source(policy, configured) else { continue };
            let location = &configured.location;
            // A shadow policy's are checked, and never sent.
            if policy.mode == Mode::Shadow {
                continue;
            }
            let number = credentials.all.len();
            for host in exact(policy) {
                let own = by_host.entry(host).or_default();
                let mut others = own.iter().filter_map(|index| credentials.all.get(*index));
                let taken = others.find(|other| place::same(&other.location, location));
                if let Some(other) = taken {
                    compiling.add_taken(policy, configured, host, other.policy);
                }
                own.push(number);
            }
            credentials.has_tokens |= matches!(source, Origin::Fetched(_));
            let location = location.clone();
            credentials.all.push(Credential { policy: index, location, source });
        }
    }
    credentials
}

/// The hosts of a policy that are named exactly.
fn exact(policy: &PolicyConfig) -> impl Iterator<Item = &str> {
    policy.hosts.iter().filter_map(|host| match host {
        HostPattern::Exact(name) => Some(name.as_str()),
        HostPattern::Under(_) => None,
    })
}

/// Which hosts are guarded: a request for them goes on only if an Allow matches, because an
/// enforced one is in scope, or the default action is Deny.
#[derive(Default)]
struct Guards<'c> {
    everywhere: Says,
    exact: HashMap<&'c str, Says>,
    /// By what stands behind the `*`, which begins with a dot.
    under: HashMap<&'c str, Says>,
}

/// What enforced policies say of a host.
#[derive(Debug, Clone, Copy, Default)]
struct Says {
    has_allow: bool,
    default: Option<DefaultAction>,
}

impl Says {
    fn add(&mut self, more: Says) {
        self.has_allow |= more.has_allow;
        // Deny goes before Allow.
        self.default = self.default.max(more.default);
    }
}

impl<'c> Guards<'c> {
    fn of(config: &'c Config) -> Guards<'c> {
        let mut guards = Guards::default();
        for policy in config.policies.iter().filter(|policy| policy.mode == Mode::Enforce) {
            let rule = policy.authorization.as_ref();
            let has_allow = rule.is_some_and(|rule| rule.action == Action::Allow);
            let says = Says { has_allow, default: policy.default_action };
            if policy.hosts.is_empty() {
                guards.everywhere.add(says);
            }
            for host in &policy.hosts {
                match host {
                    HostPattern::Exact(name) => guards.exact.entry(name).or_default().add(says),
                    HostPattern::Under(suffix) => {
                        guards.under.entry(suffix).or_default().add(says);
                    }
                }
            }
        }
        guards
    }

    fn guard(&self, host: &str, default: DefaultAction) -> bool {
        let mut says = self.everywhere;
        let dots = host.match_indices('.').filter_map(|(at, _)| host.get(at..));
        let under = dots.filter_map(|suffix| self.under.get(suffix));
        self.exact.get(host).into_iter().chain(under).for_each(|more| says.add(*more));
        says.has_allow || says.default.unwrap_or(default) == DefaultAction::Deny
    }
}

/// Credentials that are being compiled.
struct Compiling<'c> {
    config: &'c Config,
    guards: Guards<'c>,
    environment: &'c dyn Environment,
    errors: &'c mut Vec<ConfigError>,
}

impl Compiling<'_> {
    fn add(&mut self, policy: &PolicyConfig, place: &str, message: impl Into<String>) {
        self.errors.push(ConfigError {
            policy: (!policy.name.is_empty()).then(|| policy.name.clone()),
            place: place.to_owned(),
            spot: Spot::Whole,
            message: message.into(),
        });
    }

    fn add_taken(
        &mut self,
        policy: &PolicyConfig,
        configured: &CredentialConfig,
        host: &str,
        other: usize,
    ) {
        let other = self.config.policies.get(other).map_or("", |other| &other.name);
        let message = format!(
            "policy `{other}` puts a credential into the same place for `{host}`: leave one of \
             them out, or give it another `location`"
        );
        self.add(policy, &configured.place, message);
    }

    /// Whom a credential is for, and who can have it sent.
    fn check_policy(&mut self, policy: &PolicyConfig) {
        for (index, host) in policy.hosts.iter().enumerate() {
            if let HostPattern::Under(suffix) = host {
                let place = format!("{}.hosts[{index}]", policy.place);
                let message = format!(
                    "a credential goes only to hosts that are named exactly: name the hosts under \
                     `*{suffix}` one by one"
                );
                self.add(policy, &place, message);
            }
        }
        let is_answered = |own: &CredentialConfig| own.value == CredentialValue::Answered;
        let all_answered = policy.credentials.iter().all(is_answered);
        let field = if all_answered { "traffic.extAuth" } else { "backend" };
        let place = [&policy.place, ".", field].concat();
        if self.config.host_binding != HostBinding::Strict {
            let message = "a credential needs `hostBinding: Strict`: without it, a caller could \
                have it sent to a destination of its own choice";
            self.add(policy, &place, message);
        }
        // What a service gives with its answer goes nowhere without that answer.
        if all_answered {
            if policy.hosts.is_empty() {
                let message = "`credentialHeaders` needs `hosts`: a credential goes only to hosts \
                    that are named";
                self.add(policy, &place, message);
            }
            return;
        }
        let default = self.config.default_action;
        if let Some(host) = exact(policy).find(|host| !self.guards.guard(host, default)) {
            let message = format!(
                "every caller could use the credential for `{host}`: add an Allow for this host \
                 that says who may call it (with `true`, everybody may), or set `defaultAction: \
                 Deny`"
            );
            self.add(policy, &place, message);
        }
    }

    fn source(&mut self, policy: &PolicyConfig, configured: &CredentialConfig) -> Option<Origin> {
        let location = &configured.location;
        match &configured.value {
            CredentialValue::Environment(variable) => {
                let value = self.value(policy, variable)?;
                let value = without_scheme(location, value.expose());
                self.fixed(policy, variable, location, value)
            }
            CredentialValue::Basic { username, password } => {
                let value = self.value(policy, password)?;
                let encoded = match &value {
                    Value::Redacted => REDACTED.to_owned(),
                    Value::Known(secret) if secret.expose().iter().any(u8::is_ascii_control) => {
                        self.illegal(policy, password, "no control characters");
                        return None;
                    }
                    Value::Known(secret) => {
                        STANDARD.encode([username.as_bytes(), b":", secret.expose()].concat())
                    }
                };
                self.fixed(policy, password, location, encoded.as_bytes())
            }
            CredentialValue::Answered => Some(Origin::Answered),
            CredentialValue::ClientCredentials(client) => {
                let secret = self.value(policy, &client.client_secret)?;
                let client = Client::new(client, secret.expose());
                Some(Origin::Fetched(Box::new(Tokens::new(client, location.clone()))))
            }
        }
    }

    fn fixed(
        &mut self,
        policy: &PolicyConfig,
        variable: &Variable,
        location: &Location,
        value: &[u8],
    ) -> Option<Origin> {
        match place::prepared(location, value) {
            Ok(value) => Some(Origin::Fixed(value)),
            Err(place::Illegal(expected)) => {
                self.illegal(policy, variable, expected);
                None
            }
        }
    }

    fn illegal(&mut self, policy: &PolicyConfig, variable: &Variable, expected: &str) {
        let message = format!(
            "the value of the environment variable `{}` is not legal in its `location`: expected \
             {expected}",
            variable.name
        );
        self.add(policy, &variable.place, message);
    }

    /// The value of a variable, without a newline at its end.
    fn value(&mut self, policy: &PolicyConfig, variable: &Variable) -> Option<Value> {
        let name = &variable.name;
        let wrong = match self.environment.value(name) {
            None => format!(
                "the waypoint has no environment variable `{name}`: mount the Secret into the \
                 waypoint's pod, and list the variable in `vmConfig.env` with `valueFrom: HOST`"
            ),
            Some(Value::Redacted) => return Some(Value::Redacted),
            Some(Value::Known(value)) => {
                let value = value.expose();
                let value = value.strip_suffix(b"\n").unwrap_or(value);
                let value = value.strip_suffix(b"\r").unwrap_or(value);
                if value.is_empty() {
                    format!(
                        "the environment variable `{name}` is empty: give the Secret's key a value"
                    )
                } else if value.len() > MAX_VALUE {
                    format!(
                        "the environment variable `{name}` has {} bytes, the limit is {MAX_VALUE}",
                        value.len()
                    )
                } else {
                    return Some(Value::Known(Secret::new(value)));
                }
            }
        };
        self.add(policy, &variable.place, wrong);
        None
    }
}

/// A value for the default location, without a `Bearer ` that it begins with itself.
fn without_scheme<'v>(location: &Location, value: &'v [u8]) -> &'v [u8] {
    match location {
        Location::Header { is_default: true, .. } => {
            value.strip_prefix(b"Bearer ").unwrap_or(value)
        }
        _ => value,
    }
}
