//! Why a request is decided as it is: each policy in scope, each part of its expressions, each
//! header that it changes.
//!
//! The decision, and which rules were evaluated for it, come from the trace of the exchange. The
//! values of the parts of expressions are found by evaluating the rules once more. Tests hold the
//! two together.

mod features;
mod header_history;
mod header_rules;
mod rules;
mod run;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use crate::cel::explain::{Step, Value, Variable};
use crate::config::{Action, Combine, Config, ConfigError, DefaultAction, Mode};
use crate::decision::Verdict;
use crate::path::PathSafety;
use crate::policy::Engine;
pub use crate::policy::rule::RuleResult;
use crate::trial::Trial;

/// An engine, and the sources that its policies were compiled from.
#[derive(Debug)]
pub struct Explainer {
    engine: Engine,
    config: Config,
}

impl Explainer {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// Those of [`Engine::load`].
    pub fn load(json: &[u8]) -> Result<Explainer, Vec<ConfigError>> {
        let engine = Engine::load(json)?;
        let (config, errors) = Config::parse_all(json);
        if errors.is_empty() { Ok(Explainer { engine, config }) } else { Err(errors) }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Decides about a request, and says why.
    #[must_use]
    pub fn explain(&self, trial: &Trial) -> Explanation {
        run::explain(&self.engine, &self.config, trial)
    }
}

/// What was decided about a request, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What was decided.
    pub verdict: Decided,
    /// Who is calling.
    pub caller: Caller,
    /// The host that the policies in scope are for; none where the request names no one host.
    pub host: Option<String>,
    /// The destination that the caller dialled, if the waypoint has a name for it.
    pub destination: Option<String>,
    /// The path safety for this host.
    #[serde(serialize_with = "lenience")]
    pub path_safety: PathSafety,
    /// What becomes of a request to this host that nothing denies and no Allow is for.
    pub default_action: HostDefault,
    /// The policies in scope, in configuration order.
    pub policies: Vec<Policy>,
    /// The policies that are for other hosts.
    pub out_of_scope: Vec<OutOfScope>,
    /// Shadow policies that would have denied the request.
    pub shadow: Vec<String>,
    /// Expressions that failed, as in the audit record.
    pub errors: Vec<Erred>,
    /// The request's headers, before and after; of a request that is denied, as they came.
    pub request_headers: Vec<Header>,
    /// The response's headers, before and after; none for a request that is denied.
    pub response_headers: Option<Vec<Header>>,
    /// The line of the audit log; none where `audit.log` leaves it out.
    pub audit: Option<String>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// What becomes of the request.
    #[serde(skip)]
    pub is: Verdict,
    /// Whether the request goes on.
    pub allowed: bool,
    /// Whether a policy answers it in the origin's place.
    pub answered: bool,
    /// The policy that decided, where one did.
    pub policy: Option<String>,
    /// The reason, as in the audit record.
    pub reason: &'static str,
    /// What exactly was wrong with a request that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
    /// The status of the filter's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The header lines of the filter's answer, beside those that the proxy adds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body of the filter's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The default action for a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostDefault {
    /// The action.
    #[serde(serialize_with = "default_action")]
    pub action: DefaultAction,
    /// The policy that sets it; none if it is that of the whole configuration.
    pub policy: Option<String>,
    /// Where it is set in the configuration; none if it is nowhere, so that it is Allow.
    pub place: Option<String>,
}

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// `source.spiffeId`.
    pub spiffe_id: Option<String>,
    /// A SPIFFE ID that was presented, but whose trust domain is not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// `source.identity.namespace`.
    pub namespace: Option<String>,
    /// `source.identity.serviceAccount`.
    pub service_account: Option<String>,
}

