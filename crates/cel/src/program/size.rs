//! Roughly how many bytes a value takes, which is what it is charged for.

use super::Value;

/// To which depth a value's size is counted. No value of an expression is as deep.
pub(crate) const MAX_NESTING: usize = 256;
/// What an element of a list or map counts besides its content, in bytes: when it is read or
/// copied, and when it is compared.
const ELEMENT: usize = 32;
const COMPARED_ELEMENT: usize = 192;

/// What a value takes that is read or copied. A borrowed text counts as if it were copied.
pub(crate) fn of(value: &Value<'_>) -> usize {
    sized(value, MAX_NESTING, ELEMENT)
}

/// What a value counts that is compared.
pub(super) fn compared(value: &Value<'_>) -> usize {
    sized(value, MAX_NESTING, COMPARED_ELEMENT)
}

fn sized(value: &Value<'_>, nesting: usize, element: usize) -> usize {
    let Some(nesting) = nesting.checked_sub(1) else { return usize::MAX };
    let part = |part: &Value<'_>| sized(part, nesting, element).saturating_add(element);
    match value {
        Value::Text(text) => text.as_str().len(),
        Value::Bytes(bytes) => bytes.as_slice().len(),
        Value::List(list) => list.iter().map(part).fold(element, usize::saturating_add),
        Value::Map(map) => {
            let entries = map.entries();
            let pairs = if element == COMPARED_ELEMENT {
                entries.len().saturating_mul(entries.len())
            } else {
                0
            };
            let sizes = entries.iter().map(|(key, value)| part(key).saturating_add(part(value)));
            sizes.fold(element.saturating_add(pairs), usize::saturating_add)
        }
        Value::Optional(Some(inner)) => sized(inner, nesting, element),
        _ => 0,
    }
}
