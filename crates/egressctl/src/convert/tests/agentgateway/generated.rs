#![cfg(not(target_arch = "wasm32"))]
//! Random policies: each value is in the result or in a note, and what is written loads.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::*;
use crate::convert::tests::leaves::silent;

/// An object with some of these fields.
fn some(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let count = fields.len();
    let values: Vec<_> = fields.iter().map(|(_, value)| value.clone()).collect();
    let names: Vec<_> = fields.into_iter().map(|(name, _)| name).collect();
    (values, proptest::collection::vec(any::<bool>(), count))
        .prop_map(move |(values, given)| {
            let fields = names.iter().zip(values).zip(given).filter(|(_, given)| *given);
            let fields = fields.map(|((name, value), _)| ((*name).to_owned(), value));
            Value::Object(fields.collect::<Map<_, _>>())
        })
        .boxed()
}

fn one_of(values: Vec<Value>) -> BoxedStrategy<Value> {
    select(values).boxed()
}

fn list(of: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    proptest::collection::vec(of, 1..most).prop_map(Value::Array).boxed()
}

/// Expressions, of which some do not compile here.
fn expression(good: &'static [&'static str]) -> BoxedStrategy<Value> {
    let bad = ["mcp.sub", "llm.requestModel == 'a'", "nonsense(", "1 + 'a'", ""];
    prop_oneof![5 => select(good.to_vec()), 1 => select(bad.to_vec())].prop_map(Value::from).boxed()
}

fn condition() -> BoxedStrategy<Value> {
    expression(&[
        "request.method == 'GET'",
        "request.path.startsWith('/repos/')",
        "source.identity.namespace == 'team-a'",
        "'x-a' in request.headers",
        "true",
    ])
}

fn text() -> BoxedStrategy<Value> {
    expression(&["'v' + request.host", "source.identity.namespace", "request.method", "'fixed'"])
}

fn header_name() -> BoxedStrategy<Value> {
    prop_oneof![
        6 => "x-[a-c]{1,2}".prop_map(Value::from),
        1 => select(vec![":path", "Host", "connection", "no good", ""]).prop_map(Value::from),
    ]
    .boxed()
}

fn headers(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let item = (header_name(), value)
        .prop_map(|(name, value)| json!({"name": name, "value": value}))
        .boxed();
    some(vec![
        ("set", list(item.clone(), 3)),
        ("add", list(item, 3)),
        ("remove", list(header_name(), 3)),
        ("rename", one_of(vec![json!("x")])),
    ])
}

fn both(one: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    some(vec![("request", one.clone()), ("response", one)])
}

fn conditional(form: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let entry = (condition(), form.clone())
        .prop_map(|(condition, policy)| json!({"condition": condition, "policy": policy}))
        .boxed();
    let fallback = form.clone().prop_map(|policy| json!({"policy": policy}));
    let entries = (proptest::collection::vec(entry, 1..3), proptest::option::of(fallback))
        .prop_map(|(mut entries, fallback)| {
            entries.extend(fallback);
            json!({"conditional": entries})
        });
    prop_oneof![2 => form, 1 => entries].boxed()
}

fn traffic() -> BoxedStrategy<Value> {
    let answer = some(vec![
        ("status", one_of(vec![json!(200), json!(503), json!(99), json!("x")])),
        ("body", one_of(vec![json!("closed for today"), json!("")])),
        ("headers", list(text_header(), 3)),
    ]);
    let computed = some(vec![
        ("status", one_of(vec![json!(404)])),
        ("bodyExpression", text()),
        ("trailers", one_of(vec![json!("x")])),
    ]);
    let path = one_of(vec![
        json!({"type": "ReplaceFullPath", "replaceFullPath": "/new"}),
        json!({"type": "ReplacePrefixMatch", "prefix": "/a", "replacePrefixMatch": "/b"}),
        json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}),
    ]);
    some(vec![
        ("phase", one_of(vec![json!("PreRouting"), json!("PostRouting")])),
        (
            "authorization",
            (select(vec!["Allow", "Deny", "Require"]), list(condition(), 3))
                .prop_map(|(action, list)| {
                    json!({"action": action, "policy": {"matchExpressions": list}})
                })
                .boxed(),
        ),
        ("transformation", conditional(both(headers(text())))),
        ("headerModifiers", both(headers(one_of(vec![json!("plain"), json!(""), json!(7)])))),
        ("directResponse", conditional(prop_oneof![answer, computed].boxed())),
        ("hostRewrite", one_of(vec![json!({"mode": "Auto"}), json!({"mode": "Sometimes"})])),
        ("urlRewrite", some(vec![("hostname", one_of(vec![json!("h.example")])), ("path", path)])),
        (
            "requestRedirect",
            some(vec![
                ("scheme", one_of(vec![json!("https"), json!("ftp")])),
                ("port", one_of(vec![json!(8443), json!(0)])),
                ("statusCode", one_of(vec![json!(301), json!(418)])),
            ]),
        ),
        ("timeouts", some(vec![("request", one_of(vec![json!("17s"), json!("0s"), json!("x")]))])),
        (
            "retry",
            some(vec![
                ("attempts", one_of(vec![json!(0), json!(3), json!(256)])),
                ("codes", list(one_of(vec![json!(503), json!(404), json!(200)]), 3)),
                ("backoff", one_of(vec![json!("2s")])),
                ("precondition", condition()),
                ("condition", condition()),
            ]),
        ),
        ("delay", one_of(vec![json!({"duration": "3s"})])),
    ])
}

