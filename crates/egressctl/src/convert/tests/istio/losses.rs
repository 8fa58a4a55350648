//! What cannot be converted makes the result stricter, or is an error.

use super::*;

#[test]
fn what_has_no_counterpart_makes_the_result_stricter_and_never_looser() {
    let other = "{source: {namespaces: [team-c]}}";
    for (condition, place) in [
        ("from: [{source: {requestPrincipals: [me]}}]", "from[0].source.requestPrincipals[0]"),
        (
            "from: [{source: {namespaces: [team-b], notRequestPrincipals: ['https://a/']}}]",
            "from[0].source.notRequestPrincipals[0]",
        ),
        ("from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]", "from[0].source.remoteIpBlocks"),
        ("from: [{source: {ipBlocks: [10.0.0.0/33]}}]", "from[0].source.ipBlocks[0]"),
        ("from: [{source: {trustDomains: [a/b]}}]", "from[0].source.trustDomains[0]"),
        ("from: [{source: {newThing: [a]}}]", "from[0].source.newThing"),
        ("from: [{source: {principals: [5]}}]", "from[0].source.principals[0]"),
        ("from: [{source: {principals: ['']}}]", "from[0].source.principals[0]"),
        ("from: [{source: {principals: a}}]", "from[0].source.principals"),
        ("from: [{source: {serviceAccounts: ['*']}}]", "from[0].source.serviceAccounts[0]"),
        ("from: [{source: {serviceAccounts: [a/(b|c)]}}]", "from[0].source.serviceAccounts[0]"),
        ("from: [{source: {namespaces: ['team-(a|c)']}}]", "from[0].source.namespaces[0]"),
        ("from: [{source: {namespaces: [team.a]}}]", "from[0].source.namespaces[0]"),
        ("from: [{}]", "from[0]"),
        ("from: [{source: {}}]", "from[0].source"),
        ("from: [{source: {namespaces: []}}]", "from[0].source"),
        ("from: [{source: a}]", "from[0].source"),
        ("from: [{source: 5}]", "from[0].source"),
        ("from: [{source: [{principals: [cluster.local/ns/a/sa/x]}]}]", "from[0].source"),
        ("to: [{operation: {}}]", "to[0].operation"),
        ("to: [{operation: [{methods: [PUT]}]}]", "to[0].operation"),
        ("from: [{source: {namespaces: [team-b]}, more: 1}]", "from[0].more"),
        ("to: [{operation: {newThing: [a]}}]", "to[0].operation.newThing"),
        ("to: [{operation: {ports: ['65536']}}]", "to[0].operation.ports[0]"),
        ("to: [{operation: {paths: ['/a{*}/b']}}]", "to[0].operation.paths[0]"),
        ("to: [{operation: {paths: ['/{**}/{*}']}}]", "to[0].operation.paths[0]"),
        ("when: [{key: 'request.auth.claims[]', values: [a]}]", "when[0]"),
        ("when: [{key: 'request.auth.claims[a]', values: ['']}]", "when[0].values[0]"),
        ("when: [{key: request.auth.principal, values: [a]}]", "when[0].values[0]"),
        ("when: [{key: remote.ip, values: [10.0.0.1]}]", "when[0]"),
        ("when: [{key: connection.sni, values: [a]}]", "when[0]"),
        ("when: [{key: 'experimental.envoy.filters.a[b]', values: [a]}]", "when[0]"),
        ("when: [{key: 'request.headers[:path]', values: [a]}]", "when[0]"),
        ("when: [{key: new.thing, values: [a]}]", "when[0]"),
        ("when: [{key: source.ip}]", "when[0]"),
        ("newThing: [a]", "newThing"),
    ] {
        for action in ["ALLOW", "DENY"] {
            let text = policy(action, &format!("[{{{condition}}}]"));
            let told = losses(&text);
            assert!(told.iter().all(|note| note.starts_with("Stricter ")), "{text}: {told:?}");
            assert!(
                told.iter()
                    .any(|note| note.starts_with(&format!("Stricter spec.rules[0].{place}: "))),
                "{text}: {told:?}"
            );
            let engine = engine(&text);
            // Whoever the rule is for: nobody whom an ALLOW lets through, somebody whom a DENY does
            // not.
            let request =
                Request { caller: "spiffe://cluster.local/ns/team-b/sa/b", ..Request::default() };
            assert!(!request.is_allowed_by(&engine), "{text}");
        }
        // Of an ALLOW only the alternative is lost.
        if let Some(from) = condition.strip_prefix("from: [") {
            let text = policy("ALLOW", &format!("[{{from: [{other}, {from}}}]"));
            assert_eq!(expressions(&text), [r#"source.identity.namespace == "team-c""#], "{text}");
        }
    }
}

#[test]
fn a_policy_that_is_not_converted_at_all_is_an_error_unless_it_refuses_nothing() {
    let of = |spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1beta1\nkind: AuthorizationPolicy\nmetadata: \
             {{name: p}}\nspec: {spec}\n"
        )
    };
    let target = "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: egress}]";
    for (spec, expected, message) in [
        (
            "{action: DENY, rules: [{}]}".to_owned(),
            "Looser",
            "ignores a policy without `targetRefs`",
        ),
        (
            "{selector: {matchLabels: {a: b}}, rules: [{}]}".to_owned(),
            "Looser",
            "ignores `selector`",
        ),
        (
            format!("{{{target}, action: CUSTOM, provider: {{name: x}}, rules: [{{}}]}}"),
            "Looser",
            "leave the policy as it is",
        ),
        (format!("{{{target}, action: AUDIT, rules: [{{}}]}}"), "Lost", "audit.log"),
        (format!("{{{target}, action: Deny, rules: [{{}}]}}"), "Looser", "unknown action"),
    ] {
        let text = of(&spec);
        let told = losses(&text);
        assert!(
            told.iter().any(|note| note.starts_with(expected) && note.contains(message)),
            "{text}: {told:?}"
        );
        assert_eq!(policies(&text), json!([]), "{text}");
    }
}

