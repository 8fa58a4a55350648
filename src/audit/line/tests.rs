#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::printable;

/// A text as the line has it.
fn text(text: &[u8]) -> String {
    let mut line = Line::beginning("");
    line.text("\"", Some(text));
    String::from_utf8(line.into_bytes()).unwrap()
}

/// The same by way of serde's strings.
fn plainly(text: &[u8]) -> String {
    printable::json_line(&String::from_utf8_lossy(text)).unwrap()
}

#[test]
fn every_byte_is_written_as_serde_writes_it_wherever_it_stands() {
    for length in 0..20 {
        for position in 0..length {
            for byte in 0..=255 {
                let mut bytes = vec![b'a'; length];
                bytes[position] = byte;
                assert_eq!(text(&bytes), plainly(&bytes), "{byte} at {position} of {length}");
            }
        }
    }
}

#[test]
fn every_character_is_written_as_serde_writes_it() {
    let mut buffer = [0; 4];
    for letter in '\0'..=char::MAX {
        let letter = letter.encode_utf8(&mut buffer).as_bytes();
        assert_eq!(text(letter), plainly(letter));
    }
}

#[test]
fn what_is_not_there_is_null_and_what_is_too_long_is_cut() {
    let written = |text: Option<&[u8]>| {
        let mut line = Line::beginning("{");
        line.text_cut("\"a\":\"", text);
        line.json("}");
        String::from_utf8(line.into_bytes()).unwrap()
    };
    assert_eq!(written(None), r#"{"a":null}"#);
    assert_eq!(written(Some(b"")), r#"{"a":""}"#);
    let long = "b".repeat(MAX_TEXT);
    assert_eq!(written(Some(long.as_bytes())), format!(r#"{{"a":"{long}"}}"#));
    assert_eq!(written(Some(format!("{long}b").as_bytes())), format!(r#"{{"a":"{long}..."}}"#));
    // A character that the cut parts is not one any more.
    let parted = format!("{}\u{e9}{long}", &long[1..]);
    let expected = format!(r#"{{"a":"{}\ufffd..."}}"#, &long[1..]);
    assert_eq!(written(Some(parted.as_bytes())), expected);
}

#[test]
fn numbers_have_their_digits() {
    let powers = (0..10).map(|power| 10_u32.pow(power));
    let around = powers.flat_map(|power| [power - 1, power, power + 1]);
    for number in around.chain([403, 0, u32::MAX]) {
        let mut line = Line::beginning("");
        line.number(number);
        assert_eq!(String::from_utf8(line.into_bytes()).unwrap(), number.to_string());
    }
}
