//! Fields of timestamps that are compared with numbers that they never reach, which mostly is a
//! slip: January is month 0.

use crate::cel::lowered::{Comparison, Number, Test};
use crate::cel::time::Field;

/// What is wrong with a comparison of a field and a literal, or with the list that it is looked for
/// in: one message for each number that is out of range.
pub(super) fn objections(test: &Test) -> Vec<String> {
    match test {
        Test::Number(comparison, Number::Field(parts), Number::Literal(literal)) => {
            of(parts.1, *comparison, *literal).into_iter().collect()
        }
        Test::Number(comparison, Number::Literal(literal), Number::Field(parts)) => {
            of(parts.1, comparison.flipped(), *literal).into_iter().collect()
        }
        Test::NumberIn(Number::Field(parts), list) => {
            list.iter().filter_map(|literal| of(parts.1, Comparison::Equal, *literal)).collect()
        }
        _ => Vec::new(),
    }
}

/// What is wrong if all values of the field compare in the same way.
fn of(field: Field, comparison: Comparison, literal: i64) -> Option<String> {
    let (least, greatest) = field.range()?;
    let never_equal = !(least..=greatest).contains(&literal);
    let settled = match comparison {
        Comparison::Equal | Comparison::NotEqual => never_equal,
        _ => {
            let holds = |value: i64| comparison.holds(value.cmp(&literal));
            holds(least) == holds(greatest)
        }
    };
    let first = match field {
        Field::Month => " (January)",
        Field::DayOfWeek => " (Sunday)",
        _ => "",
    };
    let name = field.name();
    settled.then(|| match comparison {
        Comparison::Equal | Comparison::NotEqual => {
            format!("`{name}` is never {literal}: it is {least}{first} to {greatest}")
        }
        _ => format!(
            "`{name}` is {least}{first} to {greatest}: comparing it with {literal} always has the \
             same result"
        ),
    })
}
