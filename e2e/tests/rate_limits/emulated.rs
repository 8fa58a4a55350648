//! What a local limit costs, and what happens when the host fails.

use std::sync::LazyLock;
use std::time::Duration;

use e2e::host::{Failure, HostOptions, Module, Request, Response, Status, StreamResult, Usage, Vm};
use e2e::pki::TEAM_A_SPIFFE_ID;
use serde_json::{Value, json};

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(e2e::envoy::filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"))
});

const READ: &str = "proxy_get_shared_data";
const WRITE: &str = "proxy_set_shared_data";

fn vm(rate_limit: Option<Value>) -> Vm {
    let rule = json!({"policy": {"matchExpressions": ["source.identity.namespace == \"team-a\""]}});
    let mut traffic = json!({"authorization": rule});
    if let Some(limits) = rate_limit {
        traffic["rateLimit"] = limits;
    }
    let options = HostOptions { canary: false, ..HostOptions::default() };
    let vm = Vm::new(&MODULE, options).expect("the filter starts");
    let policies = json!({"policies": [{"name": "p", "traffic": traffic}]});
    assert!(vm.configure(policies.to_string()).accepted, "{:?}", vm.logs());
    vm
}

fn ask(vm: &Vm) -> StreamResult {
    let service = "inbound-vip|80|http|api.github.com";
    let request = Request::new("GET", "api.github.com", "/")
        .property(&["xds", "filter_chain_name"], service)
        .property(&["xds", "cluster_name"], service)
        .peer_principal(TEAM_A_SPIFFE_ID);
    vm.stream(request).run(Response::new(200))
}

fn status(result: &StreamResult) -> Option<String> {
    let answer = result.local_response.as_ref()?;
    Some(answer.status.to_string())
}

/// The host calls of proxy-wasm, beside which there are readings of the clock.
fn calls(usage: &Usage) -> u64 {
    usage.total_calls() - usage.calls_of("clock_time_get")
}

#[test]
fn a_limit_adds_two_host_calls_and_none_with_a_lease() {
    let without = vm(None);
    ask(&without);
    let base = calls(&ask(&without).usage);
    let vm = vm(Some(json!({"local": [{"requests": 6_000, "unit": "Hours"}]})));
    ask(&vm);
    let mut without_any = 0;
    for number in 0..500 {
        let result = ask(&vm);
        assert_eq!(status(&result), None, "{number}");
        let (reads, writes) = (result.usage.calls_of(READ), result.usage.calls_of(WRITE));
        assert_eq!(calls(&result.usage), base + reads + writes, "{:?}", result.usage);
        match (reads, writes) {
            (0, 0) => without_any += 1,
            (1, 1) => {}
            other => panic!("{number}: {other:?}"),
        }
    }
    assert!(without_any > 450, "{without_any} of 500 cost no host call");
}

#[test]
fn refusals_of_a_caller_who_does_not_stop_cost_no_shared_data() {
    let vm = vm(Some(json!({"local": [{"requests": 1, "unit": "Hours"}]})));
    assert_eq!(status(&ask(&vm)), None);
    for _ in 0..100 {
        let result = ask(&vm);
        assert_eq!(status(&result).as_deref(), Some("429"));
        assert_eq!(result.usage.calls_of(READ) + result.usage.calls_of(WRITE), 0);
    }
    // What is known of the bucket is relied on for a second.
    vm.advance(Duration::from_secs(1));
    let result = ask(&vm);
    assert_eq!((result.usage.calls_of(READ), result.usage.calls_of(WRITE)), (1, 0));
    assert_eq!(status(&result).as_deref(), Some("429"));
}

#[test]
fn a_request_whose_tokens_cannot_be_counted_is_refused() {
    for call in [READ, WRITE] {
        for status_of_call in [Status::InternalFailure, Status::BadArgument, Status::Unimplemented]
        {
            let vm = vm(Some(json!({"local": [{"requests": 100, "unit": "Hours"}]})));
            ask(&vm);
            vm.advance(Duration::from_secs(2));
            vm.fail_calls([Failure::always(call, status_of_call)]);
            let result = ask(&vm);
            assert_eq!(status(&result).as_deref(), Some("403"), "{call} {status_of_call:?}");
            assert!(result.failure.is_none(), "{call} {status_of_call:?}");
            let records =
                egressctl::cases::audit_records(result.logs.iter().map(|log| log.text.as_str()));
            assert_eq!(records[0]["reason"], "internal-error", "{records:?}");
        }
    }
}

/// A version that changes all the time: the attempts are bounded, and the request is refused.
#[test]
fn a_bucket_that_cannot_be_written_admits_nobody() {
    let vm = vm(Some(json!({"local": [{"requests": 100, "unit": "Hours"}]})));
    ask(&vm);
    vm.advance(Duration::from_secs(2));
    vm.fail_calls([Failure::always(WRITE, Status::CasMismatch)]);
    let result = ask(&vm);
    assert_eq!(status(&result).as_deref(), Some("429"));
    assert_eq!(result.usage.calls_of(WRITE), 16);
}

/// Only those who ask for it pay for telling the caller of a limit with each answer.
#[test]
fn telling_the_caller_costs_host_calls_only_where_it_is_asked_for() {
    let local = json!([{"requests": 6_000, "unit": "Hours"}]);
    let limits = |headers: &str| json!({"local": local, "headers": headers});
    let cost = |vm: &Vm| {
        ask(vm);
        let usage = ask(vm).usage;
        calls(&usage) - usage.calls_of(READ) - usage.calls_of(WRITE)
    };
    let base = cost(&vm(None));
    assert_eq!(cost(&vm(Some(limits("Denied")))), base);
    assert_eq!(cost(&vm(Some(limits("All")))), base + 4);
}
