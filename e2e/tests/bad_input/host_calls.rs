//! A host that fails, in the emulated one: a request never passes because of it, and nothing traps.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use e2e::host::{
    Failure, HostOptions, LogLevel, Module, Request, Response, Shared, Status, Step, StreamResult,
    Vm,
};
use e2e::pki::{TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use egressctl::cases::audit_records;

use serde_json::json;

use super::POLICIES;

pub(crate) static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(e2e::envoy::filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"))
});

const STATUSES: [Status; 5] = [
    Status::InternalFailure,
    Status::BadArgument,
    Status::SerializationFailure,
    Status::InvalidMemoryAccess,
    Status::Unimplemented,
];

/// The policies, with the access log told of each decision, so that every kind of host call is
/// made.
fn policies() -> String {
    let mut json: serde_json::Value = serde_json::from_str(POLICIES).expect("it is JSON");
    json["audit"]["accessLog"] = true.into();
    json.to_string()
}

pub(crate) fn vm() -> Vm {
    vm_with(&Shared::default())
}

pub(crate) fn vm_with(shared: &Shared) -> Vm {
    let options = HostOptions { canary: false, shared: shared.clone(), ..HostOptions::default() };
    let vm = Vm::new(&MODULE, options).expect("the filter starts");
    assert!(vm.configure(policies()).accepted, "{:?}", vm.logs());
    vm
}

pub(crate) fn request(caller: &str) -> Request {
    let service = "inbound-vip|80|http|api.github.com";
    Request::new("GET", "api.github.com", "/zen")
        .property(&["xds", "filter_chain_name"], service)
        .property(&["xds", "cluster_name"], service)
        .peer_principal(caller)
        .header("x-in", "in")
        .header("x-copy", "spoof")
        .header("x-caller-identity", "spoof")
        .header("x-internal-debug", "1")
        .trailer("x-caller-identity", "spoof")
        .trailer("x-mine", "1")
}

pub(crate) fn run(vm: &Vm, request: Request) -> StreamResult {
    let response = Response::new(200).header("x-origin-mode", "echo").body("origin");
    vm.stream(request).run(response.trailer("x_origin_mode", "echo").trailer("x-origins", "1"))
}

/// The audit records of the stream that have this value in a field.
pub(crate) fn records(result: &StreamResult, field: &str, value: &str) -> Vec<serde_json::Value> {
    let records = audit_records(result.logs.iter().map(|log| log.text.as_str()));
    records.into_iter().filter(|record| record[field] == value).collect()
}

pub(crate) fn counter(shared: &Shared, name: &str) -> u64 {
    shared.counters().get(name).copied().unwrap_or(0)
}

fn errors(result: &StreamResult) -> Vec<&str> {
    result
        .logs
        .iter()
        .filter(|log| log.level >= LogLevel::Warn)
        .map(|log| log.text.as_str())
        .collect()
}

/// The callbacks after which a request that was let through can be cut off.
const AFTERWARDS: [&str; 3] =
    ["proxy_on_request_trailers", "proxy_on_response_headers", "proxy_on_response_trailers"];

/// Without these a decision stands, and only its record or its count is missing.
const MERE_RECORDS: [&str; 2] = ["proxy_set_property", "proxy_log"];

