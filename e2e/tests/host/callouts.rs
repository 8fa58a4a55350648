//! What comes back for a call of a filter is the same in the emulated host and in a real Envoy.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions};
use e2e::host::{Answer, HostOptions, Protocol, Request, Vm};
use e2e::http1;
use e2e::origin::{Mode, Origin, Reaction, Service};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::calls::Calls;
use crate::probe::{Probe, module};

const CHECK: &[(&str, &str)] =
    &[(":method", "GET"), (":path", "/check"), (":authority", "authz.local")];
const TIMEOUT: Duration = Duration::from_secs(1);
/// The line after all that a filter tells of an answer.
const END: &str = "end of answer";

/// The clusters that the filter of each chain calls for a request. Of each chain's clusters, one
/// gives an answer.
const CHAINS: [(&str, &[&str]); 2] =
    [("api.github.com", &["served"]), ("httpbingo.org", &["refusing", "empty", "missing"])];

/// A filter that calls these clusters for each request, holds it, and tells what comes back.
fn calling(clusters: &[&str]) -> Probe {
    let milliseconds = u32::try_from(TIMEOUT.as_millis()).expect("a short time");
    let call = |calls: Calls| {
        let each = |calls: Calls, name: &&str| calls.http_call_to(name, CHECK, "", milliseconds);
        clusters.iter().fold(calls, each)
    };
    let tell = |calls: Calls| {
        let names = [":status", "content-length", "content-type", "x-a", "date", "server"];
        let calls = calls.parameters("answer", 4);
        let calls = names.iter().fold(calls, |calls, name| calls.get(6, name));
        calls.get_buffer(4, 0, 300).status_call().say(END)
    };
    Probe::default().pause().request_headers(call).http_answer(tell)
}

/// What the service does with one call after another, and what the emulated host makes of that;
/// nothing for an answer that does not come.
fn table() -> Vec<(Reaction, Option<Answer>)> {
    let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n";
    let own = |status| {
        // Envoy adds how long the service took.
        Answer::http(status).header("x-envoy-upstream-service-time", "0")
    };
    vec![
        (
            Reaction::answer(200, &[("x-a".to_owned(), "1".to_owned())], "hello"),
            Some(own(200).header("x-a", "1").header("content-length", "5").body("hello")),
        ),
        (
            Reaction::answer(503, &[], "mine"),
            Some(own(503).header("content-length", "4").body("mine")),
        ),
        (Reaction::never(), None),
        (Reaction::cut_off(""), Some(Answer::closed())),
        (Reaction::cut_off(part), Some(Answer::malformed())),
        (Reaction::cut_off(format!("{part}\r\nbegin")), Some(Answer::CutOff)),
    ]
}

/// What the emulated host's filters tell, chain by chain.
fn emulated() -> Vec<String> {
    let mut told = Vec::new();
    for (host, clusters) in CHAINS {
        let options = HostOptions { canary: false, ..HostOptions::default() };
        options.clusters.add("served");
        options.clusters.add("refusing");
        options.clusters.add_empty("empty");
        let vm = Vm::new(&module(&calling(clusters)), options).expect("it starts");
        assert!(vm.configure("").accepted);
        let answers = match host {
            "api.github.com" => table().into_iter().map(|(_, answer)| answer).collect(),
            _ => vec![Some(Answer::refused(Protocol::Http))],
        };
        for answer in answers {
            let mut stream = vm.stream(Request::new("GET", host, "/zen"));
            stream.on_request_headers();
            match answer {
                Some(answer) => {
                    let call = stream.calls().remove(0);
                    stream.answer(&call, answer);
                }
                None => vm.advance(TIMEOUT),
            }
            drop(stream.gone());
        }
        told.extend(vm.logs().into_iter().map(|log| log.text));
    }
    told
}

/// A waypoint with these modules in its chains.
fn waypoint(options: WaypointOptions, modules: Vec<PathBuf>) -> Waypoint {
    let options = options.edit(move |envoy| {
        let listeners = envoy["static_resources"]["listeners"].as_array_mut().into_iter().flatten();
        for listener in listeners.filter(|listener| listener["name"] == "main_internal") {
            let chains = listener["filter_chains"].as_array_mut().into_iter().flatten();
            for (chain, module) in chains.zip(&modules) {
                let filters = &mut chain["filters"][0]["typed_config"]["http_filters"];
                let vm = &mut filters[0]["typed_config"]["config"]["vm_config"];
                vm["code"]["local"]["filename"] = json!(module);
            }
        }
    });
    Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"))
}

/// What the filters in a real Envoy have told.
fn told(waypoint: &Waypoint) -> Vec<String> {
    let text = |line: &String| {
        let (_, logged) = line.split_once("wasm log")?;
        logged.split_once(": ").map(|(_, text)| text.to_owned())
    };
    waypoint.log_lines().iter().filter_map(text).collect()
}

#[tokio::test]
async fn what_comes_back_for_a_call_is_what_envoy_gives() {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
    let reactions: Vec<Reaction> = table().into_iter().map(|(reaction, _)| reaction).collect();
    let (requests, calls) = (reactions.len(), AtomicUsize::new(0));
    let service = Service::start(move |_| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        reactions.get(call).cloned().unwrap_or_else(Reaction::never)
    })
    .expect("the service starts");
    // Bound and not listened on, so that connections are refused.
    let refusing = TcpSocket::new_v4().expect("a socket");
    refusing.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let refusing_port = refusing.local_addr().expect("an address").port();

    let folder = tempfile::tempdir().expect("a folder");
    let modules = CHAINS.map(|(host, clusters)| {
        let path = folder.path().join(format!("{host}.wasm"));
        let bytes = wat::parse_str(calling(clusters).text()).expect("a module");
        std::fs::write(&path, bytes).expect("a file");
        path
    });
    let options = WaypointOptions::new(&pki, origin.port())
        .cluster("served", Some(service.port()))
        .cluster("refusing", Some(refusing_port))
        .cluster("empty", None);
    let waypoint = waypoint(options, modules.into());

    let mut answers = 0;
    for (host, requests) in [(CHAINS[0].0, requests), (CHAINS[1].0, 1)] {
        for _ in 0..requests {
            let (client, vip) = (waypoint.caller(TEAM_A_SPIFFE_ID), waypoint.vip(host));
            let request = http1::Request::get(host, "/zen");
            let held = tokio::spawn(async move { client.request(&vip, &request).await });
            answers += 1;
            let deadline = Instant::now() + PATIENCE;
            let ended = || told(&waypoint).iter().filter(|line| *line == END).count();
            while ended() < answers {
                assert!(Instant::now() < deadline, "no answer: {:#?}", told(&waypoint));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            held.abort();
        }
    }
    let (emulated, real) = (emulated(), told(&waypoint));
    assert_eq!(json!(emulated), Value::from(real), "{answers} answers");
}
