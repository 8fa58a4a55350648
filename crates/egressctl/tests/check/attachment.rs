//! What is told of the resource around a configuration.

use serde_json::Value;

use super::run::check_stdin;

const DIGEST: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

const WASM_PLUGIN: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: egress-filter
  namespace: egress-direct
spec:
  targetRefs:
  - group: gateway.networking.k8s.io
    kind: Gateway
    name: egress
  url: oci://registry.example.com/platform/egress-filter:0.1.0
  sha256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
  phase: AUTHZ
  failStrategy: FAIL_RELOAD
  pluginConfig:
    policies: []
    defaultAction: Allow
";

const TRAFFIC_EXTENSION: &str = "\
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata:
  name: egress-filter
  namespace: egress-direct
spec:
  targetRefs:
  - group: gateway.networking.k8s.io
    kind: Gateway
    name: egress
  phase: AUTHZ
  wasm:
    url: oci://registry.example.com/platform/egress-filter:0.1.0
    sha256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    failStrategy: FAIL_RELOAD
    pluginConfig:
      policies: []
      defaultAction: Allow
";

/// Severity, the part of the text that is pointed at, and the message, of all that is found.
fn found(text: &str) -> Vec<(String, String, String)> {
    let output = check_stdin(&["--output", "json", "-"], text.as_bytes());
    let report: Value = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{text}\n{output:?}"));
    let diagnostics = report["diagnostics"].as_array().expect("a list");
    let of = |found: &Value| {
        let number = |name: &str| {
            usize::try_from(found[name].as_u64().expect("a number")).expect("a small number") - 1
        };
        let line = text.lines().nth(number("line")).unwrap_or_default();
        let marked = line
            .chars()
            .skip(number("column"))
            .take(number("endColumn") - number("column"))
            .collect();
        (
            found["severity"].as_str().expect("a word").to_owned(),
            marked,
            found["message"].as_str().expect("a text").to_owned(),
        )
    };
    diagnostics.iter().map(of).collect()
}

/// Changes a resource, and looks for the one thing that there is to find in it.
#[track_caller]
fn one(resource: &str, before: &str, after: &str, severity: &str, marked: &str, message: &str) {
    // The fields of the module stand deeper in one of the two.
    let indent = if resource == TRAFFIC_EXTENSION { "    " } else { "  " };
    let text = resource.replacen(before, &after.replace("INDENT", indent), 1);
    assert_ne!(text, resource, "nothing was changed: {before}");
    let found = found(&text);
    let [(got_severity, got_marked, got_message)] = &found[..] else {
        panic!("{before} -> {after}: {found:#?}")
    };
    assert_eq!(
        (got_severity.as_str(), got_marked.as_str()),
        (severity, marked),
        "{before} -> {after}: {found:#?}"
    );
    assert!(got_message.contains(message), "{before} -> {after}: {got_message}");
}

const TARGETS: &str =
    "  targetRefs:\n  - group: gateway.networking.k8s.io\n    kind: Gateway\n    name: egress\n";

#[test]
fn callers_of_a_waypoint_are_in_filter_state() {
    let text = |sources: &str| {
        format!(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: \
             {{name: a}}\nspec:\n  pluginConfig:\n    \
             identity: {{sources: {sources}}}\n    policies: []\n"
        )
    };
    const MESSAGE: &str = "warning: without `filterState` no caller of a waypoint has an identity";
    for (sources, told) in [
        ("[peerCertificate]", true),
        ("[peerCertificate, filterState]", false),
        ("[filterState]", false),
    ] {
        let found = check_stdin(&["-"], text(sources).as_bytes());
        assert_eq!(found.stdout.contains(MESSAGE), told, "{sources}\n{}", found.stdout);
    }
}

#[test]
fn a_good_resource_is_left_in_peace() {
    for resource in [WASM_PLUGIN, TRAFFIC_EXTENSION] {
        assert_eq!(found(resource), []);
        assert_eq!(found(&resource.replace(DIGEST, &format!("\"{DIGEST}\""))), []);
        assert_eq!(found(&resource.replace("  phase:", "  match: [{mode: SERVER}]\n  phase:")), []);
        assert_eq!(
            found(&resource.replace("  phase:", "  priority: 10\n  match: []\n  phase:")),
            []
        );
    }
}

