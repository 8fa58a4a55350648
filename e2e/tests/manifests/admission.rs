//! The admission policies refuse what they are there for, let the rest through, and say which is
//! which.

use std::sync::LazyLock;

use e2e::manifests::Manifest;
use e2e::schemas::Schemas;
use e2e::schemas::rules::{holds, holds_with};
use serde_json::{Value, json};

use super::{of_file, of_kind};

/// What an API server asks about.
struct Asked<'a> {
    object: &'a Value,
    namespace: &'a str,
    groups: &'a [&'a str],
    may: &'a str,
}

impl<'a> Asked<'a> {
    fn about(object: &'a Value, namespace: &'a str) -> Self {
        Asked {
            object,
            namespace,
            groups: &["system:authenticated"],
            may: "apps/deployments/team-a/create",
        }
    }

    /// The message of the policy's refusal, if it refuses.
    fn of(&self, policy: &str) -> Option<String> {
        static POLICIES: LazyLock<Vec<Manifest>> =
            LazyLock::new(|| of_kind("ValidatingAdmissionPolicy"));
        let policies = &POLICIES;
        let spec = &policies
            .iter()
            .find(|found| found.name() == policy)
            .unwrap_or_else(|| panic!("no policy {policy}"))
            .value["spec"];
        let request = json!({"userInfo": {"groups": self.groups}});
        let namespace = json!({"metadata": {"name": self.namespace}});
        let authorizer = json!(self.may);
        let given = [
            ("object", self.object),
            ("request", &request),
            ("namespaceObject", &namespace),
            ("authorizer", &authorizer),
        ];
        let list = |name: &str| spec[name].as_array().cloned().unwrap_or_default();
        let text = |value: &Value, name: &str| {
            value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
        };
        if !list("matchConditions")
            .iter()
            .all(|condition| holds(&text(condition, "expression"), &given))
        {
            return None;
        }
        let variables: Vec<_> = list("variables")
            .iter()
            .map(|one| (text(one, "name"), text(one, "expression")))
            .collect();
        let validations = list("validations");
        validations
            .iter()
            .find(|one| !holds_with(&text(one, "expression"), &given, &variables))
            .map(|one| text(one, "message"))
    }
}

#[track_caller]
fn assert_refused(asked: &Asked<'_>, policy: &str, message: &str) {
    let said = asked.of(policy).unwrap_or_else(|| panic!("{policy} lets {} through", asked.object));
    assert!(said.contains(message), "{policy} says `{said}` of {}", asked.object);
}

#[test]
fn pods_that_leave_the_mesh_are_refused() {
    let policy = "egress-pods-in-mesh";
    let pods = of_kind("Pod");
    for pod in &pods {
        assert_eq!(Asked::about(&pod.value, pod.namespace()).of(policy), None, "{}", pod.name());
    }
    let pod = &pods[0].value;
    let changed = |pointer: &str, value: Value| {
        let mut pod = pod.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let name = name.replace("~1", "/");
        pod.pointer_mut(parent).expect("a field of the pod")[name.as_str()] = value;
        pod
    };
    for (pod, message) in [
        (
            changed("/metadata/labels/istio.io~1dataplane-mode", json!("none")),
            "remove the label istio.io/dataplane-mode",
        ),
        (
            changed("/metadata/annotations", json!({"sidecar.istio.io/status": "{}"})),
            "remove the sidecar",
        ),
        (
            changed("/metadata/annotations", json!({"ambient.istio.io/dns-capture": "false"})),
            "remove ambient.istio.io/dns-capture",
        ),
        (
            changed("/metadata/annotations", json!({"ambient.istio.io/dns-capture": "0"})),
            "remove ambient.istio.io/dns-capture",
        ),
        (
            changed("/metadata/annotations", json!({"ambient.istio.io/dns-capture": "F"})),
            "remove ambient.istio.io/dns-capture",
        ),
        (changed("/spec/hostNetwork", json!(true)), "remove hostNetwork"),
    ] {
        assert_refused(&Asked::about(&pod, "team-a"), policy, message);
        let mut going = pod;
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(
            Asked::about(&going, "team-a").of(policy),
            None,
            "its finalizers could not be removed"
        );
    }
    for pod in [
        changed("/metadata/labels/istio.io~1dataplane-mode", json!("ambient")),
        changed("/spec/hostNetwork", json!(false)),
        changed("/metadata/annotations", json!({"ambient.istio.io/redirection": "enabled"})),
        changed("/metadata/annotations", json!({"ambient.istio.io/dns-capture": "true"})),
    ] {
        assert_eq!(Asked::about(&pod, "team-a").of(policy), None, "{pod}");
    }
}

