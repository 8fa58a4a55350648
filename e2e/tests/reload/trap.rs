//! A VM that dies, which a build for tests does on demand.

use std::time::Duration;

use e2e::envoy::{Pod, filter_wasm, trapping_wasm};
use e2e::host::{self, HostOptions, Module, Vm};
use e2e::http1::{Request, Response};
use e2e::pki::TEAM_A_SPIFFE_ID;
use tokio::task::JoinHandle;

use crate::callers::{Callers, Line};
use crate::load::Load;
use crate::setting::{HOST, PATIENCE, Setting, built};
use crate::versions::{Verdict, read, version};

/// The header at which the build for tests traps, with the phase.
pub(crate) const HEADER: &str = "x-trap-for-tests";
const PHASES: [&str; 2] = ["request", "response"];

/// The worker whose VM is killed, and the other.
const VICTIM: usize = 0;
const OTHER: usize = 1;

fn start(failure_policy: &str, first: &str) -> Setting {
    let plugin = built(&trapping_wasm(), "make build-trapping").failure_policy(failure_policy);
    Setting::start_plugin(plugin, first)
}

/// Envoy's counter of a plugin's reloads.
fn reloads(setting: &Setting, counter: &str) -> u64 {
    let name = format!("wasm.egress-direct.egress-filter.vm_reload_{counter}");
    let [(_, count)] = setting.statistics(&name)[..] else { panic!("no statistic `{name}`") };
    count
}

/// Requests that the origin holds, one of team-a on each worker.
struct Held(Vec<JoinHandle<(usize, Response)>>);

impl Held {
    async fn start(setting: &Setting, callers: &Callers) -> Self {
        let mut tasks = Vec::new();
        for worker in [VICTIM, OTHER] {
            let mut line = callers.on(setting, worker, Pod::TeamA).await;
            tasks.push(tokio::spawn(async move { (worker, line.get("/held").await) }));
        }
        setting
            .until("the held requests", |setting| {
                setting.origin.requests_where(|request| request.target == "/held").len() == 2
            })
            .await;
        Self(tasks)
    }

    /// Lets the origin answer. The one in the VM that died is refused, since what the policies say
    /// of its response is not known any more; the other's answer is as if nothing had been.
    async fn assert_ends(self, setting: &Setting, number: u64) {
        setting.origin.release();
        for task in self.0 {
            let (worker, response) = tokio::time::timeout(PATIENCE, task)
                .await
                .expect("no request hangs")
                .expect("a response");
            let expected =
                if worker == VICTIM { Verdict::Unavailable } else { Verdict::Decided(number) };
            assert_eq!(read(Pod::TeamA, &response), Ok(expected), "on worker {worker}");
        }
    }
}

