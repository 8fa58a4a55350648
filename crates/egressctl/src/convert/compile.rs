//! Compiles single expressions with the engine, and reports errors where they stand in the source.

use std::ops::Range;

use egress_filter::policy::Engine;
use saphyr_parser::ScalarStyle;

use crate::diagnostic::Diagnostic;
use crate::manifest::{Kind, Plugin};
use crate::yaml::{Key, Node, Value};

use super::note::At;

/// The position of a value in the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) enum Position {
    /// An item of `matchExpressions`, or another expression that returns a bool over the request.
    Rule,
    /// An item of a transformation: of `request` or `response`, and there of `set`, `add` or
    /// `remove`.
    Header(&'static str, &'static str),
    /// The same of `headerModifiers`.
    Modifier(&'static str, &'static str),
    /// A field of `traffic`, as a whole.
    Traffic(&'static str),
    /// `backend.auth.location`
    Location,
    /// The expression of one of `audit.fields.add`.
    AuditField,
    /// `audit.filter`
    AuditFilter,
}

/// The engine's errors in a value.
pub(super) fn errors(position: Position, at: &At<'_>) -> Vec<Diagnostic> {
    errors_of(position, at, at.node.clone())
}

/// The engine's errors in a value that is a part of the one in the source.
pub(super) fn errors_of(position: Position, at: &At<'_>, node: Node) -> Vec<Diagnostic> {
    let made = Made { span: at.node.span.clone() };
    let (config, path) = position.around(&made, node);
    let plugin = Plugin { kind: Kind::PluginConfig, resource: &config, config: Some(&config) };
    let errors = Engine::load(config.to_json().as_bytes()).err().unwrap_or_default();
    let told = errors.iter().map(|error| {
        let diagnostic = Diagnostic::of_error(at.source, plugin, error);
        let below = diagnostic.path.strip_prefix(&path).unwrap_or_default().to_owned();
        diagnostic.at(format!("{}{below}", at.path))
    });
    told.collect()
}

impl Position {
    /// A configuration that has only this value, where its source has it, and the value's place in
    /// it.
    fn around(self, made: &Made, node: Node) -> (Node, String) {
        let list = |node: Node| made.node(Value::List(vec![node]));
        let (section, path) = match self {
            Position::Rule => {
                let policy = made.map([("matchExpressions", list(node))]);
                let rule = made.map([("action", made.text("Allow")), ("policy", policy)]);
                let path = "traffic.authorization.policy.matchExpressions[0]".to_owned();
                (("traffic", made.map([("authorization", rule)])), path)
            }
            Position::Header(direction, kind) => {
                let headers = made.map([(direction, made.map([(kind, list(node))]))]);
                let path = format!("traffic.transformation.{direction}.{kind}[0]");
                (("traffic", made.map([("transformation", headers)])), path)
            }
            Position::Modifier(direction, kind) => {
                let headers = made.map([(direction, made.map([(kind, list(node))]))]);
                let path = format!("traffic.headerModifiers.{direction}.{kind}[0]");
                (("traffic", made.map([("headerModifiers", headers)])), path)
            }
            Position::Traffic(field) => {
                (("traffic", made.map([(field, node)])), format!("traffic.{field}"))
            }
            Position::Location => {
                let auth = made.map([("env", made.text("TOKEN")), ("location", node)]);
                (("backend", made.map([("auth", auth)])), "backend.auth.location".to_owned())
            }
            Position::AuditField => {
                let add = made.map([("add", made.map([("x", node)]))]);
                let audit = made.map([("fields", add)]);
                let policies = made.node(Value::List(Vec::new()));
                let config = made.map([("policies", policies), ("audit", audit)]);
                return (config, "audit.fields.add.x".to_owned());
            }
            Position::AuditFilter => {
                let audit = made.map([("filter", node)]);
                let policies = made.node(Value::List(Vec::new()));
                let config = made.map([("policies", policies), ("audit", audit)]);
                return (config, "audit.filter".to_owned());
            }
        };
        let hosts = || list(made.text("host.example"));
        let policy = made.map([("name", made.text("policy")), ("hosts", hosts()), section]);
        let mut policies = vec![policy];
        if matches!(self, Position::Location) {
            // A credential needs an Allow.
            let rule = made.map([("matchExpressions", list(made.text("true")))]);
            let traffic = made.map([("authorization", made.map([("policy", rule)]))]);
            let allow = [("name", made.text("allow")), ("hosts", hosts()), ("traffic", traffic)];
            policies.push(made.map(allow));
        }
        let policies = made.node(Value::List(policies));
        (made.map([("policies", policies)]), format!("policies[0].{path}"))
    }
}

/// Whether the engine accepts a rule, and if not, why.
pub(super) fn check_rule(expression: &str) -> Result<(), String> {
    let policy = serde_json::json!({
        "name": "policy",
        "traffic": {
            "authorization": {"action": "Allow", "policy": {"matchExpressions": [expression]}},
        },
    });
    load_policy(&policy)
}

fn load_policy(policy: &serde_json::Value) -> Result<(), String> {
    let config = serde_json::json!({"policies": [policy]}).to_string();
    match Engine::load(config.as_bytes()) {
        Ok(_) => Ok(()),
        Err(errors) => {
            Err(errors.first().map(|error| error.detail().into_owned()).unwrap_or_default())
        }
    }
}

/// Makes nodes that all have one position.
struct Made {
    span: Range<usize>,
}

impl Made {
    fn node(&self, value: Value) -> Node {
        Node { span: self.span.clone(), value }
    }

    fn text(&self, text: &str) -> Node {
        self.node(Value::String(text.to_owned(), ScalarStyle::DoubleQuoted))
    }

    fn map<'n>(&self, fields: impl IntoIterator<Item = (&'n str, Node)>) -> Node {
        let field = |(name, value): (&str, Node)| {
            (Key { span: self.span.clone(), name: name.to_owned() }, value)
        };
        self.node(Value::Map(fields.into_iter().map(field).collect()))
    }
}

/// An object of fields that stand elsewhere in the source, or nowhere.
pub(super) fn fields(at: &At<'_>, fields: Vec<(&str, Node)>) -> Node {
    Made { span: at.node.span.clone() }.map(fields)
}

/// A list of one.
pub(super) fn list(at: &At<'_>, node: Node) -> Node {
    Made { span: at.node.span.clone() }.node(Value::List(vec![node]))
}

/// A number that the source leaves out.
pub(super) fn number(at: &At<'_>, number: u64) -> Node {
    Made { span: at.node.span.clone() }.node(Value::Number(number.into()))
}

/// A text that the source has in another form.
pub(super) fn text(at: &At<'_>, text: &str) -> Node {
    Made { span: at.node.span.clone() }.text(text)
}

/// Whether a header of a request may be removed, where it cannot be set.
pub(super) fn is_removable(direction: &str, name: &str) -> bool {
    let policy = serde_json::json!({
        "name": "policy",
        "traffic": {"transformation": {direction: {"remove": [name]}}},
    });
    load_policy(&policy).is_ok()
}
