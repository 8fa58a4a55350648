//! `replace`, `split` and `join` with bounded results. Otherwise a caller could make their results
//! as large as it likes, and when memory runs out, every request of the worker fails.
//!
//! They are declared under names of their own, to which calls are renamed once they are checked.
//! Within the bounds they do what cel-go's `strings` extension says.

use cel::common::types::{CelBool, CelInt, CelList, CelString, INT_TYPE, LIST_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::{bridge, search};

/// The longest string that `replace` and `join` return, in bytes.
pub(super) const MAX_TEXT: usize = 64 * 1024;
/// The most parts that `split` returns.
pub(super) const MAX_PARTS: usize = 64;

/// The name under which a function is declared here, if it is one of these.
pub(super) fn name_of(function: &str) -> Option<&'static str> {
    match function {
        "contains" => Some("@contains"),
        "replace" => Some("@replace"),
        "split" => Some("@split"),
        "join" => Some("@join"),
        "indexOf" => Some("@indexOf"),
        "lastIndexOf" => Some("@lastIndexOf"),
        _ => None,
    }
}

/// Declares the functions.
pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    let text = STRING_TYPE;
    env.add_member_overload(
        "@contains",
        "string_contains",
        STRING_TYPE,
        vec![STRING_TYPE],
        contains,
    )?;
    env.add_member_overload(
        "@replace",
        "string_replace",
        text,
        vec![STRING_TYPE, STRING_TYPE],
        replace,
    )?;
    env.add_member_overload(
        "@replace",
        "string_replace_n",
        STRING_TYPE,
        vec![STRING_TYPE, STRING_TYPE, INT_TYPE],
        replace,
    )?;
    env.add_member_overload("@split", "string_split", STRING_TYPE, vec![STRING_TYPE], split)?;
    env.add_member_overload(
        "@split",
        "string_split_n",
        STRING_TYPE,
        vec![STRING_TYPE, INT_TYPE],
        split,
    )?;
    env.add_member_overload("@join", "list_join", LIST_TYPE, vec![], join)?;
    env.add_member_overload("@join", "list_join_separator", LIST_TYPE, vec![STRING_TYPE], join)
}

type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn text<'a>(function: &str, value: &'a (dyn Val + '_)) -> Result<&'a str, ExecutionError> {
    value.downcast_ref::<CelString<'_>>().map(CelString::inner).ok_or_else(|| {
        bridge::unreadable();
        ExecutionError::function_error(function, "expected a string")
    })
}

/// A count that may be left out. A negative one is no bound.
fn count(value: Option<&CowVal<'_, '_>>) -> Option<usize> {
    value.and_then(|value| usize::try_from(*value.downcast_ref::<CelInt>()?.inner()).ok())
}

fn too_large(function: &str) -> ExecutionError {
    bridge::breach();
    ExecutionError::function_error(function, "the result passes the limit")
}

fn contains<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [target, part] = arguments.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, arguments.len()));
    };
    let (target, part) = (text("contains", target.as_ref())?, text("contains", part.as_ref())?);
    let found = bridge::lent(|allowance| search::contains(target, part, allowance));
    found.map(|found| CowVal::owned(CelBool::from(found))).ok_or_else(bridge::exceeded)
}

fn replace<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [target, from, to, rest @ ..] = arguments.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(3, arguments.len()));
    };
    let (target, from, to) = (
        text("replace", target.as_ref())?,
        text("replace", from.as_ref())?,
        text("replace", to.as_ref())?,
    );
    let most = count(rest.first()).unwrap_or(usize::MAX);
    let found = target.matches(from).count().min(most);
    let size = found.checked_mul(to.len()).and_then(|added| added.checked_add(target.len()));
    if size.is_none_or(|size| size > MAX_TEXT) {
        return Err(too_large("replace"));
    }
    bridge::spend(u64::try_from(found / 2).unwrap_or(u64::MAX))?;
    Ok(CowVal::owned(CelString::from(target.replacen(from, to, most))))
}

fn split<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [target, separator, rest @ ..] = arguments.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, arguments.len()));
    };
    let (target, separator) = (text("split", target.as_ref())?, text("split", separator.as_ref())?);
    let most = count(rest.first()).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = Vec::new();
    let mut remaining =
        Some(target).filter(|target| most > 0 && !(separator.is_empty() && target.is_empty()));
    while let Some(now) = remaining {
        if parts.len() >= MAX_PARTS {
            return Err(too_large("split"));
        }
        let last = parts.len().saturating_add(1) >= most;
        let cut = if last { None } else { cut(now, separator) };
        parts.push(cut.map_or(now, |(part, _)| part));
        remaining = cut.map(|(_, after)| after);
    }
    let parts = parts
        .into_iter()
        .map(|part| Box::new(CelString::from(part.to_owned())) as Box<dyn Val>)
        .collect::<Vec<_>>();
    Ok(CowVal::owned(CelList::from(parts)))
}

/// The text before and after the first separator. With an empty separator, it is the first code
/// point and the rest.
fn cut<'t>(target: &'t str, separator: &str) -> Option<(&'t str, &'t str)> {
    if !separator.is_empty() {
        return target.split_once(separator);
    }
    let first = target.chars().next()?.len_utf8();
    target.split_at_checked(first).filter(|(_, rest)| !rest.is_empty())
}

fn join<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [list, rest @ ..] = arguments.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(1, arguments.len()));
    };
    let separator = rest.first().map_or(Ok(""), |separator| text("join", separator.as_ref()))?;
    let Some(list) = list.as_iterable() else {
        return Err(ExecutionError::function_error("join", "expected a list"));
    };
    let mut parts = list.iter();
    let (mut joined, mut first) = (String::new(), true);
    while let Some(part) = parts.next() {
        let part = text("join", part)?;
        let separator = if first { "" } else { separator };
        first = false;
        if joined.len().saturating_add(separator.len()).saturating_add(part.len()) > MAX_TEXT {
            return Err(too_large("join"));
        }
        joined.push_str(separator);
        joined.push_str(part);
    }
    Ok(CowVal::owned(CelString::from(joined)))
}