#[test]
fn a_plugin_that_is_attached_nowhere_is_an_error() {
    for resource in [WASM_PLUGIN, TRAFFIC_EXTENSION] {
        let both = |before: &str, after: &str, marked: &str, message: &str| {
            one(resource, before, after, "error", marked, message)
        };
        both(TARGETS, "", "spec", "without `targetRefs`");
        both(TARGETS, "  targetRefs: []\n", "targetRefs", "without `targetRefs`");
        both(
            TARGETS,
            "  selector: {matchLabels: {a: b}}\n",
            "selector",
            "is attached nowhere: use `targetRefs`",
        );
        both(
            "  targetRefs",
            "  selector: {}\n  targetRefs",
            "selector",
            "refuses it beside `targetRefs`",
        );
        both(
            "  - group: gateway.networking.k8s.io\n    kind",
            "  - kind",
            "kind: Gateway",
            "field `group` is missing",
        );
        both(
            "group: gateway.networking.k8s.io",
            "group: \"\"",
            "\"\"",
            "`group` of a Gateway is `gateway.networking.k8s.io`",
        );
        both(
            "kind: Gateway",
            "kind: Service",
            "gateway.networking.k8s.io",
            "`group` of a Service is ``",
        );
        both("kind: Gateway", "kind: Pod", "Pod", "attached to no `Pod`");
        both(
            "    name: egress\n",
            "",
            "group: gateway.networking.k8s.io",
            "field `name` is missing",
        );
        both(
            "    name: egress\n",
            "    name: egress\n    namespace: team-a\n",
            "team-a",
            "in its own namespace only",
        );
        both(
            "kind: Gateway\n    name: egress",
            "kind: GatewayClass\n    name: istio",
            "istio",
            "only `istio-waypoint`",
        );
        both("  phase:", "  match: [{mode: CLIENT}]\n  phase:", "mode", "no `CLIENT` traffic");
        both(
            "  phase:",
            "  match:\n  - ports: [{number: 80}]\n  phase:",
            "ports",
            "no port matches",
        );
        both("v1alpha1", "v1", "extensions.istio.io/v1", "unknown version of");
        both("  name: egress-filter\n", "", "metadata", "field `name` is missing");
        both(
            "  phase: AUTHZ",
            "  phase: AUTHZ\n  match: {mode: CLIENT}",
            "{mode: CLIENT}",
            "`match` is a list, got an object",
        );
        both(
            "spec:\n",
            "specs:\n",
            "apiVersion: extensions.istio.io/v1alpha1",
            ".pluginConfig` is missing",
        );
    }
}

#[test]
fn what_lets_requests_pass_unchecked_is_an_error() {
    for resource in [WASM_PLUGIN, TRAFFIC_EXTENSION] {
        let both = |before: &str, after: &str, marked: &str, message: &str| {
            one(resource, before, after, "error", marked, message)
        };
        both("FAIL_RELOAD", "FAIL_OPEN", "FAIL_OPEN", "unchecked");
        both(
            "failStrategy: FAIL_RELOAD",
            "type: NETWORK\nINDENTfailStrategy: FAIL_RELOAD",
            "NETWORK",
            "checks nothing",
        );
    }
}

