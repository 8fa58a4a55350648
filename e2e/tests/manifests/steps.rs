//! The steps build on one another, and what they name is there.

use std::collections::BTreeSet;

use e2e::manifests::{self, Manifest};
use serde_json::{Value, json};

use super::{of_file, of_kind};

const STEPS: [&str; 3] = ["03-policy-rbac.yaml", "04-policy-path.yaml", "05-policy-headers.yaml"];

fn plugin(file: &str) -> Manifest {
    let mut found = of_file(file);
    assert_eq!(found.len(), 1, "{file}");
    found.swap_remove(0)
}

#[test]
fn each_step_adds_one_policy_to_the_same_plugin() {
    let plugins: Vec<Manifest> = STEPS.iter().map(|file| plugin(file)).collect();
    let policies = |plugin: &Manifest| {
        plugin.value["spec"]["pluginConfig"]["policies"].as_array().expect("policies").clone()
    };
    let names: Vec<Value> =
        policies(&plugins[2]).iter().map(|policy| policy["name"].clone()).collect();
    assert_eq!(names, ["github-api-rbac", "github-api-paths", "github-api-headers"]);
    for (index, step) in plugins.iter().enumerate() {
        // But for its policies each is the last one.
        let mut same = plugins[2].value.clone();
        same["spec"]["pluginConfig"]["policies"] = json!(policies(&plugins[2])[..=index]);
        assert_eq!(step.value, same, "{}", step.file);
    }
}

#[test]
fn the_traffic_extension_of_a_step_says_what_its_wasm_plugin_says() {
    for step in STEPS {
        let (plugin, extension) = (plugin(step), plugin(&format!("traffic-extension/{step}")));
        assert_eq!(plugin.value["metadata"], extension.value["metadata"], "{step}");
        let mut spec = extension.value["spec"].clone();
        let wasm =
            spec.as_object_mut().and_then(|spec| spec.remove("wasm")).expect("a wasm extension");
        for (name, value) in wasm.as_object().expect("fields") {
            spec[name] = value.clone();
        }
        assert_eq!(plugin.value["spec"], spec, "{step}");
    }
}

/// `kubectl apply -f filter-config/` takes no sub-folder, and so must not attach the filter twice.
#[test]
fn the_folder_itself_holds_one_plugin() {
    let named: BTreeSet<(String, String)> = manifests::all()
        .iter()
        .filter(|manifest| {
            !manifest.file.contains('/') && manifest.plugin_configuration().is_some()
        })
        .map(|manifest| (manifest.kind().to_owned(), manifest.name().to_owned()))
        .collect();
    assert_eq!(named, [("WasmPlugin".to_owned(), "egress-filter".to_owned())].into());
}

/// Every value of a field of this name.
fn all_of<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(name));
            fields.values().for_each(|value| all_of(value, name, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all_of(value, name, found)),
        _ => {}
    }
}

#[test]
fn what_targets_a_gateway_targets_the_waypoint_in_its_own_namespace() {
    // Step 9 has the Gateway of step 1 again.
    let gateways = of_kind("Gateway");
    let gateway = &gateways[0];
    assert!(gateways.iter().all(|other| other.value["metadata"] == gateway.value["metadata"]));
    assert_eq!((gateway.name(), gateway.namespace()), ("egress", "egress-direct"));
    let mut kinds = BTreeSet::new();
    for manifest in manifests::all() {
        let mut found = Vec::new();
        all_of(&manifest.value["spec"], "targetRefs", &mut found);
        for target in found {
            let wanted = json!([{
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": gateway.name(),
            }]);
            assert_eq!(*target, wanted, "{}", manifest.file);
            assert_eq!(manifest.namespace(), gateway.namespace(), "{}", manifest.file);
            kinds.insert(manifest.kind().to_owned());
        }
    }
    assert_eq!(
        kinds,
        [
            "AuthorizationPolicy",
            "EnvoyFilter",
            "RequestAuthentication",
            "Telemetry",
            "TrafficExtension",
            "WasmPlugin"
        ]
        .map(str::to_owned)
        .into()
    );
}

#[test]
fn each_service_entry_goes_through_the_waypoint_and_has_its_tls() {
    let entries = of_kind("ServiceEntry");
    let rules = of_kind("DestinationRule");
    assert_eq!(entries.len(), rules.len());
    for entry in entries {
        let labels = &entry.value["metadata"]["labels"];
        assert_eq!(
            *labels,
            json!({
                "istio.io/use-waypoint": "egress",
                "istio.io/use-waypoint-namespace": "egress-direct",
            })
        );
        let [host] = &entry.value["spec"]["hosts"].as_array().expect("hosts")[..] else {
            panic!("{}: one host", entry.name())
        };
        let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 443}]);
        assert_eq!(entry.value["spec"]["ports"], ports, "{}", entry.name());
        let rule = rules
            .iter()
            .find(|rule| rule.value["spec"]["host"] == *host)
            .unwrap_or_else(|| panic!("no DestinationRule of {host}"));
        assert_eq!(
            (rule.file.as_str(), rule.namespace()),
            (entry.file.as_str(), entry.namespace())
        );
        let mut tls = json!({"tls": {"mode": "SIMPLE", "sni": host, "subjectAltNames": [host]}});
        // Step 10 has a client certificate as well, from a Secret of the host's own.
        if entry.file == "with-secrets/10-client-certificate.yaml" {
            tls["tls"]["mode"] = json!("MUTUAL");
            tls["tls"]["credentialName"] = json!(entry.name());
        }
        assert_eq!(rule.value["spec"]["trafficPolicy"], tls, "{host}");
    }
}

#[test]
fn every_namespace_and_service_account_that_is_named_is_made() {
    let setup = of_file("01-setup.yaml");
    let made = |kind: &str, namespace: &str, name: &str| {
        setup
            .iter()
            .any(|one| one.kind() == kind && one.namespace() == namespace && one.name() == name)
    };
    for manifest in manifests::all().iter().filter(|manifest| !manifest.namespace().is_empty()) {
        assert!(
            made("Namespace", "", manifest.namespace()),
            "{}: namespace {}",
            manifest.file,
            manifest.namespace()
        );
    }
    for pod in of_kind("Pod") {
        let account = pod.value["spec"]["serviceAccountName"].as_str().expect("a service account");
        assert!(made("ServiceAccount", pod.namespace(), account), "{account}");
    }
    for namespace in of_kind("Namespace") {
        assert_eq!(
            namespace.value["metadata"]["labels"]["istio.io/dataplane-mode"],
            "ambient",
            "{}",
            namespace.name()
        );
    }
}

/// The commands in a file's head are for that very file, and for resources there are.
#[test]
fn each_file_begins_with_the_command_that_applies_it() {
    let files: BTreeSet<String> =
        manifests::all().into_iter().map(|manifest| manifest.file).collect();
    assert_eq!(files.len(), 15, "{files:?}");
    for file in files {
        let text =
            std::fs::read_to_string(e2e::envoy::workspace_root().join("filter-config").join(&file))
                .expect("a file");
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let step = file
            .rsplit('/')
            .next()
            .and_then(|name| name.get(..2))
            .and_then(|step| step.parse::<u8>().ok())
            .expect("a number");
        assert!(head[0].starts_with(&format!("# Step {step}: ")), "{file}: {}", head[0]);
        let apply = format!("#   kubectl apply -f filter-config/{file}");
        assert!(head.contains(&apply.as_str()), "{file} lacks `{apply}`");
    }
}
