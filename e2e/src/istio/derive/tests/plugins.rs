//! Where plugins are attached, what they are called, and in which order they run.

use super::*;

#[test]
fn a_release_calls_the_plugin_by_its_own_names() {
    for (plugin, release, kind, name) in [
        (PLUGIN, Release::V1_27, "wasmplugin", "egress-direct.egress-filter"),
        (
            PLUGIN,
            Release::V1_30,
            "trafficextension",
            "egress-direct.egress-filter~istio-translated-wasmplugin",
        ),
        (SUCCESSOR, Release::V1_30, "trafficextension", "egress-direct.egress-filter"),
    ] {
        let derived =
            Derived::new(&resources(&[SETUP, plugin], "", "", ""), release).expect("a waypoint");
        let [plugin] = &derived.plugins[..] else { panic!("{:?}", derived.plugins) };
        assert_eq!(
            (&plugin.filter, plugin.name.as_str()),
            (&format!("extensions.istio.io/{kind}/{name}"), name)
        );
    }
    let error = Derived::new(&resources(&[SETUP, SUCCESSOR], "", "", ""), Release::V1_27)
        .expect_err("too old")
        .to_string();
    assert!(error.contains("no such kind before Istio 1.30"), "{error}");
}

#[test]
fn a_plugin_that_is_attached_nowhere_is_found() {
    let targets = "  targetRefs:\n  - group: gateway.networking.k8s.io\n    kind: Gateway\n    \
                   name: egress\n";
    for plugin in [PLUGIN, SUCCESSOR] {
        for (to, part) in [
            (
                "  selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: egress}}\n",
                "a waypoint ignores `selector`",
            ),
            ("", "a waypoint wants `targetRefs`"),
            (
                "  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: other}]\n",
                "no entry of its `targetRefs`",
            ),
            (
                "  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: other}]\n",
                "no entry of its `targetRefs`",
            ),
            ("  targetRefs: [{kind: Gateway, name: egress}]\n", "no entry of its `targetRefs`"),
            (&format!("{targets}  match: [{{mode: CLIENT}}]\n"), "`mode: CLIENT`"),
            (
                &format!("{targets}  match: [{{mode: SERVER, ports: [{{number: 80}}]}}]\n"),
                "with `ports`",
            ),
        ] {
            let derived = applied(&[SETUP, EGRESS, plugin], plugin, targets, to)
                .unwrap_or_else(|error| panic!("{to}: {error}"));
            assert_eq!(derived.plugins, [], "{plugin}: {to}");
            let [finding] = &findings(&derived)[..] else { panic!("{to}: {:?}", derived.findings) };
            assert!(
                finding.contains("attached nowhere") && finding.contains(part),
                "{to}: {finding}"
            );
        }
        let elsewhere = applied(
            &[SETUP, EGRESS, plugin],
            plugin,
            "namespace: egress-direct",
            "namespace: team-a",
        )
        .expect("resources");
        assert_eq!(elsewhere.plugins, []);
        assert!(
            findings(&elsewhere)[0].contains("not in the Gateway's namespace"),
            "{:?}",
            elsewhere.findings
        );
    }
    for matches in ["[{mode: SERVER}]", "[{mode: CLIENT_AND_SERVER}]", "[{mode: CLIENT}, {}]", "[]"]
    {
        let to = format!("{targets}  match: {matches}\n");
        assert_eq!(
            applied(&[SETUP, EGRESS, PLUGIN], PLUGIN, targets, &to)
                .expect("resources")
                .plugins
                .len(),
            1,
            "{matches}"
        );
    }
}

#[test]
fn a_plugin_on_a_service_entry_is_in_that_services_chains_alone() {
    let from = "  - group: gateway.networking.k8s.io\n    kind: Gateway\n    name: egress\n";
    let to = "  - group: networking.istio.io\n    kind: ServiceEntry\n    name: github-api\n";
    let derived = applied(&[SETUP, EGRESS, PLUGIN], PLUGIN, from, to).expect("resources");
    assert_eq!(derived.plugins[0].hosts, Some(vec!["api.github.com".to_owned()]));

    let others = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: two, \
                  namespace: egress-direct, labels: \
                  {istio.io/use-waypoint: egress}}\nspec: {hosts: [a.example, b.example], \
                  location: MESH_EXTERNAL, resolution: DNS, \
                  ports: [{number: 80, name: http, protocol: HTTP}]}\n---\n";
    let plugin = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: p, \
                  namespace: egress-direct}\nspec: {url: p, \
                  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: github-api}, \
                  {group: networking.istio.io, kind: ServiceEntry, name: two}]}\n";
    let derived = with(&format!("{others}{plugin}")).expect("a waypoint");
    let hosts = ["api.github.com", "a.example", "b.example"].map(str::to_owned).to_vec();
    assert_eq!(
        derived.plugins[0].hosts,
        Some(hosts),
        "each of its ServiceEntries, and each host of these"
    );
}

