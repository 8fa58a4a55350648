//! Istio's own AuthorizationPolicy on the waypoint, as far as it speaks of the callers' namespaces.

use super::{Authorization, DeriveError, Finding, GATEWAY_API, SECURITY, finding, unknown};
use crate::istio::resources::{Object, Resources};
use crate::istio::spec;

pub(super) fn derive(
    resources: &Resources,
    gateway: &Object,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Authorization>, DeriveError> {
    let mut authorizations = Vec::new();
    for object in resources.of_kind(SECURITY, "AuthorizationPolicy") {
        let spec: spec::AuthorizationPolicy = object.spec()?;
        let targets = |target: &spec::TargetRef| {
            (target.group.as_str(), target.kind.as_str(), target.name.as_str())
                == (GATEWAY_API, "Gateway", gateway.name.as_str())
        };
        if spec
            .target_refs
            .iter()
            .any(|target| ["GatewayClass", "ServiceEntry"].contains(&target.kind.as_str()))
        {
            return Err(unknown(
                object,
                "a policy on a GatewayClass or a ServiceEntry is not derived",
            ));
        }
        if object.namespace != gateway.namespace
            || spec.selector.is_some()
            || !spec.target_refs.iter().any(targets)
        {
            findings.push(finding(
                object,
                "not on the waypoint: name its Gateway in `targetRefs`, in the Gateway's namespace",
            ));
            continue;
        }
        let denies = match spec.action.as_str() {
            "ALLOW" => false,
            "DENY" => true,
            other => return Err(unknown(object, format!("the action `{other}` is not derived"))),
        };
        if spec.rules.is_empty() {
            return Err(unknown(object, "a policy without rules is not derived"));
        }
        let namespaces = |rule: spec::Rule| {
            rule.from.into_iter().flat_map(|from| from.source.namespaces).collect()
        };
        authorizations.push(Authorization {
            name: format!("ns[{}]-policy[{}]", object.namespace, object.name),
            denies,
            rules: spec.rules.into_iter().map(namespaces).collect(),
        });
    }
    Ok(authorizations)
}
