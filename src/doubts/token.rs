//! Denies that read the claims of a token only where there is one: a request without a token is
//! not denied by them.

use super::Found;
use super::closed::Hosts;
use super::source::{Token, spot, tokens};
use crate::attributes::JWT;
use crate::attributes::view::View;
use crate::cel::meter::Allowance;
use crate::cel::{Expected, Expression, Phase, Scope};
use crate::config::{
    Action, AuthorizationConfig, Combine, Config, Mode, OnError, PolicyConfig, Spot,
};
use crate::identity::peer::Callers;
use crate::policy::{Policy, covers};
use crate::trial::Trial;

/// What an expression can give for a request without a token, whatever else that has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Can {
    be_true: bool,
    be_false: bool,
    fail: bool,
}

const TRUE: Can = Can { be_true: true, be_false: false, fail: false };
const FALSE: Can = Can { be_true: false, be_false: true, fail: false };
const FAIL: Can = Can { be_true: false, be_false: false, fail: true };
/// What is about something else than a token. That it may fail is another doubt's matter.
const ELSE: Can = Can { be_true: true, be_false: true, fail: false };
const ANY: Can = Can { be_true: true, be_false: true, fail: true };

impl Can {
    fn not(self) -> Can {
        Can { be_true: self.be_false, be_false: self.be_true, fail: self.fail }
    }

    /// `&&`, which is false if either is, whatever the other is.
    fn and(self, other: Can) -> Can {
        Can {
            be_true: self.be_true && other.be_true,
            be_false: self.be_false || other.be_false,
            fail: (self.fail && (other.fail || other.be_true)) || (other.fail && self.be_true),
        }
    }

    fn or(self, other: Can) -> Can {
        self.not().and(other.not()).not()
    }
}

/// Looks for such Denies, where no other rule denies what has no token.
pub(super) fn examine(config: &Config, policies: &[Policy], scope: Scope<'_>, found: &mut Found) {
    let reads = |compiled: &Policy| {
        let expressions = compiled.rule_expressions().unwrap_or_default();
        expressions.iter().any(|expression| expression.uses().attributes.contains(JWT))
    };
    let rules = || config.policies.iter().zip(policies).filter(|(_, compiled)| reads(compiled));
    for (policy, _) in rules() {
        let Some(rule) = &policy.authorization else { continue };
        if rule.action != Action::Deny || rule.on_error != OnError::Deny {
            continue;
        }
        let Some((place, at)) = lets_through(rule, scope) else { continue };
        if is_denied_elsewhere(config, policy, scope) {
            continue;
        }
        let message = "this does not deny a request without a token, whose claims it reads with \
            `?` or a default: read a claim as `jwt.sub`, which fails then, so that the Deny \
            denies; or ask `has(jwt.iss) &&` first, if such a request is to pass";
        found.add(policy, "deny-without-token", (place, at), message.to_owned());
    }
}

/// The first place at which a Deny reads claims that a request without a token need not have, if
/// nothing in it denies such a request.
fn lets_through<'c>(rule: &'c AuthorizationConfig, scope: Scope<'_>) -> Option<(&'c str, Spot)> {
    let sources: Vec<Vec<Token<'_>>> =
        rule.expressions.iter().map(|expr| tokens(&expr.source)).collect();
    let mut alternatives = Vec::new();
    for (expr, all) in rule.expressions.iter().zip(&sources) {
        let look = Look { source: &expr.source, scope };
        for part in split(inside(all), "|") {
            alternatives.push((expr, look, part, look.can(part)));
        }
    }
    let denies = |can: Can| can.be_true || can.fail;
    let of_token = || alternatives.iter().filter(|(_, look, part, _)| look.reads_token(part));
    let is_denied = match rule.combine {
        Combine::All if rule.expressions.len() > 1 => denies(without_token(rule, scope)),
        _ => of_token().any(|(_, _, _, can)| denies(*can)),
    };
    if is_denied || of_token().any(|(_, _, part, _)| asks(part)) {
        return None;
    }
    let (expr, look, part, _) = of_token().next()?;
    let at = part.iter().find(|token| token.text == "jwt").or(part.first())?;
    Some((expr.place.as_str(), spot(look.source, at.at)))
}

