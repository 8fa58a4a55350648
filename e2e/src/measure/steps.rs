//! What a request costs in numbers that are the same on every machine, from the emulated host.

use super::{MeasureError, workshop};
use crate::envoy::filter_wasm;
use crate::host::{HostOptions, Module, Request, Response, Usage, Vm};
use crate::pki::TEAM_A_SPIFFE_ID;

/// The figures of one request.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) name: &'static str,
    pub(super) usage: Usage,
}

/// The workshop's allowed and denied request, without and with audit records.
pub(super) fn of_the_workshop() -> Result<Vec<Steps>, MeasureError> {
    let module = Module::load(filter_wasm())?;
    let mut steps = Vec::new();
    for (audit, names) in [("None", ["allowed", "denied"]), ("All", ["allowed, logged", "denied, logged"])] {
        let vm = Vm::new(&module, HostOptions { canary: false, ..HostOptions::default() })?;
        let configured = vm.configure(workshop(audit)?);
        if !configured.accepted {
            return Err(MeasureError::Refused(configured.logs.into_iter().map(|log| log.text).collect::<Vec<_>>().join("; ")));
        }
        for (name, path) in names.into_iter().zip(["/zen", "/users/torvalds"]) {
            // The first one makes the counters known; from the second on all cost the same.
            let _ = vm.stream(request(path)).run(Response::new(200));
            steps.push(Steps { name, usage: vm.stream(request(path)).run(Response::new(200)).usage });
        }
    }
    Ok(steps)
}

fn request(path: &str) -> Request {
    let service = "inbound-vip|80|http|api.github.com";
    Request::new("GET", "api.github.com", path)
        .property(&["xds", "filter_chain_name"], service)
        .property(&["xds", "cluster_name"], service)
        .peer_principal(TEAM_A_SPIFFE_ID)
        .header("user-agent", "measure/1.0")
        .header("accept", "application/vnd.github+json")
        .header("accept-encoding", "gzip, br")
        .header("x-github-api-version", "2022-11-28")
        .header("x-caller-identity", "spoofed/admin")
        .header("x-internal-debug", "1")
}
