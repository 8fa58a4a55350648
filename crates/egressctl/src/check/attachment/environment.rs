//! Whether the waypoint gives the plugin the variables that its credentials come from. The filter
//! refuses a configuration that names others.

use super::{Lints, Place, name_or_first_line, word};
use crate::yaml::Node;

/// Where a credential of `backend.auth` names a variable.
const OF_AUTH: [&str; 3] = ["env", "basic.passwordEnv", "oauthClientCredentials.clientSecretEnv"];

/// Checks the variables that the policies of a module name against those that it lists.
pub(super) fn lint(here: Place<'_>, lints: &mut Lints<'_>) {
    let env = here.node.at("vmConfig.env");
    let listed = env.and_then(Node::items).unwrap_or_default();
    let named = named(here);
    if env.is_some() && named.is_empty() {
        let span = name_or_first_line(here.node, "vmConfig");
        let path = format!("{}.vmConfig.env", here.path);
        lints.note(
            span,
            path,
            "no policy has a credential, and without one the filter reads no environment \
             variables: leave `env` out",
        );
    }
    for (variable, path) in named {
        variable_is_given(variable, path, listed, lints);
    }
}

/// The names of variables in the policies of a module, each with its path.
fn named<'d>(here: Place<'d>) -> Vec<(&'d Node, String)> {
    let mut named = Vec::new();
    let policies = here.node.at("pluginConfig.policies").and_then(Node::items).unwrap_or_default();
    for (index, policy) in policies.iter().enumerate() {
        let at = format!("{}.pluginConfig.policies[{index}].backend", here.path);
        let auth = policy.at("backend.auth");
        let of_auth = OF_AUTH.iter().filter_map(|field| Some((auth?.at(field)?, field)));
        named.extend(of_auth.map(|(variable, field)| (variable, format!("{at}.auth.{field}"))));
        let more = policy.at("backend.credentials").and_then(Node::items).unwrap_or_default();
        let of_list = more.iter().enumerate().filter_map(|(number, credential)| {
            Some((credential.get("env")?, format!("{at}.credentials[{number}].env")))
        });
        named.extend(of_list);
    }
    named
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
            "plain-secret",
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
