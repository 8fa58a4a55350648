use super::*;
use crate::envoy::workspace_root;

mod client_certificates;
mod plugins;
mod services;

const SETUP: &str = "01-setup.yaml";
const EGRESS: &str = "02-egress-direct.yaml";
const PLUGIN: &str = "05-policy-headers.yaml";
const SUCCESSOR: &str = "traffic-extension/05-policy-headers.yaml";

/// The files applied, with one text of one of them replaced.
fn applied(files: &[&str], changed: &str, from: &str, to: &str) -> Result<Derived, String> {
    let resources = apply(files, changed, from, to)?;
    Derived::new(&resources, Release::V1_30).map_err(|error| error.to_string())
}

fn resources(files: &[&str], changed: &str, from: &str, to: &str) -> Resources {
    apply(files, changed, from, to).unwrap_or_else(|error| panic!("{error}"))
}

/// The waypoint of the first two steps, with more applied after them.
fn with(extra: &str) -> Result<Derived, String> {
    let mut resources = resources(&[SETUP, EGRESS], "", "", "");
    resources.apply_text(extra, "extra").map_err(|error| error.to_string())?;
    Derived::new(&resources, Release::V1_30).map_err(|error| error.to_string())
}

fn apply(files: &[&str], changed: &str, from: &str, to: &str) -> Result<Resources, String> {
    let mut resources = Resources::default();
    for file in files {
        let mut text = std::fs::read_to_string(workspace_root().join("filter-config").join(file))
            .expect("a file of filter-config");
        if *file == changed {
            // A comment for `egressctl check` may stand between the lines that are changed.
            text = text.replace("    # egressctl: allow(attached-twice)\n", "");
            assert!(text.contains(from), "{file} has no `{from}`");
            text = text.replacen(from, to, 1);
        }
        resources.apply_text(&text, file).map_err(|error| error.to_string())?;
    }
    Ok(resources)
}

fn derived(files: &[&str]) -> Derived {
    applied(files, "", "", "").unwrap_or_else(|error| panic!("{error}"))
}

