//! What loads, works as it is written, and can hardly be meant: slips that people make in rules.
//!
//! `egressctl check` asks for these. The module in the waypoint does not have them: who writes a
//! policy wants to know, and who reads the proxy's log cannot mend it.

mod closed;
mod headers;
mod missing;
mod patterns;
mod rules;
mod shadow;
mod source;
#[cfg(test)]
mod tests;
mod texts;
mod token;

use crate::attributes::TABLE;
use crate::cel::Scope;
use crate::config::{Config, PolicyConfig, Spot};
use crate::path::PathSafety;
use crate::policy::{ConfigWarning, compile_for_tools};

/// A doubt about a configuration that loads, with the name of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The kind, in words with `-` between them, such as `star-is-literal`.
    pub name: &'static str,
    /// What it is about, and the mend.
    pub warning: ConfigWarning,
}

/// The most doubts about one configuration that are returned.
pub const MAX_DOUBTS: usize = 1_000;

/// What can hardly be meant in a configuration; nothing if it does not load.
#[must_use]
pub fn of(json: &[u8]) -> Vec<Doubt> {
    let (config, errors) = Config::parse_all(json);
    if !errors.is_empty() {
        return Vec::new();
    }
    let Some((variables, policies)) = compile_for_tools(&config) else { return Vec::new() };
    let scope = Scope { table: &TABLE, variables: &variables };
    // The most lenient one, as any policy may set it for a host.
    let own = config.policies.iter().filter_map(|policy| policy.path_safety);
    let path_safety = own.fold(config.path_safety, Ord::min);
    let mut found = Found { doubts: Vec::new(), path_safety };
    for (policy, compiled) in config.policies.iter().zip(&policies) {
        rules::examine(policy, compiled, scope, &mut found);
        headers::examine(policy, scope, &mut found);
        if found.doubts.len() >= MAX_DOUBTS {
            break;
        }
    }
    shadow::examine(&config, &policies, &mut found);
    closed::examine(&config, &policies, &mut found);
    token::examine(&config, &policies, scope, &mut found);
    found.doubts.truncate(MAX_DOUBTS);
    found.doubts
}

/// The doubts so far.
#[derive(Debug)]
struct Found {
    doubts: Vec<Doubt>,
    path_safety: PathSafety,
}

impl Found {
    fn add(
        &mut self,
        policy: &PolicyConfig,
        name: &'static str,
        (place, spot): (&str, Spot),
        message: String,
    ) {
        let warning = ConfigWarning {
            name,
            policy: Some(policy.name.clone()),
            place: place.to_owned(),
            spot,
            message,
        };
        self.doubts.push(Doubt { name, warning });
    }
}