/// Each place where a pod says what the kubelet is to call, and each way it may call.
#[test]
fn pods_that_have_the_kubelet_call_another_host_are_refused() {
    let policy = "egress-pods-in-mesh";
    let schemas = Schemas::vendored();
    let pod = of_kind("Pod").swap_remove(0).value;
    for containers in ["containers", "initContainers"] {
        for place in [
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle/postStart",
            "lifecycle/preStop",
        ] {
            let with = |handler: Value| {
                let (outer, inner) = place.split_once('/').unwrap_or((place, ""));
                let handler = if inner.is_empty() { handler } else { json!({inner: handler}) };
                let called = json!({"name": "second", "image": "i", outer: handler});
                let mut pod = pod.clone();
                // Not the first of its list, and beside others without.
                let mut list = pod["spec"]["containers"].as_array().expect("containers").clone();
                list.push(called);
                pod["spec"][containers] = Value::Array(list);
                assert_eq!(schemas.faults(&pod), [""; 0], "{place}");
                pod
            };
            for to in ["example.com", "127.0.0.1"] {
                for handler in [
                    json!({"httpGet": {"port": 80, "host": to}}),
                    json!({"tcpSocket": {"port": 80, "host": to}}),
                ] {
                    assert_refused(
                        &Asked::about(&with(handler), "team-a"),
                        policy,
                        "remove host from",
                    );
                }
            }
            for handler in [
                json!({
                    "httpGet": {
                        "port": 80,
                        "httpHeaders": [{"name": "Host", "value": "example.com"}],
                    },
                }),
                json!({"tcpSocket": {"port": 80}}),
                json!({"exec": {"command": ["true"]}}),
            ] {
                assert_eq!(
                    Asked::about(&with(handler), "team-a").of(policy),
                    None,
                    "{containers} {place}"
                );
            }
        }
    }
}

#[test]
fn service_entries_that_lead_past_the_filter_are_refused() {
    let policy = "egress-service-entries";
    let entries = of_kind("ServiceEntry");
    for entry in &entries {
        assert_eq!(
            Asked::about(&entry.value, entry.namespace()).of(policy),
            None,
            "{}",
            entry.name()
        );
        assert_refused(
            &Asked::about(&entry.value, "team-a"),
            policy,
            "belong in the namespace egress-direct",
        );
    }
    let entry = &entries[0].value;
    for protocol in ["HTTPS", "TLS", "TCP", "http2-prior-knowledge"] {
        let mut entry = entry.clone();
        entry["spec"]["ports"][0]["protocol"] = json!(protocol);
        assert_refused(
            &Asked::about(&entry, "egress-direct"),
            policy,
            "each port needs protocol: HTTP",
        );
    }
    let mut unspecified = entry.clone();
    unspecified["spec"]["ports"][0].as_object_mut().expect("a port").remove("protocol");
    assert_refused(
        &Asked::about(&unspecified, "egress-direct"),
        policy,
        "each port needs protocol: HTTP",
    );
    let mut second = entry.clone();
    second["spec"]["ports"]
        .as_array_mut()
        .expect("ports")
        .push(json!({"name": "https", "number": 443, "protocol": "HTTPS"}));
    assert_refused(
        &Asked::about(&second, "egress-direct"),
        policy,
        "each port needs protocol: HTTP",
    );
    let mut unled = entry.clone();
    unled["metadata"].as_object_mut().expect("metadata").remove("labels");
    assert_refused(&Asked::about(&unled, "egress-direct"), policy, "istio.io/use-waypoint: egress");
    let mut elsewhere = entry.clone();
    elsewhere["metadata"]["labels"]["istio.io/use-waypoint"] = json!("none");
    assert_refused(
        &Asked::about(&elsewhere, "egress-direct"),
        policy,
        "istio.io/use-waypoint: egress",
    );
}

