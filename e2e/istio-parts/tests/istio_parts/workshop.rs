//! The workshop, step by step: kubectl applies, istiod configures, and requests go through.

use e2e::workshop::{STEPS, Step};
use istio_parts::{Agent, Waypoint};

use crate::setting::{Setting, policies, service_entry};

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_are_applied_and_istiods_configuration_decides() {
    let setting = Setting::start();
    let [first, steps @ ..] = &STEPS;
    setting.apply(first.file);
    let agent = setting.agent();
    assert_gateway_is_programmed(&setting);

    let mut waypoint: Option<Waypoint> = None;
    for step in steps {
        setting.apply(step.file);
        let entries = step.requests.iter().map(|request| service_entry(request.host));
        let addresses: Vec<String> = entries.map(|entry| setting.vip(entry)).collect();
        let waypoint = match &mut waypoint {
            None => {
                await_listeners(&setting, &agent);
                waypoint.insert(setting.waypoint(&agent))
            }
            Some(waypoint) => waypoint,
        };
        in_force(waypoint, &agent, step);
        for (request, address) in step.requests.iter().zip(&addresses) {
            setting.origin.take_requests();
            let caller = format!("spiffe://cluster.local/ns/{0}/sa/{0}", request.caller);
            let response = waypoint
                .caller(&caller)
                .request(address, &request.message())
                .await
                .unwrap_or_else(|error| panic!("{} {}: {error}", step.file, request.path));
            let (passed, got) = request.judge(&response, Some(&setting.origin));
            assert!(passed, "{} {} {}: {got}", step.file, request.caller, request.path);
        }
    }
    let waypoint = waypoint.expect("a waypoint");
    let stats = waypoint.process().stats("").expect("statistics");
    assert!(
        stats.keys().any(|name| name.contains("egress_policy=.=github-api-paths;.;")),
        "the counters of policies are told: {:?}",
        stats.keys().filter(|name| name.contains("egress")).collect::<Vec<_>>()
    );
}

/// What `kubectl wait --for=condition=Programmed gateway/egress` waits for.
fn assert_gateway_is_programmed(setting: &Setting) {
    let arguments = [
        "-n",
        "egress-direct",
        "wait",
        "--for=condition=Programmed",
        "gateway/egress",
        "--timeout=60s",
    ];
    let said = setting.cluster.kubectl(&arguments, "").expect("kubectl runs");
    assert!(said.out.contains("condition met"), "{said:?}");
}

fn await_listeners(setting: &Setting, agent: &Agent) {
    let have = |_: &_| (agent.resources("listeners")).map(drop);
    setting.cluster.wait_for("listeners", have).unwrap_or_else(|error| {
        panic!("{error}\n{}\n{}", agent.client_log(), setting.control_plane.log())
    });
}

/// Waits until the policies and the services of a step are in force.
fn in_force(waypoint: &mut Waypoint, agent: &Agent, step: &Step) {
    let updated = waypoint.update(agent, step.file, |now| {
        let listeners = now["listeners"].to_string();
        let known = |host: &str| listeners.contains(&format!("inbound-vip|80|http|{host}"));
        step.requests.iter().all(|request| known(request.host))
            && policies(&now["extensions"]) == step.policies
    });
    updated.unwrap_or_else(|error| panic!("{}: {error}\n{}", step.file, agent.log()));
}
