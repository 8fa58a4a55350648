//! Rules whose tests let through, or miss, what their writer did not think of.

use super::{Found, missing, patterns, source, texts};
use crate::attributes::{
    HOST, IDENTITY, METHOD, NAMESPACE, PATH, PATH_AND_QUERY, REQUEST_HEADERS, SERVICE_ACCOUNT,
    SPIFFE_ID, TRUST_DOMAIN,
};
use crate::cel::attributes::Id;
use crate::cel::lowered::{Test, Text, position_of};
use crate::cel::{Expression, Scope};
use crate::config::{Action, AuthorizationConfig, Combine, Expr, HostPattern, PolicyConfig, Spot};
use crate::policy::Policy;

/// Looks at the rule of a policy.
pub(super) fn examine(
    policy: &PolicyConfig,
    compiled: &Policy,
    scope: Scope<'_>,
    found: &mut Found,
) {
    let (Some(authorization), Some(expressions)) =
        (&policy.authorization, compiled.rule_expressions())
    else {
        return;
    };
    let path_safety = found.path_safety;
    let doubt = |test: &Test, opens: bool| {
        let other = texts::doubt(test, opens, path_safety);
        // That a path never comes is more than that its prefix ends within a segment.
        match doubt(test, opens, policy) {
            Some(("prefix-within-segment", _)) if other.is_some() => other,
            found => found.or(other),
        }
    };
    for (expr, expression) in authorization.expressions.iter().zip(expressions) {
        let Some(test) = expression.rule() else { continue };
        let place = expr.place.as_str();
        let mut told: Vec<String> = Vec::new();
        let mut matched: Vec<(String, bool)> = Vec::new();
        walk(test, true, &mut |leaf, is_positive| {
            let opens = is_positive != (authorization.action == Action::Deny);
            if let Test::Matches(text, _) = leaf {
                matched.extend(patterns::name(text).map(|name| (name, opens)));
            }
            let Some((name, message)) = doubt(leaf, opens) else { return };
            if told.contains(&message) {
                return;
            }
            let spot = spot_of(scope, expr, |test| {
                doubt(test, opens).is_some_and(|(_, other)| other == message)
            });
            told.push(message.clone());
            found.add(policy, name, (place, spot), message);
        });
        for (name, written, spot) in patterns::of(&expr.source) {
            let mut of_name = matched.iter().filter(|(matched, _)| *matched == name).peekable();
            if of_name.peek().is_some()
                && of_name.all(|(_, opens)| *opens)
                && let Some(message) = patterns::doubt(&name, &written)
            {
                found.add(policy, "pattern-not-anchored", (place, spot), message);
            }
        }
        if authorization.action != Action::Deny
            && !source::is_grouped(&expr.source)
            && let Some(message) = and_before_or(test)
        {
            found.add(policy, "and-before-or", (place, Spot::Whole), message);
        }
        for (name, at, message) in source::slips(&expr.source) {
            found.add(policy, name, (place, at), message);
        }
        if authorization.action == Action::Deny && told.len() < missing::MAX {
            missing::examine(policy, authorization, (expr, expression), scope, found);
        }
    }
    any_of_unlike(policy, authorization, expressions, found);
}

/// Calls `look` for each test in a rule that has no parts, with whether the rule is true where it
/// is, rather than where it is not. What only chooses between others is left out.
fn walk<'t>(test: &'t Test, is_positive: bool, look: &mut impl FnMut(&'t Test, bool)) {
    match test {
        Test::Not(part) => walk(part, !is_positive, look),
        Test::All(parts) | Test::Any(parts) => {
            parts.iter().for_each(|part| walk(part, is_positive, look));
        }
        Test::If(parts) => parts.iter().skip(1).for_each(|part| walk(part, is_positive, look)),
        Test::Default(parts) => parts.iter().for_each(|part| walk(part, is_positive, look)),
        Test::Variable(variable) => {
            if let Some(test) = variable.test() {
                walk(test, is_positive, look);
            }
        }
        Test::NotEqual(..) => look(test, !is_positive),
        leaf => look(leaf, is_positive),
    }
}

