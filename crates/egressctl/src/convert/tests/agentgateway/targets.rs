//! What policies are attached to, and how they are put together.

use super::*;

#[test]
fn targets_become_hosts_and_the_plugins_gateway() {
    let route = |rest: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: \
             {{name: r, namespace: ns}}\nspec:\n  rules: [{{backendRefs: []}}]\n{rest}"
        )
    };
    let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: \
        {name: e, namespace: ns, labels: {istio.io/use-waypoint: w}}\nspec: \
        {hosts: [b.example, a.example]}\n";
    let policy = |target: &str| {
        format!(
            "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayPolicy\nmetadata: \
             {{name: p, namespace: ns}}\nspec:\n  targetRefs: [{target}]\n  traffic: \
             {{authorization: {{policy: {{matchExpressions: ['true']}}}}}}\n"
        )
    };
    let to_route = "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}";
    let entry_parent =
        "  parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: e}]\n";
    let service = "[a, a.ns, a.ns.svc, a.ns.svc.cluster.local]";
    for (documents, hosts, gateway, loss) in [
        (vec![policy("{group: gateway.networking.k8s.io, kind: Gateway, name: w}")], "", "w", ""),
        (
            vec![
                policy("{group: networking.istio.io, kind: ServiceEntry, name: e}"),
                entry.to_owned(),
            ],
            "[a.example, b.example]",
            "w",
            "",
        ),
        (
            vec![policy("{group: networking.istio.io, kind: ServiceEntry, name: e}")],
            "",
            "",
            "give its file too",
        ),
        (vec![policy("{group: '', kind: Service, name: a}")], service, "", ""),
        (
            vec![policy(to_route), route(entry_parent), entry.to_owned()],
            "[a.example, b.example]",
            "w",
            "",
        ),
        (vec![policy(to_route), route(entry_parent)], "", "", "give its file too"),
        (vec![policy(to_route)], "", "", "give its file too"),
        (
            vec![policy(to_route), route("  hostnames: [c.example]\n  parentRefs: [{name: w}]\n")],
            "[c.example]",
            "w",
            "",
        ),
        (vec![policy(to_route), route("  parentRefs: [{name: w}]\n")], "", "w", ""),
        (
            vec![policy(to_route), route("  parentRefs: [{group: '', kind: Service, name: a}]\n")],
            service,
            "",
            "",
        ),
        (
            vec![
                policy(to_route),
                route("  hostnames: [c.example]\n")
                    .replace("{backendRefs: []}", "{matches: [{path: {value: /a}}]}"),
            ],
            "[c.example]",
            "",
            "for some requests to its hosts only",
        ),
        (
            vec![
                policy(to_route),
                route("  hostnames: [c.example]\n")
                    .replace("{backendRefs: []}", "{matches: [{path: {value: /}}]}"),
            ],
            "[c.example]",
            "",
            "",
        ),
        (
            vec![policy("{group: inference.networking.k8s.io, kind: InferencePool, name: i}")],
            "",
            "",
            "has no counterpart",
        ),
        (
            vec![policy(
                "{group: gateway.networking.k8s.io, kind: Gateway, name: w, sectionName: x}",
            )],
            "",
            "w",
            "all listeners",
        ),
    ] {
        let text = documents.join("---\n");
        let (got, target, told) = converted(&text, &[], |converted| {
            let json = serde_json::to_value(&converted.resource).unwrap();
            let told: Vec<String> =
                converted.notes.iter().map(|note| note.diagnostic.message.clone()).collect();
            let hosts = json["spec"]["pluginConfig"]["policies"][0].get("hosts").cloned();
            (hosts, json["spec"]["targetRefs"][0]["name"].as_str().unwrap().to_owned(), told)
        });
        let hosts = (!hosts.is_empty())
            .then(|| json!(hosts.trim_matches(['[', ']']).split(", ").collect::<Vec<_>>()));
        assert_eq!(got, hosts, "{text}");
        assert_eq!(target, gateway, "{text}");
        let scope_losses: Vec<&String> = told
            .iter()
            .filter(|note| {
                ["file too", "only, the", "no counterpart", "listeners"]
                    .iter()
                    .any(|part| note.contains(part))
            })
            .collect();
        match loss {
            "" => assert!(scope_losses.is_empty(), "{text}: {scope_losses:?}"),
            loss => {
                assert!(scope_losses.iter().any(|note| note.contains(loss)), "{text}: {told:?}")
            }
        }
        assert_eq!(
            told.iter().any(|note| note.contains("give `--gateway`")),
            gateway.is_empty(),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn a_listener_that_is_the_gateways_only_one_is_all_of_it() {
    let gateway = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: \
        {name: egress, namespace: egress-direct}\nspec: {listeners: [{name: mesh}]}\n---\n";
    let policy =
        with(r#""traffic": {"authorization": {"policy": {"matchExpressions": ["true"]}}}"#)
            .replace(r#""name": "egress""#, r#""name": "egress", "sectionName": "mesh""#);
    assert_eq!(losses(&format!("{gateway}{policy}")), Vec::<String>::new());
    assert_eq!(losses(&policy).len(), 1);
    assert_eq!(
        losses(
            &format!("{gateway}{policy}").replace("[{name: mesh}]", "[{name: mesh}, {name: b}]")
        )
        .len(),
        1
    );
}

#[test]
fn policies_of_several_gateways_are_not_put_together_in_silence() {
    let rule = r#""traffic": {"authorization": {"policy": {"matchExpressions": ["true"]}}}"#;
    let other = with(rule)
        .replace(r#""name": "egress""#, r#""name": "other""#)
        .replace(r#""name": "p""#, r#""name": "q""#);
    let told = losses(&[with(rule), other].join("\n---\n"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("`egress-direct/other`") && told[0].contains("convert them apart"),
        "{told:?}"
    );
}

#[test]
fn names_are_unique_and_legal() {
    let rule = r#""traffic": {"authorization": {"policy": {"matchExpressions": ["true"]}}}"#;
    let documents = [
        with(rule),
        with(rule).replace("egress-direct", "b"),
        with(rule).replace(r#""name": "p", "#, ""),
        with(rule).replace(r#""name": "p""#, r#""name": "p-2""#),
    ];
    let names: Vec<_> = policies(&documents.join("\n---\n"))
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy["name"].clone())
        .collect();
    assert_eq!(names, ["p", "p-2", "policy-1", "p-2-2"]);
}

#[test]
fn what_belongs_to_the_policies_and_is_passed_over_is_told_once() {
    let others = r#"{"apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayBackend",
      "metadata": {"name": "b"}}
---
{"apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayBackend",
  "metadata": {"name": "c"}}
---
{"apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayParameters",
  "metadata": {"name": "c"}}
---
{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
  "spec": {"rules": [{"backendRefs": [{"kind": "AgentgatewayBackend"}]}]}}
---
{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
  "spec": {"gatewayClassName": "enterprise-agentgateway-waypoint"}}
---
{"apiVersion": "v1", "kind": "Namespace"}
---
"#;
    let policy = with(r#""traffic": {"transformation": {"request": {"remove": ["x"]}}}"#);
    let told: Vec<String> = notes(&format!("{others}{policy}"))
        .into_iter()
        .filter(|note| note.contains("passed over"))
        .collect();
    assert_eq!(told.len(), 4, "{told:#?}");
    for (part, note) in
        ["DestinationRule", "`AgentgatewayParameters`", "that was dialled", "istio-waypoint"]
            .iter()
            .zip(&told)
    {
        assert!(note.contains(part) && note.starts_with("Hint "), "{note}");
    }
    // One that only looks like a policy is not.
    let other = policy.replace("agentgateway.dev/v1alpha1", "policy.example/v1");
    assert!(losses(&format!("{policy}\n---\n{other}"))[0].contains("of group `policy.example`"));
}

#[test]
fn another_gateway_than_the_policies_is_told() {
    let policy = with(r#""traffic": {"transformation": {"request": {"remove": ["x"]}}}"#);
    let told = converted(&policy, &["--gateway", "other"], |converted| {
        converted
            .notes
            .iter()
            .map(|note| note.diagnostic.message.clone())
            .find(|message| message.contains("`--gateway`"))
    });
    assert_eq!(
        told.unwrap(),
        "is attached to Gateway `egress-direct/egress`, the result to Gateway `other`, as \
         `--gateway` says"
    );
}
