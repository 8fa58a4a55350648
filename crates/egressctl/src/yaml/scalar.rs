//! The value of a scalar without quotes, by the rules of go-yaml 2 (YAML 1.1).

use saphyr_parser::ScalarStyle;
use serde_json::Number;

use super::Value;

const TRUE: [&str; 11] = ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"];
const FALSE: [&str; 11] =
    ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"];

/// The value of a scalar that is written without quotes.
pub(super) fn resolve(text: &str) -> Result<Value, String> {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Value::Null);
    }
    if TRUE.contains(&text) || FALSE.contains(&text) {
        return Ok(Value::Bool(TRUE.contains(&text)));
    }
    if is_special(text) {
        return Err(format!("`{text}` is a number that JSON does not have: put it in quotes"));
    }
    let string = || Value::String(text.to_owned(), ScalarStyle::Plain);
    Ok(number(text).map_or_else(string, Value::Number))
}

fn is_special(text: &str) -> bool {
    let plain = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(plain, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return None;
    }
    let digits = text.replace('_', "");
    let (negative, magnitude) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    // The number parsers would accept a second sign.
    if magnitude.starts_with(['+', '-']) {
        return None;
    }
    let radix = |prefix: &str, radix: u32| {
        magnitude.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, radix).ok())
    };
    let octal =
        || magnitude.strip_prefix('0').and_then(|digits| u64::from_str_radix(digits, 8).ok());
    let whole = radix("0x", 16)
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8))
        .or_else(octal)
        .or_else(|| magnitude.parse().ok());
    match whole {
        Some(value) if !negative => return Some(value.into()),
        Some(value) => {
            if let Some(value) = 0_i64.checked_sub_unsigned(value) {
                return Some(value.into());
            }
        }
        None => {}
    }
    let float =
        magnitude.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let has_digit = magnitude.starts_with(|c: char| c.is_ascii_digit()) || magnitude.len() > 1;
    if !float || !has_digit {
        return None;
    }
    digits.parse::<f64>().ok().and_then(Number::from_f64)
}
