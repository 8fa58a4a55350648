//! What a policy author pays: each attribute, operator, macro and function, in instructions of the
//! compiled module above those of a rule that is `true`.
//!
//! The rows are those of the documents: of the attribute table and of `docs/functions.md`, which
//! tests hold to what the filter declares. So a new attribute or function has a row here as well.

mod bodies;
mod examples;
mod language;
mod report;

use serde_json::{Value, json};

use crate::{BenchError, say};
use e2e::envoy::filter_wasm;
use proxy_wasm_host::{HostOptions, Module, Request, Response, Usage, Vm};

pub use bodies::Body;
pub use language::{Entry, entries};
pub(super) use report::render;

/// How many requests come before the measured one.
const WARM_UP: usize = 16;

/// What an entry costs.
#[derive(Debug)]
pub struct Price {
    /// What is priced.
    pub entry: Entry,
    /// The instructions that it takes above a rule that is `true`.
    pub instructions: i64,
    /// The host calls that it makes above those of such a rule.
    pub calls: i64,
}

/// The prices of a policy's language and of bodies.
#[derive(Debug)]
pub struct Index {
    /// Attributes, operators, macros and functions.
    pub prices: Vec<Price>,
    /// Rules over bodies.
    pub bodies: Vec<Body>,
}

/// Prices everything, in the emulated host: the same figures in every run.
///
/// # Errors
/// When a module is missing, or a rule is not what its row says.
pub fn measure() -> Result<Index, BenchError> {
    say("the index of prices");
    let module = Module::load(filter_wasm())?;
    let mut prices = Vec::new();
    let request = language::request();
    let plain = usage(&module, "a rule `true`", &rule("true"), request.clone())?;
    let answered = usage(&module, "a value", &response_value("true"), request.clone())?;
    for entry in entries() {
        // Bodies have a table of their own.
        if entry.reads_a_body() {
            continue;
        }
        let (configuration, without) = match entry.is_of_the_response() {
            true => (response_value(&entry.rule), &answered),
            false => (rule(&entry.rule), &plain),
        };
        let with = usage(&module, &entry.rule, &configuration, request.clone())?;
        let more = |with: u64, without: u64| with as i64 - without as i64;
        prices.push(Price {
            instructions: more(with.fuel, without.fuel),
            calls: more(with.total_calls(), without.total_calls()),
            entry,
        });
    }
    Ok(Index { prices, bodies: bodies::measure()? })
}

/// One Allow.
fn rule(expression: &str) -> Value {
    let rule = json!({"policy": {"matchExpressions": [expression]}});
    json!({
        "policies": [{"name": "p", "traffic": {"authorization": rule}}],
        "audit": {"log": "None"},
    })
}

/// A header of the response that has this value.
fn response_value(expression: &str) -> Value {
    let set = json!([{"name": "x-index", "value": format!("string({expression})")}]);
    json!({
        "policies": [{"name": "p", "traffic": {"transformation": {"response": {"set": set}}}}],
        "audit": {"log": "None"},
    })
}

/// What a request costs once the filter has handled some others; it must be allowed.
fn usage(
    module: &Module,
    name: &str,
    configuration: &Value,
    request: Request,
) -> Result<Usage, BenchError> {
    let (status, usage) = asked(module, name, configuration, request)?;
    BenchError::check(name, "status", &Some("200".to_owned()), &status)?;
    Ok(usage)
}

/// The status and the cost of a request.
fn asked(
    module: &Module,
    name: &str,
    configuration: &Value,
    request: Request,
) -> Result<(Option<String>, Usage), BenchError> {
    let options = HostOptions { canary: false, fuel: 1 << 60, ..HostOptions::default() };
    let vm = Vm::new(module, options)?;
    let configured = vm.configure(configuration.to_string());
    let logs: Vec<&str> = configured.logs.iter().map(|log| log.text.as_str()).collect();
    let what = format!("whether it takes its configuration ({})", logs.join("; "));
    BenchError::check(name, &what, &true, &configured.accepted)?;
    let response = Response::new(200).header("x-team", "blue");
    let run = || vm.stream(request.clone()).run(response.clone());
    for _ in 0..WARM_UP {
        run();
    }
    vm.tick();
    let result = run();
    BenchError::check(name, "what went wrong in the VM", &None, &vm.failure())?;
    let status = result.response_headers.and_then(|headers| headers.text(":status"));
    Ok((status, result.usage))
}
