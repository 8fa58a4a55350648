//! What the demo prints: in colour on a terminal, plain elsewhere and where `NO_COLOR` is set.

use std::io::{IsTerminal, Write};

use super::stage::Handshake;
use crate::istio::{Derived, Plugin};
use crate::workshop::{Asked, Request, Step};

#[derive(Debug)]
pub(super) struct Terminal {
    colour: bool,
}

pub(super) const BOLD: &str = "1";
pub(super) const DIM: &str = "2";
pub(super) const RED: &str = "1;31";
pub(super) const GREEN: &str = "32";
pub(super) const CYAN: &str = "36";

impl Terminal {
    pub(super) fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: !refused && std::io::stdout().is_terminal() }
    }

    /// Prints a line; a reader that has gone away is no reason to stop.
    pub(super) fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    pub(super) fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn verdict(&self, passed: bool) -> String {
        if passed { self.paint(GREEN, "pass") } else { self.paint(RED, "FAIL") }
    }

    pub(super) fn step(&self, number: &str, step: &Step) {
        self.line(&format!("\n{}", self.paint(BOLD, &format!("{number} {}", step.title))));
        self.line(&format!("  {}", step.note));
    }

    pub(super) fn applied(&self, folder: &str, step: &Step, derived: &Derived) {
        let policies: Vec<&str> = derived.plugins.iter().flat_map(Plugin::policies).collect();
        let policies = if policies.is_empty() { "none".to_owned() } else { policies.join(", ") };
        self.line(&format!("  applied: {folder}/{}; policies in force: {policies}", step.file));
        for finding in &derived.findings {
            self.line(&format!("  {}", self.paint(RED, &finding.to_string())));
        }
    }

    pub(super) fn handshake(&self, handshake: &Handshake) -> bool {
        self.line(&format!("\n  {}", self.paint(CYAN, &format!("HBONE with {}", handshake.who))));
        self.outcome(handshake.expected, &handshake.got, handshake.passed)
    }

    pub(super) fn result(&self, request: &Request, asked: &Asked) -> bool {
        let mut command =
            format!("{}: curl http://{}{}", request.caller, request.host, request.path);
        for (name, value) in request.headers {
            command.push_str(&format!(" -H '{name}: {value}'"));
        }
        self.line(&format!("\n  {}", self.paint(CYAN, &command)));
        self.outcome(&asked.expected, &asked.got, asked.passed);
        if let Some(audit) = &asked.audit {
            self.line(&self.paint(DIM, &format!("    audit     {audit}")));
        }
        asked.passed
    }

    fn outcome(&self, expected: &str, got: &str, passed: bool) -> bool {
        self.block("expected", expected);
        self.block("got", got);
        self.line(&format!("    {}", self.verdict(passed)));
        passed
    }

    fn block(&self, label: &str, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.line(&format!("    {label:<9} {line}"));
        }
    }

    pub(super) fn summary(&self, passed: usize, total: usize) {
        let text = format!("{passed} of {total} as expected");
        let style = if passed == total { GREEN } else { RED };
        self.line(&format!("\n{}", self.paint(style, &text)));
    }

    pub(super) fn what_now(&self, real: bool) {
        let origins =
            if real { "the real api.github.com and httpbingo.org" } else { "the local stand-ins" };
        self.line(&format!(
            "\n{}",
            self.paint(
                BOLD,
                "The waypoint runs on, with the workshop's policies. Try it from another terminal:"
            )
        ));
        for command in [
            "curl -K target/demo/team-a.curlrc http://api.github.com/zen",
            "curl -K target/demo/team-b.curlrc http://api.github.com/zen",
            "curl -K target/demo/team-a.curlrc http://api.github.com/users/torvalds",
            "curl -K target/demo/team-a.curlrc -H 'X-Internal-Debug: secret' \
             http://httpbingo.org/headers",
        ] {
            self.line(&format!("  {command}"));
        }
        self.line(&format!(
            "Origins: {origins}. Envoy's log with the audit records: target/demo/envoy.log;"
        ));
        self.line(
            "its access log: target/demo/access.log; its admin interface: \
                   http://127.0.0.1:9901. Ctrl-C ends it.",
        );
    }
}
