//! Every field of Istio's AuthorizationPolicy and of an HTTPRoute, one by one: without it the
//! result is another, or a note is about it.

use serde_json::{Value, json};

use super::agentgateway::fields::{leaves, shown, take};
use super::leaves::covers;
use super::*;

/// The values of samples that make no difference. `document` puts a sample into its resource.
fn silent(samples: &[Value], document: impl Fn(&Value) -> String) -> Vec<String> {
    let outcome = |sample: &Value| {
        converted(&document(sample), &["--gateway", "egress"], |converted| {
            let notes = converted.notes.iter().map(|note| &note.diagnostic);
            let notes: Vec<_> =
                notes.map(|note| (note.path.clone(), note.message.clone())).collect();
            (converted.resource.to_yaml(), notes)
        })
    };
    let mut found = Vec::new();
    for sample in samples {
        let whole = outcome(sample);
        let mut pointers = Vec::new();
        leaves(sample, "", &mut pointers);
        for pointer in pointers {
            let path = shown(&pointer);
            let is_told = |told: &str| told.len() > "spec".len() && covers(told, &path);
            let mut less = sample.clone();
            take(&mut less, &pointer);
            if !whole.1.iter().any(|(told, _)| is_told(told)) && outcome(&less) == whole {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn each_field_of_an_authorization_policy_makes_a_difference() {
    let both = |name: &str, some: &str, none: &str| {
        let (first, rest) = name.split_at(1);
        let not = format!("not{}{rest}", first.to_uppercase());
        json!({name: [some], not: [none]})
    };
    let target =
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "egress"}]);
    let of = |rule: Value| json!({"targetRefs": target, "action": "ALLOW", "rules": [rule]});
    let sources = [
        ("principals", "cluster.local/ns/a/sa/b", "cluster.local/ns/c/sa/d"),
        ("namespaces", "a", "b"),
        ("serviceAccounts", "a/b", "c/d"),
        ("trustDomains", "a.example", "b.example"),
        ("ipBlocks", "10.0.0.0/8", "10.1.0.0/16"),
        ("remoteIpBlocks", "10.0.0.0/8", "10.1.0.0/16"),
        ("requestPrincipals", "i/s", "i/t"),
    ];
    let operations = [
        ("hosts", "a.example", "b.example"),
        ("ports", "80", "81"),
        ("methods", "GET", "PUT"),
        ("paths", "/a", "/b"),
    ];
    let keys = [
        "request.headers[X-A]",
        "source.ip",
        "remote.ip",
        "source.namespace",
        "source.principal",
        "source.serviceAccount",
        "source.trustDomain",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "request.auth.claims[iss]",
        "destination.ip",
        "destination.port",
        "connection.sni",
        "experimental.envoy.filters.a[b]",
    ];
    let value = |key: &str| match key {
        "source.ip" | "remote.ip" | "destination.ip" => ["10.0.0.0/8", "10.1.0.0/16"],
        "destination.port" => ["80", "81"],
        "source.serviceAccount" => ["a/b", "c/d"],
        _ => ["a", "b"],
    };
    let mut samples: Vec<Value> = sources
        .iter()
        .map(|(name, some, none)| of(json!({"from": [{"source": both(name, some, none)}]})))
        .collect();
    samples.extend(
        operations
            .iter()
            .map(|(name, some, none)| of(json!({"to": [{"operation": both(name, some, none)}]}))),
    );
    samples.extend(keys.iter().map(|key| {
        let [some, none] = value(key);
        of(json!({"when": [{"key": key, "values": [some], "notValues": [none]}]}))
    }));
    samples.push(json!({"targetRef": target[0], "action": "DENY", "rules": [{}]}));
    let document = |spec: &Value| {
        json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "p", "namespace": "n"}, "spec": spec})
        .to_string()
    };
    // An action that is left out is ALLOW, as it is here; a resource of a Gateway's class is named
    // by `--gateway`.
    let is_default = |path: &String| {
        ["spec.action", "spec.targetRefs", "spec.targetRef"].iter().any(|it| path.starts_with(it))
    };
    let found: Vec<String> =
        silent(&samples, document).into_iter().filter(|path| !is_default(path)).collect();
    assert_eq!(found, Vec::<String>::new());
    // Of these nothing is converted, which is told once.
    for (spec, place) in [
        (json!({"selector": {"matchLabels": {"a": "b"}}, "rules": [{}]}), "spec"),
        (json!({"action": "AUDIT", "targetRefs": target, "rules": [{}]}), "spec"),
        (
            json!({"action": "CUSTOM", "targetRefs": target, "provider": {"name": "a"},
                "rules": [{}]}),
            "spec",
        ),
    ] {
        let told = notes_at(&document(&spec), place);
        assert_eq!(told.len(), 1, "{spec}: {:?}", notes(&document(&spec)));
    }
}

