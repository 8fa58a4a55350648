//! Whether the plugin gets the environment variables that its credentials are in.

use super::*;

/// Where a policy names a variable of a credential, besides the list `backend.credentials`.
const NAMED_AT: [&str; 3] = [
    "backend.auth.env",
    "backend.auth.basic.passwordEnv",
    "backend.auth.oauthClientCredentials.clientSecretEnv",
];

/// A place in the configuration that names a variable.
struct Needed<'d> {
    name: &'d str,
    node: &'d Node,
    path: String,
}

pub(super) fn lint(module: Place<'_>, plugin: Plugin<'_>, lints: &mut Lints<'_>) {
    let given = present(module.node, "vmConfig").and_then(|config| present(config, "env"));
    let mut needed = plugin.config.map(needed).unwrap_or_default();
    let list = format!("{}.vmConfig.env", module.path);
    if needed.is_empty() {
        if given.is_some() {
            let span = name_or_first_line(module.node, "vmConfig");
            let message = "no policy has a credential, and without one the filter reads no \
                environment variables: leave `env` out";
            lints.note(span, list, message);
        }
        return;
    }
    let given = given.and_then(Node::items).unwrap_or_default();
    let is_of = |name: &str, variable: &Node| word(variable, "name") == Some(name);
    for (index, variable) in given.iter().enumerate() {
        let name = word(variable, "name").unwrap_or_default();
        let is_used = needed.iter().any(|needed| needed.name == name);
        let is_host = word(variable, "valueFrom") == Some("HOST");
        let path = format!("{list}[{index}]");
        if !is_used {
            let message = format!("no credential names `{}`: leave it out", name.escape_debug());
            lints.note(variable.span.clone(), path, message);
        } else if !is_host {
            let message = format!(
                "the secret `{}` can be read by whoever may read this resource: use `valueFrom: \
                 HOST`, and mount a Secret into the waypoint",
                name.escape_debug()
            );
            lints.warning(variable.span.clone(), path, message);
        }
    }
    needed.retain(|needed| !given.iter().any(|variable| is_of(needed.name, variable)));
    for needed in &needed {
        let message = format!(
            "the plugin does not get the environment variable `{}`, and is refused without it: \
             list it in `{list}` as `{{name: {0}, valueFrom: HOST}}`",
            needed.name.escape_debug()
        );
        let path = format!("{}.{}", plugin.prefix(), needed.path);
        lints.error(needed.node.span.clone(), path, message);
    }
}

fn needed(config: &Node) -> Vec<Needed<'_>> {
    let policies = config.get("policies").and_then(Node::items).unwrap_or_default();
    let mut found = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        found.extend(NAMED_AT.iter().filter_map(|path| at(index, path, policy.at(path))));
        let listed = policy.at("backend.credentials").and_then(Node::items).unwrap_or_default();
        for (item, credential) in listed.iter().enumerate() {
            let path = format!("backend.credentials[{item}].env");
            found.extend(at(index, &path, credential.get("env")));
        }
    }
    found
}

fn at<'d>(policy: usize, path: &str, node: Option<&'d Node>) -> Option<Needed<'d>> {
    let node = node?;
    Some(Needed { name: node.as_str()?, node, path: format!("policies[{policy}].{path}") })
}
