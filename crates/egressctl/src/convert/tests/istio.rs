//! AuthorizationPolicies, what becomes of them, and what they then decide.

mod default_action;
mod doubt;
mod losses;

use serde_json::json;

use super::*;

fn policy(action: &str, rules: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: \
         {{name: p, namespace: egress-direct}}\nspec:\n  targetRefs: \
         [{{group: gateway.networking.k8s.io, kind: Gateway, name: egress}}]\n  action: \
         {action}\n  rules: {rules}\n"
    )
}

fn expressions(text: &str) -> Vec<String> {
    let all = policies(text);
    let of = |policy: &serde_json::Value| {
        policy["traffic"]["authorization"]["policy"]["matchExpressions"].as_array().unwrap().clone()
    };
    all.as_array()
        .unwrap()
        .iter()
        .flat_map(of)
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_field_of_an_allow_is_written_in_the_plainest_way() {
    for (rule, expected) in [
        ("{}", "true"),
        (
            "{from: [{source: {principals: [cluster.local/ns/a/sa/x]}}]}",
            r#"source.spiffeId == "spiffe://cluster.local/ns/a/sa/x""#,
        ),
        ("{from: [{source: {principals: ['*']}}]}", "has(source.spiffeId)"),
        ("{from: [{source: {principals: ['*/sa/x']}}]}", r#"source.spiffeId.endsWith("/sa/x")"#),
        (
            "{from: [{source: {notPrincipals: [td/ns/a/*]}}]}",
            r#"!default(source.spiffeId, "").startsWith("spiffe://td/ns/a/")"#,
        ),
        (
            "{from: [{source: {namespaces: [a, b, 'c*', '*']}}]}",
            "source.identity.namespace in [\"a\", \"b\"]\n|| \
             source.identity.namespace.startsWith(\"c\")\n|| has(source.identity)",
        ),
        (
            "{from: [{source: {serviceAccounts: [a/x, z]}}]}",
            "(source.identity.namespace == \"a\" && source.identity.serviceAccount == \"x\")\n|| \
             (source.identity.namespace == \"egress-direct\" && source.identity.serviceAccount == \
             \"z\")",
        ),
        (
            "{from: [{source: {trustDomains: [corp.example]}}]}",
            r#"source.spiffeId.startsWith("spiffe://corp.example/")"#,
        ),
        (
            "{from: [{source: {trustDomains: ['*.x', 'a*', '*']}}]}",
            "source.spiffeId.matches(\"^spiffe://[^/]*\\\\.x/\")\n|| \
             source.spiffeId.matches(\"^spiffe://a[^/]*/\")\n|| \
             source.spiffeId.startsWith(\"spiffe://\")",
        ),
        (
            "{when: [{key: source.serviceAccount, values: [a/x]}]}",
            r#"source.identity.namespace == "a" && source.identity.serviceAccount == "x""#,
        ),
        (
            "{from: [{source: {ipBlocks: [10.0.0.0/8, 10.1.2.3, '::1']}}]}",
            "ip(source.address) in [ip(\"10.1.2.3\"), ip(\"::1\")] || \
             cidr(\"10.0.0.0/8\").containsIP(source.address)",
        ),
        (
            "{to: [{operation: {methods: [GET], paths: ['/a*', '*/b', /c], ports: ['80']}}]}",
            "request.method == \"GET\"\n&& (request.path == \"/c\" || \
             request.path.startsWith(\"/a\") || request.path.endsWith(\"/b\"))\n&& \
             destination.port == 80",
        ),
        (
            "{to: [{operation: {hosts: [A.example]}}]}",
            r#"request.headers["host"].lowerAscii() == "a.example""#,
        ),
        (
            "{to: [{operation: {hosts: ['a.example:*']}}]}",
            r#"request.headers["host"].lowerAscii().startsWith("a.example:")"#,
        ),
        (
            "{to: [{operation: {notHosts: [a.example, '*.b.example']}}]}",
            r#"!(request.host == "a.example" || request.host.endsWith(".b.example"))"#,
        ),
        (
            "{to: [{operation: {notHosts: ['a.*', '*80']}}]}",
            "!(request.headers[\"host\"].lowerAscii().startsWith(\"a.\") || \
             request.headers[\"host\"].lowerAscii().endsWith(\"80\"))",
        ),
        (
            "{to: [{operation: {hosts: ['a.example:8080']}}]}",
            r#"request.headers["host"].lowerAscii() == "a.example:8080""#,
        ),
        ("{to: [{operation: {hosts: ['*'], paths: ['*'], methods: ['*']}}]}", "true"),
        ("{to: [{operation: {notPaths: ['*']}}]}", "!true"),
        (
            "{to: [{operation: {paths: ['/a/{*}/b.c']}}]}",
            r#"request.path.matches("^/a/[-a-zA-Z0-9._~%!$&'()+,;:@=]+/b\\.c$")"#,
        ),
        (
            "{to: [{operation: {paths: ['/a/{**}']}}]}",
            r#"request.path.matches("^/a/[-a-zA-Z0-9._~%!$&'()+,;:@=/]*$")"#,
        ),
        (
            "{when: [{key: 'request.headers[X-A]', values: [a], notValues: ['*']}]}",
            r#"request.headers["x-a"] == "a" && !("x-a" in request.headers)"#,
        ),
        (
            "{when: [{key: destination.port, notValues: ['80', '81']}]}",
            "!(destination.port in [80, 81])",
        ),
    ] {
        let text = policy("ALLOW", &format!("[{rule}]"));
        assert_eq!(expressions(&text), [expected], "{rule}");
        assert_eq!(losses(&text), Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn a_deny_does_not_err_without_an_identity_and_takes_every_form_of_one_that_istio_takes() {
    for (rule, expected) in [
        (
            "{from: [{source: {principals: [td/ns/a/sa/x]}}]}",
            r#"default(source.spiffeId, "") == "spiffe://td/ns/a/sa/x""#,
        ),
        (
            "{from: [{source: {namespaces: [a]}}]}",
            r#"default(source.spiffeId, "").contains("/ns/a/")"#,
        ),
        (
            "{from: [{source: {notTrustDomains: [corp.example]}}]}",
            r#"!default(source.spiffeId, "").startsWith("spiffe://corp.example/")"#,
        ),
        (
            "{from: [{source: {notNamespaces: [a]}}]}",
            r#"default(source.identity.namespace, "") != "a""#,
        ),
        (
            "{from: [{source: {serviceAccounts: [a/x.y]}}]}",
            r#"default(source.spiffeId, "").matches("^spiffe://.+/ns/a/(.+/)?sa/x.y(/.+)?$")"#,
        ),
        (
            "{when: [{key: 'request.headers[X-A]', values: [a]}]}",
            r#"default(request.headers["x-a"], "") == "a""#,
        ),
    ] {
        assert_eq!(expressions(&policy("DENY", &format!("[{rule}]"))), [expected], "{rule}");
    }
}

#[test]
fn policies_decide_as_istios_documentation_says() {
    let team_b =
        || Request { caller: "spiffe://cluster.local/ns/team-b/sa/team-b", ..Request::default() };
    let nobody = || Request { caller: "", ..Request::default() };
    let with_header = |value| Request { headers: vec![("x-team", value)], ..Request::default() };
    let from_a = "from: [{source: {principals: [cluster.local/ns/team-a/sa/team-a]}}]";
    let no_b = "from: [{source: {notNamespaces: [team-b]}}]";
    for (action, rules, request, expected) in [
        // No rules: an ALLOW allows nothing, a DENY denies nothing.
        ("ALLOW", "[]", Request::default(), false),
        ("DENY", "[]", Request::default(), true),
        // An empty rule matches everything.
        ("ALLOW", "[{}]", nobody(), true),
        ("DENY", "[{}]", Request::default(), false),
        // One rule of several is enough; in a rule, from, to and when must all match.
        (
            "ALLOW",
            &format!("[{{{from_a}}}, {{to: [{{operation: {{methods: [POST]}}}}]}}]"),
            Request::default(),
            true,
        ),
        (
            "ALLOW",
            &format!("[{{{from_a}}}, {{to: [{{operation: {{methods: [GET]}}}}]}}]"),
            team_b(),
            true,
        ),
        (
            "ALLOW",
            &format!("[{{{from_a}, to: [{{operation: {{methods: [POST]}}}}]}}]"),
            Request::default(),
            false,
        ),
        (
            "ALLOW",
            &format!(
                "[{{{from_a}, to: [{{operation: {{methods: [POST]}}}}, \
                 {{operation: {{paths: [/zen]}}}}]}}]"
            ),
            Request::default(),
            true,
        ),
        // Callers without an identity: no value matches them, and so every `not` does.
        ("ALLOW", &format!("[{{{from_a}}}]"), nobody(), false),
        ("ALLOW", &format!("[{{{no_b}}}]"), nobody(), true),
        ("ALLOW", &format!("[{{{no_b}}}]"), team_b(), false),
        ("DENY", &format!("[{{{from_a}}}]"), nobody(), true),
        ("DENY", &format!("[{{{from_a}}}]"), Request::default(), false),
        ("DENY", &format!("[{{{no_b}}}]"), nobody(), false),
        ("DENY", &format!("[{{{no_b}}}]"), team_b(), true),
        ("DENY", "[{from: [{source: {notPrincipals: ['*']}}]}]", nobody(), false),
        ("DENY", "[{from: [{source: {notPrincipals: ['*']}}]}]", Request::default(), true),
        // A dot is any character, of what is refused.
        (
            "DENY",
            "[{from: [{source: {serviceAccounts: [team-a/team.a]}}]}]",
            Request::default(),
            false,
        ),
        (
            "DENY",
            "[{from: [{source: {serviceAccounts: [team-a/team.b]}}]}]",
            Request::default(),
            true,
        ),
        (
            "DENY",
            "[{from: [{source: {serviceAccounts: [team-a/team-a]}}]}]",
            Request::default(),
            false,
        ),
        // For a header, `*` means that it is there; a missing header has none of `notValues`.
        (
            "ALLOW",
            "[{when: [{key: 'request.headers[X-Team]', values: ['*']}]}]",
            with_header(""),
            true,
        ),
        (
            "ALLOW",
            "[{when: [{key: 'request.headers[X-Team]', values: ['*']}]}]",
            Request::default(),
            false,
        ),
        (
            "ALLOW",
            "[{when: [{key: 'request.headers[X-Team]', notValues: [blue]}]}]",
            Request::default(),
            true,
        ),
        (
            "DENY",
            "[{when: [{key: 'request.headers[X-Team]', values: [blue]}]}]",
            with_header("blue"),
            false,
        ),
        (
            "DENY",
            "[{when: [{key: 'request.headers[X-Team]', values: [blue]}]}]",
            Request::default(),
            true,
        ),
        (
            "DENY",
            "[{when: [{key: 'request.headers[X-Team]', values: [blue]}]}]",
            Request { headers: vec![("x-team", "a"), ("x-team", "blue")], ..Request::default() },
            false,
        ),
        // Two conditions may be met by two lines.
        (
            "DENY",
            "[{when: [{key: 'request.headers[X-Team]', values: [a]}, \
             {key: 'request.headers[x-team]', values: ['b*']}]}]",
            Request { headers: vec![("x-team", "a"), ("x-team", "blue")], ..Request::default() },
            false,
        ),
        (
            "DENY",
            "[{when: [{key: 'request.headers[X-Team]', values: ['*']}, \
             {key: 'request.headers[x-team]', values: [b]}]}]",
            with_header("a"),
            true,
        ),
        // Any line is enough: of `notValues` too.
        (
            "DENY",
            "[{when: [{key: 'request.headers[X-Team]', notValues: [blue]}]}]",
            Request { headers: vec![("x-team", "blue"), ("x-team", "blue")], ..Request::default() },
            true,
        ),
        // What lets something through has the authority's own port and dot; what refuses something
        // has any.
        (
            "ALLOW",
            "[{to: [{operation: {hosts: [api.github.com]}}]}]",
            Request { authority: "api.github.com:80", ..Request::default() },
            false,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {hosts: [api.github.com]}}]}]",
            Request { authority: "api.github.com.", ..Request::default() },
            false,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {hosts: ['api.github.com:*']}}]}]",
            Request::default(),
            false,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {hosts: ['*.github.com']}}]}]",
            Request { authority: "a.github.com:80", ..Request::default() },
            false,
        ),
        (
            "DENY",
            "[{to: [{operation: {notHosts: [api.github.com]}}]}]",
            Request { authority: "api.github.com:80", ..Request::default() },
            false,
        ),
        (
            "DENY",
            "[{to: [{operation: {hosts: [api.github.com]}}]}]",
            Request { authority: "api.github.com:80", ..Request::default() },
            false,
        ),
        (
            "DENY",
            "[{to: [{operation: {hosts: ['*80']}}]}]",
            Request { authority: "api.github.com:80", ..Request::default() },
            false,
        ),
        // Hosts ignore letter case; one with a port is with that port.
        (
            "ALLOW",
            "[{to: [{operation: {hosts: [API.github.com]}}]}]",
            Request { authority: "Api.GitHub.com", ..Request::default() },
            true,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {hosts: ['api.github.com:80']}}]}]",
            Request { authority: "API.github.com:80", ..Request::default() },
            true,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {hosts: ['api.github.com:80']}}]}]",
            Request::default(),
            false,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {hosts: ['*.github.com']}}]}]",
            Request { authority: "github.com", ..Request::default() },
            false,
        ),
        // Paths are without their query.
        (
            "ALLOW",
            "[{to: [{operation: {paths: [/zen]}}]}]",
            Request { path: "/zen?a=/b", ..Request::default() },
            true,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {paths: ['*/b']}}]}]",
            Request { path: "/zen?a=/b", ..Request::default() },
            false,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {paths: ['/a/{*}/c']}}]}]",
            Request { path: "/a/b/c", ..Request::default() },
            true,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {paths: ['/a/{*}/c']}}]}]",
            Request { path: "/a/b/b/c", ..Request::default() },
            false,
        ),
        (
            "ALLOW",
            "[{to: [{operation: {paths: ['/a/{**}/c']}}]}]",
            Request { path: "/a/b/b/c", ..Request::default() },
            true,
        ),
        // Addresses and ports.
        ("DENY", "[{from: [{source: {ipBlocks: [10.1.0.0/16]}}]}]", Request::default(), false),
        ("DENY", "[{from: [{source: {ipBlocks: [10.2.0.0/16]}}]}]", Request::default(), true),
        ("ALLOW", "[{from: [{source: {notIpBlocks: [10.1.2.3]}}]}]", Request::default(), false),
        ("ALLOW", "[{to: [{operation: {notPorts: ['443']}}]}]", Request::default(), true),
        ("DENY", "[{to: [{operation: {ports: ['80']}}]}]", Request::default(), false),
    ] {
        let text = policy(action, rules);
        assert_eq!(losses(&text), Vec::<String>::new(), "{text}");
        assert_eq!(
            request.is_allowed_by(&engine(&text)),
            expected,
            "{text} {request:?} {:?}",
            expressions(&text)
        );
    }
}

