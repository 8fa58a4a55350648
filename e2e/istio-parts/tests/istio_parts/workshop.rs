//! The workshop, step by step: kubectl applies, istiod configures, and requests go through.

use std::collections::BTreeMap;

use e2e::http1;
use e2e::pki::TEAM_A_SPIFFE_ID;
use e2e::workshop::{STEPS, Step};
use istio_parts::{Agent, Waypoint};
use serde_json::Value;

use crate::recorded::Recorded;
use crate::setting::{Setting, policies, service_entry};

/// What the access log of docs/operations.md asks the filter for.
const CALLER: &str = "wasm.egress_caller";

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_are_applied_and_istiods_configuration_decides() {
    let setting = Setting::start();
    let [first, steps @ ..] = &STEPS;
    setting.apply(first.file);
    let agent = setting.agent();
    assert_gateway_is_programmed(&setting);

    let mut recorded = Recorded::new();
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
        recorded.hold(step.file, waypoint);
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
    let mut waypoint = waypoint.expect("a waypoint");
    for (file, mark) in [("07-no-bypass.yaml", "teams-only"), ("08-observability.yaml", CALLER)] {
        setting.apply(file);
        let logged = |now: &BTreeMap<_, Value>| now["listeners"].to_string().contains(mark);
        waypoint.update(&agent, file, logged).unwrap_or_else(|error| panic!("{file}: {error}"));
        recorded.hold(file, &waypoint);
        let client = waypoint.caller(TEAM_A_SPIFFE_ID);
        let zen = http1::Request::get("api.github.com", "/zen");
        let response = client.request(&setting.vip("github-api"), &zen).await;
        assert_eq!(response.expect("an answer").status, 200, "{file}");
    }
    the_statuses_are_those_that_the_documents_name(&setting);
    the_fingerprint_is_that_of_the_file(&setting, &waypoint);
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

/// As `egressctl check` prints it: istiod changes the order of fields, and the form of numbers.
fn the_fingerprint_is_that_of_the_file(setting: &Setting, waypoint: &Waypoint) {
    let text = std::fs::read_to_string(setting.file("05-policy-headers.yaml")).expect("a file");
    let file: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let configuration = file["spec"]["pluginConfig"].to_string();
    let engine = egress_filter::policy::Engine::load(configuration.as_bytes()).expect("it loads");
    let expected = engine.fingerprint();
    let log = waypoint.process().log_lines().join("\n");
    assert!(log.contains(&format!(r#""fingerprint":"{expected:012x}""#)), "{expected:012x}\n{log}");
    let gauges = waypoint.process().stats("").expect("statistics");
    let gauge = gauges.iter().find(|(name, _)| name.ends_with(";.;egress_configuration"));
    assert_eq!(gauge.map(|(_, value)| *value), Some(expected));
}

fn the_statuses_are_those_that_the_documents_name(setting: &Setting) {
    let cluster = &setting.cluster;
    let entry = cluster.get("egress-direct", "serviceentry", "github-api").expect("it is there");
    let bound = |condition: &Value| {
        condition["type"] == "istio.io/WaypointBound" && condition["status"] == "True"
    };
    let conditions = entry["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(conditions.iter().any(bound), "{entry:#}");
    // "Istio has no status for a plugin."
    let plugin = cluster.get("egress-direct", "wasmplugin", "egress-filter").expect("it is there");
    assert!(plugin["status"].is_null(), "{:#}", plugin["status"]);
}
