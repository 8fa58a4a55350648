//! What `egressctl test` and `explain` decide of a request is what a real waypoint decides of it:
//! paths as Envoy normalises them, headers as Envoy joins them, hosts and methods in odd forms,
//! upgrades, addresses. Random requests go through the engine, as the tools run it, and through a
//! real Envoy.
//!
//! `SEED=n` repeats a run, and `REQUESTS=n` makes it longer.

#[path = "as_the_waypoint_sees_it/generate.rs"]
mod generate;

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::cases::{EngineRunner, EnvoyRunner, Runner};
use e2e::envoy::filter_wasm;
use egressctl::cases::{Caller, Observed, Step, Suite, parse};
use generate::{Random, SHOWN, Written, configuration};
use serde_json::{Value, json};

/// The target that reached the origin, and some headers.
type Reached = (String, Vec<(String, Vec<u8>)>);

/// What both layers must agree on. The origin's answer is the same in both.
fn outcome(observed: &Observed) -> (Option<u16>, Option<Reached>) {
    let reached = observed.upstream.as_ref().map(|reached| {
        let is_shown = |name: &str| SHOWN.iter().any(|(shown, _)| *shown == name);
        let mut shown: Vec<_> =
            reached.headers.iter().filter(|(name, _)| is_shown(name)).cloned().collect();
        shown.sort();
        (format!("{} {}", reached.method, reached.path), shown)
    });
    (observed.status, reached)
}

/// A suite of these cases.
fn suite(path_safety: &str, cases: &[Value]) -> Result<Suite, String> {
    let text = json!({"config": configuration(path_safety), "cases": cases}).to_string();
    let suites = parse("random.yaml", &text).map_err(|error| error.to_string())?;
    suites.into_iter().next().ok_or_else(|| "no suite".to_owned())
}

/// A step that goes on the wire as it is written.
fn wire(usual: &Step, written: &Written) -> Step {
    let mut step = usual.clone();
    let (host, target) = written.on_the_wire();
    step.caller = Caller::of(written.spiffe_id());
    step.destination = Some(written.destination.to_owned());
    step.request.method = written.method.to_owned();
    step.request.host = Some(host);
    step.request.path = target;
    step.request.headers = written.lines();
    step
}

fn is_grpc(written: &Written) -> bool {
    let lines = written.lines();
    let mut types = lines.iter().filter(|(name, _)| name == "content-type");
    types.next().is_some_and(|(_, value)| value == "application/grpc") && types.next().is_none()
}

/// How many of the random requests there were of each kind.
#[derive(Debug, Default)]
struct Counts {
    went_on: usize,
    with_another_path: usize,
    upgraded: usize,
    refused_by_the_filter: usize,
    refused_by_envoy: usize,
}

struct Layers {
    engine: EngineRunner,
    envoy: EnvoyRunner,
    /// A case of which the wire's requests are made.
    usual: Suite,
}

impl Layers {
    fn start(&mut self, path_safety: &str) {
        let case = |host: &str| {
            json!({"name": host, "caller": "none", "request": format!("http://{host}/"),
                "expect": "allow"})
        };
        let hosts = ["api.github.com", "httpbingo.org"];
        self.usual = suite(path_safety, &hosts.map(case)).unwrap_or_else(|error| panic!("{error}"));
        let cases: Vec<_> = self.usual.cases.iter().collect();
        self.engine.start(&self.usual, &cases).unwrap_or_else(|error| panic!("{error}"));
        self.envoy.start(&self.usual, &cases).unwrap_or_else(|error| panic!("{error}"));
    }

