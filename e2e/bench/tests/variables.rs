//! What variables cost a request, in instructions of the compiled module, against the same
//! configuration with their expressions written out.

use e2e::envoy::filter_wasm;
use e2e::pki::TEAM_A_SPIFFE_ID;
use proxy_wasm_host::{HostOptions, Module, Request, Response, Vm};
use serde_json::{Value, json};

/// A configuration of Denies that do not match, each of the same expression.
fn configuration(variable: &str, expression: &str, policies: usize) -> [Value; 2] {
    let of = |variables: Value, expression: &str| {
        let policy = |index: usize| {
            json!({"name": format!("p{index}"), "traffic": {"authorization": {
                "action": "Deny", "policy": {"matchExpressions": [expression]}}}})
        };
        let policies: Vec<Value> = (0..policies).map(policy).collect();
        json!({"hostBinding": "Off", "audit": {"log": "None"}, "variables": variables,
            "policies": policies})
    };
    let variables = json!([{"name": "v", "expression": variable}]);
    [
        of(variables, &expression.replace('$', "variables.v")),
        of(json!([]), &expression.replace('$', &format!("({variable})"))),
    ]
}

/// The instructions that a request takes.
fn instructions(module: &Module, configuration: &Value) -> u64 {
    let options = HostOptions { canary: false, fuel: 1 << 60, ..HostOptions::default() };
    let vm = Vm::new(module, options).expect("a filter that starts");
    let configured = vm.configure(configuration.to_string());
    assert!(configured.accepted, "{:?}", configured.logs);
    let run = || {
        let headers = [("x-team", "blue"), ("x-role", "reader"), ("accept-encoding", "gzip")];
        let request = headers.iter().fold(
            Request::new("GET", "api.github.com", "/zen").peer_principal(TEAM_A_SPIFFE_ID),
            |request, (name, value)| request.header(name, value),
        );
        vm.stream(request).run(Response::new(200))
    };
    for _ in 0..32 {
        run();
    }
    vm.tick();
    let result = run();
    let status = result.response_headers.as_ref().and_then(|headers| headers.text(":status"));
    assert_eq!(status.as_deref(), Some("200"), "{configuration}");
    result.usage.fuel
}

#[test]
fn a_variable_costs_at_most_what_its_expression_costs_in_its_place() {
    let module = Module::load(filter_wasm()).expect("a filter: `make wasm` builds ours");
    let list: Vec<String> = (0..40).map(|index| format!("\"h{index}.example\"")).collect();
    let list = format!("[{}]", list.join(", "));
    let costly = "request.headers.exists(h, h.endsWith(\"-none\"))";
    for (what, variable, expression, policies, most) in [
        // As much as the list itself.
        ("a constant list", list.as_str(), "request.host in $", 1, 1.01),
        ("a comparison", "request.method == \"PUT\"", "$ && request.path != \"/\"", 1, 1.04),
        ("a loop, read once", costly, "$ && request.path != \"/\"", 1, 1.15),
        ("a loop, read ten times", costly, "$ && request.path != \"/\"", 10, 0.4),
        ("a pattern, read ten times", "request.path.matches(\"[a-z]+[0-9]$\")", "$", 10, 0.7),
    ] {
        let [read, written] =
            configuration(variable, expression, policies).map(|one| instructions(&module, &one));
        println!("{what}: {read} instructions, written out {written}");
        #[expect(clippy::cast_precision_loss, reason = "a ratio is printed and compared")]
        let ratio = read as f64 / written as f64;
        assert!(ratio <= most, "{what}: {ratio:.3} times what it costs written out");
    }
}