#[test]
fn each_field_of_an_http_route_makes_a_difference() {
    let path = json!({"type": "ReplaceFullPath", "replaceFullPath": "/new"});
    let headers = json!({"set": [{"name": "x-a", "value": "b"}], "add": [{"name": "x-c",
        "value": "d"}], "remove": ["x-e"]});
    let rule = |filter: Value| json!({"filters": [filter]});
    let filters = [
        json!({"type": "RequestHeaderModifier", "requestHeaderModifier": headers}),
        json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": headers}),
        json!({"type": "RequestRedirect", "requestRedirect": {"scheme": "https",
            "hostname": "h.example", "port": 8443, "statusCode": 307, "path": path}}),
        json!({"type": "URLRewrite", "urlRewrite": {"hostname": "h.example", "path": path}}),
        json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m"},
            "percent": 5}}),
        json!({"type": "CORS", "cors": {"allowOrigins": ["*"]}}),
        json!({"type": "ExternalAuth", "externalAuth": {"protocol": "GRPC"}}),
        json!({"type": "ExtensionRef", "extensionRef": {"group": "a", "kind": "B", "name": "c"}}),
    ];
    let mut rules: Vec<Value> = filters.into_iter().map(rule).collect();
    let header = rule(json!({"type": "RequestHeaderModifier",
        "requestHeaderModifier": {"remove": ["x-e"]}}));
    for one in [
        json!({"path": {"type": "Exact", "value": "/a"}}),
        json!({"path": {"type": "PathPrefix", "value": "/a"}}),
        json!({"method": "PUT"}),
        json!({"headers": [{"type": "Exact", "name": "x-a", "value": "b"}]}),
        json!({"headers": [{"type": "RegularExpression", "name": "x-a", "value": "b+"}]}),
        json!({"queryParams": [{"type": "Exact", "name": "a", "value": "b"}]}),
    ] {
        let mut rule = header.clone();
        rule["matches"] = json!([one]);
        rules.push(rule);
    }
    let mut rest = header.clone();
    rest["timeouts"] = json!({"request": "9s", "backendRequest": "3s"});
    rest["retry"] = json!({"attempts": 3, "codes": [503], "backoff": "2s"});
    rest["sessionPersistence"] = json!({"type": "Cookie"});
    rest["backendRefs"] = json!([{"name": "b", "filters": [{"type": "CORS"}]}]);
    rules.push(rest);
    let samples: Vec<Value> = rules.into_iter().map(|rule| json!({"rules": [rule]})).collect();
    let document = |spec: &Value| {
        let mut spec = spec.clone();
        spec["parentRefs"] = json!([{"name": "egress"}]);
        spec["hostnames"] = json!(["api.example"]);
        let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "r", "namespace": "n"}, "spec": spec});
        let policy = json!({"apiVersion": "agentgateway.dev/v1alpha1",
            "kind": "AgentgatewayPolicy", "metadata": {"name": "p", "namespace": "n"},
            "spec": {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway",
                "name": "egress"}], "traffic": {"hostRewrite": {"mode": "Auto"}}}});
        format!("{route}\n---\n{policy}")
    };
    let (odd, plain): (Vec<_>, Vec<_>) = samples.into_iter().partition(|sample| {
        let one = &sample["rules"][0]["matches"][0];
        one["queryParams"].is_array() || one["headers"][0]["type"] == "RegularExpression"
    });
    assert_eq!(silent(&plain, document), Vec::<String>::new());
    // A match without counterpart is an error, and nothing of its route is in the result.
    for sample in odd {
        let told = losses(&document(&sample));
        let is_error = told.iter().any(|it| it.starts_with("Looser spec.rules[0].matches[0]"));
        assert!(is_error, "{sample}: {told:?}");
    }
}
