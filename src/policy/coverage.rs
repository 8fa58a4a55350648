//! What each policy had to do with a request, whatever decided it: for tools that tell what tests
//! have tried.

use super::{Admitted, Engine, Policy, request_host};
use crate::attributes::view::View;
use crate::authorization;
pub use crate::authorization::Said;
use crate::cel::Expression;
use crate::cel::meter::{Allowance, Meter};
use crate::config::{Action, Mode};
use crate::outcome::Change;
use crate::request::Facts;
use crate::request::headers::Headers;

/// What a policy may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline<'e> {
    /// Its name.
    pub name: &'e str,
    /// Whether it is enforced.
    pub mode: Mode,
    /// What its rule does, if it has one.
    pub action: Option<Action>,
    /// It has request transformations.
    pub changes_request: bool,
    /// It has response transformations.
    pub changes_response: bool,
}

impl Outline<'_> {
    /// Whether it is an Allow that is enforced.
    #[must_use]
    pub fn enforces_allow(&self) -> bool {
        self.mode == Mode::Enforce && self.action == Some(Action::Allow)
    }
}

/// What one policy had to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its index in the configuration.
    pub policy: usize,
    /// What its rule says of the request, asked or not; none where it has no rule.
    pub rule: Option<Said>,
    /// It changed headers of the request.
    pub changed_request: bool,
    /// It changed headers of the response.
    pub changed_response: bool,
}

