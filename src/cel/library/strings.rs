//! `stripPrefix` and `stripSuffix`, and `indexOf` and `lastIndexOf` in time that grows with the text and not with its square.
//!
//! The latter two do what cel-go's `strings` extension says; the `cel` crate's compare at every place.

use cel::common::types::{CelInt, INT_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env, ExecutionError};

use super::{Evaluated, argument, failed, member, string, text};

pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let mut declare = |name, parameters, function| member(env, name, STRING_TYPE, parameters, function);
    declare("stripPrefix", vec![STRING_TYPE], strip_prefix)?;
    declare("stripSuffix", vec![STRING_TYPE], strip_suffix)?;
    declare("@indexOf", vec![STRING_TYPE], |arguments| index_of("indexOf", &arguments, first))?;
    declare("@indexOf", vec![STRING_TYPE, INT_TYPE], |arguments| index_of("indexOf", &arguments, first))?;
    declare("@lastIndexOf", vec![STRING_TYPE], |arguments| index_of("lastIndexOf", &arguments, last))?;
    declare("@lastIndexOf", vec![STRING_TYPE, INT_TYPE], |arguments| index_of("lastIndexOf", &arguments, last))
}

fn strip_prefix<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let (target, prefix) = (text("stripPrefix", &arguments, 0)?, text("stripPrefix", &arguments, 1)?);
    Ok(string(target.strip_prefix(prefix).unwrap_or(target).to_owned()))
}

fn strip_suffix<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let (target, suffix) = (text("stripSuffix", &arguments, 0)?, text("stripSuffix", &arguments, 1)?);
    Ok(string(target.strip_suffix(suffix).unwrap_or(target).to_owned()))
}

/// The byte at which the part starts, at the offset (in code points) or on its other side.
type Search = fn(target: &str, part: &str, offset: Option<usize>) -> Option<usize>;

fn index_of<'b, 'v>(function: &str, arguments: &[CowVal<'b, 'v>], search: Search) -> Evaluated<'b, 'v> {
    let (target, part) = (text(function, arguments, 0)?, text(function, arguments, 1)?);
    let offset = if arguments.len() > 2 { Some(offset(function, arguments, target, part)?) } else { None };
    let found = search(target, part, offset).and_then(|byte| target.get(..byte));
    let index = found.and_then(|before| i64::try_from(before.chars().count()).ok()).unwrap_or(-1);
    Ok(CowVal::owned(CelInt::from(index)))
}

/// The offset given: in the target, or at its end where the part is empty.
fn offset(function: &str, arguments: &[CowVal<'_, '_>], target: &str, part: &str) -> Result<usize, ExecutionError> {
    let given = usize::try_from(*argument::<CelInt>(function, arguments, 2)?.inner());
    let length = target.chars().count();
    match given {
        Ok(given) if given < length => Ok(given),
        Ok(_) if part.is_empty() => Ok(length),
        _ => Err(failed(function, "index out of range")),
    }
}

/// The byte at which a code point starts.
fn byte_at(target: &str, index: usize) -> usize {
    target.char_indices().nth(index).map_or(target.len(), |(byte, _)| byte)
}

fn first(target: &str, part: &str, offset: Option<usize>) -> Option<usize> {
    let from = byte_at(target, offset.unwrap_or(0));
    target.get(from..)?.find(part)?.checked_add(from)
}

/// The last one that starts at the offset or before it.
fn last(target: &str, part: &str, offset: Option<usize>) -> Option<usize> {
    let end = offset.map_or(target.len(), |offset| byte_at(target, offset).saturating_add(part.len()).min(target.len()));
    // One that ends here starts early enough; and the end of the part cuts no code point of the target where it fits.
    let end = (0..=end).rev().find(|end| target.is_char_boundary(*end))?;
    target.get(..end)?.rfind(part)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// What the extension says, by trying every place.
    fn by_hand(target: &str, part: &str, offset: usize, forwards: bool) -> Option<usize> {
        let starts: Vec<usize> = target.char_indices().map(|(byte, _)| byte).chain([target.len()]).collect();
        let fits = |index: &usize| target.get(starts[*index]..).unwrap().starts_with(part);
        if forwards { (offset..starts.len()).find(fits) } else { (0..starts.len().min(offset.saturating_add(1))).rev().find(fits) }
    }

    #[test]
    fn places_are_those_that_trying_each_finds() {
        for target in ["", "a", "abcabc", "aaaa", "h\u{e9}llo \u{e9}\u{1f389}h\u{e9}", "\u{1f389}\u{1f389}"] {
            for part in ["", "a", "abc", "aa", "bc", "\u{e9}", "\u{1f389}", "h\u{e9}", "z", "aaaaaaaaaaaa"] {
                let index = |byte: Option<usize>| byte.map(|byte| target.get(..byte).unwrap().chars().count());
                assert_eq!(index(first(target, part, None)), by_hand(target, part, 0, true), "{target} {part}");
                assert_eq!(index(last(target, part, None)), by_hand(target, part, usize::MAX - 1, false), "{target} {part}");
                for offset in 0..target.chars().count() {
                    assert_eq!(index(first(target, part, Some(offset))), by_hand(target, part, offset, true), "{target} {part} {offset}");
                    assert_eq!(index(last(target, part, Some(offset))), by_hand(target, part, offset, false), "{target} {part} {offset}");
                }
            }
        }
    }
}
