//! Credentials: `backend.auth`.

use super::*;

/// A policy for one host, with this `backend` and an Allow.
fn with_backend(backend: &serde_json::Value) -> String {
    let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: \
        {name: e, namespace: egress-direct}\nspec: {hosts: [api.example]}\n---\n";
    let policy = json!({
        "apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayPolicy",
        "metadata": {"name": "p", "namespace": "egress-direct"},
        "spec": {
            "targetRefs": [{"group": "networking.istio.io", "kind": "ServiceEntry", "name": "e"}],
            "traffic": {"authorization": {"policy": {"matchExpressions": ["true"]}}},
            "backend": backend,
        },
    });
    format!("{entry}{policy}")
}

#[test]
fn secrets_become_variables_of_the_waypoint() {
    let text = with_backend(&json!({"auth": {
        "secretRef": {"name": "github-token"},
        "credentials": [
            {"secretRef": {"name": "datadog", "key": "app-key"},
                "location": {"header": {"name": "DD-Application-Key"}}},
            {"secretRef": {"name": "datadog", "key": "api.key"},
                "location": {"queryParameter": {"name": "api_key"}}},
        ],
    }}));
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(
        policies(&text)[0]["backend"],
        json!({
            "auth": {"env": "GITHUB_TOKEN_AUTHORIZATION"},
            "credentials": [
                {"env": "DATADOG_APP_KEY", "location": {"header": {"name": "DD-Application-Key"}}},
                {"env": "DATADOG_API_KEY", "location": {"queryParameter": {"name": "api_key"}}},
            ],
        })
    );
    engine(&text);
    let told = notes_at(&text, "spec.backend.auth.credentials[1].secretRef");
    assert!(
        told.len() == 1
            && told[0].contains(
                "env: [{name: DATADOG_API_KEY, valueFrom: {secretKeyRef: {name: datadog, key: \
                 api.key}}}]"
            )
            && told[0].contains("parametersRef"),
        "{told:?}"
    );
    let told = notes_at(&text, "spec.backend.auth.secretRef");
    assert!(told.iter().any(|told| told.contains("a leading `Bearer ` is cut off")), "{told:?}");
    for (kind, place) in
        [("WasmPlugin", "/spec/vmConfig"), ("TrafficExtension", "/spec/wasm/vmConfig")]
    {
        let resource = converted(&text, &["--gateway", "g", "--kind", kind], |converted| {
            serde_json::to_value(&converted.resource).unwrap()
        });
        let variable = |name: &str| json!({"name": name, "valueFrom": "HOST"});
        assert_eq!(
            resource.pointer(place),
            Some(&json!({"env": [
                variable("DATADOG_APP_KEY"),
                variable("DATADOG_API_KEY"),
                variable("GITHUB_TOKEN_AUTHORIZATION"),
            ]})),
            "{resource:#}"
        );
    }
}

#[test]
fn a_location_is_taken_as_it_is() {
    for location in [
        json!({"header": {"name": "x-key", "prefix": "Key "}}),
        json!({"queryParameter": {"name": "key"}}),
        json!({"cookie": {"name": "session"}}),
    ] {
        let auth = json!({"secretRef": {"name": "s", "key": "k"}, "location": location});
        let text = with_backend(&json!({"auth": auth}));
        assert_eq!(losses(&text), Vec::<String>::new(), "{location}");
        assert_eq!(
            policies(&text)[0]["backend"]["auth"],
            json!({"env": "S_K", "location": location})
        );
    }
}

