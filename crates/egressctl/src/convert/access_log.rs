//! AgentGateway's access log, as this filter's audit: `frontend.accessLog` of a policy, and
//! `logging` of the static configuration in the parameters of a Gateway.

use egress_filter::config::{MAX_NAME, MAX_RECORD_FIELDS};

use super::compile::{self, Position};
use super::emit::Tree;
use super::note::{At, Effect, Notes};
use crate::diagnostic::Diagnostic;

/// `audit` of the result.
#[derive(Debug, Default)]
pub(super) struct AccessLog {
    is_given: bool,
    filter: Option<String>,
    fields: Vec<(String, String)>,
}

impl AccessLog {
    /// `frontend.accessLog`
    pub(super) fn of_policy<'d>(&mut self, at: &At<'d>, notes: &mut Notes<'d>) {
        for field in notes.object(at, &["filter", "attributes", "otlp"]) {
            match field.name() {
                "filter" => self.filter(&field, notes),
                "attributes" => {
                    for list in notes.object(&field, &["add", "remove"]) {
                        if list.name() == "remove" {
                            removed(&list, notes);
                            continue;
                        }
                        for item in notes.list(&list) {
                            notes.object(&item, &["name", "expression"]);
                            let name = item.text_at("name").map(str::to_owned);
                            self.field(&item, name, item.get("expression"), notes);
                        }
                    }
                }
                _ => {
                    let message = "`otlp` has no counterpart in this filter: `accessLogging` of a \
                        Telemetry resource with an OpenTelemetry provider; \
                        `audit.accessLog: true` lets it name the decision and these fields";
                    notes.field(&field, Effect::Lost, message);
                }
            }
        }
        self.given(at, notes);
    }

    /// `AgentgatewayParameters` and `EnterpriseAgentgatewayParameters`.
    pub(super) fn of_parameters<'d>(&mut self, resource: &At<'d>, notes: &mut Notes<'d>) {
        let Some(spec) = resource.get("spec") else { return };
        for field in spec.fields() {
            if field.name() != "rawConfig" {
                passed_over(&field, notes);
                continue;
            }
            for field in notes.object(&field, &["config"]) {
                for field in field.fields() {
                    if field.name() == "logging" {
                        self.of_static(&field, notes);
                    } else {
                        passed_over(&field, notes);
                    }
                }
            }
        }
    }

    /// `logging` of the static configuration.
    fn of_static<'d>(&mut self, at: &At<'d>, notes: &mut Notes<'d>) {
        let mut is_access_log = false;
        for field in notes.object(at, &["filter", "fields", "level", "format"]) {
            match field.name() {
                "filter" => self.filter(&field, notes),
                "fields" => {
                    for map in notes.object(&field, &["add", "remove"]) {
                        if map.name() == "remove" {
                            removed(&map, notes);
                            continue;
                        }
                        if map.node.fields().is_none() {
                            notes.wrong(&map, "an object");
                        }
                        for added in map.fields() {
                            let name = added.name().to_owned();
                            self.field(&added, Some(name), Some(added.clone()), notes);
                        }
                    }
                }
                _ => {
                    passed_over(&field, notes);
                    continue;
                }
            }
            is_access_log = true;
        }
        if is_access_log {
            self.given(at, notes);
        }
    }

    fn given<'d>(&mut self, at: &At<'d>, notes: &mut Notes<'d>) {
        self.is_given = true;
        let message = "the log of requests is the audit here, with `log: All`: a record when a \
            request is decided, in Envoy's own log; so it has nothing of the response. \
            `accessLog: true` shows the same in Envoy's access log, as \
            `%FILTER_STATE(wasm.egress_field_<name>:PLAIN)%`, beside the response";
        notes.once("audit", at, message);
    }

    fn filter<'d>(&mut self, at: &At<'d>, notes: &mut Notes<'d>) {
        if self.filter.is_some() {
            let message = "a second filter of the log, of which there is one: left out";
            notes.field(at, Effect::Lost, message);
            return;
        }
        let errors = compile::errors(Position::AuditFilter, at);
        self.filter = at.node.as_str().filter(|_| errors.is_empty()).map(str::to_owned);
        if self.filter.is_some() {
            let message = "a decision for which the filter fails is logged; AgentGateway does not \
                log it";
            notes.once("audit filter", at, message);
        }
        tell(errors, at, "every decision is logged", notes);
    }

    fn field<'d>(
        &mut self,
        at: &At<'d>,
        name: Option<String>,
        expression: Option<At<'d>>,
        notes: &mut Notes<'d>,
    ) {
        let Some((name, expression)) = name.zip(expression) else {
            notes.add(at, Effect::Lost, "expected a name and an expression: left out of the log");
            return;
        };
        if self.fields.len() >= MAX_RECORD_FIELDS {
            let message = format!("a record has up to {MAX_RECORD_FIELDS} fields more: left out");
            notes.field(at, Effect::Lost, message);
            return;
        }
        let legal = legal_name(&name);
        if legal != name {
            let message = format!(
                "the name `{}` is written `{legal}`, of letters, digits, `_`, `.` and `-`",
                name.escape_debug()
            );
            notes.field(at, Effect::Hint, message);
        }
        if self.fields.iter().any(|(known, _)| *known == legal) {
            let message = format!("a second field `{legal}` of the log: left out");
            notes.field(at, Effect::Lost, message);
            return;
        }
        let errors = compile::errors(Position::AuditField, &expression);
        if let (true, Some(source)) = (errors.is_empty(), expression.node.as_str()) {
            self.fields.push((legal, source.to_owned()));
        }
        tell(errors, &expression, "the field is left out of the log", notes);
    }

    /// `audit`, if the source has an access log of its own.
    pub(super) fn into_tree(self) -> Option<Tree> {
        if !self.is_given {
            return None;
        }
        let mut audit = vec![("log", Tree::text("All"))];
        audit.extend(self.filter.map(|filter| ("filter", Tree::Text(filter))));
        if !self.fields.is_empty() {
            let fields = self.fields.into_iter().map(|(name, source)| (name, Tree::Text(source)));
            audit.push(("fields", Tree::map([("add", Tree::map(fields))])));
        }
        Some(Tree::map(audit))
    }
}

