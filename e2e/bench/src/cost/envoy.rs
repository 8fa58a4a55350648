//! The same pairs in a real Envoy: how long a worker takes for each, beside the same request of
//! which no rule is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Pair;
use e2e::envoy::{Waypoint, WaypointOptions};
use e2e::http1::Request;
use e2e::origin::{Mode, Origin, Script};
use e2e::pki::{Pki, San, TEAM_A_SPIFFE_ID};

/// How often each is asked; the fastest counts, since other work on the machine only adds.
const TIMES: usize = 9;
const SERVICE: &str = "a.example";

/// How long a request took, and the same one that no rule looked at.
#[derive(Debug, Clone)]
pub struct Took {
    /// The pair's name.
    pub name: String,
    /// The status that the request got.
    pub status: u16,
    /// What the rules took.
    pub time: Duration,
}

/// Asks a real Envoy about each pair: about those of a whole configuration in an Envoy of its own,
/// about all others in one.
///
/// # Errors
/// Where Envoy does not start, or does not answer.
pub fn times(pairs: &[Pair]) -> Result<Vec<Took>, String> {
    let (whole, single): (Vec<&Pair>, Vec<&Pair>) =
        pairs.iter().partition(|pair| pair.name.starts_with("whole request"));
    let mut took = times_in_one(&single)?;
    for pair in whole {
        took.extend(times_in_one(&[pair])?);
    }
    took.sort_by_key(|took| std::cmp::Reverse(took.time));
    Ok(took)
}

fn times_in_one(pairs: &[&Pair]) -> Result<Vec<Took>, String> {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Scripted, 0).map_err(|error| error.to_string())?;
    origin.script(Script::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let host = |index: usize| format!("p{index}.example");
    let scoped = |(index, pair): (usize, &&Pair)| -> Vec<Value> {
        let policies = pair.configuration["policies"].as_array().cloned().unwrap_or_default();
        let scoped = policies.into_iter().enumerate().map(|(number, mut policy)| {
            policy["name"] = json!(format!("p{index}-{number}"));
            policy["hosts"] = json!([host(index)]);
            policy
        });
        scoped.collect()
    };
    let policies: Vec<Value> = pairs.iter().enumerate().flat_map(scoped).collect();
    let configuration =
        json!({"hostBinding": "Off", "audit": {"log": "None"}, "policies": policies});
    let options = WaypointOptions::new(&pki, origin.port())
        .plugin_configuration(configuration.to_string())
        .service(SERVICE);
    let waypoint = Waypoint::start(options).map_err(|error| error.to_string())?;
    let client = waypoint.client(&pki.caller_with(&[San::Uri(TEAM_A_SPIFFE_ID.to_owned())]));
    let vip = waypoint.vip(SERVICE);
    let ask = |pair: &Pair, host: &str| -> Result<(u16, Duration), String> {
        let mut request = Request::new("GET", &pair.path).header("Host", host);
        for (name, value) in &pair.headers {
            request = request.header(name, value);
        }
        let (mut best, mut status) = (Duration::MAX, 0);
        for _ in 0..TIMES {
            let start = Instant::now();
            let response = runtime
                .block_on(client.request(&vip, &request))
                .map_err(|error| format!("{}: {error}", pair.name))?;
            best = best.min(start.elapsed());
            status = response.status;
        }
        Ok((status, best))
    };
    let mut took = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        let (_, plain) = ask(pair, "nothing.example")?;
        let (status, time) = ask(pair, &host(index))?;
        took.push(Took { name: pair.name.clone(), status, time: time.saturating_sub(plain) });
    }
    took.sort_by_key(|took| std::cmp::Reverse(took.time));
    Ok(took)
}
