//! Updates that bring another module with the policies, as a new image does.

use e2e::envoy::{Pod, filter_wasm, trapping_wasm};
use e2e::http1::{Request, Response};
use tokio::task::JoinHandle;

use crate::callers::{Callers, Line};
use crate::load::Load;
use crate::setting::{HOST, Setting, built};
use crate::trap::HEADER;
use crate::versions::{Verdict, read, version};

/// How many updates there are; each brings the other module than the one before, and the last
/// brings the one that traps on demand.
const UPDATES: u64 = 5;

/// How many VMs there are.
fn vms(setting: &Setting) -> u64 {
    let [(_, count)] = setting.statistics("wasm.envoy.wasm.runtime.v8.active")[..] else {
        panic!("one count of VMs")
    };
    count
}

/// Sends a request on each line, which the origin holds.
async fn hold(setting: &Setting, lines: Vec<Line>) -> Vec<JoinHandle<(Pod, Response)>> {
    let held = || setting.origin.requests_where(|request| request.target == "/held").len();
    let all = held() + lines.len();
    let tasks = lines
        .into_iter()
        .map(|mut line| tokio::spawn(async move { (line.team, line.get("/held").await) }))
        .collect();
    setting.until("the held requests", |_| held() == all).await;
    tasks
}

/// The outcome of a request at which one of the two modules traps.
async fn tell_apart(setting: &Setting, callers: &Callers) -> Verdict {
    let mut line = callers.on(setting, 0, Pod::TeamA).await;
    let response = line.send(&Request::get(HOST, "/trap").header(HEADER, "request")).await;
    read(Pod::TeamA, &response).unwrap_or_else(|error| panic!("{error}"))
}

/// Publishes the policies of a number with the other module than the one before, and waits until
/// they are in force.
async fn update(setting: &mut Setting, load: &Load, number: u64) {
    load.expect(number);
    setting.plugin.set_module(&if number.is_multiple_of(2) {
        filter_wasm()
    } else {
        trapping_wasm()
    });
    setting.publish(&version(number));
    load.until_in_force(setting, number).await;
}

/// In eighty such updates Envoy's resident memory grew up to the fortieth, from 180 to 189 MB, and
/// not from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_module_takes_over_without_a_failed_request_and_the_old_one_goes() {
    let mut plugin = built(&trapping_wasm(), "make build-trapping");
    plugin.set_module(&filter_wasm());
    let mut setting = Setting::start_plugin(plugin, &version(0));
    let callers = Callers::new(&setting.waypoint);
    assert_eq!(tell_apart(&setting, &callers).await, Verdict::Decided(0));
    let [first, second] =
        [callers.everywhere(&setting, 1).await, callers.everywhere(&setting, 1).await];
    let load = Load::start(&setting, 0).await;
    let of_one_module = vms(&setting);

    let first = hold(&setting, first).await;
    update(&mut setting, &load, 1).await;
    assert!(
        vms(&setting) > of_one_module,
        "what has begun in the first module is still in its VMs"
    );
    update(&mut setting, &load, 2).await;
    let second = hold(&setting, second).await;
    update(&mut setting, &load, 3).await;
    setting.origin.release();
    for (number, held) in [(0, first), (2, second)] {
        for task in held {
            let (team, response) = task.await.expect("a response");
            assert_eq!(read(team, &response), Ok(Verdict::Decided(number)));
        }
    }
    for number in 4..=UPDATES {
        update(&mut setting, &load, number).await;
    }
    setting.until("no VM of another module", |setting| vms(setting) == of_one_module).await;
    let (requests, median, longest) = load.take_times();
    println!(
        "{UPDATES} updates of the module: {requests} requests, an answer took {median:.1?} in the \
         median, {longest:.1?} at most"
    );
    load.stop(&setting).await;
    assert_eq!(tell_apart(&setting, &callers).await, Verdict::Unavailable);
    assert_eq!(
        (setting.updates("update_success"), setting.updates("update_rejected")),
        (UPDATES + 1, 0)
    );
}
