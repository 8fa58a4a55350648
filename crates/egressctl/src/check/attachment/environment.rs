//! Whether the waypoint gives the plugin the variables that its credentials come from. The filter
//! refuses a configuration that names others.

use super::{Lints, Place, word};
use crate::yaml::Node;

/// Where a credential of `backend.auth` names a variable.
const OF_AUTH: [&str; 3] = ["env", "basic.passwordEnv", "oauthClientCredentials.clientSecretEnv"];

/// Checks the variables that the policies of a module name against those that it lists.
pub(super) fn lint(here: Place<'_>, lints: &mut Lints<'_>) {
    let listed = here.node.at("vmConfig.env").and_then(Node::items).unwrap_or_default();
    let policies = here.node.at("pluginConfig.policies").and_then(Node::items).unwrap_or_default();
    for (index, policy) in policies.iter().enumerate() {
        let at = format!("{}.pluginConfig.policies[{index}].backend", here.path);
        if let Some(auth) = policy.at("backend.auth") {
            for field in OF_AUTH {
                if let Some(variable) = auth.at(field) {
                    variable_is_given(variable, format!("{at}.auth.{field}"), listed, lints);
                }
            }
        }
        let more = policy.at("backend.credentials").and_then(Node::items).unwrap_or_default();
        for (number, credential) in more.iter().enumerate() {
            if let Some(variable) = credential.get("env") {
                let path = format!("{at}.credentials[{number}].env");
                variable_is_given(variable, path, listed, lints);
            }
        }
    }
}

fn variable_is_given(variable: &Node, path: String, listed: &[Node], lints: &mut Lints<'_>) {
    let Some(name) = variable.as_str() else { return };
    match listed.iter().find(|entry| word(entry, "name") == Some(name)) {
        None => lints.error(
            variable.span.clone(),
            path,
            format!(
                "the waypoint does not give the plugin `{name}`: list it in `vmConfig.env`, with \
                 `valueFrom: HOST`"
            ),
        ),
        Some(entry) if word(entry, "valueFrom") != Some("HOST") => lints.warning(
            variable.span.clone(),
            path,
            format!(
                "the value of `{name}` is in plain text in this resource: mount a Secret into the \
                 waypoint, and list the variable with `valueFrom: HOST`"
            ),
        ),
        Some(_) => {}
    }
}