impl Engine {
    /// What each policy may do, in configuration order.
    pub fn outlines(&self) -> impl Iterator<Item = Outline<'_>> {
        self.policies.iter().map(|policy| Outline {
            name: &policy.name,
            mode: policy.mode,
            action: policy.rule.as_ref().map(authorization::Rule::action),
            changes_request: !policy.request.is_empty(),
            changes_response: !policy.response.is_empty(),
        })
    }

    /// What the policies in scope of a request have to do with it, in configuration order; none
    /// where it is refused before any rule. Each rule is asked, also where another has decided
    /// before.
    #[must_use]
    pub fn parts(&self, facts: &Facts<'_>, response: &Headers<'_>) -> Vec<Part> {
        let host = request_host(&facts.headers);
        let Ok(Admitted { host, groups, path_has_escapes }) = self.admit(facts, &host) else {
            return Vec::new();
        };
        let view = View::new(facts, &self.callers).with_host(host, path_has_escapes);
        let forwarded = self.decide(facts).denial.is_none();
        let mut sent = facts.headers.clone();
        let mut answered = response.clone();
        let in_scope = groups.everyone();
        let mut parts = Vec::with_capacity(in_scope.len());
        for (index, policy) in self.policies_at(&in_scope) {
            let rule = policy.rule.as_ref().map(|rule| authorization::ask_alone(rule, &view));
            let changing = forwarded && policy.mode == Mode::Enforce;
            let changed_request = changing && self.changes_request(policy, facts, &mut sent);
            let changed_response = changing && self.changes_response(policy, facts, &mut answered);
            parts.push(Part { policy: index, rule, changed_request, changed_response });
        }
        parts
    }

    fn changes_request<'a>(
        &'a self,
        policy: &'a Policy,
        facts: &'a Facts<'_>,
        headers: &mut Headers<'a>,
    ) -> bool {
        let mut changes: Vec<Change<'a>> = Vec::new();
        let value_of = |headers: &Headers<'a>, value: &Expression, allowance: &Allowance| {
            value.header_value(&View::new(facts, &self.callers).with_request(headers), allowance)
        };
        policy.request.apply(headers, &mut changes, &Meter::new(), value_of);
        !changes.is_empty()
    }

    fn changes_response<'a>(
        &'a self,
        policy: &'a Policy,
        facts: &'a Facts<'_>,
        headers: &mut Headers<'a>,
    ) -> bool {
        let mut changes: Vec<Change<'a>> = Vec::new();
        let value_of = |headers: &Headers<'a>, value: &Expression, allowance: &Allowance| {
            value.header_value(&View::new(facts, &self.callers).with_response(headers), allowance)
        };
        policy.response.apply(headers, &mut changes, &Meter::new(), value_of);
        !changes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Trial;

    fn engine(policies: &str) -> Engine {
        Engine::load(format!(r#"{{"policies": [{policies}]}}"#).as_bytes()).unwrap()
    }

    fn rule(name: &str, action: &str, expression: &str) -> String {
        format!(
            r#"{{"name": "{name}", "traffic": {{"authorization": {{"action": "{action}", "policy": {{"matchExpressions": ["{expression}"]}}}}}}}}"#
        )
    }

    fn parts(engine: &Engine, path: &str) -> Vec<Part> {
        let trial =
            Trial { authority: "a.example".to_owned(), path: path.to_owned(), ..Trial::default() };
        trial.with_facts(|facts| engine.parts(facts, &trial.response_headers()))
    }

    #[test]
    fn every_rule_in_scope_is_asked_also_behind_one_that_decided() {
        let policies = [
            rule("first", "Deny", "true"),
            rule("second", "Deny", "request.path == '/x'"),
            rule("third", "Allow", "request.headers['x-a'] == ''"),
            r#"{"name": "elsewhere", "hosts": ["b.example"], "traffic": {"transformation": {"request": {"remove": ["x-a"]}}}}"#.to_owned(),
        ];
        let engine = engine(&policies.join(","));
        let said = |path: &str| {
            parts(&engine, path).iter().map(|part| (part.policy, part.rule)).collect::<Vec<_>>()
        };
        assert_eq!(
            said("/x"),
            [(0, Some(Said::Matched)), (1, Some(Said::Matched)), (2, Some(Said::Erred))]
        );
        assert_eq!(said("/y")[1], (1, Some(Said::NotMatched)));
        assert_eq!(said("/x/../y"), [], "refused before any rule");
    }

    /// The index leaves policies out that cannot match; they are in scope all the same.
    #[test]
    fn policies_that_the_index_passes_over_are_in_scope() {
        let policies: Vec<String> = (0..20)
            .map(|n| rule(&format!("p{n}"), "Allow", &format!("request.path == '/{n}'")))
            .collect();
        let parts = parts(&engine(&policies.join(",")), "/7");
        assert_eq!(
            parts.iter().map(|part| part.policy).collect::<Vec<_>>(),
            (0..20).collect::<Vec<_>>()
        );
        let matched: Vec<usize> = parts
            .iter()
            .filter(|part| part.rule == Some(Said::Matched))
            .map(|part| part.policy)
            .collect();
        assert_eq!(matched, [7]);
    }

    #[test]
    fn a_policy_that_changes_nothing_is_told_from_one_that_does() {
        let policies = r#"
            {"name": "a", "traffic": {"transformation": {"request": {"remove": ["x-none"]}}}},
            {"name": "b", "traffic": {"transformation": {"request": {"set": [{"name": "x-b", "value": "'1'"}]}}}},
            {"name": "c", "traffic": {"transformation": {"response": {"remove": [":none"]}, "request": {"remove": ["X-B"]}}}},
            {"name": "d", "mode": "Shadow", "traffic": {"transformation": {"request": {"add": [{"name": "x-d", "value": "'1'"}]}}}}"#;
        let changed = |policies: &str| {
            let parts = parts(&engine(policies), "/");
            parts
                .iter()
                .map(|part| (part.changed_request, part.changed_response))
                .collect::<Vec<_>>()
        };
        let policies = policies.replace(":none", "x-none");
        assert_eq!(
            changed(&policies),
            [(false, false), (true, false), (true, false), (false, false)]
        );
        let denying = format!("{policies}, {}", rule("no", "Deny", "true"));
        assert!(
            changed(&denying).iter().all(|part| *part == (false, false)),
            "a denied request changes nowhere"
        );
    }
}