fn tell<'d>(errors: Vec<Diagnostic>, at: &At<'d>, consequence: &str, notes: &mut Notes<'d>) {
    let reads_response = at.node.as_str().is_some_and(|source| source.contains("response"));
    for error in errors {
        let hint = match reads_response {
            true => " (what the response is, a Telemetry resource can log)",
            false => "",
        };
        let message = format!("{}: {consequence}{hint}", error.message);
        notes.push(at, Effect::Lost, Diagnostic { message, ..error });
    }
}

fn removed<'d>(list: &At<'d>, notes: &mut Notes<'d>) {
    let message = "`remove` has no counterpart: a record's own fields stay, and are other ones \
        than AgentGateway's";
    notes.field(list, Effect::Lost, message);
}

fn passed_over<'d>(field: &At<'d>, notes: &mut Notes<'d>) {
    let message = match field.name() {
        "tracing" => "left out: `tracing` of a Telemetry resource",
        "logging" | "level" | "format" => {
            "left out: it is about the proxy's own log, which for a waypoint is Istio's setting"
        }
        "sharedExtensions" => {
            "left out: it is what AgentGateway provisions beside itself, such as its rate limiter"
        }
        _ => "left out: it configures AgentGateway's own proxy",
    };
    notes.field(field, Effect::Lost, message);
}

/// A name that a field of a record may have.
fn legal_name(name: &str) -> String {
    let legal = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '_' }
    };
    let mut legal: String = name.chars().map(legal).collect();
    if !legal.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        legal.insert(0, '_');
    }
    legal.truncate(MAX_NAME);
    legal
}