fn in_namespace(namespace: &str, targets: &str) -> String {
    format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {{name: p, \
         namespace: {namespace}}}\n\
         spec: {{url: {namespace}, targetRefs: [{targets}]}}\n---\n"
    )
}

#[test]
fn a_plugin_of_the_root_namespace_is_on_the_gateway_class() {
    let class = "{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}";
    let gateway = "{group: gateway.networking.k8s.io, kind: Gateway, name: egress}";
    let both =
        [in_namespace("istio-system", class), in_namespace("egress-direct", gateway)].concat();
    let derived = with(&both).expect("a waypoint");
    let names: Vec<(&str, bool)> = derived
        .plugins
        .iter()
        .map(|plugin| (plugin.name.as_str(), plugin.hosts.is_none()))
        .collect();
    let mark = "~istio-translated-wasmplugin";
    assert_eq!(
        names,
        [(&*format!("egress-direct.p{mark}"), true), (&*format!("istio-system.p{mark}"), true)]
    );
    assert_eq!(derived.findings, []);
    for (namespace, targets, part) in [
        ("egress-direct", class, "no entry of its `targetRefs`"),
        ("istio-system", gateway, "not in the Gateway's namespace"),
        (
            "istio-system",
            &class.replace("istio-waypoint", "istio"),
            "not in the Gateway's namespace",
        ),
        (
            "istio-system",
            "{group: networking.istio.io, kind: ServiceEntry, name: github-api}",
            "not in the Gateway's namespace",
        ),
        (
            "team-a",
            "{group: networking.istio.io, kind: ServiceEntry, name: github-api}",
            "not in the Gateway's namespace",
        ),
    ] {
        let derived = with(&in_namespace(namespace, targets)).expect("a waypoint");
        assert_eq!(derived.plugins, [], "{namespace}: {targets}");
        let [finding] = &findings(&derived)[..] else { panic!("{:?}", derived.findings) };
        assert!(finding.contains("attached nowhere") && finding.contains(part), "{finding}");
    }
}

#[test]
fn a_plugin_beside_its_service_entry_in_another_namespace_is_refused() {
    let from = "allowedRoutes:\n      namespaces:\n        from: Same";
    let mut resources = resources(&[SETUP], SETUP, from, &from.replace("Same", "All"));
    let egress = std::fs::read_to_string(workspace_root().join("filter-config").join(EGRESS))
        .expect("a file of filter-config");
    let plugin = in_namespace(
        "team-a",
        "{group: networking.istio.io, kind: ServiceEntry, name: github-api}",
    );
    let text = format!(
        "{}\n---\n{plugin}",
        egress.replace("\n  namespace: egress-direct", "\n  namespace: team-a")
    );
    resources.apply_text(&text, "team-a").expect("resources");
    let error = Derived::new(&resources, Release::V1_30)
        .expect_err("a plugin of another namespace")
        .to_string();
    assert!(error.contains("in its ServiceEntry's namespace"), "{error}");
}

#[test]
fn both_apis_at_once_are_found() {
    let derived = derived(&[SETUP, EGRESS, PLUGIN, SUCCESSOR]);
    assert_eq!(derived.plugins.len(), 2);
    assert!(
        findings(&derived)[0].contains("the same image as WasmPlugin"),
        "{:?}",
        derived.findings
    );
}

#[test]
fn plugins_run_by_phase_then_by_priority_then_by_age() {
    let plugin = |name: &str, fields: &str| {
        format!(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {{name: \
             {name}, namespace: egress-direct}}\n\
             spec: {{url: {name}, targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, \
             name: egress}}]{fields}}}\n---\n"
        )
    };
    let text = [
        plugin("last", ""),
        plugin("stats", ", phase: STATS"),
        plugin("third", ", phase: AUTHZ"),
        plugin("fourth", ", phase: AUTHZ"),
        plugin("negative", ", phase: AUTHZ, priority: -1"),
        plugin("second", ", phase: AUTHZ, priority: 10"),
        plugin("first", ", phase: AUTHN, priority: -5"),
    ]
    .concat();
    let mut resources = Resources::default();
    resources.apply(&workspace_root().join("filter-config").join(SETUP)).expect("the first step");
    resources.apply_text(&text, "plugins").expect("plugins");
    let derived = Derived::new(&resources, Release::V1_27).expect("a waypoint");
    let names: Vec<&str> = derived
        .plugins
        .iter()
        .map(|plugin| plugin.name.trim_start_matches("egress-direct."))
        .collect();
    assert_eq!(names, ["first", "second", "negative", "third", "fourth", "stats", "last"]);
    assert_eq!(derived.plugins[0].failure_policy, FailurePolicy::Closed, "Istio's default");
}
