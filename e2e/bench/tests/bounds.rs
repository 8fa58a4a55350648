//! What many policies can make of one hostile or one plain request, in instructions of the compiled
//! module.

use e2e::envoy::filter_wasm;
use e2e::pki::TEAM_A_SPIFFE_ID;
use proxy_wasm_host::{HostOptions, Module, Request, Response, Vm};
use serde_json::{Value, json};

/// The instructions that a request takes which has this value in `x-a`.
fn instructions(module: &Module, traffic: &Value, policies: usize, value: &str) -> u64 {
    let policy = |index: usize| json!({"name": format!("p{index}"), "traffic": traffic});
    let configuration = json!({
        "hostBinding": "Off", "audit": {"log": "None"},
        "policies": (0..policies).map(policy).collect::<Vec<_>>(),
    });
    let options = HostOptions { canary: false, fuel: 1 << 60, ..HostOptions::default() };
    let vm = Vm::new(module, options).expect("a filter that starts");
    let configured = vm.configure(configuration.to_string());
    assert!(configured.accepted, "{traffic}: {:?}", configured.logs);
    let request = || {
        Request::new("GET", "a.example", "/zen")
            .peer_principal(TEAM_A_SPIFFE_ID)
            .header("x-a", value)
    };
    let _ = vm.stream(request()).run(Response::new(200));
    vm.stream(request()).run(Response::new(200)).usage.fuel
}

fn module() -> Module {
    Module::load(filter_wasm()).expect("a filter: `make wasm` builds ours")
}

#[test]
fn policies_that_set_the_same_headers_cost_as_much_each_as_few_of_them() {
    let set: Vec<Value> =
        (0..16).map(|index| json!({"name": format!("x-{index:02}"), "value": "'v'"})).collect();
    let traffic = json!({"transformation": {"request": {"set": set}}});
    let module = module();
    let [few, many] = [10, 200].map(|count| instructions(&module, &traffic, count, "v"));
    assert!(many < 20 * few + 20 * few / 2, "10: {few}, 200: {many}");
}

#[test]
fn a_long_line_is_not_looked_through_for_each_deny() {
    let rule = "request.path.endsWith('/x') && request.headers['x-a'] == 'v'";
    let traffic = json!({"authorization": {
        "action": "Deny", "policy": {"matchExpressions": [rule]}}});
    let module = module();
    let [short, long] = [10, 57_000].map(|length| {
        let value = "v".repeat(length);
        instructions(&module, &traffic, 200, &value)
    });
    assert!(long < short + 200 * 8_000, "short: {short}, long: {long}");
}

#[test]
fn a_name_in_another_alphabet_costs_no_more_than_its_steps() {
    let rule = vec!["json(request.headers['x-a']).size() == 7"; 6].join(" || ");
    let traffic = json!({"authorization": {
        "action": "Deny", "policy": {"matchExpressions": [rule]}}});
    let value = format!("{{\"{}\": 1}}", "\u{390}".repeat(28_000));
    let most = instructions(&module(), &traffic, 1, &value);
    assert!(most < 120_000_000, "{most}");
}
