//! `matches` and `regexReplace`. A literal pattern is compiled when the policy loads; any other at
//! each call, within smaller bounds.

use std::borrow::Cow;

use cel::ExecutionError;
use cel::common::types::CelBool;
use cel::common::value::CowVal;

use super::Parameter::{Pattern, Text};
use super::Style::{Global, Member};
use super::{Evaluated, Made, Overload, argument, passes_limit, run, text};
use crate::bridge;
use crate::regex::{self, Compiled, Exceeded};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("matches", Global, &[Text, Text], |arguments| run(arguments, matches)),
    Overload("matches", Global, &[Text, Pattern], |arguments| run(arguments, matches)),
    Overload("matches", Member, &[Text, Text], |arguments| run(arguments, matches)),
    Overload("matches", Member, &[Text, Pattern], |arguments| run(arguments, matches)),
    Overload("regexReplace", Member, &[Text, Text, Text], |arguments| {
        run(arguments, regex_replace)
    }),
    Overload("regexReplace", Member, &[Text, Pattern, Text], |arguments| {
        run(arguments, regex_replace)
    }),
];

/// The second argument: a compiled pattern, or a string that is compiled now.
#[inline(never)]
fn pattern<'a>(
    function: &str,
    arguments: &'a [CowVal<'_, '_>],
) -> Result<Cow<'a, Compiled>, ExecutionError> {
    match argument::<Compiled>(function, arguments, 1) {
        Ok(compiled) => Ok(Cow::Borrowed(compiled)),
        Err(_) => {
            let pattern = text(function, arguments, 1)?;
            bridge::lent(|allowance| Compiled::at_a_request(pattern, allowance))
                .map(Cow::Owned)
                .map_err(|error| passes_limit(function, &error))
        }
    }
}

/// The steps of the rule are spent.
fn exceeded(function: &'static str) -> impl Fn(Exceeded) -> ExecutionError {
    move |Exceeded| passes_limit(function, "too much is matched")
}

fn matches<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    const FUNCTION: &str = "matches";
    let text = text(FUNCTION, arguments, 0)?;
    let pattern = pattern(FUNCTION, arguments)?;
    let found = bridge::lent(|allowance| pattern.is_match(text, allowance));
    Ok(CowVal::owned(CelBool::from(found.map_err(exceeded(FUNCTION))?)))
}

/// The text with its first match replaced. `$1`, `$name` and `${name}` in the replacement stand for
/// what that group matched.
fn regex_replace<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    const FUNCTION: &str = "regexReplace";
    let (target, replacement) = (text(FUNCTION, arguments, 0)?, text(FUNCTION, arguments, 2)?);
    let pattern = pattern(FUNCTION, arguments)?;
    let groups = bridge::lent(|allowance| pattern.captures(target, allowance));
    let mut made = Made::new(FUNCTION);
    let Some(groups) = groups.map_err(exceeded(FUNCTION))? else {
        made.push(target)?;
        return Ok(made.value());
    };
    let (before, behind) = groups.around();
    made.push(before)?;
    for part in regex::parts(replacement) {
        made.push(match part {
            regex::Part::Text(text) => text,
            regex::Part::Group(number) => groups.get(number).unwrap_or_default(),
            regex::Part::Named(name) => groups.named(name).unwrap_or_default(),
        })?;
    }
    made.push(behind)?;
    Ok(made.value())
}