#[test]
fn a_dry_run_is_a_shadow() {
    let text = |value: &str| {
        policy("DENY", "[{}]").replace(
            "egress-direct}",
            &format!("egress-direct, annotations: {{istio.io/dry-run: '{value}'}}}}"),
        )
    };
    assert_eq!(policies(&text("true"))[0]["mode"], "Shadow");
    assert!(Request::default().is_allowed_by(&engine(&text("true"))));
    for enforced in ["false", "yes", ""] {
        assert_eq!(policies(&text(enforced))[0].get("mode"), None, "{enforced}");
        assert_eq!(
            notes_at(&text(enforced), "metadata.annotations.istio.io/dry-run").len(),
            1,
            "{enforced}"
        );
    }
}

#[test]
fn what_is_too_long_for_one_expression_or_policy_is_parted() {
    let principals: Vec<String> =
        (0..150).map(|index| format!("cluster.local/ns/team-{index}/sa/account-{index}")).collect();
    let paths: Vec<String> = (0..120).map(|index| format!("/prefix-{index}/*")).collect();
    let large = format!(
        "{{from: [{{source: {{principals: [{}]}}}}], to: [{{operation: {{paths: [{}]}}}}]}}",
        principals.join(", "),
        paths.join(", ")
    );
    let small: Vec<String> = (0..64)
        .map(|index| format!("{{to: [{{operation: {{paths: [/small-{index}]}}}}]}}"))
        .collect();
    let text = policy("ALLOW", &format!("[{large}, {}]", small.join(", ")));
    assert_eq!(losses(&text), Vec::<String>::new());
    let all = policies(&text);
    let names: Vec<_> =
        all.as_array().unwrap().iter().map(|policy| policy["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["p", "p-2"]);
    let engine = engine(&text);
    for (caller, path, expected) in [
        ("spiffe://cluster.local/ns/team-149/sa/account-149", "/prefix-119/x", true),
        ("spiffe://cluster.local/ns/team-0/sa/account-0", "/prefix-0/x", true),
        ("spiffe://cluster.local/ns/team-0/sa/account-1", "/prefix-0/x", false),
        ("spiffe://cluster.local/ns/team-150/sa/account-150", "/prefix-0/x", false),
        ("spiffe://cluster.local/ns/team-7/sa/account-7", "/prefix-120/x", false),
        ("", "/small-63", true),
    ] {
        assert_eq!(
            Request { caller, path, ..Request::default() }.is_allowed_by(&engine),
            expected,
            "{caller} {path}"
        );
    }
    // What none of so many may be cannot be parted: a DENY that cannot be had is an error, an ALLOW
    // goes.
    let unpartable = format!(
        "[{{from: [{{source: {{notPrincipals: [{}]}}}}], to: \
         [{{operation: {{methods: [PUT]}}}}]}}]",
        principals.join(", ")
    );
    for (action, effect) in [("ALLOW", "Stricter"), ("DENY", "Looser")] {
        let told = losses(&policy(action, &unpartable));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with(&format!("{effect} spec.rules[0]: "))
                && told[0].contains("the limit is 4096"),
            "{told:?}"
        );
    }
}

#[test]
fn allows_of_both_kinds_are_not_put_into_one_list() {
    let agentgateway = "apiVersion: agentgateway.dev/v1alpha1\nkind: \
        AgentgatewayPolicy\nmetadata: {name: a, namespace: egress-direct}\nspec:\n  targetRefs: \
        [{group: gateway.networking.k8s.io, kind: Gateway, name: egress}]\n  traffic: \
        {authorization: {action: ACTION, policy: {matchExpressions: ['true']}}}\n---\n";
    let both = |action: &str| {
        losses(&format!("{}{}", agentgateway.replace("ACTION", action), policy("ALLOW", "[{}]")))
    };
    assert_eq!(both("Deny"), Vec::<String>::new());
    let told = both("Allow");
    assert!(
        told.len() == 1 && told[0].starts_with("Looser ") && told[0].contains("both must allow"),
        "{told:?}"
    );
}

#[test]
fn a_dot_that_stands_for_more_in_istio_makes_an_allow_stricter() {
    let text = policy("ALLOW", "[{from: [{source: {serviceAccounts: [team-a/team.a]}}]}]");
    let told = losses(&text);
    assert!(
        told.len() == 1
            && told[0].starts_with("Stricter spec.rules[0].from[0].source.serviceAccounts: a dot"),
        "{told:?}"
    );
    assert!(!Request::default().is_allowed_by(&engine(&text)));
}

#[test]
fn an_empty_list_and_a_header_that_is_another_here_are_lost() {
    for rule in [
        "{from: [], to: []}",
        "{when: []}",
        "{when: [{key: 'request.headers[x]', values: []}]}",
        "{when: [{key: 'request.headers[x_team]', values: [good]}]}",
    ] {
        let text = format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: \
             {{name: p, namespace: n}}, spec: {{targetRefs: \
             [{{group: gateway.networking.k8s.io, kind: Gateway, name: egress}}], action: ALLOW, \
             rules: [{rule}]}}}}"
        );
        assert!(
            losses(&text).iter().any(|told| told.starts_with("Stricter ")),
            "{rule}: {:?}",
            notes(&text)
        );
        assert!(
            !Request { headers: vec![("x-team", "good")], ..Request::default() }
                .is_allowed_by(&engine(&text)),
            "{rule}"
        );
    }
}

#[test]
fn names_in_messages_are_escaped() {
    let text =
        policy("DENY", r#"[{"a\e[31mb": [c]}]"#).replace("action:", "\"d\\e[2J\": 1\n  action:");
    let told = losses(&text);
    assert!(told.iter().all(|note| !note.contains('\u{1b}')), "{told:?}");
    for part in [r"`a\u{1b}[31mb`", r"`d\u{1b}[2J`"] {
        assert!(told.iter().any(|note| note.contains(part)), "{part}: {told:?}");
    }
}
