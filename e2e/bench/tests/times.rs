//! What a rule about the time costs, as `docs/expressions.md` says it.

use e2e::envoy::filter_wasm;
use proxy_wasm_host::{HostOptions, Module, Request, Response, Vm};
use serde_json::json;

/// 2026-11-30T09:00:00Z, in nanoseconds since 1970.
const MONDAY: i64 = 1_796_029_200_000_000_000;

/// Instructions and host calls of the second request under an Allow of these expressions.
fn cost(module: &Module, expressions: &[&str]) -> (u64, u64) {
    let vm = Vm::new(module, HostOptions { canary: false, ..HostOptions::default() });
    let vm = vm.expect("a VM");
    let rule = json!({"match": "All", "policy": {"matchExpressions": expressions}});
    let policy = json!({"name": "p", "traffic": {"authorization": rule}});
    let config = json!({"policies": [policy], "audit": {"log": "None"}});
    assert!(vm.configure(config.to_string().as_bytes()).accepted, "{expressions:?}");
    let mut usage = None;
    for _ in 0..2 {
        let request = Request::new("GET", "a.example", "/").property(&["request", "time"], MONDAY);
        let result = vm.stream(request).run(Response::new(200));
        assert!(result.local_response.is_none(), "{expressions:?} denies");
        usage = Some((result.usage.fuel, result.usage.total_calls()));
    }
    usage.expect("two requests")
}

#[test]
fn a_rule_about_the_time_costs_a_host_call_and_what_the_documents_say() {
    let module = Module::load(filter_wasm()).expect("a filter: `make wasm` builds ours");
    let (without, calls) = cost(&module, &["request.method == 'GET'"]);
    for (what, expressions, most) in [
        ("a date", &["request.startTime < timestamp('2027-01-01T00:00:00Z')"][..], 1_600),
        ("an hour in UTC", &["request.startTime.getHours() >= 8"], 1_700),
        ("an hour in Berlin", &["request.startTime.getHours('Europe/Berlin') >= 8"], 2_250),
        (
            "office hours in Berlin",
            &[
                "request.startTime.getDayOfWeek('Europe/Berlin') in [1, 2, 3, 4, 5]",
                "request.startTime.getHours('Europe/Berlin') >= 8",
                "request.startTime.getHours('Europe/Berlin') < 18",
            ],
            4_300,
        ),
        (
            "a loop",
            &["[1, 2, 3, 4, 5].exists(d, request.startTime.getDayOfWeek('Europe/Berlin') == d)"],
            12_500,
        ),
    ] {
        let mut all = vec!["request.method == 'GET'"];
        all.extend_from_slice(expressions);
        let (with, more_calls) = cost(&module, &all);
        println!("{what}: {} instructions more, {} host calls", with - without, more_calls - calls);
        assert_eq!(more_calls - calls, 1, "{what}");
        assert!(with - without <= most, "{what}: {} instructions", with - without);
    }
}
