//! The configurations of the filter that are measured: the workshop's, alone and amid policies that
//! are for others.

use serde_json::{Value, json};

use super::BenchError;
use e2e::envoy::{Configuration, workspace_root};

/// Which decisions are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audit {
    None,
    Denied,
    All,
}

/// How a policy shows that it is for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Other hosts, by the policy's scope.
    Hosts,
    /// Other hosts, by the expression.
    HostEquals,
    /// Other callers, on every host.
    Callers,
    /// The same caller, on other paths.
    Paths,
    /// A quarter of each of these.
    Mixed,
}

impl Shape {
    pub(super) const ALL: [Self; 5] =
        [Self::Hosts, Self::HostEquals, Self::Callers, Self::Paths, Self::Mixed];

    /// The shape of one policy.
    pub(super) fn of(self, index: usize) -> Self {
        if self == Self::Mixed { Self::ALL[index % 4] } else { self }
    }

    /// What the report calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hosts => "other hosts, by `hosts`",
            Self::HostEquals => "other hosts, by `request.host ==`",
            Self::Callers => "other callers",
            Self::Paths => "other paths",
            Self::Mixed => "a quarter of each",
        }
    }
}

/// The workshop's policies.
#[derive(Debug, Clone)]
pub(super) struct Workshop {
    json: Value,
}

impl Workshop {
    /// Reads them from `envoy.yaml`.
    pub(super) fn load() -> Result<Self, BenchError> {
        let read =
            || Configuration::load(&workspace_root().join("envoy.yaml"))?.plugin_configuration();
        let text =
            read().map_err(|error| BenchError::other("the workshop's configuration", error))?;
        let json = serde_json::from_str(&text)
            .map_err(|error| BenchError::other("the workshop's configuration", error))?;
        Ok(Self { json })
    }

    /// The workshop's configuration with this audit log.
    pub(super) fn audit(&self, audit: Audit) -> Self {
        let mut json = self.json.clone();
        json["audit"] = json!({ "log": format!("{audit:?}") });
        Self { json }
    }

    /// Without the check that the host is the one that was dialled.
    pub(super) fn unbound(&self) -> Self {
        let mut json = self.json.clone();
        json["hostBinding"] = json!("Off");
        Self { json }
    }

    /// With policies for others around the workshop's: half of them before, half behind. All
    /// expressions differ.
    pub(super) fn amid(&self, shape: Shape, others: usize) -> Self {
        let mut json = self.json.clone();
        let policies = json["policies"].as_array_mut();
        let own: Vec<Value> = policies.map(std::mem::take).unwrap_or_default();
        let other = |index: usize| policy(&format!("other-{index}"), shape.of(index), index);
        let mut all: Vec<Value> = (0..others / 2).map(other).collect();
        all.extend(own);
        all.extend((others / 2..others).map(other));
        json["policies"] = Value::Array(all);
        Self { json }
    }

    /// With one more policy in front, which denies what this expression matches.
    pub(super) fn denying(&self, name: &str, expression: &str) -> Self {
        let mut json = self.json.clone();
        if let Some(policies) = json["policies"].as_array_mut() {
            policies.insert(0, authorization(name, "Deny", expression));
        }
        Self { json }
    }

    /// The plugin's configuration.
    pub(super) fn text(&self) -> String {
        self.json.to_string()
    }
}

fn policy(name: &str, shape: Shape, index: usize) -> Value {
    let caller = format!(
        "source.identity.namespace == \"ns-{index}\" && source.identity.serviceAccount == \
         \"sa-{index}\""
    );
    match shape {
        Shape::Hosts => {
            let mut policy = authorization(name, "Allow", &caller);
            policy["hosts"] = json!([host(index)]);
            policy
        }
        Shape::HostEquals => authorization(
            name,
            "Allow",
            &format!(r#"request.host == "{}" && {caller}"#, host(index)),
        ),
        Shape::Callers | Shape::Mixed => authorization(name, "Allow", &caller),
        Shape::Paths => {
            let rule = "source.identity.namespace == \"team-a\" && source.identity.serviceAccount \
                        == \"team-a\"";
            authorization(
                name,
                "Allow",
                &format!(r#"{rule} && request.path.startsWith("{}")"#, folder(index)),
            )
        }
    }
}

fn authorization(name: &str, action: &str, expression: &str) -> Value {
    json!({
        "name": name,
        "traffic": {
            "authorization": {"action": action, "policy": {"matchExpressions": [expression]}},
        },
    })
}

/// The host of the policy with this number.
pub(super) fn host(index: usize) -> String {
    format!("host-{index}.example.com")
}

/// The caller of the policy with this number.
pub(super) fn caller(index: usize) -> String {
    format!("spiffe://cluster.local/ns/ns-{index}/sa/sa-{index}")
}

/// The folder of the policy with this number: within what the workshop lists, so that no two rules
/// contradict each other.
pub(super) fn folder(index: usize) -> String {
    format!("/repos/org-{index}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_for_others_differ_and_stand_on_both_sides_of_the_workshops() {
        let text = Workshop::load().expect("envoy.yaml").amid(Shape::Mixed, 8).text();
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let policies = json["policies"].as_array().expect("a list");
        let mut expressions: Vec<String> =
            policies.iter().map(|policy| policy["traffic"].to_string()).collect();
        assert_eq!(policies[4]["name"], "github-api-rbac", "half of them before");
        assert_eq!(policies.len(), 8 + 3);
        expressions.sort();
        expressions.dedup();
        assert_eq!(expressions.len(), 8 + 3, "no two are the same");
        egress_filter::policy::Engine::load(text.as_bytes()).expect("the filter takes it");
    }
}
