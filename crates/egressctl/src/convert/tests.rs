//! Every field is converted or noted.

mod agentgateway;
mod fields;
mod istio;
mod leaves;
mod model;
mod others;
mod routes;
mod scope;

use clap::Parser;
use egress_filter::policy::Engine;
use egress_filter::request::Given;
use egress_filter::request::headers::Headers;
use egress_filter::trial;

use super::note::{Effect, Note};
use super::{Args, Converted, convert};
use crate::manifest::Manifest;
use crate::source::Source;
use crate::yaml;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: Args,
}

pub(super) fn manifest(text: &str) -> Manifest {
    let source = Source::new("policies.yaml".to_owned(), text);
    let documents = yaml::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    Manifest { source, documents }
}

/// Converts with more arguments, and hands the result to `look`.
fn converted<T>(text: &str, arguments: &[&str], look: impl FnOnce(&Converted<'_>) -> T) -> T {
    let command = ["convert", "policies.yaml"].iter().chain(arguments);
    let args = CommandLine::try_parse_from(command).unwrap_or_else(|error| panic!("{error}")).args;
    let manifests = [manifest(text)];
    let converted = convert(&args, &manifests).unwrap_or_else(|error| panic!("{text}: {error}"));
    look(&converted)
}

/// The policies of the result, as JSON.
fn policies(text: &str) -> serde_json::Value {
    converted(text, &["--kind", "pluginConfig"], |converted| {
        let json = serde_json::to_value(&converted.resource).unwrap();
        json["policies"].clone()
    })
}

/// The notes as `effect path: message`.
fn notes(text: &str) -> Vec<String> {
    let line = |note: &Note<'_>| {
        format!("{:?} {}: {}", note.effect, note.diagnostic.path, note.diagnostic.message)
    };
    converted(
        text,
        &["--gateway", "egress", "--image", "a", "--sha256", &"0".repeat(64)],
        |converted| converted.notes.iter().map(line).collect(),
    )
}

/// The notes that are no mere hints.
fn losses(text: &str) -> Vec<String> {
    notes(text)
        .into_iter()
        .filter(|note| !note.starts_with(&format!("{:?} ", Effect::Hint)))
        .collect()
}

/// The notes about one place.
fn notes_at(text: &str, path: &str) -> Vec<String> {
    notes(text)
        .into_iter()
        .filter(|note| {
            note.split(": ").next().is_some_and(|start| start.ends_with(&format!(" {path}")))
        })
        .collect()
}

/// The whole configuration of the result, as JSON.
fn configuration(text: &str) -> serde_json::Value {
    converted(text, &["--kind", "pluginConfig"], |converted| {
        serde_json::to_value(&converted.resource).unwrap()
    })
}

fn engine(text: &str) -> Engine {
    let config = configuration(text).to_string();
    Engine::load(config.as_bytes()).unwrap_or_else(|errors| panic!("{config}: {errors:?}"))
}

/// A request, as far as policies look at it.
#[derive(Debug, Clone)]
struct Request {
    caller: &'static str,
    method: &'static str,
    authority: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    address: &'static str,
    port: u16,
    /// The claims of its token, as JSON; empty without one.
    claims: &'static str,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            caller: "spiffe://cluster.local/ns/team-a/sa/team-a",
            method: "GET",
            authority: "api.github.com",
            path: "/zen",
            headers: Vec::new(),
            address: "10.1.2.3",
            port: 80,
            claims: "",
        }
    }
}

impl Request {
    fn is_allowed_by(&self, engine: &Engine) -> bool {
        let mut headers = Headers::default();
        for (name, value) in
            [(":method", self.method), (":authority", self.authority), (":path", self.path)]
        {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        for (name, value) in &self.headers {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        let destination = format!("240.240.0.1:{}", self.port);
        let claims = match self.claims {
            "" => Vec::new(),
            claims => {
                let claims = serde_json::from_str(claims).unwrap();
                egress_filter::request::jwt::metadata(&claims).unwrap()
            }
        };
        let given = Given {
            metadata: &claims,
            peer_principal: self.caller.as_bytes(),
            source_address: self.address.as_bytes(),
            destination_address: destination.as_bytes(),
            ..Given::default()
        };
        trial::allows(engine, &headers, &given)
    }
}
