//! Logs, buffers, metrics, shared data, queues, callouts, and what all of it costs.

use proxy_wasm_host::{Failure, HostOptions, LogLevel, MetricKind, Shared, Status, Vm};

use crate::probe::{Probe, module};
use crate::{assert_reports, origin, reports, request, run, vm};

#[test]
fn buffers_are_there_in_their_phase() {
    let vm = vm(&Probe::default()
        .configure(|calls| {
            calls
                .get_buffer(7, 0, 2)
                .get_buffer(7, 3, 2)
                .get_buffer(7, 50, 2)
                .get_buffer(7, u32::MAX, 2)
                .get_buffer(6, 0, 9)
        })
        .request_headers(|calls| {
            calls.get_buffer(7, 0, 9).get_buffer(0, 0, 9).get_buffer(4, 0, 9).get_buffer(9, 0, 9)
        })
        .request_body(|calls| {
            calls.get_buffer(0, 1, 3).set_buffer(0, 0, 0, "<").set_buffer(0, 1, 1, "x")
        })
        .response_body(|calls| calls.get_buffer(1, 0, 99).set_buffer(1, 0, 99, "bye")));
    let configured: Vec<String> = vm.logs().into_iter().map(|log| log.text).collect();
    assert_eq!(
        configured,
        ["buffer 7 0 CO", "buffer 7 0 FI", "buffer 7 0 ", "buffer 7 0 ", "buffer 6 0 "]
    );
    let result = vm.stream(request().body("body")).run(origin());
    assert_reports(
        &result,
        &[
            "buffer 7 1 ",
            "buffer 0 0 ",
            "buffer 4 1 ",
            "buffer 9 2 ",
            "buffer 0 0 ody",
            "set buffer 0 0 ",
            "set buffer 0 2 ",
            "buffer 1 0 hello",
            "set buffer 1 0 ",
        ],
    );
    assert_eq!((result.request_body, result.response_body), (b"<body".to_vec(), b"bye".to_vec()));
}

#[test]
fn metrics_count_as_envoy_counts() {
    let vm = vm(&Probe::default().request_headers(|calls| {
        calls
            .define(0, "c", 0)
            .define(1, "g", 1)
            .define(2, "h", 2)
            .define(3, "x", 3)
            .define(0, "c", 4)
            .increment(0, 2)
            .increment(4, 3)
            .increment(0, 0)
            .increment(0, -1)
            .increment(1, 5)
            .increment(1, -2)
            .increment(2, 1)
            .record(2, 7)
            .get_metric(2)
            .get_metric(1)
            .unknown_metric(4000)
            .unknown_metric(4002)
    }));
    let result = vm.stream(request()).run(origin());
    assert_reports(
        &result,
        &[
            "define c 0 ",
            "define g 0 ",
            "define h 0 ",
            "define x 2 ",
            "define c 0 ",
            "increment 2 0 ",
            "increment 3 0 ",
            "increment 0 2 ",
            "increment -1 2 ",
            "increment 5 0 ",
            "increment -2 0 ",
            "increment 1 2 ",
            "record 7 0 ",
            "get metric 2 ",
            "get metric 0 ",
            "increment 4000 1 ",
            "record 4000 1 ",
            "increment 4002 2 ",
            "record 4002 1 ",
        ],
    );
    let shared = vm.shared();
    assert_eq!(shared.value(MetricKind::Counter, "c"), 5, "a name defined twice is one counter");
    assert_eq!(shared.value(MetricKind::Gauge, "g"), 3);
    assert_eq!(shared.recorded("h"), [7]);
    assert_eq!(result.metrics.get("c"), Some(&5));
    assert_eq!(shared.counters().into_iter().collect::<Vec<_>>(), [("c".to_owned(), 5)]);
}

#[test]
fn shared_data_is_seen_by_the_workers_of_one_envoy_only() {
    let probe = Probe::default().request_headers(|calls| {
        calls
            .get_data("key")
            .set_data("key", "v", 7)
            .get_data("key")
            .set_data("key", "w", 7777)
            .get_data("key")
    });
    let shared = Shared::default();
    let worker = |shared: &Shared| {
        let options = HostOptions { shared: shared.clone(), ..HostOptions::default() };
        let vm = Vm::new(&module(&probe), options).expect("it starts");
        assert!(vm.configure("").accepted);
        vm.stream(request()).run(origin())
    };
    assert_reports(
        &worker(&shared),
        &["data key 1 ", "set key 0 ", "data key 0 v", "set key 8 ", "data key 0 v"],
    );
    assert_eq!(reports(&worker(&shared))[0], "data key 0 v", "another worker");
    assert_eq!(reports(&worker(&Shared::default()))[0], "data key 1 ", "another Envoy");
}

