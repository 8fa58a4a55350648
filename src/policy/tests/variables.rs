//! Variables of configurations.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use crate::attributes::view::View;
use crate::config::MAX_VARIABLES;
use crate::decision::Reason;
use crate::explain::Explainer;
use crate::policy::Engine;
use crate::request::{Facts, Given};
use crate::stage::tests::{Request, ZEN, decide_with, rule};
use crate::trial::Trial;

fn variable(name: &str, expression: &str) -> Value {
    json!({"name": name, "expression": expression})
}

fn config(variables: &[Value], policies: &[Value]) -> Value {
    json!({"variables": variables, "policies": policies, "audit": {"log": "All"}})
}

fn errors(config: &Value) -> Vec<String> {
    let errors = Engine::load(config.to_string().as_bytes()).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn all_errors_of_variables_are_told_with_their_places() {
    let variables = [
        variable("ci", r#"source.identty.namespace == "ci""#),
        variable("x", "variables.ci &&\n  variables.y"),
        variable("y", r#""a""#),
        variable("y", "1"),
        variable("namespace", "dyn(true)"),
        json!({"name": "z"}),
        json!({"name": "w", "expression": 7, "kind": "a"}),
    ];
    let policies = [
        rule("a", "Allow", "variables.ci || variables.z || variables.w || variables.namespace"),
        rule("b", "Allow", "variables.y && variables.why"),
    ];
    assert_eq!(
        errors(&config(&variables, &policies)),
        [
            "variables[3].name: the name is taken by variables[2]: give each variable its own",
            "variables[4].name: `namespace` is no name of a variable: expected 1 to 64 letters, \
             digits and `_`, no digit first, and no word of CEL's own",
            "variables[5]: field `expression` is missing",
            "variables[6]: unknown field `kind`: expected `name`, `expression`",
            "variables[6].expression: expected a string, got a number",
            "variables[0].expression: line 1, column 1: unknown attribute `source.identty` (did \
             you mean `source.identity`?)",
            "variables[1].expression: line 2, column 3: `variables.y` is declared behind this one: \
             a variable reads only those before it",
            "policy `b`: policies[1].traffic.authorization.policy.matchExpressions[0]: line 1, \
             column 1: `&&` takes bools, not string (`variables.y` is string)",
            "policy `b`: policies[1].traffic.authorization.policy.matchExpressions[0]: line 1, \
             column 16: unknown variable `variables.why`",
        ]
    );
}

#[test]
fn variables_are_bounded() {
    let many = |count: usize| -> Vec<Value> {
        (0..count).map(|index| variable(&format!("v{index}"), "true")).collect()
    };
    assert!(Engine::load(config(&many(MAX_VARIABLES), &[]).to_string().as_bytes()).is_ok());
    assert_eq!(
        errors(&config(&many(MAX_VARIABLES + 1), &[])),
        ["variables: `variables` has 65 entries, the limit is 64"]
    );
    let long = variable("a", &format!("'{}' == ''", "x".repeat(5_000)));
    assert!(errors(&config(&[long], &[]))[0].contains("variables[0].expression: line 1, column"));
}

#[test]
fn a_variable_that_nothing_reads_is_warned_of() {
    let variables = [
        variable("used", "true"),
        variable("through", "variables.used"),
        variable("unused", "variables.through"),
        variable("constant", "'a'"),
    ];
    let policies = [
        rule("a", "Allow", "variables.through"),
        json!({"name": "b", "traffic": {"transformation": {"response": {"set": [
            {"name": "x-a", "value": "variables.constant"}]}}}}),
    ];
    let engine = Engine::load(config(&variables, &policies).to_string().as_bytes()).unwrap();
    let warnings: Vec<String> = engine.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["variables[2]: no expression reads `variables.unused`: leave it out, or read it"]
    );
}

#[test]
fn what_can_never_match_is_found_through_variables() {
    let variables = [
        variable("team", "source.identity.namespace == \"a\""),
        variable("other", "source.identity.namespace != \"a\""),
        variable("method", "request.method"),
        variable("write", "variables.method == \"post\""),
    ];
    for (expression, place, message) in [
        (
            "variables.team && variables.other",
            "policies[0].traffic.authorization.policy.matchExpressions[0]: never matches: ",
            r#"`source.identity.namespace == "a"` and `source.identity.namespace != "a"`"#,
        ),
        (
            "variables.team &&\n  variables.write && !variables.other",
            "matchExpressions[0]: line 2, column 3: ",
            "POST",
        ),
        ("variables.method == 'get' || variables.team", "line 1, column 1: ", "GET"),
    ] {
        let config = config(&variables, &[rule("p", "Allow", expression)]);
        let engine = Engine::load(config.to_string().as_bytes()).unwrap();
        let found = engine.warnings().iter().map(ToString::to_string).find(|warning| {
            warning.starts_with("policy") && warning.contains(place) && warning.contains(message)
        });
        assert!(found.is_some(), "{expression}: {:?}", engine.warnings());
    }
}

#[test]
fn policies_are_looked_up_through_variables() {
    let variables = [
        variable("team", "source.identity.namespace"),
        variable("reads", "request.method in [\"GET\", \"HEAD\"]"),
        variable("team7", "variables.team == \"n7\" && variables.reads"),
    ];
    let shapes: [fn(usize) -> String; 3] = [
        |n| format!("variables.team == \"n{n}\" && variables.reads"),
        |n| format!("variables.reads && variables.team in [\"n{n}\", \"m{n}\"]"),
        |n| if n == 7 { "variables.team7".to_owned() } else { format!("request.path == \"/{n}\"") },
    ];
    for shape in shapes {
        let policies: Vec<Value> =
            (0..1000).map(|n| rule(&format!("p{n}"), "Allow", &shape(n))).collect();
        let config = config(&variables, &policies);
        let engine = crate::stage::tests::load(&config);
        let headers =
            [(&b":authority"[..], &b"a.example"[..]), (b":method", b"GET"), (b":path", b"/")]
                .into_iter()
                .collect();
        let source = Given { peer_principal: b"spiffe://t/ns/n7/sa/a", ..Given::default() };
        let facts = Facts::new(headers, &source);
        let mut found = Vec::new();
        let view = View::new(&facts, &engine.callers);
        engine.index.candidates(&engine.index.groups("a.example"), &view, &mut found);
        assert_eq!(found, [7], "{}", shape(7));
    }
}

#[test]
fn the_order_of_policies_that_share_a_variable_does_not_matter() {
    // The loops take most of the steps that one rule has.
    let names: Vec<String> = (0..45).map(|index| format!("x-{index}")).collect();
    let headers: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"a"[..])).collect();
    let request = Request { headers: &headers, ..ZEN };
    let costly = "request.headers.all(a, request.headers.all(b, a != \"\" && b != \"x-none\"))";
    let variables = [variable("costly", costly)];
    let light = rule("light", "Deny", "!variables.costly");
    let heavy = rule("heavy", "Deny", &format!("!variables.costly || !({costly})"));
    let decided = |policies: &[Value]| {
        let decided = decide_with(config(&variables, policies), &request);
        (decided.reason, decided.policy_name)
    };
    // By itself, and first, the second is beyond its limit, and denies.
    let denies = (Reason::DenyError, Some("heavy".to_owned()));
    assert_eq!(decided(std::slice::from_ref(&heavy)), denies);
    assert_eq!(decided(&[heavy.clone(), light.clone()]), denies);
    // Behind the first, it finds the variable's value, and says what it would say without a limit.
    assert_eq!(decided(&[light, heavy]), (Reason::NoAllowRule, None));
}

