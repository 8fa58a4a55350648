//! `uuid`, `random` and `fail`.

use cel::ExecutionError;
use cel::common::types::CelDouble;
use cel::common::value::CowVal;

use super::Parameter::Text;
use super::Style::Global;
use super::hash::hex;
use super::{Evaluated, Overload, failed, run, string, text};

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("uuid", Global, &[], |_| uuid()),
    Overload("random", Global, &[], |_| random()),
    Overload("fail", Global, &[Text], |arguments| run(arguments, fail)),
];

fn fail<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    // The policy's own error, which may be caught.
    Err(ExecutionError::function_error("fail", text("fail", arguments, 0)?))
}

const NO_RANDOM: &str = "no random bytes to be had";

/// A random UUID: version 4, variant 1 (RFC 9562, section 5.4).
fn uuid<'b, 'v>() -> Evaluated<'b, 'v> {
    uuid_text().map(string).ok_or_else(|| failed("uuid", NO_RANDOM))
}

/// The text of a random UUID; none if there are no random bytes to be had.
pub(crate) fn uuid_text() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | (0x4 << 76 | 0x2 << 62);
    let mut text = hex(&bits.to_be_bytes());
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    Some(text)
}

/// A number from 0 up to, and without, 1.
fn random<'b, 'v>() -> Evaluated<'b, 'v> {
    let number = number().ok_or_else(|| failed("random", NO_RANDOM))?;
    Ok(CowVal::owned(CelDouble::from(number)))
}

/// A random number from 0 up to, and without, 1; none if there are no random bytes to be had.
pub(crate) fn number() -> Option<f64> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).ok()?;
    let steps = f64::from(u32::MAX) + 1.0;
    Some(f64::from(u32::from_le_bytes(bytes)) / steps)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use cel::common::types::CelString;

    use super::*;

    #[test]
    fn uuids_are_of_version_4_and_differ() {
        let made: Vec<String> = (0..200)
            .map(|_| uuid().unwrap().downcast_ref::<CelString<'_>>().unwrap().inner().to_owned())
            .collect();
        for (index, text) in made.iter().enumerate() {
            let shape: Vec<usize> = text.split('-').map(str::len).collect();
            assert_eq!(shape, [8, 4, 4, 4, 12], "{text}");
            assert!(text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f' | '-')), "{text}");
            assert_eq!(text.get(14..15), Some("4"), "{text}");
            assert!(["8", "9", "a", "b"].contains(&text.get(19..20).unwrap()), "{text}");
            assert!(!made[..index].contains(text), "{text} came twice");
        }
    }

    #[test]
    fn random_numbers_spread_over_zero_to_one() {
        let made: Vec<f64> = (0..1000)
            .map(|_| *random().unwrap().downcast_ref::<CelDouble>().unwrap().inner())
            .collect();
        assert!(made.iter().all(|n| (0.0..1.0).contains(n)));
        for tenth in 0..10 {
            let (low, high) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
            assert!(
                made.iter().any(|n| (low..high).contains(n)),
                "none of 1000 from {low} to {high}"
            );
        }
    }
}
