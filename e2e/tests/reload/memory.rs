//! Updates leave nothing behind that grows.

use e2e::envoy::filter_wasm;
use e2e::host::{HostOptions, Module, Request, Response, Stream, Vm};
use e2e::pki::{TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use serde_json::{Value, json};

use crate::load::Load;
use crate::setting::{HOST, Setting};
use crate::versions::policies;

/// A page of a guest's memory.
const PAGE: u64 = 64 * 1024;

const TEAMS: [&str; 2] = [TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID];

fn request(caller: &str) -> Request {
    Request::new("GET", HOST, "/zen").peer_principal(caller)
}

/// The policies of this number amid so many for others, which are new with each number too.
fn amid(number: u64, others: u64) -> String {
    let mut configuration = policies(number);
    let other = |index: u64| {
        let rule = format!(
            "source.identity.namespace == 'n{index}' && \
             request.path.startsWith('/v{number}/p{index}/')"
        );
        json!({
            "name": format!("other-{index}"),
            "traffic": {
                "authorization": {"action": "Deny", "policy": {"matchExpressions": [rule]}},
            },
        })
    };
    let Value::Array(list) = &mut configuration["policies"] else { panic!("a list of policies") };
    list.extend((0..others).map(other));
    configuration.to_string()
}

/// A VM's memory never shrinks, so one that keeps its size from the twentieth update to the last
/// has given back, and used again, all that the updates between them took. Two thousand updates
/// make 40 bytes that each leaves behind a page; a filter made to keep every configuration grew by
/// seven pages an update of a thousand policies.
#[test]
fn the_guests_memory_does_not_grow_with_updates() {
    let module = Module::load(filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"));
    for (others, updates) in [(0, 2_000), (1_000, 40)] {
        let vm = Vm::new(&module, HostOptions { canary: false, ..HostOptions::default() })
            .expect("the filter starts");
        let mut early = 0;
        for number in 0..=updates {
            // Each update finds requests in flight, which end under the policies that they began
            // with.
            let mut begun = TEAMS.map(|team| vm.stream(request(team)));
            for stream in begun.iter_mut().filter(|_| number > 0) {
                stream.on_request_headers();
            }
            let configured = vm.configure(amid(number, others));
            assert!(configured.accepted, "{:?}", configured.logs);
            for stream in begun.iter_mut().filter(|_| number > 0) {
                stream.on_response(Response::new(200));
            }
            let ended = begun.into_iter().map(Stream::finish);
            for result in
                ended.chain(TEAMS.map(|team| vm.stream(request(team)).run(Response::new(200))))
            {
                assert_eq!(result.failure, None);
            }
            vm.tick();
            if number == 20 {
                early = vm.usage().memory;
            }
        }
        let pages = vm.usage().memory / PAGE;
        println!(
            "{others} other policies, after update 20 and after update {updates}: {} and {pages} \
             pages",
            early / PAGE
        );
        assert_eq!(pages, early / PAGE, "with {others} other policies");
    }
}

/// Envoy's resident memory, with the guests' in it (only on Linux), and what Envoy has allocated,
/// which is without.
fn used(setting: &Setting) -> [u64; 2] {
    let memory: Value =
        serde_json::from_str(&setting.waypoint.process().admin("/memory").expect("the admin port"))
            .expect("JSON");
    let allocated = memory["allocated"].as_str().and_then(|number| number.parse().ok());
    let resident = if cfg!(target_os = "linux") {
        setting.waypoint.resident_bytes().expect("/proc")
    } else {
        0
    };
    [resident, allocated.unwrap_or_else(|| panic!("{memory}"))]
}

/// Three VMs keep what an update brings: the main thread's and each worker's. A filter made to keep
/// every configuration of a thousand policies grew Envoy by 142 MB in these hundred updates, so in
/// one VM alone by over four times the bound. What does grow is Envoy's own, some 3 KB an update,
/// for the statistics of policies with new names among other things.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_memory_does_not_grow_with_updates() {
    const BOUND: u64 = 10 << 20;
    for others in [0, 1_000] {
        let mut setting = Setting::start(&amid(0, others));
        let load = Load::gentle(&setting, 0).await;
        let mut early = [0; 2];
        for number in 1..=120 {
            load.expect(number);
            setting.publish(&amid(number, others));
            load.until_in_force(&setting, number).await;
            if number == 20 {
                early = used(&setting);
            }
        }
        let late = used(&setting);
        load.stop(&setting).await;
        for (what, early, late) in
            [("resident", early[0], late[0]), ("allocated", early[1], late[1])]
        {
            println!(
                "{others} other policies, {what} after update 20 and after update 120: {} and {} \
                 KB",
                early >> 10,
                late >> 10
            );
            assert!(
                late < early + BOUND,
                "with {others} other policies, {what}: {early} and then {late} bytes"
            );
        }
    }
}