#[test]
fn what_the_api_server_refuses_or_drops_is_an_error() {
    for resource in [WASM_PLUGIN, TRAFFIC_EXTENSION] {
        let both = |before: &str, after: &str, marked: &str, message: &str| {
            one(resource, before, after, "error", marked, message)
        };
        both("FAIL_RELOAD", "FAILRELOAD", "FAILRELOAD", "(did you mean `FAIL_RELOAD`?)");
        both(
            "phase: AUTHZ",
            "phase: AUTHZ\n  prioritie: 1",
            "prioritie",
            "(did you mean `priority`?)",
        );
        both(
            "phase: AUTHZ",
            "phase: AUTHZ\n  priority: high",
            "high",
            "`priority` is an integer, got a string",
        );
        both("phase: AUTHZ", "phase: AUTHZ\n  phase: AUTHZ", "phase", "given twice");
        both(
            "    name: egress\n",
            "    name: egress\n    names: x\n",
            "names",
            "unknown field `names` (did you mean `name`?)",
        );
        both(
            "phase: AUTHZ",
            "phase: AUTHZ\n  match: [{mode: Server}]",
            "Server",
            "(did you mean `SERVER`?)",
        );
        both(
            "oci://",
            "s3://",
            "s3://registry.example.com/platform/egress-filter:0.1.0",
            "unknown scheme `s3`",
        );
        both(DIGEST, "0123", "0123", "got a number: put it in quotes");
        both(DIGEST, "5f70bf", "5f70bf", "64 digits, `0` to `9` and `a` to `f`; this has 6");
        both(
            DIGEST,
            &DIGEST.to_uppercase(),
            &DIGEST.to_uppercase(),
            "64 digits, `0` to `9` and `a` to `f`",
        );
        both(DIGEST, &format!("sha256:{DIGEST}"), &format!("sha256:{DIGEST}"), "without `sha256:`");
        let other = format!("egress-filter@sha256:{}", "1".repeat(64));
        both("egress-filter:0.1.0", &other, DIGEST, "is not the digest in `url`");
    }
    one(WASM_PLUGIN, "AUTHZ", "UNSPECIFIED", "error", "UNSPECIFIED", "unknown value `UNSPECIFIED`");
    one(
        TRAFFIC_EXTENSION,
        "  wasm:",
        "  failStrategy: FAIL_RELOAD\n  wasm:",
        "error",
        "failStrategy",
        "unknown field",
    );
}

#[test]
fn what_is_enforced_and_can_hardly_be_meant_is_a_warning() {
    for (resource, module, unspecified) in
        [(WASM_PLUGIN, "spec", "UNSPECIFIED_PHASE"), (TRAFFIC_EXTENSION, "wasm", "UNSPECIFIED")]
    {
        let both = |before: &str, after: &str, marked: &str, message: &str| {
            one(resource, before, after, "warning", marked, message)
        };
        both("failStrategy: FAIL_RELOAD", "", module, "without `failStrategy`");
        both("FAIL_RELOAD", "FAIL_CLOSE", "FAIL_CLOSE", "answers 503");
        both("  phase: AUTHZ\n", "", "spec", "without `phase`");
        both("AUTHZ", "STATS", "STATS", "runs after Istio's AuthorizationPolicy");
        both("AUTHZ", unspecified, unspecified, "runs after Istio's AuthorizationPolicy");
        both(":0.1.0", "", "oci://registry.example.com/platform/egress-filter", "without a tag");
        both(
            ":0.1.0",
            ":latest",
            "oci://registry.example.com/platform/egress-filter:latest",
            "another image tomorrow",
        );
        both(&format!("sha256: {DIGEST}"), "", "url", "without `sha256`");
        both(DIGEST, "\"\"", "\"\"", "without `sha256`");
        let zeros = format!("\"{}\"", "0".repeat(64));
        both(DIGEST, &zeros, &zeros, "`make image IMAGE=");
        both(
            "failStrategy: FAIL_RELOAD",
            "verificationKey: a\nINDENTfailStrategy: FAIL_RELOAD",
            "verificationKey",
            "does not verify",
        );
        both(
            "phase: AUTHZ",
            "match: [{mode: CLIENT}, {mode: SERVER}]\n  phase: AUTHZ",
            "mode",
            "this entry says nothing",
        );
        both(
            "kind: Gateway\n    name: egress",
            "kind: GatewayClass\n    name: istio-waypoint",
            "GatewayClass",
            "root namespace",
        );
    }
    one(
        WASM_PLUGIN,
        "  targetRefs:\n  -",
        "  targetRef:\n   ",
        "warning",
        "targetRef",
        "is superseded",
    );
}