#[test]
fn network_policies_are_for_those_who_decide_on_egress() {
    let policy = "egress-network-policies";
    let object = of_kind("NetworkPolicy").swap_remove(0).value;
    let asked = Asked::about(&object, "team-a");
    assert_refused(&asked, policy, "ask those who may create ServiceEntries");
    for may in [
        "networking.istio.io/serviceentries/team-a/create",
        "networking.istio.io/serviceentries/egress-direct/get",
    ] {
        assert_refused(
            &Asked { may, ..Asked::about(&object, "team-a") },
            policy,
            "ask those who may create ServiceEntries",
        );
    }
    assert_eq!(
        Asked { may: "networking.istio.io/serviceentries/egress-direct/create", ..asked }
            .of(policy),
        None
    );
    // What is deleted has no object.
    let asked = Asked {
        groups: &["system:serviceaccounts", "system:serviceaccounts:kube-system"],
        ..Asked::about(&Value::Null, "team-a")
    };
    assert_eq!(asked.of(policy), None, "a namespace could not be deleted");
    assert_refused(
        &Asked::about(&Value::Null, "team-a"),
        policy,
        "ask those who may create ServiceEntries",
    );
}

#[test]
fn each_policy_is_bound_and_denies() {
    let policies = of_kind("ValidatingAdmissionPolicy");
    let bindings = of_kind("ValidatingAdmissionPolicyBinding");
    let names = |manifests: &[Manifest]| {
        manifests.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&policies), names(&bindings));
    for binding in bindings {
        assert_eq!(binding.value["spec"]["policyName"], binding.name());
        assert_eq!(
            binding.value["spec"]["validationActions"],
            json!(["Deny"]),
            "{}",
            binding.name()
        );
    }
    for policy in policies {
        assert_eq!(policy.value["spec"]["failurePolicy"], "Fail", "{}", policy.name());
    }
}

/// Each list of namespaces in step 7 has both teams, so that none is forgotten when one is added.
#[test]
fn every_list_of_step_7_has_all_teams() {
    let teams: Vec<String> = of_file("01-setup.yaml")
        .iter()
        .filter(|manifest| manifest.kind() == "Namespace" && manifest.name() != "egress-direct")
        .map(|manifest| manifest.name().to_owned())
        .collect();
    assert_eq!(teams, ["team-a", "team-b"]);
    let mut lists = 0;
    for manifest in of_file("07-no-bypass.yaml") {
        let mut found = Vec::new();
        namespace_lists(&manifest.value, &mut found);
        for list in found {
            let listed: Vec<&String> =
                list.iter().filter(|name| *name != "egress-direct").collect();
            assert_eq!(
                listed,
                teams.iter().collect::<Vec<_>>(),
                "{} {}",
                manifest.kind(),
                manifest.name()
            );
            lists += 1;
        }
    }
    assert_eq!(lists, 5, "the waypoint's NetworkPolicy, the AuthorizationPolicy, three bindings");
    let policies = of_kind("NetworkPolicy");
    let of_team = |team: &str| {
        policies
            .iter()
            .find(|policy| policy.namespace() == team)
            .map(|policy| &policy.value["spec"])
    };
    assert!(of_team("team-a").is_some());
    assert_eq!(of_team("team-a"), of_team("team-b"));
}

fn namespace_lists(value: &Value, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) => {
            let selects = value["key"] == "kubernetes.io/metadata.name";
            for (name, value) in fields {
                match value {
                    Value::Array(items)
                        if name == "namespaces" || (selects && name == "values") =>
                    {
                        found.push(
                            items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                        );
                    }
                    _ => namespace_lists(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| namespace_lists(item, found)),
        _ => {}
    }
}