fn findings(derived: &Derived) -> Vec<String> {
    derived.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_files_come_to_two_callers_a_service_and_the_plugin() {
    for plugin in [PLUGIN, SUCCESSOR] {
        let derived = derived(&[SETUP, EGRESS, plugin]);
        assert_eq!(derived.spiffe_id, "spiffe://cluster.local/ns/egress-direct/sa/egress");
        let callers: Vec<(&str, &str)> = derived
            .callers
            .iter()
            .map(|caller| (caller.name.as_str(), caller.spiffe_id.as_str()))
            .collect();
        let [team_a, team_b] =
            [("team-a", crate::pki::TEAM_A_SPIFFE_ID), ("team-b", crate::pki::TEAM_B_SPIFFE_ID)];
        assert_eq!(callers, [team_a, team_b]);
        let [service] = &derived.services[..] else { panic!("{:?}", derived.services) };
        let [port] = &service.ports[..] else { panic!("{:?}", service.ports) };
        assert_eq!(
            (port.chain(&service.host).as_str(), port.target),
            ("inbound-vip|80|http|api.github.com", 443)
        );
        let tls = port.tls.as_ref().expect("TLS");
        assert!(
            tls.verified && (tls.auto_san || tls.subject_alt_names == ["api.github.com"]),
            "{tls:?}"
        );
        let [plugin] = &derived.plugins[..] else { panic!("{:?}", derived.plugins) };
        assert_eq!(
            (plugin.root_id.as_str(), plugin.phase, plugin.failure_policy),
            ("", Phase::Authz, FailurePolicy::Reload)
        );
        assert_eq!(derived.findings, []);
    }
}

#[test]
fn each_step_changes_what_it_says_and_no_more() {
    let all = [
        "01-setup",
        "02-egress-direct",
        "03-policy-rbac",
        "04-policy-path",
        "05-policy-headers",
        "06-verify-headers",
    ];
    let all = all.map(|step| format!("{step}.yaml"));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for (steps, services, policies) in
        [(1, 0, 0), (2, 1, 0), (3, 1, 1), (4, 1, 2), (5, 1, 3), (6, 2, 3)]
    {
        let derived = derived(&all[..steps]);
        let loaded: usize = derived.plugins.iter().map(|plugin| plugin.policies().len()).sum();
        assert_eq!((derived.services.len(), loaded), (services, policies), "{steps} steps");
    }
    let once = derived(&all);
    let twice: Vec<&str> = all.iter().chain(&all).copied().collect();
    assert_eq!(derived(&twice), once, "applying everything again changes nothing");
    assert_eq!(
        derived(&[SETUP, EGRESS, PLUGIN, "06-verify-headers.yaml"]),
        once,
        "the last policy step needs none before it"
    );
}

#[test]
fn a_pod_that_does_not_call_through_the_mesh_is_found() {
    for (from, to, part) in [
        (
            "  name: team-b\n  labels:\n    istio.io/dataplane-mode: ambient\n",
            "  name: team-b\n  labels:\n",
            "not in the ambient mesh",
        ),
        (
            "  serviceAccountName: team-b\n",
            "  serviceAccountName: team-c\n",
            "no ServiceAccount `team-c`",
        ),
        (
            "  serviceAccountName: team-b\n",
            "  serviceAccountName: team-b\n  hostNetwork: true\n",
            "in its node's network",
        ),
    ] {
        let derived =
            applied(&[SETUP], SETUP, from, to).unwrap_or_else(|error| panic!("{to}: {error}"));
        assert_eq!(derived.callers.len(), 1, "{to}");
        let [finding] = &findings(&derived)[..] else { panic!("{to}: {:?}", derived.findings) };
        assert!(
            finding.starts_with("Pod `team-b/client`: ") && finding.contains(part),
            "{to}: {finding}"
        );
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for (file, from, to, part) in [
        (
            SETUP,
            "gatewayClassName: istio-waypoint",
            "gatewayClassName: istio-agentgateway-waypoint",
            "0 Gateways of class `istio-waypoint`",
        ),
        (SETUP, "port: 15008", "port: 15009", "port 15008"),
        (
            SETUP,
            "kind: ServiceAccount",
            "kind: Service",
            "what becomes of this kind is not derived",
        ),
        (
            SETUP,
            "apiVersion: v1\nkind: ServiceAccount",
            "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule",
            "what becomes of this kind is not derived",
        ),
        (
            SETUP,
            "apiVersion: v1\nkind: ServiceAccount",
            "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration",
            "what becomes of this kind is not derived",
        ),
        (EGRESS, "namespace: egress-direct", "namespace: egress", "there is no namespace `egress`"),
        (EGRESS, "resolution: DNS", "resolution: NONE", "only `location: MESH_EXTERNAL`"),
        (EGRESS, "- api.github.com", "- \"*.github.com\"", "no wildcard"),
        (EGRESS, "- api.github.com", "- api.github.com\n  - api.github.com", "already"),
        (EGRESS, "targetPort: 443", "targetport: 443", "unknown field `targetport`"),
        (EGRESS, "mode: SIMPLE", "mode: MUTUAL", "with `credentialName` only"),
        (EGRESS, "mode: SIMPLE", "mode: SIMPLE\n      credentialName: a", "for authorities alone"),
        (PLUGIN, "pluginConfig:", "pluginconfig:", "unknown field `pluginconfig`"),
        (PLUGIN, "phase: AUTHZ", "phase: authz", "the phase `authz` is not known"),
        (
            PLUGIN,
            "failStrategy: FAIL_RELOAD",
            "failStrategy: RELOAD",
            "the failStrategy `RELOAD` is not known",
        ),
        (PLUGIN, "  url: ", "  type: NETWORK\n  url: ", "only a `type: HTTP` plugin"),
        (PLUGIN, "metadata:", "meta:", "no Kubernetes resource"),
    ] {
        let error = applied(&[SETUP, EGRESS, PLUGIN], file, from, to).expect_err(to);
        assert!(error.contains(part), "{to}: {error}");
    }
}

#[test]
fn authorization_is_on_the_waypoint_or_found() {
    const BYPASS: &str = "07-no-bypass.yaml";
    let [authorization] = &derived(&[SETUP, BYPASS]).authorizations[..] else {
        panic!("one AuthorizationPolicy")
    };
    assert_eq!(
        (authorization.name.as_str(), authorization.denies),
        ("ns[egress-direct]-policy[teams-only]", false)
    );
    assert_eq!(authorization.rules, [["team-a", "team-b"]]);
    let denying =
        applied(&[SETUP, BYPASS], BYPASS, "action: ALLOW", "action: DENY").expect("resources");
    assert!(denying.authorizations[0].denies);
    let elsewhere = applied(
        &[SETUP, BYPASS],
        BYPASS,
        "    name: egress\n  action",
        "    name: other\n  action",
    )
    .expect("resources");
    assert_eq!(elsewhere.authorizations, []);
    assert!(findings(&elsewhere)[0].contains("not on the waypoint"), "{:?}", elsewhere.findings);
    for (from, to, part) in [
        ("action: ALLOW", "action: AUDIT", "`AUDIT` is not derived"),
        (
            "        namespaces: [team-a, team-b]",
            "        principals: [a]",
            "unknown field `principals`",
        ),
        (
            "    name: egress\n  action",
            "    name: egress\n  - group: networking.istio.io\n    kind: ServiceEntry\n    name: \
             a\n  action",
            "on a GatewayClass",
        ),
    ] {
        let error = applied(&[SETUP, BYPASS], BYPASS, from, to).expect_err(to);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_file_that_is_refused_changes_nothing() {
    let mut resources = Resources::default();
    resources.apply(&workspace_root().join("filter-config").join(SETUP)).expect("the first step");
    let before = resources.all().to_vec();
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n---\n";
    for text in [
        format!("{namespace}{{"),
        format!("{namespace}kind: Pod"),
        format!("{namespace}apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: b}}"),
    ] {
        assert!(resources.apply_text(&text, "broken").is_err(), "{text}");
        assert_eq!(resources.all(), before, "{text}");
    }
    assert!(
        resources.delete("Pod", "team-a", "client") && !resources.delete("Pod", "team-a", "client")
    );
}