/// Where in an expression a test is written.
pub(super) fn spot_of(scope: Scope<'_>, expr: &Expr, is_meant: impl Fn(&Test) -> bool) -> Spot {
    let point = position_of(scope, &expr.source, is_meant);
    point.map_or(Spot::Whole, |(line, column)| Spot::Source { line, column })
}

/// The attribute or header that a text is, behind a `default` too.
pub(super) fn subject(text: &Text) -> Option<Id> {
    match text.written_out() {
        Text::Attribute(id) => Some(*id),
        Text::Default(parts) => subject(parts.first()?),
        _ => None,
    }
}

pub(super) fn literal(text: &Text) -> Option<&str> {
    match text.written_out() {
        Text::Literal(text) => Some(text),
        _ => None,
    }
}

/// The kind of a doubt, and what it is about.
pub(super) type Message = Option<(&'static str, String)>;

/// What is doubtful about a test. `opens` says whether more requests pass the more it is true.
fn doubt(test: &Test, opens: bool, policy: &PolicyConfig) -> Message {
    match test {
        Test::Equal(a, b) | Test::NotEqual(a, b) => {
            let (text, written) = match (literal(a), literal(b)) {
                (None, Some(written)) => (a, written),
                (Some(written), None) => (b, written),
                _ => return None,
            };
            star(subject(text)?, "==", written)
        }
        Test::In(text, list) => {
            let id = subject(text)?;
            list.iter().find_map(|written| star(id, "==", written))
        }
        Test::StartsWith(text, part) => {
            let (id, written) = (subject(text)?, literal(part)?);
            star(id, "startsWith", written)
                .or_else(|| opens.then(|| prefix(id, written, policy)).flatten())
        }
        Test::EndsWith(text, part) => {
            let (id, written) = (subject(text)?, literal(part)?);
            star(id, "endsWith", written)
                .or_else(|| opens.then(|| suffix(id, written, policy)).flatten())
        }
        Test::Contains(text, part) => {
            let (id, written) = (subject(text)?, literal(part)?);
            let is_open = opens && id == HOST && policy.hosts.is_empty();
            star(id, "contains", written).or_else(|| {
                is_open.then(|| {
                    let message = format!(
                        "`{written}.evil.example` contains `{written}` too: name the hosts in \
                         `hosts`, or end with `request.host.endsWith(\".{written}\")`"
                    );
                    ("host-part", message)
                })
            })
        }
        _ => None,
    }
}

/// A `*` where it stands for itself.
fn star(id: Id, how: &str, written: &str) -> Message {
    if !matches!(id, PATH | PATH_AND_QUERY | SPIFFE_ID) || !written.contains('*') || written == "*"
    {
        return None;
    }
    let name = crate::attributes::name(id);
    let prefix = written.trim_end_matches('*');
    let mend = match how {
        "startsWith" | "==" if !prefix.contains('*') && prefix.len() < written.len() => {
            // What ends within a segment would be doubted next.
            let is_whole = id == SPIFFE_ID || !prefix.ends_with(|c: char| c.is_alphanumeric());
            if is_whole {
                format!("write `{name}.startsWith(\"{prefix}\")`")
            } else {
                format!("write `({name} == \"{prefix}\" || {name}.startsWith(\"{prefix}/\"))`")
            }
        }
        _ => format!("`{name}.matches(...)` takes a pattern"),
    };
    Some(("star-is-literal", format!("the `*` in `{written}` is the character itself: {mend}")))
}

/// A prefix of a path that ends within a segment, or one of a host.
fn prefix(id: Id, written: &str, policy: &PolicyConfig) -> Message {
    match id {
        PATH | PATH_AND_QUERY => {
            let last = written.chars().next_back()?;
            // An escape, such as `%2F`, may be what ends the segment.
            let escape = written.rfind('%').and_then(|at| written.get(at.saturating_add(1)..));
            let is_escape = escape.is_some_and(|digits| digits.len() == 2);
            let ends_inside = last.is_ascii_alphanumeric() && written.len() > 1 && !is_escape;
            ends_inside.then(|| {
                let name = crate::attributes::name(id);
                let message = format!(
                    "`{written}` is also the beginning of `{written}x`: write `({name} == \
                     \"{written}\" || {name}.startsWith(\"{written}/\"))`"
                );
                ("prefix-within-segment", message)
            })
        }
        HOST if policy.hosts.is_empty() && written.contains('.') => {
            let message = format!(
                "`{written}` is also the beginning of hosts like `{}.evil.example`: name the \
                 hosts in `hosts`",
                written.trim_end_matches('.')
            );
            Some(("host-part", message))
        }
        _ => None,
    }
}

/// A suffix of a host that does not begin where a name does.
fn suffix(id: Id, written: &str, policy: &PolicyConfig) -> Message {
    let dotted = format!(".{written}");
    let is_within = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(_) => true,
        HostPattern::Under(suffix) => suffix.ends_with(&dotted),
    };
    let is_bounded = !policy.hosts.is_empty() && policy.hosts.iter().all(is_within);
    if id != HOST || written.starts_with('.') || written.is_empty() || is_bounded {
        return None;
    }
    let message = format!(
        "`evil{written}` ends with `{written}` too: write `request.host.endsWith(\"{dotted}\")`, \
         and `request.host == \"{written}\"` beside it if that is meant, or name both in `hosts`"
    );
    Some(("host-part", message))
}