/// A policy in scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Whether it is enforced or only reported.
    #[serde(serialize_with = "mode")]
    pub mode: Mode,
    /// The hosts it is for; none for all.
    pub hosts: Vec<String>,
    /// The default action that it sets for its hosts.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "default_action_set")]
    pub default_action: Option<DefaultAction>,
    /// What it did.
    pub effect: Effect,
    /// `traffic.authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// `traffic.transformation.request`, in the order that it applies; empty where it was not
    /// applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<HeaderRule>,
    /// `traffic.transformation.response`, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response: Vec<HeaderRule>,
    /// Its other features that came into question for the request, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
}

/// A feature of a policy that came into question for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Feature {
    /// The field of `traffic` that has it.
    pub name: &'static str,
    /// The conditions that were evaluated, in order; none where the feature has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Step>,
    /// The index of the entry of `conditional` that was chosen; none where no condition is true,
    /// or the feature has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<usize>,
    /// Whether the request got the feature.
    pub used: bool,
}

/// What a policy did to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It let the request through.
    Allows,
    /// It answered the request in the origin's place.
    Answers,
    /// It denied the request.
    Denies,
    /// It would have denied the request, were it enforced.
    WouldDeny,
    /// It had no effect on the verdict.
    None,
    /// Its rule was not evaluated, because the request was decided already.
    NotAsked,
}

/// A policy that is for other hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutOfScope {
    /// Its name.
    pub name: String,
    /// The hosts that it is for.
    pub hosts: Vec<String>,
}

/// A rule, and its result for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// What a match means.
    #[serde(serialize_with = "action")]
    pub action: Action,
    /// How its expressions combine.
    #[serde(rename = "match", serialize_with = "combine")]
    pub combine: Combine,
    /// The result of the rule, also if the decision did not need it. None if the request was
    /// refused before any rule.
    pub answer: Option<RuleResult>,
    /// The expressions.
    pub expressions: Vec<Expression>,
}

/// One of a rule's expressions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expression {
    /// Where it stands in the configuration.
    pub place: String,
    /// Its result; none if the other expressions settle the rule.
    pub answer: Option<RuleResult>,
    /// Its values: one, or if it reads a header that came on several lines, one for each choice of
    /// lines that was evaluated.
    pub choices: Vec<Choice>,
}

/// An expression's value, with one choice of lines of repeated headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// The lines that were chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Variable>,
    /// The expression.
    #[serde(flatten)]
    pub step: Step,
}

/// A header that a policy changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderRule {
    /// Whether it is added, set or removed.
    pub operation: Operation,
    /// The header's name, lower-case.
    pub name: String,
    /// The value; none for what is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Step>,
    /// Why the header is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What is done to a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// It gets one more line.
    Add,
    /// It gets one value, whatever it had.
    Set,
    /// It loses all its lines.
    Remove,
}

/// A header's line before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The name, lower-case.
    pub name: String,
    /// The value.
    pub value: String,
    /// What became of it.
    pub fate: Fate,
    /// The policy that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// What became of a header's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// It is there before and after.
    Kept,
    /// A policy removed it.
    Removed,
    /// A policy replaced it.
    Replaced,
    /// A policy added it.
    Added,
    /// A policy put it in place of others.
    Replacement,
}

impl Fate {
    /// Whether the line is there afterwards.
    #[must_use]
    pub fn stays(self) -> bool {
        matches!(self, Fate::Kept | Fate::Added | Fate::Replacement)
    }
}

/// An expression that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Erred {
    /// The policy.
    pub policy: String,
    /// Why it failed.
    pub message: String,
}

// As the configuration spells them.
fn mode<S: serde::Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{mode:?}"))
}

fn action<S: serde::Serializer>(action: &Action, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{action:?}"))
}

fn combine<S: serde::Serializer>(combine: &Combine, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{combine:?}"))
}

fn lenience<S: serde::Serializer>(safety: &PathSafety, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{safety:?}"))
}

fn default_action<S: serde::Serializer>(
    action: &DefaultAction,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{action:?}"))
}

fn default_action_set<S: serde::Serializer>(
    action: &Option<DefaultAction>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match action {
        Some(action) => default_action(action, serializer),
        None => serializer.serialize_none(),
    }
}
