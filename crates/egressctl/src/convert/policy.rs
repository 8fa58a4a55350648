//! The policies of the result.

use super::emit::{Item, Tree};

/// One of `policies`.
#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    pub(super) name: String,
    /// Where it comes from, and what is different in it.
    pub(super) comment: Vec<String>,
    pub(super) hosts: Vec<String>,
    pub(super) shadow: bool,
    pub(super) authorization: Option<Authorization>,
    pub(super) request: Headers,
    pub(super) response: Headers,
}

/// `traffic.authorization`
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) action: &'static str,
    /// Any of them must match; of a Require, all.
    pub(super) expressions: Vec<String>,
}

/// `set`, `add` and `remove` of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) set: Vec<(String, String)>,
    pub(super) add: Vec<(String, String)>,
    pub(super) remove: Vec<String>,
}

impl Headers {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }

    fn tree(&self) -> Tree {
        let values = |headers: &[(String, String)]| {
            Tree::list(headers.iter().map(|(name, value)| {
                Tree::Map(vec![("name", Tree::text(name)), ("value", Tree::text(value))])
            }))
        };
        let fields = [
            ("set", values(&self.set), self.set.is_empty()),
            ("add", values(&self.add), self.add.is_empty()),
            ("remove", Tree::texts(self.remove.clone()), self.remove.is_empty()),
        ];
        Tree::Map(
            fields
                .into_iter()
                .filter(|(_, _, empty)| !empty)
                .map(|(name, tree, _)| (name, tree))
                .collect(),
        )
    }
}

impl Policy {
    /// Whether it does nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.authorization.is_none() && self.request.is_empty() && self.response.is_empty()
    }

    /// As an item of `policies`.
    pub(super) fn item(&self) -> Item {
        let mut fields = vec![("name", Tree::text(&self.name))];
        if !self.hosts.is_empty() {
            fields.push(("hosts", Tree::texts(self.hosts.clone())));
        }
        if self.shadow {
            fields.push(("mode", Tree::text("Shadow")));
        }
        let mut traffic = Vec::new();
        if let Some(authorization) = &self.authorization {
            traffic.push(("authorization", authorization.tree()));
        }
        let directions = [("request", &self.request), ("response", &self.response)];
        let directions: Vec<_> = directions
            .into_iter()
            .filter(|(_, headers)| !headers.is_empty())
            .map(|(name, headers)| (name, headers.tree()))
            .collect();
        if !directions.is_empty() {
            traffic.push(("transformation", Tree::Map(directions)));
        }
        fields.push(("traffic", Tree::Map(traffic)));
        Item { comment: self.comment.clone(), tree: Tree::Map(fields) }
    }
}

impl Authorization {
    fn tree(&self) -> Tree {
        let mut fields = vec![("action", Tree::text(self.action))];
        if self.expressions.len() > 1 {
            fields
                .push(("match", Tree::text(if self.action == "Require" { "All" } else { "Any" })));
        }
        fields.push((
            "policy",
            Tree::Map(vec![("matchExpressions", Tree::texts(self.expressions.clone()))]),
        ));
        Tree::Map(fields)
    }
}

/// A text as a CEL literal.
pub(super) fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c.is_control() => literal.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}
