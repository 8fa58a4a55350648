//! What is shown of a policy of one's own.

use std::path::Path;

use super::decisions::Record;
use super::examples;
use super::file::Policy;
use super::pods::Call;
use crate::demo::terminal::{BOLD, CYAN, DIM, GREEN, RED, Terminal};
use crate::workshop::{stand_in, variables};

impl Terminal {
    /// The policies that are in force now, and the hosts that have an origin.
    pub(super) fn in_force(&self, file: &str, policy: &Policy, served: &[String]) {
        let names = policy.names();
        let policies = match names.len() {
            0 => "no policy".to_owned(),
            1 => format!("policy {}", names[0]),
            count => format!("{count} policies, {}", listed(&names)),
        };
        self.line(&self.paint(GREEN, &format!("{file} is in force: {policies}")));
        let (_, wildcards) = policy.hosts();
        let hosts: Vec<&str> = served.iter().map(String::as_str).chain(wildcards).collect();
        self.line(&format!("  hosts: {}; any other as soon as it is called", listed(&hosts)));
        for name in variables(&policy.configuration) {
            let origin = match std::env::var_os(&name) {
                Some(_) => "as it is set here".to_owned(),
                None => format!("not set here, so it is `{}`", stand_in(&name)),
            };
            self.line(&format!("  environment variable {name}: {origin}"));
        }
        if let Some(logs) = &policy.logs {
            self.line(&format!("  every decision is logged here, not only those of `{logs}`"));
        }
    }

    /// How to call, and calls to try.
    pub(super) fn how_to_call(&self, policy: &Policy, port: u16) {
        let title = "Call from another terminal, as any NAMESPACE:SERVICEACCOUNT:";
        self.line(&format!("\n{}", self.paint(BOLD, title)));
        for example in examples::of(policy) {
            self.line(&format!("  curl -x {}@localhost:{port} {}", example.caller, example.rest));
        }
    }

    /// What can be done besides, and how it ends.
    pub(super) fn how_to_end(&self, file: &str, log: &Path) {
        let here = std::env::current_dir().unwrap_or_default();
        let log = log.strip_prefix(here).unwrap_or(log);
        self.line(&format!("Each save of {file} is taken up. Envoy's log: {}", log.display()));
        self.line("Ctrl-C ends it.");
    }

    /// What could not be called, and why.
    pub(super) fn refused(&self, message: &str) {
        self.line(&format!("\n{}", self.paint(DIM, &format!("not sent on: {message}"))));
    }

    /// A host that is there now because it was called.
    pub(super) fn added(&self, host: &str) {
        self.line(&format!("\n{host} was called for the first time, so it has a ServiceEntry now"));
    }

    /// A call, its status, what was decided and the audit record.
    pub(super) fn called(&self, call: &Call, record: Option<&Record>) {
        self.line(&format!("\n{}", self.paint(CYAN, &format!("{}  {}", call.caller, call.line))));
        let status = match &call.status {
            Ok(status) => status.to_string(),
            Err(error) => format!("no response: {error}"),
        };
        match record {
            Some(record) => {
                self.line(&format!("  {status}  {}", record.in_words()));
                self.line(&self.paint(DIM, &format!("  {}", record.text)));
            }
            None if call.status.is_ok() => {
                self.line(&format!("  {status}  no audit record came of it"));
            }
            None => self.line(&format!("  {status}")),
        }
    }

    /// That what was saved is not taken up.
    pub(super) fn stays(&self) {
        self.line(&self.paint(RED, "It is not taken up: the policies in force stay."));
    }
}

/// The first of these, and how many there are besides.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
