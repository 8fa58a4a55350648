//! The order of callbacks, traps and configurations.

use proxy_wasm_host::{HostOptions, Request, Step, Vm};

use crate::calls::Calls;
use crate::probe::{Probe, module};
use crate::{assert_reports, origin, request, run, vm};

#[test]
fn callbacks_run_in_envoys_order_and_only_those_that_are_exported() {
    let probe = Probe::default()
        .context_create(|calls| calls.say("create"))
        .request_headers(|calls| calls.say("request"))
        .response_headers(|calls| calls.say("response"))
        .log(|calls| calls.say("log"))
        .done(|calls| calls.say("done"))
        .delete(|calls| calls.say("delete"));
    let result = run(probe);
    assert_reports(&result, &["create", "request", "response", "log", "done", "delete"]);
    let names: Vec<&str> = result.callbacks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "proxy_on_context_create",
            "proxy_on_request_headers",
            "proxy_on_response_headers",
            "proxy_on_log",
            "proxy_on_done",
            "proxy_on_delete"
        ]
    );
    let result = run(Probe::default().log(|calls| calls.say("log")));
    let names: Vec<&str> = result.callbacks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["proxy_on_log"]);
}

#[test]
fn a_stream_that_is_held_goes_on_only_when_it_is_let() {
    let held = run(Probe::default().request_headers(|calls| calls.say("held")).pause());
    assert_eq!(held.step, Step::Paused);
    assert!(held.response_headers.is_none() && held.local_response.is_none());
    let resumed = run(Probe::default().request_headers(|calls| calls.continue_stream(0)).pause());
    assert_eq!(resumed.step, Step::Continue);
    let closed = run(Probe::default().request_headers(|calls| calls.close_stream(0)));
    assert_eq!(closed.step, Step::Closed);
    let wrong =
        run(Probe::default().request_headers(|calls| calls.continue_stream(9).close_stream(9)));
    assert_reports(&wrong, &["continue 9 2 ", "close 9 2 "]);
    assert_eq!(wrong.step, Step::Continue);
}

#[test]
fn a_trap_gives_503_and_leaves_the_vm_dead() {
    let vm = vm(&Probe::default().request_headers(|calls| calls.say("before").trap()));
    let first = vm.stream(request()).run(origin());
    let reply = first.local_response.expect("a reply of Envoy's");
    assert_eq!(
        (reply.status, reply.details.as_str(), reply.body.len()),
        (503, "wasm_fail_stream", 0)
    );
    assert!(first.failure.is_some_and(|why| why.contains("unreachable")));
    assert!(vm.failure().is_some_and(|why| why.contains("proxy_on_request_headers")));
    let second = vm.stream(request()).run(origin());
    assert_eq!(second.local_response.map(|reply| reply.status), Some(503));
    assert!(second.logs.is_empty() && second.callbacks.is_empty(), "nothing runs in a dead VM");
    assert!(!vm.configure("again").accepted);
}

#[test]
fn a_trap_in_the_response_gives_503_too() {
    let result = run(Probe::default().response_headers(Calls::trap));
    assert_eq!(result.local_response.map(|reply| reply.status), Some(503));
    let response = result.response_headers.expect("the reply's headers");
    assert_eq!(response.text(":status").as_deref(), Some("503"));
}

#[test]
fn an_endless_loop_is_a_trap() {
    let probe = Probe::default().request_headers(Calls::spin);
    let vm = Vm::new(&module(&probe), HostOptions { fuel: 1_000_000, ..HostOptions::default() })
        .expect("it starts");
    assert!(vm.configure("").accepted);
    let result = vm.stream(request()).run(origin());
    assert!(result.failure.is_some_and(|why| why.contains("fuel")));
}

#[test]
fn without_a_good_configuration_every_request_gets_500() {
    let refuse = Probe::default().configure(|calls| calls.get_buffer(7, 0, 100)).refuse();
    let vm = Vm::new(&module(&refuse), HostOptions::default()).expect("it starts");
    let configured = vm.configure("BAD");
    assert!(!configured.accepted);
    assert_eq!(
        configured.logs.iter().map(|log| log.text.as_str()).collect::<Vec<_>>(),
        ["buffer 7 0 BAD"]
    );
    let result = vm.stream(request()).run(origin());
    assert_eq!(result.local_response.map(|reply| reply.status), Some(500));
    assert!(vm.failure().is_none());
}

