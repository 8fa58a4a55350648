//! Which requests the policies of the result are for, and which documents are read: never more, and
//! never fewer in silence.

use super::*;

const DOCUMENT: &str = "\n---\n";

fn entry(name: &str, hosts: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, \
         namespace: ns}}\nspec: {{{hosts}}}\n"
    )
}

fn route(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, \
         namespace: ns}}\nspec: {{{spec}}}\n"
    )
}

fn istio(name: &str, action: &str, targets: &str, namespace: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, \
         namespace: ns}}\nspec:\n  targetRefs: [{targets}]\n  action: {action}\n  rules: \
         [{{from: [{{source: {{namespaces: [{namespace}]}}}}]}}]\n"
    )
}

fn agentgateway(name: &str, targets: &str) -> String {
    format!(
        "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayPolicy\nmetadata: \
         {{name: {name}, namespace: ns}}\nspec:\n  targetRefs: [{targets}]\n  traffic: \
         {{authorization: {{policy: {{matchExpressions: [\"request.method == 'GET'\"]}}}}}}\n"
    )
}

fn to_entry(name: &str) -> String {
    format!("{{group: networking.istio.io, kind: ServiceEntry, name: {name}}}")
}

fn to_route(name: &str) -> String {
    format!("{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: {name}}}")
}

const TO_GATEWAY: &str = "{group: gateway.networking.k8s.io, kind: Gateway, name: egress}";

/// The errors.
fn looser(documents: &[String]) -> Vec<String> {
    losses(&documents.join(DOCUMENT))
        .into_iter()
        .filter(|note| note.starts_with("Looser "))
        .collect()
}

#[test]
fn targets_without_a_host_are_an_error() {
    for (documents, message) in [
        (vec![istio("p", "ALLOW", &to_entry("e"), "a"), entry("e", "")], "names no host"),
        (vec![istio("p", "ALLOW", &to_entry("e"), "a"), entry("e", "hosts: []")], "names no host"),
        (
            vec![istio("p", "ALLOW", &to_entry("e"), "a"), entry("e", "hosts: [5, a.example]")],
            "expected a host, got a number",
        ),
        (
            vec![istio("p", "ALLOW", &to_entry("e"), "a"), entry("e", "hosts: a.example")],
            "expected a list, got a string",
        ),
        (
            vec![
                istio("p", "ALLOW", &to_entry("e"), "a"),
                entry("e", "hosts: [a.example], hosts: [b.example]"),
            ],
            "given twice",
        ),
        (vec![istio("p", "ALLOW", "", "a")], "without `targetRefs`"),
        (vec![agentgateway("p", "")], "has no target"),
        (
            vec![
                agentgateway("p", &to_route("r")),
                route("r", "hostnames: [7], parentRefs: [{name: egress}]"),
            ],
            "expected a host",
        ),
        (
            vec![
                agentgateway("p", &to_route("r")),
                route("r", "parentRefs: [{group: '', kind: Service, name: s}]")
                    .replace(", namespace: ns", ""),
            ]
            .into_iter()
            .map(|document| document.replace(", namespace: ns", ""))
            .collect(),
            "are not known",
        ),
        (
            vec![
                agentgateway("p", &to_route("r")),
                route("r", "hostnames: [a.example], rules: [{matches: [{path: {value: 5}}]}]"),
            ],
            "for some requests",
        ),
        (
            vec![
                agentgateway("p", &to_route("r")),
                route("r", "hostnames: [a.example], rules: [{matches: {method: GET}}]"),
            ],
            "for some requests",
        ),
        (
            vec![
                istio("p", "ALLOW", &to_entry("e"), "a"),
                entry("e", "hosts: [a.example]"),
                entry("e", "hosts: [b.example]").replace("ns}", "other}"),
            ]
            .into_iter()
            .enumerate()
            .map(
                |(index, document)| {
                    if index == 0 { document.replace(", namespace: ns", "") } else { document }
                },
            )
            .collect(),
            "which `ServiceEntry` `e` is meant",
        ),
    ] {
        let told = looser(&documents);
        assert!(told.iter().any(|note| note.contains(message)), "{documents:#?}: {told:?}");
    }
}