#[test]
fn an_explanation_shows_variables() {
    let variables = [
        variable("ci", "source.identity.namespace.startsWith(\"ci-\")"),
        variable("team", "request.headers[\"x-team\"].lowerAscii()"),
    ];
    let policies = [
        rule("a", "Allow", "variables.ci || request.method == \"GET\""),
        json!({"name": "b", "traffic": {"transformation": {"request": {"set": [
            {"name": "x-team", "value": "\"changed\""},
            {"name": "x-came", "value": "variables.team + \"/\" + request.headers[\"x-team\"]"}
        ]}}}}),
    ];
    let mut config = config(&variables, &policies);
    config["identity"] = json!({"trustDomains": ["t"]});
    let json = config.to_string();
    let trial = Trial {
        principal: "spiffe://t/ns/a/sa/s".to_owned(),
        service: Some("x.example".to_owned()),
        authority: "x.example".to_owned(),
        path: "/zen".to_owned(),
        headers: vec![("x-team".to_owned(), "Blue".to_owned())],
        ..Trial::default()
    };
    let explanation = Explainer::load(json.as_bytes()).unwrap().explain(&trial);
    let shown = serde_json::to_value(&explanation).unwrap();
    let use_of_ci = &shown["policies"][0]["rule"]["expressions"][0]["choices"][0]["parts"][0];
    assert_eq!(use_of_ci["source"], "variables.ci");
    assert_eq!(use_of_ci["value"], "false");
    let written = &use_of_ci["parts"][0];
    assert_eq!(written["source"], "source.identity.namespace.startsWith(\"ci-\")");
    assert_eq!(written["parts"][0]["value"], "\"a\"");
    let value = &shown["policies"][1]["request"][1]["value"];
    assert_eq!(value["value"], "\"blue/changed\"");
    assert_eq!(value["parts"][0]["source"], "variables.team");
    assert_eq!(value["parts"][0]["parts"][0]["parts"][0]["value"], "\"Blue\"");
}
