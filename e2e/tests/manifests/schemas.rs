//! Every resource is as its schema says, and the schemas say enough to refuse what is wrong.

use std::collections::BTreeSet;

use e2e::envoy::workspace_root;
use e2e::manifests;
use e2e::schemas::Schemas;
use serde_json::{Value, json};

use super::of_kind;

#[test]
fn every_resource_is_as_its_schema_says() {
    let schemas = Schemas::vendored();
    let faults: Vec<String> = manifests::all()
        .iter()
        .flat_map(|manifest| {
            let name = format!("{}: {} {}", manifest.file, manifest.kind(), manifest.name());
            schemas.faults(&manifest.value).into_iter().map(move |fault| format!("{name}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// So that no schema is vendored for nothing, and each kind is in what follows.
#[test]
fn there_is_a_schema_of_the_kinds_that_are_used_and_of_no_others() {
    let schemas = Schemas::vendored();
    let used: BTreeSet<String> = manifests::all()
        .iter()
        .map(|manifest| {
            format!(
                "{} {}",
                manifest.value["apiVersion"].as_str().unwrap_or_default(),
                manifest.kind()
            )
        })
        .collect();
    assert_eq!(schemas.kinds().map(str::to_owned).collect::<BTreeSet<_>>(), used);
}

/// Those too that no resource here has a value for.
#[test]
fn every_rule_of_the_schemas_compiles() {
    let mut rules = 0;
    for file in ["kubernetes.json", "gateway-api.json", "istio.json"] {
        let text =
            std::fs::read_to_string(workspace_root().join("e2e/schemas").join(file)).expect(file);
        let schemas: Value = serde_json::from_str(&text).expect(file);
        let mut places = Vec::new();
        objects(&schemas, "", &mut places);
        for place in places {
            for rule in schemas
                .pointer(&place)
                .map_or(&Value::Null, |schema| &schema["x-kubernetes-validations"])
                .as_array()
                .into_iter()
                .flatten()
            {
                let expression =
                    rule["rule"].as_str().unwrap_or_else(|| panic!("{file}{place}: {rule}"));
                cel::Program::compile(expression)
                    .unwrap_or_else(|error| panic!("{file}{place}: {expression}: {error}"));
                assert!(rule["message"].is_string(), "{file}{place}");
                rules += 1;
            }
        }
    }
    assert!(rules > 40, "{rules} rules");
}

#[test]
fn a_key_that_is_given_twice_is_no_manifest() {
    assert!(manifests::parse("kind: Pod\nspec: {a: 1, a: 2}\n").is_err());
    assert_eq!(
        manifests::parse("a: 1\n---\nb: x\n").expect("YAML"),
        [json!({"a": 1}), json!({"b": "x"})]
    );
}

/// Every object in `value`, as a JSON pointer.
fn objects(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(pointer.to_owned());
            for (name, value) in fields {
                objects(
                    value,
                    &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| objects(item, &format!("{pointer}/{index}"), found)),
        _ => {}
    }
}

/// Where any name goes.
const FREE: [&str; 6] =
    ["/labels", "/annotations", "/matchLabels", "/data", "/pluginConfig", "/patch/value"];

#[test]
fn a_misspelt_field_is_refused_wherever_it_is() {
    let schemas = Schemas::vendored();
    let mut tried = 0;
    for manifest in manifests::all() {
        let mut places = Vec::new();
        objects(&manifest.value, "", &mut places);
        places.retain(|place| {
            !FREE.iter().any(|free| place.ends_with(free) || place.contains(&format!("{free}/")))
        });
        for place in places {
            let mut misspelt = manifest.value.clone();
            misspelt.pointer_mut(&place).expect("a place in it")["mispelt"] = json!("x");
            let faults = schemas.faults(&misspelt);
            assert!(
                matches!(&faults[..], [fault] if fault.contains("unknown field `mispelt`")),
                "{}: {} {place}: {faults:?}",
                manifest.file,
                manifest.kind()
            );
            tried += 1;
        }
    }
    assert!(tried > 200, "only {tried} places were tried");
}

/// A resource of `filter-config/`, changed at one place, and what the schema then says.
#[track_caller]
fn assert_refused(kind: &str, pointer: &str, value: Value, expected: &str) {
    let mut manifest = of_kind(kind).swap_remove(0).value;
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match manifest.pointer_mut(parent).unwrap_or_else(|| panic!("{kind} has no {parent}")) {
        Value::Object(fields) if value.is_null() => drop(fields.remove(name)),
        Value::Array(items) if name == "-" => items.push(value),
        place => {
            let place = if let Ok(index) = name.parse::<usize>() {
                &mut place[index]
            } else {
                &mut place[name]
            };
            *place = value;
        }
    }
    let faults = Schemas::vendored().faults(&manifest);
    assert!(
        matches!(&faults[..], [fault] if fault.contains(expected)),
        "{kind} {pointer}: {faults:?}, not `{expected}`"
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    for (kind, pointer, value, expected) in [
        ("WasmPlugin", "/spec/phase", json!("AUTH"), "spec.phase: \"AUTH\" is none of"),
        (
            "WasmPlugin",
            "/spec/sha256",
            json!("sha256:00"),
            "spec.sha256: `sha256:00` does not match",
        ),
        ("WasmPlugin", "/spec/url", Value::Null, "spec: lacks `url`"),
        (
            "WasmPlugin",
            "/spec/targetRefs/0/kind",
            json!("9"),
            "spec.targetRefs[0].kind: `9` does not match",
        ),
        ("WasmPlugin", "/spec/priority", json!("10"), "spec.priority: \"10\" is no"),
        ("TrafficExtension", "/spec/wasm/failStrategy", json!("FAIL_RETRY"), "is none of"),
        (
            "ServiceEntry",
            "/spec/ports/0/number",
            json!(4_294_967_296_i64),
            "is more than 4294967295",
        ),
        (
            "ServiceEntry",
            "/spec/ports/0/number",
            json!("80"),
            "spec.ports[0].number: \"80\" is no \"integer\"",
        ),
        ("ServiceEntry", "/spec/hosts", json!([]), "spec.hosts: is shorter than 1"),
        (
            "ServiceEntry",
            "/spec/ports/-",
            json!({"name": "http", "number": 81}),
            "two items with [\"name\"] \"http\"",
        ),
        ("DestinationRule", "/spec/trafficPolicy/tls/mode", json!("TLS"), "is none of"),
        (
            "DestinationRule",
            "/spec/trafficPolicy/loadBalancer",
            json!({"simple": "RANDOM", "consistentHash": {"useSourceIp": true}}),
            "2 of `oneOf` hold",
        ),
        ("Gateway", "/spec/listeners/0/port", json!(0), "is less than 1"),
        ("Gateway", "/spec/listeners/0/protocol", json!("H BONE"), "does not match"),
        ("Pod", "/spec/containers/0/name", Value::Null, "spec.containers[0]: lacks `name`"),
        ("NetworkPolicy", "/spec/egress/0/ports/0/port", json!(15.5), "`oneOf`"),
        ("Namespace", "/metadata/labels/count", json!(1), "metadata.labels.count: 1 is no"),
        ("ConfigMap", "/data/number", json!(1), "data.number: 1 is no"),
        ("Telemetry", "/spec/accessLogging/0/providers/0/name", json!(""), "is shorter than 1"),
        ("AuthorizationPolicy", "/spec/action", json!("Allow"), "is none of"),
        (
            "WasmPlugin",
            "/apiVersion",
            json!("extensions.istio.io/v1"),
            "no schema of `extensions.istio.io/v1 WasmPlugin`",
        ),
    ] {
        assert_refused(kind, pointer, value, expected);
    }
}

#[test]
fn a_rule_in_cel_that_does_not_hold_is_told_with_its_place() {
    for (kind, pointer, value, expected) in [
        (
            "WasmPlugin",
            "/spec/url",
            json!("ftp://example.com/x.wasm"),
            "spec.url: url must have schema one of",
        ),
        (
            "WasmPlugin",
            "/spec/selector",
            json!({"matchLabels": {"app": "x"}}),
            "spec: only one of targetRefs or selector",
        ),
        (
            "WasmPlugin",
            "/spec/targetRefs/0/namespace",
            json!("other"),
            "spec.targetRefs[0].namespace: cross namespace",
        ),
        (
            "TrafficExtension",
            "/spec/lua",
            json!({"inlineCode": "x"}),
            "spec: exactly one of wasm or lua",
        ),
        ("TrafficExtension", "/spec/wasm", Value::Null, "spec: exactly one of wasm or lua"),
        (
            "ServiceEntry",
            "/spec/ports/0/targetPort",
            json!(70000),
            "spec.ports[0].targetPort: port must be between",
        ),
        (
            "ServiceEntry",
            "/spec/ports/-",
            json!({"name": "other", "number": 80}),
            "spec.ports: port number cannot be duplicated",
        ),
        ("ServiceEntry", "/spec/hosts/0", json!("*"), "spec.hosts[0]: hostname cannot be wildcard"),
        (
            "ServiceEntry",
            "/spec/addresses",
            json!(["10.0.0.0/8"]),
            "spec: CIDR addresses are allowed only",
        ),
        (
            "ServiceEntry",
            "/spec/endpoints",
            json!([{"address": "unix://x"}]),
            "endpoints[0].address: UDS must be an absolute",
        ),
        (
            "ServiceEntry",
            "/spec/endpoints",
            json!([{"address": "x", "ports": {"-": 1}}]),
            "endpoints[0].ports: port name must be valid",
        ),
        (
            "DestinationRule",
            "/spec/trafficPolicy/outlierDetection",
            json!({"interval": "0s"}),
            "interval: must be a valid duration",
        ),
        (
            "Gateway",
            "/spec/listeners/-",
            json!({"name": "m", "port": 15008, "protocol": "HBONE"}),
            "Combination of port, protocol",
        ),
        (
            "Gateway",
            "/spec/infrastructure",
            json!({"labels": {"-": "x"}}),
            "infrastructure.labels: Label keys must be",
        ),
        (
            "Gateway",
            "/spec/addresses",
            json!([{"value": "10.0.0.1"}, {"value": "10.0.0.1"}]),
            "IPAddress values must be unique",
        ),
        (
            "AuthorizationPolicy",
            "/spec/rules/0/from/0/source/serviceAccounts",
            json!(["a/b"]),
            "Cannot set serviceAccounts with",
        ),
    ] {
        assert_refused(kind, pointer, value, expected);
    }
}
