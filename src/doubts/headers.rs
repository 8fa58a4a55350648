//! Header rules that do something else than they seem to.

use super::Found;
use crate::attributes::{PATH, PATH_AND_QUERY};
use crate::cel::{Expected, Expression, Phase, Scope};
use crate::config::{
    ConditionalConfig, HeaderRulesConfig, PolicyConfig, Spot, TransformationConfig,
};

/// Looks at the transformations and header modifiers of a policy.
pub(super) fn examine(policy: &PolicyConfig, scope: Scope<'_>, found: &mut Found) {
    let place = format!("{}.traffic.transformation", policy.place);
    match &policy.transformation {
        ConditionalConfig::Always(form) => of_form(policy, form, &place, scope, found),
        ConditionalConfig::FirstTrue { place, entries } => {
            for (index, entry) in entries.iter().enumerate() {
                let place = format!("{place}[{index}].policy");
                of_form(policy, &entry.value, &place, scope, found);
            }
        }
    }
    let modifiers = format!("{}.traffic.headerModifiers", policy.place);
    let of = &policy.header_modifiers;
    for (direction, removed) in [("request", &of.request.remove), ("response", &of.response.remove)]
    {
        removals(policy, removed, &format!("{modifiers}.{direction}"), found);
    }
}

fn of_form(
    policy: &PolicyConfig,
    form: &TransformationConfig,
    place: &str,
    scope: Scope<'_>,
    found: &mut Found,
) {
    removals(policy, &form.request.remove, &format!("{place}.request"), found);
    removals(policy, &form.response.remove, &format!("{place}.response"), found);
    paths(policy, &form.request, scope, found);
}

/// Names in `remove` that were meant as patterns.
fn removals(policy: &PolicyConfig, removed: &[String], place: &str, found: &mut Found) {
    for (index, name) in removed.iter().enumerate().filter(|(_, name)| name.contains('*')) {
        let message = format!(
            "`{name}` is no pattern: only a header of just this name is removed; list each header \
             by its name"
        );
        let place = format!("{place}.remove[{index}]");
        found.add(policy, "star-is-literal", (&place, Spot::Whole), message);
    }
}

/// A `:path` that is made of the path alone loses the query.
fn paths(policy: &PolicyConfig, rules: &HeaderRulesConfig, scope: Scope<'_>, found: &mut Found) {
    for rule in rules.set.iter().filter(|rule| rule.name == ":path") {
        let source = &rule.value.source;
        let compiled = Expression::compile(scope, source, Phase::Request, Expected::Header);
        let Ok(expression) = compiled else { continue };
        let read = expression.uses().attributes;
        if read.contains(PATH) && !read.contains(PATH_AND_QUERY) {
            let message = "`request.path` has no query, so the origin gets none: use \
                `request.pathAndQuery`, or `urlRewrite`, which keeps the query";
            let spot = (rule.value.place.as_str(), Spot::Whole);
            found.add(policy, "path-without-query", spot, message.to_owned());
        }
    }
}
