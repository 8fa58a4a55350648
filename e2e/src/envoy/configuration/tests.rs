use super::*;
use crate::envoy::workspace_root;

const CHAIN: &str = "inbound-vip|80|http|gitlab.com";

fn envoy_yaml() -> Configuration {
    Configuration::load(&workspace_root().join("envoy.yaml"))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn hosts(hosts: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

#[test]
fn an_added_service_has_every_part_and_the_same_filters() {
    let mut envoy = envoy_yaml();
    let before = envoy.0.to_string();
    envoy.add_services(&hosts(&["api.github.com", "httpbingo.org"])).expect("known services");
    assert_eq!(envoy.0.to_string(), before, "services that are there already are left alone");

    envoy
        .add_services(&hosts(&["api.github.com", "httpbingo.org", "gitlab.com"]))
        .expect("a new service");
    let chains = envoy.chains().expect("chains").clone();
    let [model, _, added] = &chains[..] else { panic!("{} chains", chains.len()) };
    assert_eq!(added["name"], CHAIN);
    let (manager, model) =
        (&added["filters"][0]["typed_config"], &model["filters"][0]["typed_config"]);
    assert_eq!(manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["cluster"], CHAIN);
    assert_eq!(
        manager["http_filters"], model["http_filters"],
        "the policies' own host names are not renamed"
    );
    named(&mut envoy.0["static_resources"]["clusters"], CHAIN).expect("a cluster");
    for pod in Pod::ALL {
        let listener = envoy.listener(&format!("pod-{}", pod.name())).expect("a pod");
        assert_eq!(listener["additional_addresses"].as_array().map(Vec::len), Some(2));
        let tunnel =
            &listener["filter_chains"][2]["filters"][0]["typed_config"]["tunneling_config"];
        assert_eq!(tunnel["hostname"], "240.240.0.3:80");
    }
    let matcher = &envoy.listener("main_internal").expect("the listener")["filter_chain_matcher"];
    let text = matcher.to_string();
    assert!(text.contains("\"240.240.0.3\"") && text.contains(CHAIN), "{text}");
}

#[test]
fn no_default_port_and_no_default_file_is_left() {
    let mut envoy = envoy_yaml();
    envoy.move_files("target/demo/", Path::new("/elsewhere")).expect("files to move");
    envoy.set_wasm(Path::new("/elsewhere/filter.wasm")).expect("a filter");
    let ports = Ports { hbone: 1, admin: 2, origin: 3, team_a: vec![4, 5], team_b: vec![6, 7] };
    envoy.set_ports(&ports).expect("ports to set");
    let mut found = std::collections::BTreeSet::new();
    each_value(&mut envoy.0, &mut |key, value| {
        if matches!(key, "port_value" | "destination_port") {
            found.insert(value.as_u64());
        }
        assert!(!value.as_str().is_some_and(|text| text.starts_with("target/")), "{value}");
    });
    assert_eq!(found, (1..=7).map(Some).collect());
}

#[test]
fn the_plugin_configuration_is_json_in_every_chain_and_can_be_anything() {
    let mut envoy = envoy_yaml();
    let text = envoy.plugin_configuration().expect("a configuration");
    let plugin: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let names: Vec<&str> = plugin["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|policy| policy["name"].as_str())
        .collect();
    assert_eq!(names, ["github-api-rbac", "github-api-paths", "github-api-headers"]);

    envoy.set_plugin_configuration("{broken").expect("a filter");
    let mut count = 0;
    envoy
        .each_plugin(&mut |plugin| {
            assert_eq!(plugin["configuration"]["value"], "{broken");
            count += 1;
        })
        .expect("a filter");
    assert_eq!(count, 2);
    envoy.remove_filter().expect("a filter to remove");
    assert!(envoy.plugin_configuration().is_err() && envoy.remove_filter().is_err());
}

#[test]
fn real_origins_are_the_hosts_themselves_with_the_systems_authorities() {
    let mut envoy = envoy_yaml();
    envoy.use_real_origins(Path::new("/system/authorities.pem")).expect("clusters");
    let cluster =
        named(&mut envoy.0["static_resources"]["clusters"], "inbound-vip|80|http|httpbingo.org")
            .expect("a cluster");
    let address =
        &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
    assert_eq!(address["socket_address"], json!({ "address": "httpbingo.org", "port_value": 443 }));
    let tls =
        &cluster["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"];
    assert_eq!(tls["trusted_ca"]["filename"], "/system/authorities.pem");
}
