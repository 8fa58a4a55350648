//! The hand-written filters that ours is measured against do the workshop's policy, or their
//! figures would be of something else; and ours needs no more host calls than the one that does as
//! much.

use std::path::Path;
use std::sync::LazyLock;

use bench::{Asked, Guests, amid_many, of_the_record, of_the_workshop};
use e2e::cases::{Runner, WasmRunner};
use e2e::envoy::{Configuration, filter_wasm, workspace_root};
use egressctl::cases::{Layer, Observed, Suite, load_dir};
use proxy_wasm_host::Module;
use serde_json::{Value, json};

static GUESTS: LazyLock<Guests> = LazyLock::new(|| Guests::build().expect("the guests build"));

/// The workshop's configuration.
fn workshop(host_binding: &str) -> Value {
    let mut configuration =
        Configuration::load(&workspace_root().join("envoy.yaml")).expect("envoy.yaml");
    let text = configuration.plugin_configuration().expect("a configuration");
    let mut json: Value = serde_json::from_str(&text).expect("JSON");
    json["hostBinding"] = json!(host_binding);
    json
}

/// What a module makes of the requests of all cases, each with its name, under one configuration.
fn observe(module: &Path, suites: &[Suite]) -> Vec<(String, Observed)> {
    let mut runner =
        WasmRunner::new(Module::load(module).expect("a filter: `make wasm` builds ours"));
    let mut seen = Vec::new();
    for suite in suites {
        runner.start(suite, &[]).expect("the configuration is taken");
        for case in suite.cases.iter().filter(|case| case.layers.contains(&Layer::Wasm)) {
            let name = format!("{}: {}", suite.file, case.name);
            for step in &case.steps {
                let observed =
                    runner.run(suite, case, step).unwrap_or_else(|error| panic!("{name}: {error}"));
                seen.push((name.clone(), observed));
            }
        }
    }
    seen
}

/// The request of every case gets the same answer under the workshop's policies in both.
fn assert_alike(floor: &Path, host_binding: &str) {
    let mut suites = load_dir(workspace_root().join("e2e/cases")).expect("all load");
    suites.iter_mut().for_each(|suite| suite.config = workshop(host_binding));
    let (ours, theirs) = (observe(&filter_wasm(), &suites), observe(floor, &suites));
    assert!(ours.len() > 250, "{} requests", ours.len());
    let mut statuses: Vec<u16> = ours.iter().filter_map(|(_, seen)| seen.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    assert!(
        [200, 400, 403].iter().all(|status| statuses.contains(status)),
        "the requests meet {statuses:?} only"
    );
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        // The floor does not know that `x_caller_identity` is `x-caller-identity` to some origins.
        let plain = |seen: &Observed| {
            let mut reached = seen.upstream.clone();
            if let Some(reached) = &mut reached {
                reached.headers.retain(|(name, _)| !name.contains('_'));
            }
            format!("{:?} {:?} {reached:?}", seen.status, String::from_utf8_lossy(&seen.body))
        };
        assert_eq!(plain(theirs), plain(ours), "{name}, host binding {host_binding}");
    }
}

#[test]
fn the_floor_decides_as_ours_does() {
    assert_alike(&GUESTS.floor, "Off");
}

#[test]
fn the_floor_that_binds_the_host_decides_as_ours_does() {
    assert_alike(&GUESTS.floor_binding, "Strict");
}

#[test]
fn what_is_measured_in_the_emulated_host_is_the_same_each_time() {
    let (first, second) =
        (of_the_workshop(&GUESTS).expect("figures"), of_the_workshop(&GUESTS).expect("figures"));
    for (one, other) in [(&first.0, &second.0), (&first.1, &second.1)] {
        assert_eq!(one.requests.len(), 2, "allowed and denied");
        assert_eq!(one.requests, other.requests, "{:?}", one.subject);
        assert_eq!((&one.load, &one.memory), (&other.load, &other.memory), "{:?}", one.subject);
    }
}

#[test]
fn ours_makes_as_few_host_calls_as_the_floor() {
    let (ours, floor) = of_the_workshop(&GUESTS).expect("figures");
    for asked in [Asked::Allowed, Asked::Denied] {
        let calls = |usage: Option<&proxy_wasm_host::Usage>| {
            usage.map(|usage| (usage.total_calls(), usage.calls.clone())).expect("figures")
        };
        let (ours, floor) = (calls(ours.request(asked)), calls(floor.request(asked)));
        assert!(ours.0 <= floor.0, "{asked:?}: {ours:?} against {floor:?}");
    }
}

/// What the workshop's requests cost, in instructions, with a hundred more for what another release
/// of the compiler makes of the same source.
#[test]
fn the_workshops_requests_cost_no_more_than_they_did() {
    let (ours, _) = of_the_workshop(&GUESTS).expect("figures");
    let bars = [(Asked::Allowed, 11_289, 6), (Asked::Denied, 7_275, 3)];
    for (asked, ..) in bars {
        let usage = ours.request(asked).expect("figures");
        println!("{asked:?}: {} instructions, {} host calls", usage.fuel, usage.total_calls());
    }
    for (asked, fuel, calls) in bars {
        let usage = ours.request(asked).expect("figures");
        assert!(usage.fuel <= fuel, "{asked:?}: {usage:?}");
        assert!(usage.total_calls() <= calls, "{asked:?}: {usage:?}");
    }
}

/// The same of a denied request whose record is logged, and of an allowed one among ten thousand
/// policies for others.
#[test]
fn records_and_other_policies_cost_no_more_than_they_did() {
    let logged = of_the_record(&GUESTS).expect("figures");
    let amid = amid_many(&GUESTS).expect("figures");
    let bars = [
        ("a denial with its record", &logged, Asked::Denied, 10_283, 5),
        ("among 10,000 policies", &amid, Asked::Allowed, 12_377, 6),
    ];
    for (what, figures, asked, ..) in bars {
        let usage = figures.request(asked).expect("figures");
        println!("{what}: {} instructions, {} host calls", usage.fuel, usage.total_calls());
    }
    for (what, figures, asked, fuel, calls) in bars {
        let usage = figures.request(asked).expect("figures");
        assert!(usage.fuel <= fuel, "{what}: {usage:?}");
        assert!(usage.total_calls() <= calls, "{what}: {usage:?}");
    }
}
