//! `matches` and `regexReplace`. A literal pattern is compiled when the policy loads; any other at each call, within smaller
//! bounds.

use std::borrow::Cow;

use cel::ExecutionError;
use cel::common::types::CelBool;
use cel::common::value::CowVal;

use super::Parameter::{Pattern, Text};
use super::Style::{Global, Member};
use super::{Evaluated, Made, Overload, argument, passes_limit, run, text};
use crate::cel::regex::{self, Compiled};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("matches", Global, &[Text, Text], |arguments| run(arguments, matches)),
    Overload("matches", Global, &[Text, Pattern], |arguments| run(arguments, matches)),
    Overload("matches", Member, &[Text, Text], |arguments| run(arguments, matches)),
    Overload("matches", Member, &[Text, Pattern], |arguments| run(arguments, matches)),
    Overload("regexReplace", Member, &[Text, Text, Text], |arguments| run(arguments, regex_replace)),
    Overload("regexReplace", Member, &[Text, Pattern, Text], |arguments| run(arguments, regex_replace)),
];

/// The second argument: a compiled pattern, or a string that is compiled now.
#[inline(never)]
fn pattern<'a>(function: &str, arguments: &'a [CowVal<'_, '_>]) -> Result<Cow<'a, Compiled>, ExecutionError> {
    match argument::<Compiled>(function, arguments, 1) {
        Ok(compiled) => Ok(Cow::Borrowed(compiled)),
        Err(_) if text(function, arguments, 0)?.len() > regex::MAX_TEXT_AT_A_REQUEST => {
            Err(passes_limit(function, "the text passes the limit"))
        }
        Err(_) => Compiled::at_a_request(text(function, arguments, 1)?).map(Cow::Owned).map_err(|error| passes_limit(function, &error)),
    }
}

fn matches<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let text = text("matches", arguments, 0)?;
    if !regex::charge(text) {
        return Err(passes_limit("matches", "too much is matched"));
    }
    let found = pattern("matches", arguments)?.is_match(text);
    Ok(CowVal::owned(CelBool::from(found)))
}

/// The text with its first match replaced; `$1`, `$name` and `${name}` in the replacement are what that group matched.
fn regex_replace<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    const FUNCTION: &str = "regexReplace";
    let (target, replacement) = (text(FUNCTION, arguments, 0)?, text(FUNCTION, arguments, 2)?);
    if !regex::charge(target) {
        return Err(passes_limit(FUNCTION, "too much is matched"));
    }
    let pattern = pattern(FUNCTION, arguments)?;
    let mut made = Made::new(FUNCTION);
    let Some(groups) = pattern.captures(target) else {
        made.push(target)?;
        return Ok(made.value());
    };
    let (before, after) = groups
        .get(0)
        .map_or((target, ""), |whole| (target.get(..whole.start()).unwrap_or_default(), target.get(whole.end()..).unwrap_or_default()));
    made.push(before)?;
    for part in regex::parts(replacement) {
        made.push(match part {
            regex::Part::Text(text) => text,
            regex::Part::Group(index) => groups.get(index).map_or("", |group| group.as_str()),
            regex::Part::Named(name) => groups.name(name).map_or("", |group| group.as_str()),
        })?;
    }
    made.push(after)?;
    Ok(made.value())
}
