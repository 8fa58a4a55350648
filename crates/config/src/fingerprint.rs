//! Which configuration it is: a number that is the same wherever the same settings are written,
//! whatever the order of their fields and the layout of the text. It is for telling whether what
//! was applied is what runs, and no protection: it can be made to fit.

use super::json::Json;

/// The number's bits. A metric's value is a float of 64 bits, which has no room for more than 53.
const BITS: u32 = 48;

/// The fingerprint of a configuration, of 48 bits.
pub(crate) fn of(json: &Json<'_>) -> u64 {
    let hash = value(json);
    (hash ^ (hash >> BITS)) & ((1 << BITS) - 1)
}

/// Of 64-bit FNV-1a.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

fn bytes(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

fn number(hash: u64, number: u64) -> u64 {
    bytes(hash, &number.to_le_bytes())
}

fn value(json: &Json<'_>) -> u64 {
    match json {
        Json::Null => bytes(BASIS, b"n"),
        Json::Bool(false) => bytes(BASIS, b"f"),
        Json::Bool(true) => bytes(BASIS, b"t"),
        Json::Number(value) => number(bytes(BASIS, b"#"), value.unwrap_or(u64::MAX)),
        Json::String(text) => bytes(bytes(BASIS, b"s"), text.as_bytes()),
        Json::Array(items) => {
            items.iter().fold(bytes(BASIS, b"["), |hash, item| number(hash, value(item)))
        }
        // A sum, so that the order of fields says nothing.
        Json::Object(fields) => fields.iter().fold(bytes(BASIS, b"{"), |sum, (name, field)| {
            let field = number(bytes(BASIS, name.as_bytes()), value(field));
            sum.wrapping_add(field)
        }),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::json;

    fn of(text: &str) -> u64 {
        super::of(&json::read(text.as_bytes(), usize::MAX).unwrap().0)
    }

    #[test]
    fn the_same_settings_have_one_fingerprint() {
        let one = of(r#"{"a": [1, "x", true, null], "b": {"c": "\u0026", "d": 2}}"#);
        assert_eq!(one, of(r#"{"b":{"d":2.0,"c":"&"},"a":[1.0,"x",true,null]}"#));
        assert!(one < 1 << 48);
    }

    #[test]
    fn other_settings_have_another() {
        let texts = [
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "0",
            "1",
            "\"\"",
            "\"1\"",
            "[1, 2]",
            "[2, 1]",
            "[[1], 2]",
            "{\"a\": 1}",
            "{\"a\": {}}",
            "{\"a\": []}",
            "{\"b\": 1}",
            "{\"a\": 1, \"b\": 2}",
            "{\"a\": 2, \"b\": 1}",
            "{\"a\": {\"b\": 1}}",
            "{\"b\": {\"a\": 1}}",
        ];
        let all: std::collections::BTreeSet<u64> = texts.iter().map(|text| of(text)).collect();
        assert_eq!(all.len(), texts.len());
    }
}