#[test]
fn cluster_local_stands_for_the_meshs_trust_domains() {
    let text = policy(
        "DENY",
        "[{from: [{source: {principals: [cluster.local/ns/a/sa/x, old/ns/b/sa/y, \
            other/ns/c/sa/z, '*/ns/d/sa/w']}}]}]",
    );
    let expression = converted(&text, &["--trust-domain", "new,old"], |converted| {
        converted.policies[0].authorization.as_ref().unwrap().expressions[0].clone()
    });
    let of_wildcards = policy(
        "DENY",
        "[{from: [{source: {principals: ['*ld/ns/a/sa/x', 'n*/ns/b/sa/y', \
            '*/ns/c/sa/z', 'q*/ns/d/sa/w']}}]}]",
    );
    let wildcards = converted(&of_wildcards, &["--trust-domain", "new,old"], |converted| {
        converted.policies[0].authorization.as_ref().unwrap().expressions[0].clone()
    });
    for part in [
        "spiffe://new/ns/a/sa/x",
        "ld/ns/a/sa/x",
        "spiffe://new/ns/b/sa/y",
        "spiffe://old/ns/b/sa/y",
        "/ns/c/sa/z",
        "spiffe://q*/ns/d/sa/w",
    ] {
        assert!(wildcards.contains(&format!("\"{part}\"")), "{part}: {wildcards}");
    }
    for part in
        ["new/ns/a/sa/x", "old/ns/a/sa/x", "new/ns/b/sa/y", "old/ns/b/sa/y", "other/ns/c/sa/z"]
    {
        assert!(expression.contains(&format!("\"spiffe://{part}\"")), "{part}: {expression}");
    }
    assert!(
        !expression.contains("cluster.local") && !expression.contains("new/ns/c"),
        "{expression}"
    );
}
