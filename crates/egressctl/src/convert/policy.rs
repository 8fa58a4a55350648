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
    /// Whether only what an Allow matches goes on to its hosts.
    pub(super) denies_by_default: bool,
    /// Whether it is what AgentGateway does where a request leaves for its backend, behind all
    /// else.
    pub(super) is_behind: bool,
    pub(super) authorization: Option<Authorization>,
    /// `transformation`
    pub(super) headers: Directions,
    /// `transformation.conditional`, in place of `headers`.
    pub(super) conditional: Vec<Branch>,
    /// `headerModifiers`, whose values are plain texts.
    pub(super) modifiers: Directions,
    /// The further fields of `traffic`.
    pub(super) features: Vec<(&'static str, Tree)>,
    /// The fields of `backend`.
    pub(super) backend: Vec<(&'static str, Tree)>,
}

/// `traffic.authorization`
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) action: &'static str,
    /// Any of them must match; of a Require, all.
    pub(super) expressions: Vec<String>,
}

/// Changes to the headers of requests and of responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directions {
    pub(super) request: Headers,
    pub(super) response: Headers,
}

/// `set`, `add` and `remove` of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) set: Vec<(String, String)>,
    pub(super) add: Vec<(String, String)>,
    pub(super) remove: Vec<String>,
}

/// An entry of a transformation's `conditional`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch {
    /// None for the entry of all other requests.
    pub(super) condition: Option<String>,
    pub(super) headers: Directions,
}

/// The configuration that the policies are in.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    pub(super) policies: Vec<Policy>,
    /// Whether only what an Allow matches goes on, to any host.
    pub(super) denies_by_default: bool,
    pub(super) audit: Option<Tree>,
    /// The environment variables that it needs.
    pub(super) environment: Vec<String>,
}

impl Configuration {
    /// As `pluginConfig`.
    pub(super) fn tree(&self) -> Tree {
        let mut fields = Vec::new();
        if self.denies_by_default {
            fields.push(("defaultAction", Tree::text("Deny")));
        }
        fields.push(("policies", Tree::List(self.policies.iter().map(Policy::item).collect())));
        fields.extend(self.audit.clone().map(|audit| ("audit", audit)));
        Tree::map(fields)
    }
}

impl Headers {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }

    fn tree(&self) -> Tree {
        let values = |headers: &[(String, String)]| {
            Tree::list(headers.iter().map(|(name, value)| {
                Tree::map([("name", Tree::text(name)), ("value", Tree::text(value))])
            }))
        };
        let fields = [
            ("set", values(&self.set), self.set.is_empty()),
            ("add", values(&self.add), self.add.is_empty()),
            ("remove", Tree::texts(self.remove.clone()), self.remove.is_empty()),
        ];
        let given = fields.into_iter().filter(|(_, _, empty)| !empty);
        Tree::map(given.map(|(name, tree, _)| (name, tree)))
    }

    /// The same with values that are expressions in place of plain texts.
    pub(super) fn into_expressions(self) -> Headers {
        let quote = |headers: Vec<(String, String)>| {
            headers.into_iter().map(|(name, value)| (name, literal(&value))).collect()
        };
        Headers { set: quote(self.set), add: quote(self.add), remove: self.remove }
    }
}

impl Directions {
    pub(super) fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }

    pub(super) fn tree(&self) -> Tree {
        let directions = [("request", &self.request), ("response", &self.response)];
        let given = directions.into_iter().filter(|(_, headers)| !headers.is_empty());
        Tree::map(given.map(|(name, headers)| (name, headers.tree())))
    }

    /// The same with values that are expressions in place of plain texts.
    pub(super) fn into_expressions(self) -> Directions {
        Directions {
            request: self.request.into_expressions(),
            response: self.response.into_expressions(),
        }
    }
}

/// An entry of `conditional`.
pub(super) fn entry(condition: Option<&str>, policy: Tree) -> Tree {
    let mut fields = Vec::new();
    fields.extend(condition.map(|condition| ("condition", Tree::text(condition))));
    fields.push(("policy", policy));
    Tree::map(fields)
}

impl Policy {
    /// Whether it does nothing.
    pub(super) fn is_empty(&self) -> bool {
        !self.denies_by_default && self.traffic().is_empty() && self.backend.is_empty()
    }

    /// Whether its rule lets nothing through.
    pub(super) fn is_closed(&self) -> bool {
        let is_false = |rule: &Authorization| {
            let mut all = rule.expressions.iter();
            match rule.action {
                "Allow" => all.all(|expression| expression == "false"),
                "Require" => all.any(|expression| expression == "false"),
                _ => false,
            }
        };
        self.authorization.as_ref().is_some_and(is_false)
    }

    /// Whether it has this field of `traffic`.
    pub(super) fn feature(&self, name: &str) -> Option<&Tree> {
        self.features.iter().find(|(feature, _)| *feature == name).map(|(_, tree)| tree)
    }

    /// The headers that its credentials are in.
    pub(super) fn credential_headers(&self) -> Vec<String> {
        let of = |credential: &Tree| match credential.get("location") {
            None => Some("authorization".to_owned()),
            Some(location) => location.get("header")?.get("name")?.as_text().map(str::to_owned),
        };
        let all = self.backend.iter().flat_map(|(name, tree)| match (*name, tree) {
            ("credentials", Tree::List(items)) => items.iter().map(|item| &item.tree).collect(),
            (_, tree) => vec![tree],
        });
        all.filter_map(of).collect()
    }

    fn traffic(&self) -> Vec<(&'static str, Tree)> {
        let mut traffic = Vec::new();
        if let Some(authorization) = &self.authorization {
            traffic.push(("authorization", authorization.tree()));
        }
        if !self.headers.is_empty() {
            traffic.push(("transformation", self.headers.tree()));
        } else if !self.conditional.is_empty() {
            let entries = self
                .conditional
                .iter()
                .map(|branch| entry(branch.condition.as_deref(), branch.headers.tree()));
            let conditional = Tree::list(entries);
            traffic.push(("transformation", Tree::map([("conditional", conditional)])));
        }
        if !self.modifiers.is_empty() {
            traffic.push(("headerModifiers", self.modifiers.tree()));
        }
        traffic.extend(self.features.iter().cloned());
        traffic
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
        if self.denies_by_default {
            fields.push(("defaultAction", Tree::text("Deny")));
        }
        let traffic = self.traffic();
        if !traffic.is_empty() {
            fields.push(("traffic", Tree::map(traffic)));
        }
        if !self.backend.is_empty() {
            fields.push(("backend", Tree::map(self.backend.iter().cloned())));
        }
        Item { comment: self.comment.clone(), tree: Tree::map(fields) }
    }
}

impl Authorization {
    fn tree(&self) -> Tree {
        let mut fields = vec![("action", Tree::text(self.action))];
        if self.expressions.len() > 1 {
            fields
                .push(("match", Tree::text(if self.action == "Require" { "All" } else { "Any" })));
        }
        let policy = Tree::map([("matchExpressions", Tree::texts(self.expressions.clone()))]);
        fields.push(("policy", policy));
        Tree::map(fields)
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
