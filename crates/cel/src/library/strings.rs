//! `stripPrefix` and `stripSuffix`, and `indexOf` and `lastIndexOf` in linear time.
//!
//! The latter two do what cel-go's `strings` extension says. Those of the `cel` crate take
//! quadratic time.

use cel::ExecutionError;
use cel::common::types::CelInt;
use cel::common::value::CowVal;

use super::Parameter::{Int, Text};
use super::Style::Member;
use super::{Evaluated, Overload, argument, run, string, text};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("stripPrefix", Member, &[Text, Text], |arguments| run(arguments, strip_prefix)),
    Overload("stripSuffix", Member, &[Text, Text], |arguments| run(arguments, strip_suffix)),
    Overload("@indexOf", Member, &[Text, Text], |arguments| run(arguments, index_of)),
    Overload("@indexOf", Member, &[Text, Text, Int], |arguments| run(arguments, index_of)),
    Overload("@lastIndexOf", Member, &[Text, Text], |arguments| run(arguments, last_index_of)),
    Overload("@lastIndexOf", Member, &[Text, Text, Int], |arguments| run(arguments, last_index_of)),
];

fn index_of<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    position("indexOf", arguments, first)
}

fn last_index_of<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    position("lastIndexOf", arguments, last)
}

fn strip_prefix<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let (target, prefix) = (text("stripPrefix", arguments, 0)?, text("stripPrefix", arguments, 1)?);
    Ok(string(target.strip_prefix(prefix).unwrap_or(target).to_owned()))
}

fn strip_suffix<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let (target, suffix) = (text("stripSuffix", arguments, 0)?, text("stripSuffix", arguments, 1)?);
    Ok(string(target.strip_suffix(suffix).unwrap_or(target).to_owned()))
}

/// The byte at which the part starts, at the offset (in code points) or on its other side.
type Search = fn(target: &str, part: &str, offset: Option<usize>) -> Option<usize>;

#[inline(never)]
fn position<'b, 'v>(
    function: &str,
    arguments: &[CowVal<'b, 'v>],
    search: Search,
) -> Evaluated<'b, 'v> {
    let (target, part) = (text(function, arguments, 0)?, text(function, arguments, 1)?);
    let offset =
        if arguments.len() > 2 { Some(offset(function, arguments, target, part)?) } else { None };
    let found = search(target, part, offset).and_then(|byte| target.get(..byte));
    let index = found.and_then(|before| i64::try_from(before.chars().count()).ok()).unwrap_or(-1);
    Ok(CowVal::owned(CelInt::from(index)))
}

/// The offset given: in the target, or at its end where the part is empty.
fn offset(
    function: &str,
    arguments: &[CowVal<'_, '_>],
    target: &str,
    part: &str,
) -> Result<usize, ExecutionError> {
    let given = usize::try_from(*argument::<CelInt>(function, arguments, 2)?.inner());
    let length = target.chars().count();
    match given {
        Ok(given) if given < length => Ok(given),
        Ok(_) if part.is_empty() => Ok(length),
        // There is nothing at that offset, which may be caught.
        _ => Err(ExecutionError::function_error(function, "index out of range")),
    }
}

/// The byte at which a code point starts.
pub(crate) fn byte_at(target: &str, index: usize) -> usize {
    target.char_indices().nth(index).map_or(target.len(), |(byte, _)| byte)
}

pub(crate) fn first(target: &str, part: &str, offset: Option<usize>) -> Option<usize> {
    let from = byte_at(target, offset.unwrap_or(0));
    target.get(from..)?.find(part)?.checked_add(from)
}

/// The last one that starts at the offset or before it.
pub(crate) fn last(target: &str, part: &str, offset: Option<usize>) -> Option<usize> {
    let end = offset.map_or(target.len(), |offset| {
        byte_at(target, offset).saturating_add(part.len()).min(target.len())
    });
    // An occurrence that ends here starts early enough. The part ends between two code points of
    // the target wherever it occurs.
    let end = (0..=end).rev().find(|end| target.is_char_boundary(*end))?;
    target.get(..end)?.rfind(part)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// The specification of the extension: it tries every position.
    fn by_hand(target: &str, part: &str, offset: usize, forwards: bool) -> Option<usize> {
        let starts: Vec<usize> =
            target.char_indices().map(|(byte, _)| byte).chain([target.len()]).collect();
        let fits = |index: &usize| target.get(starts[*index]..).unwrap().starts_with(part);
        if forwards {
            (offset..starts.len()).find(fits)
        } else {
            (0..starts.len().min(offset.saturating_add(1))).rev().find(fits)
        }
    }

    #[test]
    fn positions_are_those_that_trying_each_finds() {
        for target in
            ["", "a", "abcabc", "aaaa", "h\u{e9}llo \u{e9}\u{1f389}h\u{e9}", "\u{1f389}\u{1f389}"]
        {
            for part in
                ["", "a", "abc", "aa", "bc", "\u{e9}", "\u{1f389}", "h\u{e9}", "z", "aaaaaaaaaaaa"]
            {
                let index = |byte: Option<usize>| {
                    byte.map(|byte| target.get(..byte).unwrap().chars().count())
                };
                assert_eq!(
                    index(first(target, part, None)),
                    by_hand(target, part, 0, true),
                    "{target} {part}"
                );
                assert_eq!(
                    index(last(target, part, None)),
                    by_hand(target, part, usize::MAX - 1, false),
                    "{target} {part}"
                );
                for offset in 0..target.chars().count() {
                    assert_eq!(
                        index(first(target, part, Some(offset))),
                        by_hand(target, part, offset, true),
                        "{target} {part} {offset}"
                    );
                    assert_eq!(
                        index(last(target, part, Some(offset))),
                        by_hand(target, part, offset, false),
                        "{target} {part} {offset}"
                    );
                }
            }
        }
    }
}
