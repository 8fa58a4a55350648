use egress_filter::counters::{PLUGIN_TAG, POLICY_TAG};

use super::*;
use crate::envoy::{Ports as FixedPorts, workspace_root};
use crate::istio::derive::Release;
use crate::istio::local::{Origins, Ports};
use crate::istio::resources;

fn derived(release: Release, extra: &str) -> Derived {
    let mut applied = resources::Resources::default();
    for file in [
        "01-setup.yaml",
        "02-egress-direct.yaml",
        "05-policy-headers.yaml",
        "06-verify-headers.yaml",
    ] {
        applied
            .apply(&workspace_root().join("filter-config").join(file))
            .unwrap_or_else(|error| panic!("{error}"));
    }
    applied.apply_text(extra, "extra").unwrap_or_else(|error| panic!("{error}"));
    Derived::new(&applied, release).unwrap_or_else(|error| panic!("{error}"))
}

/// The local parts of `envoy.yaml`.
fn local() -> Local {
    let fixed = FixedPorts::of_envoy_yaml();
    Local {
        folder: "target/demo".into(),
        wasm: "target/wasm32-wasip1/release/egress_filter.wasm".into(),
        origins: Origins::StandIn(fixed.origin),
        ports: Ports {
            hbone: fixed.hbone,
            admin: fixed.admin,
            pods: vec![fixed.team_a, fixed.team_b],
        },
        workers: 1,
        logs_requests: true,
    }
}

fn named<'a>(list: &'a [Value], name: &str) -> &'a Value {
    list.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no `{name}`"))
}

fn http_filters(chain: &mut Value) -> &mut Vec<Value> {
    chain["filters"][0]["typed_config"]["http_filters"].as_array_mut().expect("HTTP filters")
}

/// The plugins' configuration as data, since in text the order of fields says nothing.
fn parse_configuration(filter: &mut Value) {
    let value = &mut filter["typed_config"]["config"]["configuration"]["value"];
    if let Some(text) = value.as_str() {
        *value = serde_json::from_str(text).expect("JSON");
    }
}

#[test]
fn envoy_yaml_has_the_listeners_that_the_files_come_to() {
    let resources = Resources::new(&derived(Release::V1_27, ""), &local()).expect("local parts");
    let text = std::fs::read_to_string(workspace_root().join("envoy.yaml")).expect("envoy.yaml");
    let envoy_yaml: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let written = envoy_yaml["static_resources"]["listeners"].as_array().expect("listeners");

    assert_eq!(
        *named(&resources.listeners, "connect_terminate"),
        *named(written, "connect_terminate")
    );

    let (mut derived, mut written) = (
        named(&resources.listeners, "main_internal").clone(),
        named(written, "main_internal").clone(),
    );
    for chain in derived["filter_chains"].as_array_mut().expect("chains") {
        let filters = http_filters(chain);
        // Istio's own filters, which do nothing here, and the way in which the plugin comes.
        filters.retain(|filter| {
            !["envoy.filters.http.fault", "envoy.filters.http.cors"]
                .map(Value::from)
                .contains(&filter["name"])
        });
        for filter in filters {
            if let Some((_, _, config)) =
                resources.extensions.iter().find(|(name, ..)| filter["name"] == *name)
            {
                *filter = json!({"name": filter["name"], "typed_config": config});
            }
            parse_configuration(filter);
        }
    }
    for chain in written["filter_chains"].as_array_mut().expect("chains") {
        http_filters(chain).iter_mut().for_each(parse_configuration);
    }
    assert_eq!(derived, written);
}

#[test]
fn envoy_yaml_has_the_tags_that_the_gateway_names() {
    let text = std::fs::read_to_string(workspace_root().join("envoy.yaml")).expect("envoy.yaml");
    let envoy_yaml: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let derived = derived(Release::V1_30, "");
    assert_eq!(derived.stat_tags, [POLICY_TAG, PLUGIN_TAG]);
    assert_eq!(bootstrap(&derived, &local())["stats_config"], envoy_yaml["stats_config"]);
}

#[test]
fn plugins_stand_around_istios_own_filters() {
    let extra = "
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {name: last, namespace: egress-direct}
spec: {targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: httpbingo}], wasm: \
{url: last}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: teams-only, namespace: egress-direct}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: egress}]
  rules: [{from: [{source: {namespaces: [team-a, team-b]}}]}]
";
    let mut resources =
        Resources::new(&derived(Release::V1_30, extra), &local()).expect("local parts");
    let main = resources
        .listeners
        .iter_mut()
        .find(|listener| listener["name"] == "main_internal")
        .expect("main_internal");
    let chains = main["filter_chains"].as_array_mut().expect("chains");
    let names: Vec<Vec<Value>> = chains
        .iter_mut()
        .map(|chain| http_filters(chain).iter().map(|filter| filter["name"].clone()).collect())
        .collect();
    let [egress, rbac, fault, cors, last, router] = [
        "extensions.istio.io/trafficextension/\
         egress-direct.egress-filter~istio-translated-wasmplugin",
        "envoy.filters.http.rbac",
        "envoy.filters.http.fault",
        "envoy.filters.http.cors",
        "extensions.istio.io/trafficextension/egress-direct.last",
        "envoy.filters.http.router",
    ];
    assert_eq!(
        names,
        [vec![egress, rbac, fault, cors, router], vec![egress, rbac, fault, cors, last, router]]
    );
}

#[test]
fn no_stand_in_plays_another_port_than_443() {
    let local = local();
    assert!(local.origin_address("a", 443).is_ok());
    assert!(matches!(local.origin_address("a", 80), Err(LocalError::NoStandIn { port: 80, .. })));
    let real = Local { origins: Origins::Real("authorities.pem".into()), ..local };
    assert_eq!(real.origin_address("a", 80).expect("an address"), socket_address("a", 80));
}

#[test]
fn a_plugins_environment_is_what_its_vm_is_given() {
    let plugin = crate::workshop::plugin(
        &serde_json::json!({"policies": [
            {"name": "a", "hosts": ["a.example"], "backend": {"auth": {"env": "TOKEN"}}},
        ]}),
        |_| "secret".to_owned(),
    );
    let mut plugin = plugin.expect("step 3");
    plugin["spec"]["vmConfig"]["env"]
        .as_array_mut()
        .expect("variables")
        .push(serde_json::json!({"name": "OTHER", "valueFrom": "HOST"}));
    let resources = Resources::new(&derived(Release::V1_27, &plugin.to_string()), &local());
    let (_, _, config) = &resources.expect("local parts").extensions[0];
    assert_eq!(
        config["config"]["vm_config"]["environment_variables"],
        serde_json::json!({"key_values": {"TOKEN": "secret"}, "host_env_keys": ["OTHER"]})
    );
    let resources = Resources::new(&derived(Release::V1_27, ""), &local()).expect("local parts");
    assert_eq!(resources.extensions[0].2["config"]["vm_config"].get("environment_variables"), None);
}