/// Kills the VM of the line's worker, and asserts what the request that does so gets.
async fn kill(line: &mut Line, phase: &str) {
    let response = line.send(&Request::get(HOST, "/trap").header(HEADER, phase)).await;
    assert_eq!(read(line.team, &response), Ok(Verdict::Unavailable), "{phase}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_vm_comes_back_and_decides_as_before_while_the_other_worker_serves_on() {
    let mut setting = start("FAIL_RELOAD", &version(1));
    let callers = Callers::new(&setting.waypoint);
    let mut number = 1;
    for (round, phase) in (1..).zip(PHASES) {
        let held = Held::start(&setting, &callers).await;
        let mut victim = callers.on(&setting, VICTIM, Pod::TeamA).await;
        let load = Load::start(&setting, number).await;
        // A broken update comes before it; the new VM gets the last good configuration.
        setting.publish("{");
        setting.until("the refusal", |setting| setting.updates("update_rejected") == round).await;
        load.may_fail(VICTIM, true);
        kill(&mut victim, phase).await;
        held.assert_ends(&setting, number).await;
        load.until(&setting, "a reload", || reloads(&setting, "success") == round).await;
        // The load checks that every answer is a 503 or these policies' own.
        load.until_decided(&setting, VICTIM, 40).await;
        load.may_fail(VICTIM, false);
        load.rounds(&setting, 40).await;

        number += 1;
        load.expect(number);
        setting.publish(&version(number));
        load.until_in_force(&setting, number).await;
        let counts = load.stop(&setting).await;
        assert_eq!(counts.unavailable[OTHER], 0);
        setting.origin.take_requests();
        println!("a trap in the {phase} phase: {counts:?}");
    }
    assert_eq!((reloads(&setting, "success"), reloads(&setting, "failure")), (2, 0));
    assert_eq!(setting.logged("Uncaught RuntimeError: unreachable"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vm_that_dies_again_and_again_comes_back_each_time_and_takes_updates_meanwhile() {
    let mut setting = start("FAIL_RELOAD", &version(1));
    let callers = Callers::new(&setting.waypoint);
    let mut victim = callers.on(&setting, VICTIM, Pod::TeamA).await;
    let load = Load::start(&setting, 1).await;
    load.may_fail(VICTIM, true);
    // As soon as it is back it dies again, at least three times, and until Envoy has made it wait
    // for its reload.
    let mut deaths = 0;
    while deaths < 3 || reloads(&setting, "backoff") == 0 {
        kill(&mut victim, "request").await;
        deaths += 1;
        load.until(&setting, "a reload", || reloads(&setting, "success") == deaths).await;
        load.until_decided(&setting, VICTIM, 1).await;
    }
    // An update that comes while the VM is dead brings a new one.
    kill(&mut victim, "request").await;
    load.expect(2);
    setting.publish(&version(2));
    load.until_in_force(&setting, 2).await;
    load.may_fail(VICTIM, false);
    load.rounds(&setting, 40).await;
    let counts = load.stop(&setting).await;
    assert_eq!(counts.unavailable[OTHER], 0);
    let (back_off, failure) = (reloads(&setting, "backoff"), reloads(&setting, "failure"));
    println!(
        "{} deaths: {} requests got 503, {back_off} of them in the back-off",
        deaths + 1,
        counts.unavailable[VICTIM]
    );
    assert_eq!(failure, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_fail_close_a_dead_vm_stays_dead_until_an_update() {
    let mut setting = start("FAIL_CLOSED", &version(1));
    let callers = Callers::new(&setting.waypoint);
    let held = Held::start(&setting, &callers).await;
    let mut victim = callers.on(&setting, VICTIM, Pod::TeamA).await;
    let load = Load::start(&setting, 1).await;
    load.may_fail(VICTIM, true);
    kill(&mut victim, "request").await;
    held.assert_ends(&setting, 1).await;
    // What was under way when the VM died comes to its end; from then on the filter decides about
    // nothing there. That this is for good can only be seen for a while, here for longer than
    // Envoy's back-off.
    load.until_refused(&setting, VICTIM, 200).await;
    let before = load.counts();
    tokio::time::sleep(Duration::from_secs(2)).await;
    load.until_refused(&setting, VICTIM, 200).await;
    let after = load.counts();
    assert_eq!(after.decided[VICTIM], before.decided[VICTIM], "a dead VM decided");
    assert!(after.decided[OTHER] > before.decided[OTHER]);
    assert_eq!(["success", "backoff", "failure"].map(|counter| reloads(&setting, counter)), [0; 3]);

    load.expect(2);
    setting.publish(&version(2));
    load.until_in_force(&setting, 2).await;
    load.may_fail(VICTIM, false);
    load.rounds(&setting, 40).await;
    assert_eq!(load.stop(&setting).await.unavailable[OTHER], 0);
}

#[test]
fn the_shipped_filter_serves_such_a_request_like_any_other() {
    for (path, how, traps) in
        [(filter_wasm(), "make wasm", false), (trapping_wasm(), "make build-trapping", true)]
    {
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: run `{how}` first", path.display()));
        let named = bytes.windows(HEADER.len()).any(|window| window == HEADER.as_bytes());
        assert_eq!(named, traps, "`{HEADER}` in {}", path.display());
        let module = Module::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}"));
        for phase in PHASES {
            let vm = Vm::new(&module, HostOptions { canary: false, ..HostOptions::default() })
                .expect("the filter starts");
            assert!(vm.configure(version(1)).accepted);
            let request = host::Request::new("GET", HOST, "/zen")
                .header(HEADER, phase)
                .peer_principal(TEAM_A_SPIFFE_ID);
            let result = vm.stream(request).run(host::Response::new(200));
            assert_eq!(
                result.failure.is_some_and(|why| why.contains("unreachable")),
                traps,
                "{phase} in {}",
                path.display()
            );
            if !traps {
                let reached = (
                    result.request_headers.text(HEADER),
                    result.request_headers.text("x-request-version"),
                );
                assert_eq!(reached, (Some(phase.to_owned()), Some("1".to_owned())));
                assert_eq!(
                    result
                        .response_headers
                        .and_then(|headers| headers.text("x-response-version"))
                        .as_deref(),
                    Some("1")
                );
            }
        }
    }
}