    fn compare(&mut self, path_safety: &str, written: &Written, counts: &mut Counts) {
        let usual = &self.usual.cases[0];
        let step = wire(&usual.steps[0], written);
        let there = self.envoy.run(&self.usual, usual, &step);
        let there = there.unwrap_or_else(|error| panic!("{written:?}: {error}"));
        let is_recorded = there.audit.as_ref().is_some_and(|records| !records.is_empty());
        // A call of gRPC gets Envoy's own refusals with 200, but for those of its codec.
        let refused: &[u16] = if is_grpc(written) { &[200, 400] } else { &[400, 403, 404] };
        let is_refused = there.upstream.is_none()
            && !is_recorded
            && there.status.is_some_and(|status| refused.contains(&status));
        let suite = match suite(path_safety, &[written.case()]) {
            Ok(suite) => suite,
            // Where the tools say that a request does not reach the filter, it does not.
            Err(message) => {
                assert!(is_refused, "{path_safety} {written:?}\n{message}\n{there:?}");
                counts.refused_by_envoy += 1;
                return;
            }
        };
        let case = &suite.cases[0];
        let mut step = case.steps[0].clone();
        step.destination_address = self.envoy.dialled(written.destination);
        let here = self.engine.run(&suite, case, &step);
        let here = here.unwrap_or_else(|error| panic!("{written:?}: {error}"));
        // Envoy itself refuses an escaped NUL, whatever the path safety.
        if written.path.split('?').next().is_some_and(|path| path.contains("%00")) && !is_recorded {
            assert!(is_refused, "{path_safety} {written:?}: {there:?}");
            counts.refused_by_envoy += 1;
            return;
        }
        // Of methods its parser takes some and not others.
        const USUAL: [&str; 8] =
            ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH", "TRACE"];
        if !USUAL.contains(&written.method) && !is_recorded {
            assert!(is_refused, "{path_safety} {written:?}: {there:?}");
            counts.refused_by_envoy += 1;
            return;
        }
        // Of an absolute target it reads the authority as a part of a URL; the filter denies what
        // it cannot read so.
        if written.absolute.is_some() && !is_recorded {
            assert!(is_refused, "{path_safety} {written:?}: {there:?}");
            assert_eq!(here.upstream, None, "{path_safety} {written:?}");
            counts.refused_by_envoy += 1;
            return;
        }
        assert!(is_recorded, "{path_safety} {written:?}: {there:?}");
        let verdict = |observed: &Observed| {
            let record = observed.audit.as_ref().and_then(|records| records.first()).cloned();
            let field = |name: &str| record.as_ref().and_then(|record| record.get(name)).cloned();
            ["verdict", "reason", "policy", "host", "path", "method", "caller"].map(field)
        };
        assert_eq!(verdict(&here), verdict(&there), "{path_safety} {written:?}");
        let (seen_here, seen_there) = (outcome(&here), outcome(&there));
        // A final dot goes into the name for TLS, which no certificate of the origin has.
        let is_lost = written.authority.contains("..") || {
            let host = written.authority.rsplit('@').next().unwrap_or_default();
            host.split(':').next().is_some_and(|host| host.ends_with('.'))
        };
        if seen_here.1.is_some() && is_lost && seen_there.1.is_none() {
            return;
        }
        assert_eq!(seen_here, seen_there, "{path_safety} {written:?}");
        match seen_here.1 {
            Some((line, shown)) => {
                counts.went_on += 1;
                counts.with_another_path += usize::from(!line.ends_with(&written.path));
                let is_upgrade =
                    |(name, value): &(String, Vec<u8>)| name == "x-upgrade" && value != b"none";
                counts.upgraded += usize::from(shown.iter().any(is_upgrade));
            }
            None => counts.refused_by_the_filter += 1,
        }
    }
}

#[test]
fn random_requests_are_decided_alike_by_the_tools_and_by_a_real_envoy() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = number("SEED").unwrap_or(now);
    let requests = number("REQUESTS").and_then(|many| usize::try_from(many).ok()).unwrap_or(150);
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut layers = Layers {
        engine: EngineRunner::default(),
        envoy: EnvoyRunner::new(filter_wasm()).expect("an origin on a free port"),
        usual: suite(
            "Strict",
            &[json!({"name": "none", "caller": "none",
            "request": "http://api.github.com/", "expect": "allow"})],
        )
        .expect("a suite"),
    };
    let mut counts = Counts::default();
    for path_safety in ["Strict", "Off"] {
        layers.start(path_safety);
        for _ in 0..requests {
            let written = Written::generate(&mut random);
            layers.compare(path_safety, &written, &mut counts);
        }
    }
    println!("{counts:?}");
    assert!(
        counts.went_on > 20
            && counts.with_another_path > 3
            && counts.refused_by_the_filter > 40
            && counts.refused_by_envoy > 10,
        "{counts:?}"
    );
}
