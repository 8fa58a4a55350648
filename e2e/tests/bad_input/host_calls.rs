//! A host that fails, in the emulated one: a request never passes because of it, and nothing traps.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use e2e::host::{Failure, HostOptions, LogLevel, Module, Request, Response, Shared, Status, Step, StreamResult, Vm};
use e2e::pki::{TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};

use super::POLICIES;

static MODULE: LazyLock<Module> =
    LazyLock::new(|| Module::load(e2e::envoy::filter_wasm()).unwrap_or_else(|error| panic!("{error}: run `make wasm` first")));

const STATUSES: [Status; 5] =
    [Status::InternalFailure, Status::BadArgument, Status::SerializationFailure, Status::InvalidMemoryAccess, Status::Unimplemented];

/// The policies, with the access log told of each decision, so that every kind of host call is made.
fn policies() -> String {
    let mut json: serde_json::Value = serde_json::from_str(POLICIES).expect("it is JSON");
    json["audit"]["accessLog"] = true.into();
    json.to_string()
}

fn vm() -> Vm {
    vm_with(&Shared::default())
}

fn vm_with(shared: &Shared) -> Vm {
    let options = HostOptions { canary: false, shared: shared.clone(), ..HostOptions::default() };
    let vm = Vm::new(&MODULE, options).expect("the filter starts");
    assert!(vm.configure(policies()).accepted, "{:?}", vm.logs());
    vm
}

fn request(caller: &str) -> Request {
    let service = "inbound-vip|80|http|api.github.com";
    Request::new("GET", "api.github.com", "/zen")
        .property(&["xds", "filter_chain_name"], service)
        .property(&["xds", "cluster_name"], service)
        .peer_principal(caller)
        .header("x-in", "in")
        .header("x-copy", "spoof")
        .header("x-caller-identity", "spoof")
        .header("x-internal-debug", "1")
}

fn run(vm: &Vm, request: Request) -> StreamResult {
    vm.stream(request).run(Response::new(200).header("x-origin-mode", "echo").body("origin"))
}

fn errors(result: &StreamResult) -> Vec<&str> {
    result.logs.iter().filter(|log| log.level >= LogLevel::Warn).map(|log| log.text.as_str()).collect()
}

/// Without these a decision stands, and only its record or its count is missing.
const MERE_RECORDS: [&str; 2] = ["proxy_set_property", "proxy_log"];

#[test]
fn each_host_call_that_fails_refuses_the_request() {
    let healthy = run(&vm(), request(TEAM_A_SPIFFE_ID));
    assert_eq!((healthy.local_response.as_ref(), healthy.failure.as_ref(), errors(&healthy).len()), (None, None, 0));
    let mut tried = BTreeSet::new();
    let shared = Shared::default();
    let vm = vm_with(&shared);
    for (function, calls) in &healthy.usage.calls {
        for call in 0..*calls {
            for status in STATUSES {
                vm.fail_calls([Failure::nth(function, call, status)]);
                let counted = |shared: &Shared| shared.counters().get("egress_internal_errors").copied().unwrap_or(0);
                let before = counted(&shared);
                let result = run(&vm, request(TEAM_A_SPIFFE_ID));
                vm.fail_calls([]);
                vm.tick();
                let shown = format!("call {call} of {function} gives {status:?}: {result:#?}");
                assert_eq!((result.failure.as_ref(), vm.failure()), (None, None), "it trapped: {shown}");
                tried.insert(function.as_str());
                if MERE_RECORDS.contains(&function.as_str()) {
                    assert!(result.local_response.is_none() && result.step == Step::Continue, "{shown}");
                    assert_eq!(result.request_headers, healthy.request_headers, "{shown}");
                    continue;
                }
                let said = format!("{function} gave status {}", status.code());
                assert!(errors(&result).iter().any(|line| line.contains(&said)), "it is not logged: {shown}");
                match (&result.local_response, result.step) {
                    (Some(answer), Step::Replied) => {
                        assert_eq!((answer.status, &answer.body[..]), (403, &b"authorization failed"[..]), "{shown}");
                        assert_eq!(answer.details, "egress_filter:internal-error", "{shown}");
                        assert_eq!(counted(&shared), before + 1, "{shown}");
                    }
                    // The response could not be changed as it must be, and does not pass either.
                    (None, Step::Closed) => {
                        assert!(result.callbacks.iter().any(|(name, _)| name == "proxy_on_response_headers"), "{shown}")
                    }
                    _ => panic!("it passed: {shown}"),
                }
                let after = run(&vm, request(TEAM_A_SPIFFE_ID));
                assert!(after.local_response.is_none() && after.failure.is_none(), "afterwards: {after:#?}");
            }
        }
    }
    let expected = [
        "proxy_add_header_map_value",
        "proxy_get_header_map_pairs",
        "proxy_get_property",
        "proxy_log",
        "proxy_remove_header_map_value",
        "proxy_replace_header_map_value",
        "proxy_set_property",
    ];
    assert_eq!(tried.into_iter().collect::<Vec<_>>(), expected, "the calls that an allowed request makes");
}