fn text_header() -> BoxedStrategy<Value> {
    (header_name(), text()).prop_map(|(name, value)| json!({"name": name, "value": value})).boxed()
}

fn backend() -> BoxedStrategy<Value> {
    let location = |name: &'static str| {
        one_of(vec![
            json!({"header": {"name": format!("x-{name}"), "prefix": "Key "}}),
            json!({"queryParameter": {"name": format!("{name}-parameter")}}),
            json!({"cookie": {"name": format!("{name}-cookie")}}),
            json!({"trailer": {"name": name}}),
        ])
    };
    let secret = one_of(vec![
        json!({"name": "token"}),
        json!({"name": "token", "key": "api-key"}),
        json!({"name": "other", "kind": "Secret"}),
        json!({"name": "other", "kind": "Vault"}),
        json!({"key": "nameless"}),
    ]);
    let credential = |name| some(vec![("secretRef", secret.clone()), ("location", location(name))]);
    let listed = (credential("one"), credential("two")).prop_map(|(one, two)| json!([one, two]));
    some(vec![
        (
            "auth",
            some(vec![
                ("secretRef", secret.clone()),
                ("key", one_of(vec![json!("plain-key")])),
                ("passthrough", one_of(vec![json!({})])),
                ("aws", one_of(vec![json!({"serviceName": "s3", "region": "eu"})])),
                ("location", location("own")),
                ("credentials", listed.boxed()),
            ]),
        ),
        ("tls", one_of(vec![json!({"sni": "api.example"})])),
    ])
}

fn log() -> BoxedStrategy<Value> {
    let added = ("[a-d. ]{1,3}", text())
        .prop_map(|(name, source)| json!({"name": name, "expression": source}));
    let attributes =
        some(vec![("add", list(added.boxed(), 4)), ("remove", one_of(vec![json!(["http.path"])]))]);
    let log = some(vec![("filter", condition()), ("attributes", attributes)]);
    some(vec![("accessLog", log), ("tracing", one_of(vec![json!({"protocol": "GRPC"})]))])
}

fn policies_of() -> impl Strategy<Value = Value> {
    let target = select(vec![
        json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "egress"}),
        json!({"group": "networking.istio.io", "kind": "ServiceEntry", "name": "e"}),
    ]);
    let sections = some(vec![("traffic", traffic()), ("backend", backend()), ("frontend", log())]);
    (target, sections).prop_map(|(target, mut spec)| {
        spec["targetRefs"] = json!([target]);
        json!({
            "apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayPolicy",
            "metadata": {"name": "p", "namespace": "egress-direct"}, "spec": spec,
        })
    })
}

const ENTRY: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: \
    {name: e, namespace: egress-direct}\nspec: {hosts: [api.example]}\n---\n";

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 192,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_value_is_converted_or_told_and_the_result_loads(policy in policies_of()) {
        let text = format!("{ENTRY}{policy}");
        // An object without fields says nothing, unless its name does; the hosts are the target's.
        let says_something = |missing: &String| {
            let is_empty = missing.ends_with(": {}") && !missing.contains("passthrough");
            !is_empty && !missing.starts_with("spec.hosts")
        };
        let missing: Vec<String> = silent(&text).into_iter().filter(says_something).collect();
        prop_assert_eq!(missing, Vec::<String>::new(), "{}", policy);
        let told = losses(&text);
        let loads = !told.iter().any(|told| told.contains("would not load"));
        prop_assert!(loads, "{policy}: {told:#?}");
    }
}
