//! Updates that bring another module with the policies, as a new image does.

use e2e::envoy::{Pod, filter_wasm, trapping_wasm};
use e2e::http1::{Request, Response};
use tokio::task::JoinHandle;

use crate::callers::{Callers, Line};
use crate::load::Load;
use crate::setting::{HOST, Setting, built};
use crate::trap::HEADER;
use crate::versions::{Verdict, read, version};

/// How many updates there are; each brings the other module than the one before, the last one that which traps on demand.
const UPDATES: u64 = 5;

/// How many VMs there are.
fn vms(setting: &Setting) -> u64 {
    let [(_, count)] = setting.statistics("wasm.envoy.wasm.runtime.v8.active")[..] else { panic!("one count of VMs") };
    count
}

/// Sends a request on each line, which the origin holds.
async fn hold(setting: &Setting, lines: Vec<Line>) -> Vec<JoinHandle<(Pod, Response)>> {
    let held = || setting.origin.requests_where(|request| request.target == "/held").len();
    let all = held() + lines.len();
    let tasks = lines.into_iter().map(|mut line| tokio::spawn(async move { (line.team, line.get("/held").await) })).collect();
    setting.until("the held requests", |_| held() == all).await;
    tasks
}

/// What comes of a request at which one of the two modules traps.
async fn tell_apart(setting: &Setting, callers: &Callers) -> Verdict {
    let mut line = callers.on(setting, 0, Pod::TeamA).await;
    let response = line.send(&Request::get(HOST, "/trap").header(HEADER, "request")).await;
    read(Pod::TeamA, &response).unwrap_or_else(|error| panic!("{error}"))
}

/// In eighty such updates Envoy's resident memory grew up to the fortieth, from 180 to 189 MB, and not from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_module_takes_over_without_a_failed_request_and_the_old_one_goes() {
    let modules = [filter_wasm(), trapping_wasm()];
    let mut plugin = built(&modules[1], "make build-trapping");
    plugin.set_module(&modules[0]);
    let mut setting = Setting::start_plugin(plugin, &version(0));
    let callers = Callers::new(&setting.waypoint);
    assert_eq!(tell_apart(&setting, &callers).await, Verdict::Decided(0));
    let [first, second] = [callers.everywhere(&setting, 1).await, callers.everywhere(&setting, 1).await];
    let load = Load::start(&setting, 0).await;
    let of_one_module = vms(&setting);

    let mut begun = vec![(0, hold(&setting, first).await)];
    let mut second = Some(second);
    for number in 1..=UPDATES {
        load.expect(number);
        setting.plugin.set_module(&modules[usize::from(!number.is_multiple_of(2))]);
        setting.publish(&version(number));
        load.until_in_force(&setting, number).await;
        // What has begun in the first module is still in its VMs.
        assert!(number > 1 || vms(&setting) > of_one_module);
        if number == 2 {
            begun.push((number, hold(&setting, second.take().expect("lines")).await));
        }
    }
    setting.origin.release();
    for (number, held) in begun {
        for task in held {
            let (team, response) = task.await.expect("a response");
            assert_eq!(read(team, &response), Ok(Verdict::Decided(number)));
        }
    }
    setting.until("no VM of another module", |setting| vms(setting) == of_one_module).await;
    let (requests, median, longest) = load.take_times();
    println!("{UPDATES} updates of the module: {requests} requests, an answer took {median:.1?} in the median, {longest:.1?} at most");
    load.stop(&setting).await;
    assert_eq!(tell_apart(&setting, &callers).await, Verdict::Unavailable);
    assert_eq!((setting.updates("update_success"), setting.updates("update_rejected")), (UPDATES + 1, 0));
}