/// The origin must not take what the caller sends for the credential.
#[test]
fn a_credential_that_is_not_converted_takes_the_callers_own_with_it() {
    let header = json!({"header": {"name": "X-Key"}});
    for (auth, instead, removed) in [
        (json!({"key": "s3cr3t"}), "plain text", Some("Authorization")),
        (json!({"key": "s3cr3t", "location": header}), "plain text", Some("X-Key")),
        (json!({"aws": {"region": "eu"}}), "signs them", Some("Authorization")),
        (json!({"azure": {"managedIdentity": {}}}), "token endpoint", Some("Authorization")),
        (json!({"gcp": {"type": "IdToken"}}), "`oauthClientCredentials`", Some("Authorization")),
        (
            json!({"jwtSign": {"alg": "RS256", "location": header}}),
            "`oauthClientCredentials`",
            Some("X-Key"),
        ),
        (
            json!({"oauthTokenExchange": {"path": "/"}}),
            "no token to exchange",
            Some("Authorization"),
        ),
        (json!({"crossAppAccess": {"a": "b"}}), "no token to exchange", Some("Authorization")),
        (json!({"secretRef": {"key": "k"}}), "`name` is missing", Some("Authorization")),
        (
            json!({"secretRef": {"name": "n", "kind": "Vault"}}),
            "not a Secret",
            Some("Authorization"),
        ),
        (json!({"passthrough": {}}), "goes on as it came", None),
    ] {
        let text = with_backend(&json!({"auth": auth}));
        let told = losses(&text);
        assert!(
            told.len() == 1
                && told[0].starts_with("Lost spec.backend.auth.")
                && told[0].contains(instead),
            "{auth}: {told:#?}"
        );
        assert_eq!(
            policies(&text)[0]["traffic"].pointer("/headerModifiers/request/remove/0"),
            removed.map(|name| json!(name)).as_ref(),
            "{auth}"
        );
        assert!(!configuration(&text).to_string().contains("s3cr3t"), "{auth}");
    }
    // What is no header cannot be removed.
    let query = json!({"queryParameter": {"name": "key"}});
    let told = losses(&with_backend(&json!({"auth": {"key": "a", "location": query}})));
    assert!(told.len() == 1 && told[0].starts_with("Looser spec.backend.auth.key"), "{told:#?}");
}

#[test]
fn a_credential_needs_hosts_that_are_named_exactly() {
    let backend = json!({"auth": {"secretRef": {"name": "s"}}});
    let exact = with_backend(&backend);
    for (text, message) in [
        (exact.replace("[api.example]", "['*.example']"), "has a wildcard"),
        (with(&format!("\"backend\": {backend}")), "for every host"),
    ] {
        let told = losses(&text);
        assert!(
            told.len() == 1 && told[0].starts_with("Lost ") && told[0].contains(message),
            "{told:#?}"
        );
        let modifiers = &policies(&text)[0]["traffic"]["headerModifiers"];
        assert_eq!(*modifiers, json!({"request": {"remove": ["Authorization"]}}));
    }
}

/// The engine refuses a credential that nobody is allowed to use by name; there, everybody is.
#[test]
fn who_may_use_a_credential_is_written_out() {
    let text = with_backend(&json!({"auth": {"secretRef": {"name": "s"}}}));
    let open = text.replace(
        r#""traffic":{"authorization":{"policy":{"matchExpressions":["true"]}}}"#,
        r#""traffic":{}"#,
    );
    assert_ne!(open, text);
    let callers = json!({"name": "p-callers", "hosts": ["api.example"], "traffic":
        {"authorization": {"action": "Allow", "policy": {"matchExpressions": ["true"]}}}});
    assert_eq!(policies(&open).get(1), Some(&callers));
    assert_eq!(policies(&text).get(1), None);
    assert!(notes_at(&open, "spec.backend")[0].contains("better say who may"));
    engine(&open);
}

#[test]
fn a_backend_is_the_host_that_it_names() {
    let backend = "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayBackend\nmetadata: \
        {name: e, namespace: egress-direct}\nspec: {static: {host: api.example, port: 443}}\n";
    let policy = with_backend(&json!({"auth": {"secretRef": {"name": "s"}}}))
        .split_once("---\n")
        .unwrap()
        .1
        .replace("networking.istio.io", "agentgateway.dev")
        .replace("ServiceEntry", "AgentgatewayBackend");
    let text = format!("{backend}---\n{policy}");
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(policies(&text)[0]["hosts"], json!(["api.example"]));
}

#[test]
fn tls_that_a_destination_rule_has_is_not_lost() {
    let text = with_backend(&json!({"tls": {"sni": "api.example"}}));
    assert!(losses(&text)[0].starts_with("Looser spec.backend.tls"));
    let rule = |host: &str, mode: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: \
             {{name: r, namespace: egress-direct}}\nspec: {{host: {host}, trafficPolicy: \
             {{portLevelSettings: [{{port: {{number: 443}}, tls: {{mode: {mode}}}}}]}}}}\n---\n"
        )
    };
    for (host, mode, is_lost) in [
        ("api.example", "SIMPLE", false),
        ("api.example", "DISABLE", true),
        ("b.example", "SIMPLE", true),
    ] {
        let told = losses(&format!("{}{text}", rule(host, mode)));
        assert_eq!(!told.is_empty(), is_lost, "{host} {mode}: {told:#?}");
    }
}