/// `a == "x" || a == "y" && b` without parentheses: the last test is for one of the two alone.
fn and_before_or(test: &Test) -> Option<String> {
    let Test::Any(parts) = test else { return None };
    let compared = |test: &Test| match test {
        Test::Equal(text, _) | Test::In(text, _) => subject(text),
        _ => None,
    };
    let (last, before) = parts.split_last()?;
    let Test::All(inner) = last else { return None };
    let id = compared(inner.first()?)?;
    let others = inner.get(1..)?;
    let is_alike = before.iter().all(|part| compared(part) == Some(id));
    (is_alike && !others.iter().any(|part| compared(part) == Some(id))).then(|| {
        format!(
            "`&&` binds more tightly than `||`, so what stands behind `&&` is asked for the last \
             `{}` alone: put parentheses around what belongs together",
            crate::attributes::name(id)
        )
    })
}

/// An Allow of which any expression suffices, where one is about who calls and another about the
/// method alone: for that method it is open to all.
fn any_of_unlike(
    policy: &PolicyConfig,
    authorization: &AuthorizationConfig,
    expressions: &[Expression],
    found: &mut Found,
) {
    if authorization.combine != Combine::Any
        || authorization.action != Action::Allow
        || expressions.len() < 2
    {
        return;
    }
    let reads = |expression: &Expression, id: Id| expression.uses().attributes.contains(id);
    let names_caller = |expression: &Expression| {
        [IDENTITY, NAMESPACE, SERVICE_ACCOUNT, SPIFFE_ID, TRUST_DOMAIN]
            .iter()
            .any(|id| reads(expression, *id))
    };
    let is_method_alone = |expression: &Expression| {
        reads(expression, METHOD)
            && ![HOST, PATH, PATH_AND_QUERY, REQUEST_HEADERS]
                .iter()
                .any(|id| reads(expression, *id))
            && !names_caller(expression)
    };
    let open = expressions.iter().position(is_method_alone);
    let Some(expr) = open.and_then(|index| authorization.expressions.get(index)) else { return };
    if expressions.iter().any(names_caller) {
        let message = format!(
            "with `match: Any` this suffices by itself, whoever calls: write `match: All` if every \
             expression is to hold (`{}`)",
            source::shown(&expr.source)
        );
        found.add(policy, "any-of-unlike", (&expr.place, Spot::Whole), message);
    }
}