#[test]
fn what_is_allowed_to_one_service_is_not_to_another_that_shares_its_hosts() {
    let entries = || {
        [entry("wide", "hosts: ['*.example.com']"), entry("b", "hosts: [b.example.com]")]
            .join(DOCUMENT)
    };
    let routes = || {
        [
            route("all", "parentRefs: [{name: egress}]"),
            route("b", "hostnames: [b.example], parentRefs: [{name: egress}]"),
        ]
        .join(DOCUMENT)
    };
    let both = || format!("{}, {}", to_entry("wide"), to_entry("b"));
    for (documents, expected) in [
        (
            vec![
                entries(),
                istio("p", "ALLOW", &to_entry("wide"), "a"),
                istio("q", "ALLOW", &to_entry("b"), "b"),
            ],
            true,
        ),
        (
            vec![
                entries(),
                istio("q", "ALLOW", &to_entry("b"), "b"),
                istio("p", "ALLOW", &to_entry("wide"), "a"),
            ],
            true,
        ),
        (
            vec![
                entries(),
                istio("p", "ALLOW", &to_entry("wide"), "a"),
                istio("q", "ALLOW", &both(), "b"),
            ],
            true,
        ),
        (
            vec![routes(), agentgateway("p", &to_route("all")), agentgateway("q", &to_route("b"))],
            true,
        ),
        // Nobody has an Allow for the narrower alone, but the Gateway has one for all.
        (
            vec![
                entries(),
                istio("p", "ALLOW", &to_entry("wide"), "a"),
                istio("q", "ALLOW", TO_GATEWAY, "b"),
            ],
            true,
        ),
        (vec![routes(), agentgateway("p", &to_route("all")), agentgateway("q", TO_GATEWAY)], true),
        (
            vec![
                entries(),
                istio("p", "ALLOW", &both(), "a"),
                istio("q", "ALLOW", TO_GATEWAY, "b"),
            ],
            false,
        ),
        (vec![entries(), istio("p", "ALLOW", &to_entry("wide"), "a")], false),
        // The narrower's count for the narrower alone; the Gateway's count everywhere, in the
        // source too; a DENY refuses more.
        (
            vec![
                entries(),
                istio("p", "ALLOW", &both(), "a"),
                istio("q", "ALLOW", &to_entry("b"), "b"),
            ],
            false,
        ),
        (
            vec![
                entries(),
                istio("p", "ALLOW", TO_GATEWAY, "a"),
                istio("q", "ALLOW", &to_entry("b"), "b"),
            ],
            false,
        ),
        (
            vec![
                entries(),
                istio("p", "DENY", &to_entry("wide"), "a"),
                istio("q", "ALLOW", &to_entry("b"), "b"),
            ],
            false,
        ),
        (
            vec![
                entries(),
                istio("p", "ALLOW", &to_entry("wide"), "a"),
                istio("q", "DENY", &to_entry("b"), "b"),
            ],
            false,
        ),
        (
            vec![
                entries(),
                istio("p", "ALLOW", &to_entry("wide"), "a"),
                istio("q", "ALLOW", &to_entry("wide"), "b"),
            ],
            false,
        ),
    ] {
        let told = looser(&documents);
        assert_eq!(
            told.iter().any(|note| note.contains("would be allowed to those of")),
            expected,
            "{documents:#?}: {told:?}"
        );
        assert_eq!(told.len(), usize::from(expected), "{told:?}");
    }
}

#[test]
fn no_document_is_dropped_in_silence() {
    let deny = |name: &str| {
        let rule = "{\"action\": \"DENY\", \"targetRefs\": [{\"group\": \
            \"gateway.networking.k8s.io\", \"kind\": \"Gateway\", \"name\": \"egress\"}], \
            \"rules\": [{}]}";
        format!(
            "{{\"apiVersion\": \"security.istio.io/v1\", \"kind\": \"AuthorizationPolicy\", \
             \"metadata\": {{\"name\": \"{name}\", \"namespace\": \"ns\"}}, \"spec\": {rule}}}"
        )
    };
    let list = |items: &str| format!(r#"{{"apiVersion": "v1", "kind": "List", "items": {items}}}"#);
    let in_list = list(&format!("[{}, {}]", deny("b"), list(&format!("[{}]", deny("c")))));
    let read = converted(&in_list, &[], |converted| {
        converted.policies.iter().map(|policy| policy.name.clone()).collect::<Vec<_>>()
    });
    assert_eq!(read, ["b", "c"]);
    assert_eq!(looser(&[in_list]), Vec::<String>::new());
    let untyped = deny("b")
        .replace(r#""apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "#, "");
    for (document, message) in [
        (
            list(&format!(r#"[{}], "items": [{}]"#, deny("b"), deny("c"))),
            "field `items` is given twice",
        ),
        (list(&deny("b")), "expected a list, got an object"),
        (
            list(&format!("[{untyped}]")).replace(r#""List""#, r#""AuthorizationPolicyList""#),
            "no resource without `apiVersion` and `kind`",
        ),
        (untyped.clone(), "no resource without"),
        (format!("[{}]", deny("b")), "expected a resource, got a list"),
        (
            deny("b").replace(r#""kind": "Auth"#, r#""kind": "ConfigMap", "kind": "Auth"#),
            "field `kind` is given twice",
        ),
    ] {
        let told = looser(&[deny("a"), document.clone()]);
        assert!(told.iter().any(|note| note.contains(message)), "{document}: {told:?}");
    }
    // An empty document is no document.
    assert_eq!(looser(&[deny("a"), String::new(), list("null"), list("[]")]), Vec::<String>::new());
}

#[test]
fn of_two_resources_of_one_name_the_last_counts() {
    let documents = [
        istio("p", "ALLOW", &to_entry("e"), "a"),
        istio("p", "ALLOW", &to_entry("e"), "b"),
        entry("e", "hosts: [a.example]"),
        entry("e", "hosts: [b.example]"),
    ];
    let told = looser(&documents);
    assert!(
        told.len() == 1 && told[0].contains("a later resource has this kind, namespace and name"),
        "{told:?}"
    );
    let all = policies(&documents.join(DOCUMENT));
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(
        (&all[0]["hosts"], &all[0]["name"]),
        (&serde_json::json!(["b.example"]), &serde_json::json!("p"))
    );
    assert_eq!(
        all[0]["traffic"]["authorization"]["policy"]["matchExpressions"],
        serde_json::json!([r#"source.identity.namespace == "b""#])
    );
    // Of another namespace it is another.
    assert_eq!(
        looser(&[
            documents[0].clone(),
            documents[2].clone(),
            documents[1].replace("ns}", "other}"),
            documents[3].replace("ns}", "other}")
        ])
        .len(),
        0
    );
}
