//! The measurements: in the emulated host, and in real Envoys that are asked in turn.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ENVIRONMENT, Feature, Shows, all, base};
use crate::emulated::plain;
use crate::envoys::{AUTHORIZER, LIMITER, Plugin, Running, SERVICE, Setup};
use crate::{BenchError, Options, load, say};
use e2e::envoy::filter_wasm;
use e2e::origin::{Reaction, Service};
use e2e::pki::TEAM_A_SPIFFE_ID;
use e2e::stand_ins::{self, AuthorizationService, allowed};
use proxy_wasm_host::{Answer, HostOptions, Module, Response, StreamResult, Usage, Vm};

/// How many requests come before the measured one.
const WARM_UP: usize = 32;
const PATH: &str = "/zen";

/// What a request costs with a feature, and without it.
#[derive(Debug)]
pub struct Cost {
    /// The feature's name.
    pub name: &'static str,
    /// With the feature.
    pub with: Usage,
    /// Without it.
    pub without: Usage,
}

/// The figures of real Envoys: microseconds of processor time a request, one for each round.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) samples: Vec<f64>,
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Figures {
    pub(super) costs: Vec<Cost>,
    /// The Envoy without a filter comes first, then that with the rule alone.
    pub(super) rows: Vec<Row>,
}

impl Figures {
    /// The features that the summary has, each with the name of what Envoy brings.
    pub(crate) fn of_envoys(&self) -> impl Iterator<Item = (&Cost, &'static str)> {
        all().into_iter().filter(|feature| feature.sums_up).filter_map(|feature| {
            let cost = self.costs.iter().find(|cost| cost.name == feature.name)?;
            Some((cost, feature.native?.name))
        })
    }
}

/// The costs in the emulated host, the same in every run.
///
/// # Errors
/// When the filter refuses a configuration, or a feature does not do what it must.
pub fn costs() -> Result<Vec<Cost>, BenchError> {
    let module = Module::load(filter_wasm())?;
    let without = |feature: &Feature| feature.compared.clone().unwrap_or_else(base);
    let cost = |feature: Feature| {
        let compared = Feature {
            configuration: without(&feature),
            status: if feature.status == 403 { 403 } else { 200 },
            shows: Shows::Nothing,
            compared: None,
            native: None,
            calls: 0,
            sums_up: false,
            name: feature.name,
        };
        Ok(Cost {
            name: feature.name,
            with: usage(&module, &feature)?,
            without: usage(&module, &compared)?,
        })
    };
    all().into_iter().map(cost).collect()
}

/// What a request costs once the filter has handled some others.
fn usage(module: &Module, feature: &Feature) -> Result<Usage, BenchError> {
    let (name, value) = ENVIRONMENT;
    let options = HostOptions {
        canary: false,
        env: vec![(name.to_owned(), value.to_owned())],
        ..HostOptions::default()
    };
    options.clusters.serve(SERVICE, |_| Some((Duration::ZERO, Answer::http(200))));
    // `google.rpc.Status` of code 0, and `overall_code: OK`.
    for (cluster, message) in [(AUTHORIZER, *b"\x0a\x00"), (LIMITER, *b"\x08\x01")] {
        options.clusters.serve(cluster, move |_| Some((Duration::ZERO, Answer::grpc(message))));
    }
    let vm = Vm::new(module, options)?;
    let configured = vm.configure(feature.configuration.to_string());
    let logs: Vec<&str> = configured.logs.iter().map(|log| log.text.as_str()).collect();
    let what = format!("whether it takes its configuration ({})", logs.join("; "));
    BenchError::check(feature.name, &what, &true, &configured.accepted)?;
    let run = || {
        let result = vm.stream(plain(PATH, TEAM_A_SPIFFE_ID)).run(Response::new(200));
        check(feature, &result).map(|()| result)
    };
    for _ in 0..WARM_UP {
        run()?;
    }
    vm.tick();
    Ok(run()?.usage)
}

