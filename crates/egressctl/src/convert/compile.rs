//! Compiles single expressions with the engine, and reports errors where they stand in the source.

use std::ops::Range;

use egress_filter::policy::Engine;
use saphyr_parser::ScalarStyle;

use crate::diagnostic::Diagnostic;
use crate::manifest::{Kind, Plugin};
use crate::yaml::{Key, Node, Value};

use super::note::At;

/// The position of an expression or a header in a policy's `traffic`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Position {
    /// An item of `matchExpressions`.
    Rule,
    /// An item of a transformation: of `request` or `response`, and there of `set`, `add` or
    /// `remove`.
    Header(&'static str, &'static str),
}

/// The engine's errors in a rule or header.
pub(super) fn errors(position: Position, at: &At<'_>) -> Vec<Diagnostic> {
    let made = Made { span: at.node.span.clone() };
    // A configuration that has only this expression or header, where its source has it.
    let items = made.node(Value::List(vec![at.node.clone()]));
    let (traffic, path) = match position {
        Position::Rule => {
            let policy = made.map([("matchExpressions", items)]);
            let path = "policies[0].traffic.authorization.policy.matchExpressions[0]".to_owned();
            (
                made.map([(
                    "authorization",
                    made.map([("action", made.text("Allow")), ("policy", policy)]),
                )]),
                path,
            )
        }
        Position::Header(direction, list) => {
            let headers = made.map([(direction, made.map([(list, items)]))]);
            (
                made.map([("transformation", headers)]),
                format!("policies[0].traffic.transformation.{direction}.{list}[0]"),
            )
        }
    };
    let policy = made.map([("name", made.text("policy")), ("traffic", traffic)]);
    let config = made.map([("policies", made.node(Value::List(vec![policy])))]);
    let plugin = Plugin { kind: Kind::PluginConfig, resource: &config, config: Some(&config) };
    let errors = Engine::load(config.to_json().as_bytes()).err().unwrap_or_default();
    let told = errors.iter().map(|error| {
        let diagnostic = Diagnostic::of_error(at.source, plugin, error);
        let below = diagnostic.path.strip_prefix(&path).unwrap_or_default().to_owned();
        diagnostic.at(format!("{}{below}", at.path))
    });
    told.collect()
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

    fn map<const N: usize>(&self, fields: [(&str, Node); N]) -> Node {
        let field = |(name, value): (&str, Node)| {
            (Key { span: self.span.clone(), name: name.to_owned() }, value)
        };
        self.node(Value::Map(fields.into_iter().map(field).collect()))
    }
}

/// Whether a header may be removed, where it cannot be set.
pub(super) fn is_removable(position: Position, name: &str) -> bool {
    match position {
        Position::Rule => false,
        Position::Header(direction, _) => {
            load(direction, "remove", serde_json::json!(name)).is_ok()
        }
    }
}

/// Whether a header can be set, and if not why.
pub(super) fn check_header(direction: &str, name: &str) -> Result<(), String> {
    load(direction, "set", serde_json::json!({"name": name, "value": "''"}))
}

fn load(direction: &str, list: &str, item: serde_json::Value) -> Result<(), String> {
    let policy = serde_json::json!({
        "name": "policy",
        "traffic": {"transformation": {direction: {list: [item]}}},
    });
    load_policy(&policy)
}
