//! The clock, and timers.

use std::time::Duration;

use proxy_wasm_host::{Answer, Host, HostOptions};

use crate::callouts::CHECK;
use crate::probe::{Probe, module};
use crate::said;

fn host(probe: &Probe) -> Host {
    let host =
        Host::new(&module(probe), HostOptions { now: 0, canary: false, ..HostOptions::default() });
    host.clusters().add("authz");
    host
}

#[test]
fn ticks_come_as_time_passes_and_see_the_time_that_it_is() {
    let host = host(
        &Probe::default().configure(|calls| calls.tick_period(100)).tick(|calls| calls.time()),
    );
    let worker = host.worker().expect("it starts");
    assert!(worker.configure("").accepted);
    host.advance(Duration::from_millis(99));
    assert_eq!(said(&worker.vm()).len(), 1);
    host.advance(Duration::from_millis(201));
    let seen: Vec<String> = said(&worker.vm()).split_off(1);
    assert_eq!(seen.len(), 3, "at 100, 200 and 300 milliseconds");
    assert!(seen.iter().all(|line| line.starts_with("time 0 ")), "{seen:?}");
    assert!(seen[0] != seen[1] && seen[1] != seen[2], "{seen:?}");
    assert_eq!(worker.vm().time(), 300_000_000);
}

#[test]
fn a_timer_that_is_stopped_ticks_no_more() {
    let host = host(
        &Probe::default()
            .configure(|calls| calls.tick_period(100))
            .tick(|calls| calls.say("tick").tick_period(0)),
    );
    let worker = host.worker().expect("it starts");
    assert!(worker.configure("").accepted);
    host.advance(Duration::from_secs(10));
    assert_eq!(said(&worker.vm())[1..], ["tick", "tick period 0 "]);
    assert_eq!(worker.vm().tick_period(), None);
}

#[test]
fn a_call_that_a_tick_makes_is_the_roots_own() {
    let host = host(
        &Probe::default()
            .configure(|calls| calls.tick_period(100))
            .tick(|calls| calls.http_call_to("authz", CHECK, "", 50).tick_period(0))
            .http_answer(|calls| calls.get(6, ":status")),
    );
    let worker = host.worker().expect("it starts");
    assert!(worker.configure("").accepted);
    host.advance(Duration::from_millis(100));
    let call = worker.calls().remove(0);
    assert_eq!(call.stream, None);
    assert!(worker.answer(&call, Answer::http(200)));
    assert_eq!(said(&worker.vm()).last().map(String::as_str), Some("get :status 0 200"));
}

#[test]
fn what_is_due_in_several_workers_comes_in_order() {
    let host = host(
        &Probe::default()
            .configure(|calls| calls.tick_period(100))
            .tick(|calls| calls.get_data("turn").set_data("turn", "taken", 0).tick_period(0)),
    );
    let first = host.worker().expect("it starts");
    assert!(first.configure("").accepted);
    host.advance(Duration::from_millis(50));
    let second = host.worker().expect("it starts");
    assert!(second.configure("").accepted);
    host.advance(Duration::from_millis(200));
    assert_eq!(said(&first.vm())[1], "data turn 1 ");
    assert_eq!(said(&second.vm())[1], "data turn 0 taken", "its timer began later");
    assert_eq!((first.vm().time(), second.vm().time()), (250_000_000, 250_000_000));
}