#[test]
fn a_denied_request_is_refused_whatever_fails() {
    let healthy = run(&vm(), request(TEAM_B_SPIFFE_ID));
    assert_eq!(healthy.local_response.as_ref().map(|answer| answer.status), Some(403));
    for function in healthy.usage.calls.keys() {
        let vm = vm();
        for status in STATUSES {
            vm.fail_calls([Failure::always(function, status)]);
            let result = run(&vm, request(TEAM_B_SPIFFE_ID));
            let shown = format!("{function} gives {status:?}: {result:#?}");
            assert_eq!(result.failure, None, "it trapped: {shown}");
            // Where it cannot be answered it is reset.
            let closed = function == "proxy_send_local_response";
            assert_eq!(result.step, if closed { Step::Closed } else { Step::Replied }, "{shown}");
            assert!(result.local_response.is_none_or(|answer| answer.status == 403), "{function} gives {status:?}");
        }
    }
}

#[test]
fn nothing_passes_and_nothing_traps_where_every_call_fails() {
    let vm = vm();
    for status in STATUSES.into_iter().chain([Status::NotFound]) {
        for caller in [TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID] {
            vm.fail_calls([Failure::always("*", status)]);
            let result = run(&vm, request(caller));
            assert_eq!(result.failure, None, "{status:?}: {result:#?}");
            // It can neither be answered nor reset; it waits, and is not let through.
            assert!(matches!(result.step, Step::Paused | Step::Closed | Step::Replied), "{status:?}: {result:#?}");
            assert!(result.response_headers.is_none() || result.local_response.is_some(), "{status:?}: {result:#?}");
            vm.fail_calls([]);
            assert!(run(&vm, request(TEAM_A_SPIFFE_ID)).local_response.is_none(), "afterwards");
        }
    }
}

#[test]
fn a_fact_that_is_missing_is_no_fact() {
    let bare = |caller: Option<&str>| {
        let request = Request::new("GET", "api.github.com", "/zen");
        caller.map_or(request.clone(), |caller| request.peer_principal(caller))
    };
    let vm = vm();
    assert_eq!(run(&vm, bare(None)).local_response.map(|answer| answer.status), Some(403), "no identity");
    // A plugin on another kind of listener has no service to bind the host to.
    assert_eq!(run(&vm, bare(Some(TEAM_A_SPIFFE_ID))).local_response, None);
    let mut nothing = bare(Some(TEAM_A_SPIFFE_ID));
    nothing.headers = e2e::host::Headers::request();
    assert_eq!(run(&vm, nothing).local_response.map(|answer| answer.status), Some(400), "no host");
}

#[test]
fn what_the_host_does_not_count_is_told_again() {
    let shared = Shared::default();
    let vm = vm_with(&shared);
    for failing in ["proxy_define_metric", "proxy_increment_metric"] {
        let before = shared.counters().get("egress_allowed").copied().unwrap_or(0);
        assert!(run(&vm, request(TEAM_A_SPIFFE_ID)).local_response.is_none());
        vm.fail_calls([Failure::always(failing, Status::InternalFailure)]);
        vm.tick();
        vm.fail_calls([]);
        assert!(run(&vm, request(TEAM_A_SPIFFE_ID)).local_response.is_none());
        vm.tick();
        assert_eq!(shared.counters().get("egress_allowed"), Some(&(before + 2)), "{failing} failed for a while");
        vm.tick();
        assert_eq!(shared.counters().get("egress_allowed"), Some(&(before + 2)), "nothing is told twice");
    }
}

#[test]
fn what_was_counted_outlives_its_configuration() {
    let shared = Shared::default();
    let vm = vm_with(&shared);
    assert!(run(&vm, request(TEAM_A_SPIFFE_ID)).local_response.is_none());
    assert!(vm.configure(policies()).accepted);
    assert_eq!(shared.counters().get("egress_allowed"), Some(&1));
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused() {
    for function in
        ["proxy_get_buffer_bytes", "proxy_get_property", "proxy_set_shared_data", "proxy_get_shared_data", "proxy_define_metric", "*"]
    {
        for (json, good) in [(POLICIES, true), ("{", false)] {
            let vm = Vm::new(&MODULE, HostOptions { canary: false, ..HostOptions::default() }).expect("the filter starts");
            vm.fail_calls([Failure::always(function, Status::InternalFailure)]);
            let configured = vm.configure(json);
            let unreadable = matches!(function, "proxy_get_buffer_bytes" | "*");
            assert_eq!((configured.accepted, vm.failure()), (good && !unreadable, None), "{function}: {:?}", configured.logs);
        }
    }
}
