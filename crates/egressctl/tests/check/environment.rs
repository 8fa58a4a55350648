//! What is told of the variables that credentials come from.

use serde_json::Value;

use super::run::check_stdin;

/// A plugin with credentials, to which the waypoint gives these variables.
fn plugin(env: &str) -> String {
    format!(
        "apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {{name: egress-filter, namespace: egress-direct}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: egress}}]
  url: oci://registry.example.com/platform/egress-filter:0.1.0
  sha256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
  phase: AUTHZ
  failStrategy: FAIL_RELOAD
  vmConfig: {{env: [{env}]}}
  pluginConfig:
    defaultAction: Deny
    policies:
    - name: who
      hosts: [a.example, b.example]
      traffic:
        authorization:
          policy: {{matchExpressions: ['source.identity.namespace == \"ci\"']}}
    - name: password
      hosts: [a.example]
      backend: {{auth: {{basic: {{username: ada, passwordEnv: PASSWORD}}}}}}
    - name: several
      hosts: [b.example]
      backend:
        auth: {{env: TOKEN}}
        credentials: [{{env: API_KEY, location: {{header: {{name: x-key}}}}}}]
"
    )
}

/// Severity, place and message of all that is found.
fn found(env: &str) -> Vec<(String, String, String)> {
    let output = check_stdin(&["--output", "json", "-"], plugin(env).as_bytes());
    let report: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output:?}"));
    let of = |found: &Value| {
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        (text("severity"), text("path"), text("message"))
    };
    report["diagnostics"].as_array().expect("a list").iter().map(of).collect()
}

#[test]
fn a_variable_that_the_waypoint_does_not_give_is_an_error() {
    let all = "{name: PASSWORD, valueFrom: HOST}, {name: TOKEN, valueFrom: HOST}, \
        {name: API_KEY, valueFrom: HOST}";
    assert_eq!(found(all), []);
    let paths = [
        ("PASSWORD", "spec.pluginConfig.policies[1].backend.auth.basic.passwordEnv"),
        ("TOKEN", "spec.pluginConfig.policies[2].backend.auth.env"),
        ("API_KEY", "spec.pluginConfig.policies[2].backend.credentials[0].env"),
    ];
    let expected = paths.map(|(name, path)| {
        let message = format!(
            "the waypoint does not give the plugin `{name}`: list it in `vmConfig.env`, with \
             `valueFrom: HOST`"
        );
        ("error".to_owned(), path.to_owned(), message)
    });
    assert_eq!(found("{name: OTHER, valueFrom: HOST}"), expected);
}

#[test]
fn a_secret_in_plain_text_is_a_warning() {
    let env = "{name: PASSWORD, valueFrom: HOST}, {name: TOKEN, valueFrom: INLINE, value: t}, \
        {name: API_KEY, value: k}";
    let found = found(env);
    let warned: Vec<(&str, &str)> =
        found.iter().map(|(severity, path, _)| (severity.as_str(), path.as_str())).collect();
    assert_eq!(
        warned,
        [
            ("warning", "spec.pluginConfig.policies[2].backend.auth.env"),
            ("warning", "spec.pluginConfig.policies[2].backend.credentials[0].env"),
        ]
    );
    assert!(found.iter().all(|(_, _, message)| message.contains("is in plain text")));
}
