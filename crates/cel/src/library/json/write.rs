//! Values into JSON, bounded as it is written.

use std::fmt::Write;

use cel::common::types::{CelBool, CelBytes, CelDouble, CelInt, CelNull, CelString, CelUInt, Kind};
use cel::common::value::Val;

use super::super::{MAX_TEXT, encoding, maps, net, time};
use super::MAX_DEPTH;

/// Writes one value; nothing if it has no JSON form, or one above the limit.
pub(crate) fn text(value: &dyn Val) -> Option<String> {
    let mut text = String::new();
    write(value, 0, &mut text)?;
    Some(text)
}

/// Appends a value, which is at this depth.
fn write(value: &dyn Val, depth: usize, out: &mut String) -> Option<()> {
    if depth > MAX_DEPTH || out.len() > MAX_TEXT {
        crate::bridge::breach();
        return None;
    }
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        quote(text.inner(), out);
    } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        quote(&encoding::base64(bytes.inner()), out);
    } else if let Some(text) = net::text_of(value).or_else(|| time::text_of(value)) {
        quote(&text, out);
    } else if value.downcast_ref::<CelNull>().is_some() {
        out.push_str("null");
    } else if let Some(number) = value.downcast_ref::<CelInt>() {
        write!(out, "{}", number.inner()).ok()?;
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        write!(out, "{}", number.inner()).ok()?;
    } else if let Some(value) = value.downcast_ref::<CelBool>() {
        write!(out, "{}", value.inner()).ok()?;
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        // Rust's debug format of a number has a fraction or an exponent, and is JSON.
        write!(out, "{:?}", Some(number.inner()).filter(|number| number.is_finite())?).ok()?;
    } else {
        elements(value, depth.checked_add(1)?, out)?;
    }
    (out.len() <= MAX_TEXT).then_some(())
}

/// Writes a list or a map.
fn elements(value: &dyn Val, depth: usize, out: &mut String) -> Option<()> {
    match value.get_type().kind() {
        Kind::List => {
            let mut items = value.as_iterable()?.iter();
            out.push('[');
            let mut separator = "";
            while let Some(item) = items.next() {
                out.push_str(separator);
                write(item, depth, out)?;
                separator = ",";
            }
            out.push(']');
        }
        Kind::Map => {
            let values = value.as_indexer()?;
            out.push('{');
            let mut separator = "";
            for (name, key) in maps::sorted_keys("toJson", value).ok()? {
                out.push_str(separator);
                quote(&name, out);
                out.push(':');
                write(values.get(key).ok()?.as_ref(), depth, out)?;
                separator = ",";
            }
            out.push('}');
        }
        _ => return None,
    }
    Some(())
}

/// Writes a string (RFC 8259, section 7).
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' => {
                let code = u32::from(c);
                out.push_str("\\u00");
                out.extend(
                    [code >> 4, code & 0xf].iter().filter_map(|digit| char::from_digit(*digit, 16)),
                );
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn every_character_and_number_comes_back() {
        let all: String = ('\0'..='\u{300}').chain(['\u{2028}', '\u{fffd}', '\u{1f389}']).collect();
        let mut quoted = String::new();
        quote(&all, &mut quoted);
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), all);
        for number in [
            0.0,
            -0.0,
            1.0,
            0.1,
            -2.5,
            1e15,
            1e16,
            1e300,
            5e-324,
            f64::MAX,
            f64::MIN_POSITIVE,
            123_456_789.125,
        ] {
            let written = text(&CelDouble::from(number)).unwrap();
            assert_eq!(
                serde_json::from_str::<f64>(&written).unwrap().to_bits(),
                number.to_bits(),
                "{written}"
            );
            assert!(written.contains(['.', 'e']), "{written} is read as an int");
        }
        assert_eq!(text(&CelDouble::from(f64::INFINITY)), None);
        assert_eq!(text(&CelDouble::from(f64::NAN)), None);
    }
}