#[test]
fn each_host_call_that_fails_refuses_the_request() {
    let healthy = run(&vm(), request(TEAM_A_SPIFFE_ID));
    assert_eq!(
        (healthy.local_response.as_ref(), healthy.failure.as_ref(), errors(&healthy).len()),
        (None, None, 0)
    );
    let (mut tried, mut cut_off) = (BTreeSet::new(), BTreeSet::new());
    let shared = Shared::default();
    let vm = vm_with(&shared);
    for (function, calls) in &healthy.usage.calls {
        for call in 0..*calls {
            for status in STATUSES {
                vm.tick();
                vm.fail_calls([Failure::nth(function, call, status)]);
                let counted = || {
                    ["internal_errors", "denied", "allowed"]
                        .map(|name| counter(&shared, &format!("egress_{name}")))
                };
                let [errors_before, denied, allowed] = counted();
                let result = run(&vm, request(TEAM_A_SPIFFE_ID));
                vm.fail_calls([]);
                vm.tick();
                let shown = format!("call {call} of {function} gives {status:?}: {result:#?}");
                assert_eq!(
                    (result.failure.as_ref(), vm.failure()),
                    (None, None),
                    "it trapped: {shown}"
                );
                tried.insert(function.as_str());
                if MERE_RECORDS.contains(&function.as_str()) {
                    assert!(
                        result.local_response.is_none() && result.step == Step::Continue,
                        "{shown}"
                    );
                    assert_eq!(result.request_headers, healthy.request_headers, "{shown}");
                    continue;
                }
                let said = format!("{function} gave status {}", status.code());
                assert!(
                    errors(&result).iter().any(|line| line.contains(&said)),
                    "it is not logged: {shown}"
                );
                match (&result.local_response, result.step) {
                    (Some(answer), Step::Replied) => {
                        assert_eq!(
                            (answer.status, &answer.body[..]),
                            (403, &b"authorization failed"[..]),
                            "{shown}"
                        );
                        assert_eq!(answer.details, "egress_filter:internal-error", "{shown}");
                        assert_eq!(counted(), [errors_before + 1, denied + 1, allowed], "{shown}");
                        assert_eq!(
                            result.logs.iter().filter(|log| log.text.starts_with('{')).count(),
                            1,
                            "{shown}"
                        );
                    }
                    // What followed the request's headers could not be changed as it must be, and
                    // does not pass either.
                    (None, Step::Closed) => {
                        let names = result.callbacks.iter().map(|(name, _)| name.as_str());
                        cut_off.extend(
                            names.rev().find(|name| AFTERWARDS.contains(name)).map(str::to_owned),
                        );
                        assert_eq!(counted(), [errors_before + 1, denied, allowed + 1], "{shown}");
                        assert_eq!(records(&result, "verdict", "allow").len(), 1, "{shown}");
                    }
                    _ => panic!("it passed: {shown}"),
                }
                let [record] = &records(&result, "reason", "internal-error")[..] else {
                    panic!("not one record: {shown}")
                };
                let detail = record["detail"].as_str().unwrap_or_default();
                let (status, said) = match result.step {
                    Step::Replied => (json!(403), "host call failed"),
                    _ => (json!(null), "could not be changed"),
                };
                assert_eq!(
                    (&record["verdict"], &record["status"]),
                    (&json!("deny"), &status),
                    "{record}"
                );
                assert!(detail.contains(said), "{record}");
                // The record holds whatever could be read of the request.
                let caller = if function == "proxy_get_property" {
                    &record["caller"]
                } else {
                    &json!(TEAM_A_SPIFFE_ID)
                };
                assert_eq!(&record["caller"], caller, "{shown}");
                let unread = function == "proxy_get_header_map_pairs" && call == 0;
                let path = if unread { json!(null) } else { json!("/zen") };
                assert_eq!(record["path"], path, "{shown}");
                let after = run(&vm, request(TEAM_A_SPIFFE_ID));
                assert!(
                    after.local_response.is_none() && after.failure.is_none(),
                    "afterwards: {after:#?}"
                );
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
    assert_eq!(
        tried.into_iter().collect::<Vec<_>>(),
        expected,
        "the calls that an allowed request makes"
    );
    assert_eq!(cut_off.into_iter().collect::<Vec<_>>(), AFTERWARDS, "what was cut off");
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
            let wanted = usize::from(function != "proxy_log");
            assert_eq!(records(&result, "verdict", "deny").len(), wanted, "{shown}");
            // A request that cannot be answered is reset.
            let closed = function == "proxy_send_local_response";
            assert_eq!(result.step, if closed { Step::Closed } else { Step::Replied }, "{shown}");
            assert!(
                result.local_response.is_none_or(|answer| answer.status == 403),
                "{function} gives {status:?}"
            );
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
            // It can be neither answered nor reset, so it waits and is not let through.
            assert!(
                matches!(result.step, Step::Paused | Step::Closed | Step::Replied),
                "{status:?}: {result:#?}"
            );
            assert!(
                result.response_headers.is_none() || result.local_response.is_some(),
                "{status:?}: {result:#?}"
            );
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
    assert_eq!(
        run(&vm, bare(None)).local_response.map(|answer| answer.status),
        Some(403),
        "no identity"
    );
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
        assert_eq!(
            shared.counters().get("egress_allowed"),
            Some(&(before + 2)),
            "{failing} failed for a while"
        );
        vm.tick();
        assert_eq!(
            shared.counters().get("egress_allowed"),
            Some(&(before + 2)),
            "nothing is told twice"
        );
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