#[test]
fn queues_hold_what_was_put_in_and_wake_their_owner() {
    let vm = vm(&Probe::default()
        .configure(|calls| calls.register_queue("q").dequeue().tick_period(250))
        .request_headers(|calls| calls.resolve_queue("q").enqueue("item").resolve_queue("nosuch"))
        .tick(|calls| calls.say("tick"))
        .queue_ready(|calls| calls.dequeue().dequeue()));
    assert_eq!(vm.tick_period(), Some(250));
    let result = vm.stream(request()).run(origin());
    assert_reports(&result, &["resolve q 0 ", "enqueue 0 ", "resolve nosuch 1 "]);
    let before = vm.logs().len();
    vm.tick();
    let said: Vec<String> = vm.logs()[before..].iter().map(|log| log.text.clone()).collect();
    assert_eq!(said, ["tick", "dequeue 0 item", "dequeue 7 "]);
    vm.tick();
    assert_eq!(
        vm.logs().last().map(|log| log.text.clone()).as_deref(),
        Some("tick"),
        "nothing waits any more"
    );
}

#[test]
fn callouts_answer_as_for_an_unknown_cluster() {
    let result = run(Probe::default().request_headers(|calls| {
        calls
            .http_call("nosuch")
            .grpc_call("nosuch")
            .foreign("nosuch")
            .done_call()
            .effective(12345)
            .status_call()
    }));
    assert_reports(
        &result,
        &["http call 2 ", "grpc call 4 ", "foreign 1 ", "done 1 ", "effective 2 ", "status 0 "],
    );
}

#[test]
fn a_bad_pointer_is_a_status_not_a_crash() {
    let result =
        run(Probe::default()
            .request_headers(|calls| calls.log_at(2, 0xffff_fff8, 4).log_at(9, 0, 0)));
    assert_reports(&result, &["log 6 ", "log 2 "]);
}

#[test]
fn lines_below_the_log_level_are_dropped() {
    let probe =
        Probe::default().request_headers(|calls| calls.log_text(1, "debug").log_text(3, "warn"));
    let result = run(probe);
    let lines: Vec<(LogLevel, &str)> =
        result.logs.iter().map(|log| (log.level, log.text.as_str())).collect();
    assert_eq!(lines, [(LogLevel::Warn, "warn")]);
}

#[test]
fn a_test_can_make_any_host_call_fail() {
    let probe = Probe::default()
        .request_headers(|calls| calls.get(0, "x-a").get(0, "x-a").get_property(&["plugin_name"]));
    let vm = vm(&probe);
    vm.fail_calls([Failure::nth("proxy_get_header_map_value", 1, Status::InternalFailure)]);
    let result = vm.stream(request()).run(origin());
    assert_reports(&result, &["get x-a 0 1", "get x-a 10 ", "plugin_name 0 egress"]);
    vm.fail_calls([Failure::always("proxy_get_property", Status::NotFound)]);
    let result = vm.stream(request()).run(origin());
    assert_reports(&result, &["get x-a 0 1", "get x-a 0 1", "plugin_name 1 "]);
    // The calls in order: get, log, get, log, get_property, log.
    vm.fail_calls([Failure::nth("*", 4, Status::BadArgument)]);
    let result = vm.stream(request()).run(origin());
    assert_reports(&result, &["get x-a 0 1", "get x-a 0 1", "plugin_name 2 "]);
    vm.fail_calls([]);
    let result = vm.stream(request()).run(origin());
    assert_reports(&result, &["get x-a 0 1", "get x-a 0 1", "plugin_name 0 egress"]);
}

#[test]
fn what_a_stream_costs_is_counted_and_the_same_each_time() {
    let probe = Probe::default()
        .request_headers(|calls| calls.get(0, "x-a").get(0, "x-missing").replace(0, "x-a", "v"));
    let first = run(probe.clone());
    let usage = &first.usage;
    assert_eq!(usage.calls_of("proxy_get_header_map_value"), 2);
    assert_eq!(usage.calls_of("proxy_replace_header_map_value"), 1);
    assert_eq!(usage.total_calls(), 6, "three calls and three log lines: {:?}", usage.calls);
    assert_eq!(usage.allocations, 1, "only a value that is there is handed over");
    // One byte of value, and two words to say where it is.
    assert_eq!(usage.bytes_to_guest, 9);
    let names = ("x-a".len() + "x-missing".len() + "x-a".len() + "v".len()) as u64;
    let lines: usize = first.logs.iter().map(|log| log.text.len()).sum();
    assert_eq!(usage.bytes_from_guest, names + lines as u64);
    assert!(usage.fuel > 0);
    assert_eq!(usage.memory, 16 * 65536);
    assert_eq!(*usage, run(probe).usage);
}

#[test]
fn the_time_stands_still_until_it_is_moved() {
    let vm = vm(&Probe::default().request_headers(|calls| calls.time().level()));
    vm.set_time(u64::from_le_bytes(*b"nanosecs"));
    let result = vm.stream(request()).run(origin());
    assert_reports(&result, &["time 0 nanosecs", "level 0 \u{2}~~~"]);
    assert_eq!(reports(&vm.stream(request()).run(origin()))[0], "time 0 nanosecs");
}