/// The figure of a feature that does nothing means nothing.
fn check(feature: &Feature, result: &StreamResult) -> Result<(), BenchError> {
    let response = |name: &str| result.response_headers.as_ref().and_then(|lines| lines.text(name));
    let status = response(":status");
    BenchError::check(feature.name, "status", &Some(feature.status.to_string()), &status)?;
    let (name, expected, got) = match feature.shows {
        Shows::Nothing => return Ok(()),
        Shows::Request(name, value) => (name, value, result.request_headers.text(name)),
        Shows::Response(name, value) => (name, value, response(name)),
    };
    BenchError::check(feature.name, name, &Some(expected.to_owned()), &got)
}

/// One of the Envoys.
struct Contestant {
    name: String,
    filters: Vec<Value>,
    route: Option<Value>,
    status: u16,
}

fn contestants() -> Result<Vec<Contestant>, BenchError> {
    let ours = |name: &str, configuration: &Value, status| {
        let plugin = Plugin { module: filter_wasm(), configuration: configuration.to_string() };
        let mut config = plugin.typed_config()?;
        let (variable, value) = ENVIRONMENT;
        config["config"]["vm_config"]["environment_variables"] =
            json!({"key_values": {variable: value}});
        let filters = vec![json!({"name": e2e::ecds::PLUGIN, "typed_config": config})];
        Ok::<_, BenchError>(Contestant { name: name.to_owned(), filters, route: None, status })
    };
    let none = |name: &str| Contestant {
        name: name.to_owned(),
        filters: Vec::new(),
        route: None,
        status: 200,
    };
    let mut contestants = vec![none("no filter")];
    for feature in all().into_iter().filter(|feature| feature.native.is_some()) {
        contestants.push(ours(feature.name, &feature.configuration, feature.status)?);
        if let Some(native) = feature.native {
            let Contestant { name, .. } = none(native.name);
            let status = if native.route.is_some() { feature.status } else { 200 };
            let (filters, route) = (native.filters, native.route);
            contestants.push(Contestant { name, filters, route, status });
        }
    }
    Ok(contestants)
}

/// Measures all features, in the emulated host and in real Envoys.
///
/// # Errors
/// When an Envoy does not start, or a feature does not do what it must.
pub async fn measure(options: &Options) -> Result<Figures, BenchError> {
    say("features, in the emulated host");
    let costs = costs()?;
    let contestants = contestants()?;
    say(&format!("features: {} Envoys", contestants.len()));
    let service = Service::start(|_| Reaction::answer(200, &[], ""))?;
    let authorizer = AuthorizationService::start(|_| stand_ins::Reaction::answer(allowed(&[])))?;
    let services = [(SERVICE, service.port()), (AUTHORIZER, authorizer.port())];
    let mut envoys = Vec::new();
    for contestant in contestants {
        let setup = Setup {
            name: &contestant.name,
            filters: contestant.filters,
            caller: TEAM_A_SPIFFE_ID,
            workers: 1,
            route: contestant.route,
            services: &services,
        };
        let envoy = Running::start(&setup)?;
        let response = load::check(envoy.address, PATH).await?;
        let name = &contestant.name;
        BenchError::check(name, "status", &contestant.status, &response.status)?;
        let row = Row { name: contestant.name, samples: Vec::new() };
        envoys.push((envoy, contestant.status, row));
    }
    // Half the rounds do: what is stated here is no bar but one.
    let rounds = options.rounds.div_ceil(2);
    for round in 0..=rounds {
        for turn in 0..envoys.len() {
            // Rotated, so that no Envoy always runs after the same neighbour.
            let at = (turn + round) % envoys.len();
            let (envoy, status, row) = &mut envoys[at];
            let before = envoy.processor_time()?;
            let requests = load::ask(envoy.address, PATH, *status, options.round).await?;
            let used = envoy.processor_time()?.saturating_sub(before);
            // The first round warms up.
            if round > 0 {
                row.samples.push(used.as_secs_f64() * 1e6 / requests.max(1) as f64);
            }
        }
        eprint!("\rbench:   round {round} of {rounds}");
    }
    eprintln!();
    Ok(Figures { costs, rows: envoys.into_iter().map(|(_, _, row)| row).collect() })
}