#[test]
fn an_update_replaces_the_root_context_and_a_bad_one_changes_nothing() {
    // It refuses what is longer than six bytes.
    let probe = Probe::default()
        .configure(|calls| calls.get_buffer(7, 0, 100))
        .refuse_longer_than(6)
        .done(|calls| calls.say("done"))
        .delete(|calls| calls.say("delete"));
    let vm = vm(&probe);
    let bad = vm.configure("TOO LONG");
    assert!(!bad.accepted);
    assert_eq!(bad.logs[0].text, "buffer 7 0 TOO LONG", "the canary's words");
    assert_eq!(
        vm.stream(request()).run(origin()).local_response,
        None,
        "the last good configuration serves on"
    );
    let good = vm.configure("NEW");
    assert!(good.accepted);
    let said: Vec<&str> = good.logs.iter().map(|log| log.text.as_str()).collect();
    assert_eq!(
        said,
        ["buffer 7 0 NEW", "done", "delete"],
        "the new root comes before the old one goes"
    );
}

#[test]
fn a_trap_while_configuring_hits_only_the_canary() {
    let vm =
        vm(&Probe::default().configure(|calls| calls.get_buffer(7, 0, 100)).trap_longer_than(6));
    assert!(!vm.configure("TOO LONG").accepted);
    assert_eq!(vm.failure(), None);
    assert_eq!(vm.stream(request()).run(origin()).local_response, None);
}

#[test]
fn a_root_context_has_no_stream() {
    let vm = vm(&Probe::default().configure(|calls| {
        calls
            .get_property(&["request", "path"])
            .set_property(&["k"], "v")
            .get(0, "x")
            .local_reply(403, "", "", b"", u32::MAX)
            .get_property(&["plugin_name"])
    }));
    let said: Vec<String> = vm.logs().into_iter().map(|log| log.text).collect();
    assert_eq!(
        said,
        ["request.path 1 ", "set k 1 ", "get x 2 ", "local 0 ", "plugin_name 0 egress"]
    );
}

#[test]
fn streams_may_overlap_in_one_vm() {
    let vm = vm(&Probe::default()
        .request_headers(|calls| calls.get(0, "x-a"))
        .response_headers(|calls| calls.get(2, "x-o")));
    let mut one = vm.stream(request());
    let mut two = vm.stream(Request::new("GET", "h", "/").header("x-a", "two"));
    assert_eq!(
        (one.on_request_headers(), two.on_request_headers()),
        (Step::Continue, Step::Continue)
    );
    two.on_response(origin());
    one.on_response(origin());
    assert_reports(&two.finish(), &["get x-a 0 two", "get x-o 0 a"]);
    assert_reports(&one.finish(), &["get x-a 0 1", "get x-o 0 a"]);
}

#[test]
fn a_stream_in_flight_ends_under_the_configuration_that_it_began_with() {
    let vm = vm(&Probe::default()
        .context_create(|calls| calls.say("create"))
        .delete(|calls| calls.say("delete")));
    let mut stream = vm.stream(request());
    assert_eq!(stream.on_request_headers(), Step::Continue);
    assert!(vm.configure("NEW").accepted);
    assert_eq!(stream.on_response(origin()), Step::Continue);
    let result = stream.finish();
    assert_reports(&result, &["create", "delete"]);
    assert_eq!(result.failure, None);
}

#[test]
fn a_host_call_may_act_for_another_context() {
    // The root context of the first configuration has the number 1, the first stream 2.
    let vm = vm(&Probe::default()
        .configure(|calls| calls.say("configured").tick_period(10))
        .request_headers(|calls| {
            calls.get(0, "x-a").effective(1).get(0, "x-a").effective(2).get(0, "x-a")
        })
        .response_headers(|calls| calls.get(2, "x-o")));
    let result = vm.stream(request()).run(origin());
    let expected =
        ["get x-a 0 1", "effective 0 ", "get x-a 2 ", "effective 0 ", "get x-a 0 1", "get x-o 0 a"];
    assert_reports(&result, &expected);
}
