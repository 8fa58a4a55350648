//! What macros cost a request, in instructions of the compiled module: a Deny that does not match,
//! against one that compares a method.

use e2e::envoy::filter_wasm;
use e2e::pki::TEAM_A_SPIFFE_ID;
use proxy_wasm_host::{HostOptions, Module, Request, Response, Vm};
use serde_json::json;

/// The instructions that a request takes.
fn instructions(module: &Module, expression: &str) -> u64 {
    let policy = json!({"name": "p", "traffic": {"authorization": {
        "action": "Deny", "policy": {"matchExpressions": [expression]}}}});
    let configuration =
        json!({"hostBinding": "Off", "audit": {"log": "None"}, "policies": [policy]});
    let options = HostOptions { canary: false, fuel: 1 << 60, ..HostOptions::default() };
    let vm = Vm::new(module, options).expect("a filter that starts");
    let configured = vm.configure(configuration.to_string());
    assert!(configured.accepted, "{expression}: {:?}", configured.logs);
    let run = || {
        // With `:method` and its like, which are none of `request.headers`, there are eight.
        let names = ["a", "b", "c", "d", "e", "f", "x-list"];
        let request = names.iter().fold(
            Request::new("GET", "api.github.com", "/zen/a/b").peer_principal(TEAM_A_SPIFFE_ID),
            |request, name| request.header(name, "a,b,c,d,e,f,g,h"),
        );
        vm.stream(request).run(Response::new(200))
    };
    for _ in 0..32 {
        run();
    }
    vm.tick();
    let result = run();
    let status = result.response_headers.as_ref().and_then(|headers| headers.text(":status"));
    assert_eq!(status.as_deref(), Some("200"), "{expression}");
    result.usage.fuel
}

#[test]
fn a_macro_over_eight_items_costs_at_most_the_bar() {
    let module = Module::load(filter_wasm()).expect("a filter: `make wasm` builds ours");
    let plain = instructions(&module, "request.method == \"PUT\"");
    let day = "request.startTime.getDayOfWeek('Europe/Berlin')";
    let days = format!("[11, 12, 13, 14, 15].exists(d, {day} == d)");
    let mut over = Vec::new();
    for (expression, most) in [
        (days.as_str(), 12_100),
        (
            "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].exists(p, request.path.endsWith(p + '-'))",
            4_000,
        ),
        ("['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].exists(p, request.path == p)", 3_400),
        ("request.headers['x-list'].split(',').exists(p, p == 'z')", 10_000),
        ("!request.headers['x-list'].split(',').all(p, p != 'z')", 10_000),
        ("request.headers['x-list'].split(',').map(p, p + 'x').size() == 9", 13_200),
        ("!['a', 'b', 'c', 'd', 'e', 'f', 'g', 'GET'].existsOne(i, x, x == request.method)", 5_900),
        (
            "['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].filter(x, x != request.method).size() == 7",
            7_400,
        ),
        ("['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(x, x + request.method).size() == 7", 7_000),
        ("request.headers.exists(n, n == 'x-none')", 10_800),
    ] {
        let found = instructions(&module, expression).saturating_sub(plain);
        println!("{found:>7} {expression}");
        if found > most {
            over.push(format!("{expression}: {found}, the bar is {most}"));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}