#[test]
fn what_is_worth_knowing_is_a_note() {
    for resource in [WASM_PLUGIN, TRAFFIC_EXTENSION] {
        let both = |before: &str, after: &str, marked: &str, message: &str| {
            one(resource, before, after, "note", marked, message)
        };
        let gateway = "group: gateway.networking.k8s.io\n    kind: Gateway";
        both(
            gateway,
            "group: networking.istio.io\n    kind: ServiceEntry",
            "ServiceEntry",
            "target the waypoint's Gateway",
        );
        both(gateway, "kind: Service", "Service", "target the waypoint's Gateway");
        both("AUTHZ", "AUTHN", "AUTHN", "before Istio's authentication too");
        both("oci://", "", "registry.example.com/platform/egress-filter:0.1.0", "read as `oci://`");
        both(
            "failStrategy: FAIL_RELOAD",
            "vmConfig: {env: []}\nINDENTfailStrategy: FAIL_RELOAD",
            "vmConfig",
            "no environment variables",
        );
        both(
            "oci://registry.example.com",
            "file://",
            "file:///platform/egress-filter:0.1.0",
            "mount it there",
        );
    }
}

#[test]
fn a_resource_without_a_configuration_is_an_error() {
    for (resource, prefix, deeper) in [
        (WASM_PLUGIN, "spec.pluginConfig", ""),
        (TRAFFIC_EXTENSION, "spec.wasm.pluginConfig", "  "),
    ] {
        let message = format!("`{prefix}` is missing");
        let configuration = format!(
            "  {deeper}pluginConfig:\n    {deeper}policies: []\n    {deeper}defaultAction: Allow\n"
        );
        one(resource, &configuration, "", "error", "spec", &message);
        one(
            resource,
            &configuration,
            &format!("  {deeper}pluginConfig:\n"),
            "error",
            "spec",
            &message,
        );
    }
}

#[test]
fn another_filters_resource_is_left_out_with_a_note() {
    let other = WASM_PLUGIN
        .replace("egress-filter:0.1.0", "waf:1")
        .replace("policies: []\n    defaultAction: Allow", "rules: []")
        .replace("AUTHZ", "STATS");
    let found = found(&format!("{WASM_PLUGIN}---\n{other}"));
    let [(severity, marked, message)] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((severity.as_str(), marked.as_str()), ("note", "WasmPlugin"));
    assert_eq!(
        message,
        "not checked: WasmPlugin egress-direct/egress-filter is another filter's, as it has no \
         policies"
    );
    let alone = check_stdin(&["-"], other.as_bytes());
    assert!(
        alone.code == 1 && alone.stdout.contains("error: nothing to check: "),
        "{}",
        alone.stdout
    );
    // A slip in the one field that tells does not make it another filter's.
    let slip = check_stdin(&["-"], other.replace("rules", "polices").as_bytes());
    assert!(slip.stdout.contains("did you mean `policies`?"), "{}", slip.stdout);
}

#[test]
fn two_plugins_on_one_gateway_are_told_and_one_that_is_updated_is_not() {
    let two = |second: &str| found(&format!("{WASM_PLUGIN}---\n{second}"));
    assert_eq!(two(WASM_PLUGIN), []);
    assert_eq!(two(&WASM_PLUGIN.replace("namespace: egress-direct", "namespace: other")), []);
    assert_eq!(
        two(&WASM_PLUGIN
            .replace("name: egress\n", "name: other\n")
            .replace("name: egress-filter", "name: b")),
        []
    );
    for second in [
        TRAFFIC_EXTENSION.to_owned(),
        WASM_PLUGIN.replacen("name: egress-filter", "name: another", 1),
    ] {
        let found = two(&second);
        let [(severity, marked, message)] = &found[..] else { panic!("{found:#?}") };
        assert_eq!((severity.as_str(), marked.as_str()), ("warning", "egress"));
        let expected = "the Gateway `egress` has the filter from WasmPlugin \
            egress-direct/egress-filter too: with both, each request passes it twice";
        assert_eq!(message, expected);
    }
}

#[test]
fn resources_are_found_in_a_list() {
    let items: String =
        WASM_PLUGIN.replace("AUTHZ", "STATS").lines().map(|line| format!("  {line}\n")).collect();
    let found =
        found(&format!("apiVersion: v1\nkind: List\nitems:\n-{}", items.get(1..).expect("a text")));
    assert_eq!(
        found
            .iter()
            .map(|(severity, marked, _)| (severity.as_str(), marked.as_str()))
            .collect::<Vec<_>>(),
        [("warning", "STATS")]
    );
}