/// Whether a rule says what becomes of a request without a token: it asks whether there is one.
fn asks(part: &[Token<'_>]) -> bool {
    let has = |window: &[Token<'_>]| window.iter().map(|token| token.text).eq(["has", "(", "jwt"]);
    part.windows(3).any(has) || part.iter().any(|token| token.text == "hasValue")
}

/// Whether a request to the policy's hosts is denied for want of a token by another rule.
fn is_denied_elsewhere(config: &Config, policy: &PolicyConfig, scope: Scope<'_>) -> bool {
    let rules = |action: Action| {
        config.policies.iter().filter_map(move |other| {
            let rule = other.authorization.as_ref().filter(|rule| rule.action == action)?;
            (other.mode == Mode::Enforce).then_some((other, rule))
        })
    };
    let needs_token = |rule: &AuthorizationConfig| !without_token(rule, scope).be_true;
    let meets = |other: &PolicyConfig| {
        let hosts = Hosts::of(std::iter::once(other));
        let meet = |hosts: Hosts<'_>| policy.hosts.iter().any(|host| hosts.meet(host));
        policy.hosts.is_empty() || hosts.is_none_or(meet)
    };
    rules(Action::Require).any(|(other, rule)| covers(other, policy) && needs_token(rule))
        || (rules(Action::Allow).any(|(other, _)| covers(other, policy))
            && rules(Action::Allow).all(|(other, rule)| !meets(other) || needs_token(rule)))
}

fn without_token(rule: &AuthorizationConfig, scope: Scope<'_>) -> Can {
    let each = rule.expressions.iter().map(|expr| {
        let all = tokens(&expr.source);
        Look { source: &expr.source, scope }.can(&all)
    });
    match rule.combine {
        Combine::All => each.fold(TRUE, Can::and),
        Combine::Any => each.fold(FALSE, Can::or),
    }
}

/// A source that is looked at.
#[derive(Debug, Clone, Copy)]
struct Look<'s> {
    source: &'s str,
    scope: Scope<'s>,
}

impl Look<'_> {
    /// What a part can give for a request without a token.
    fn can(self, part: &[Token<'_>]) -> Can {
        let part = inside(part);
        if !has_choice(part) {
            let any = split(part, "|");
            if any.len() > 1 {
                return any.into_iter().map(|part| self.can(part)).fold(FALSE, Can::or);
            }
            let all = split(part, "&");
            if all.len() > 1 {
                return all.into_iter().map(|part| self.can(part)).fold(TRUE, Can::and);
            }
            if let [not, rest @ ..] = part
                && not.text == "!"
                && inside(rest).len() < rest.len()
            {
                return self.can(rest).not();
            }
        }
        let Some(expression) = self.compile(part) else { return ANY };
        let read = expression.uses().attributes;
        match (read.contains(JWT), read.iter().all(|id| id == JWT)) {
            (_, true) => evaluate(&expression),
            (true, false) => ANY,
            (false, _) => ELSE,
        }
    }

    fn reads_token(self, part: &[Token<'_>]) -> bool {
        self.compile(part).is_none_or(|expression| expression.uses().attributes.contains(JWT))
    }

    fn compile(self, part: &[Token<'_>]) -> Option<Expression> {
        let (first, last) = (part.first()?, part.last()?);
        let end = last.at.saturating_add(last.text.len());
        let text = self.source.get(first.at..end)?;
        Expression::compile(self.scope, text, Phase::Request, Expected::Rule).ok()
    }
}

/// The value of what reads nothing but a token, without one.
fn evaluate(expression: &Expression) -> Can {
    let callers = Callers::new(Vec::new(), Vec::new());
    Trial::default().with_facts(|facts| {
        let allowance = Allowance::whole();
        let value = expression.matches(&View::new(facts, &callers), &allowance);
        match (value, allowance.breached()) {
            (Ok(true), None) => TRUE,
            (Ok(false), None) => FALSE,
            _ => FAIL,
        }
    })
}

/// How deep in brackets each token is. A bracket is as deep as what is around it.
fn depths<'t>(part: &'t [Token<'_>]) -> impl Iterator<Item = (usize, usize, &'t str)> {
    let mut depth = 0_usize;
    part.iter().enumerate().map(move |(index, token)| {
        if matches!(token.text, ")" | "]" | "}") {
            depth = depth.saturating_sub(1);
        }
        let here = depth;
        if matches!(token.text, "(" | "[" | "{") {
            depth = depth.saturating_add(1);
        }
        (index, here, token.text)
    })
}

/// What is in the parentheses, where they are around the whole.
fn inside<'t, 's>(part: &'t [Token<'s>]) -> &'t [Token<'s>] {
    let mut part = part;
    while let [open, inner @ .., close] = part {
        let last = part.len().saturating_sub(1);
        let mut between = depths(part).filter(|(index, ..)| *index > 0 && *index < last);
        let is_whole = between.all(|(_, depth, _)| depth > 0);
        if open.text != "(" || close.text != ")" || !is_whole {
            break;
        }
        part = inner;
    }
    part
}

/// The parts between two signs that stand side by side outside of brackets: `||`, `&&`.
fn split<'t, 's>(part: &'t [Token<'s>], sign: &str) -> Vec<&'t [Token<'s>]> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let signs: Vec<usize> = depths(part)
        .filter(|(_, depth, text)| *depth == 0 && *text == sign)
        .map(|(index, ..)| index)
        .collect();
    for index in signs.into_iter().step_by(2) {
        parts.extend(part.get(start..index));
        start = index.saturating_add(2);
    }
    parts.extend(part.get(start..));
    parts
}

/// Whether `?` and `:` choose outside of brackets. The `?` of an optional field is none of these.
fn has_choice(part: &[Token<'_>]) -> bool {
    depths(part).any(|(_, depth, text)| depth == 0 && text == ":")
}
