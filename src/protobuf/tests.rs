//! The wire format, byte by byte. `e2e/tests/wire.rs` holds whole messages to what prost makes of
//! them.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use egress_cel::data::Data;

use super::*;

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::default();
    write(&mut out);
    out.finish()
}

/// The one field of a message.
fn field(bytes: &[u8]) -> Result<Field<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    let field = reader.field()?.unwrap();
    assert_eq!(reader.field(), Ok(None));
    Ok(field)
}

#[test]
fn numbers_are_varints_of_seven_bits_a_byte() {
    for (value, bytes) in [
        (0, &[8, 0][..]),
        (127, &[8, 0x7f]),
        (128, &[8, 0x80, 1]),
        (300, &[8, 0xac, 2]),
        (u64::MAX, &[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ] {
        assert_eq!(written(|out| out.varint(1, value)), bytes);
        assert_eq!(field(bytes).unwrap().varint(), Ok(value));
    }
    assert_eq!(written(|out| out.number(1, 0)), b"");
    // More digits than needed are legal, more than ten bytes or 64 bits are not.
    assert_eq!(field(&[8, 0x80, 0]).unwrap().varint(), Ok(0));
    let nine = [8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(field(&[&nine[..], &[2]].concat()), Err(Malformed::Number));
    assert_eq!(field(&[&nine[..], &[0x81, 0]].concat()), Err(Malformed::Number));
    assert_eq!(field(&[&nine[..], &[1]].concat()).unwrap().int64(), Ok(-1));
    assert_eq!(field(&[&nine[..], &[1]].concat()).unwrap().uint32(), Err(Malformed::Number));
}

#[test]
fn the_length_of_a_message_is_in_front_of_it() {
    let bytes = written(|out| out.message(2, |out| out.message(3, |out| out.bytes(1, b"ab"))));
    assert_eq!(bytes, [0x12, 6, 0x1a, 4, 0x0a, 2, b'a', b'b']);
    for length in [0, 1, 124, 125, 126, 127, 128, 16_380, 16_384] {
        let text = vec![b'x'; length];
        let bytes = written(|out| out.message(300, |out| out.bytes(1, &text)));
        let outer = field(&bytes).unwrap();
        assert_eq!(outer.number, 300, "{length}");
        assert_eq!(field(outer.bytes().unwrap()).unwrap().bytes(), Ok(&text[..]), "{length}");
    }
}

#[test]
fn what_is_not_utf_8_is_replaced_in_texts() {
    assert_eq!(written(|out| out.text(1, b"a\xffb")), b"\x0a\x05a\xef\xbf\xbdb");
    assert_eq!(written(|out| out.text(1, b"")), b"");
    assert_eq!(field(b"\x0a\x01\xff").unwrap().text(), Err(Malformed::Text));
}

#[test]
fn fields_of_all_wire_types_are_read_and_groups_refused() {
    let bytes = [8, 1, 0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x1a, 1, b'a', 0x25, 1, 2, 3, 4];
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.field().unwrap().unwrap().varint(), Ok(1));
    assert_eq!(reader.field().unwrap().unwrap().double(), Ok(1.0));
    assert_eq!(reader.field().unwrap().unwrap().text(), Ok("a"));
    let fixed = reader.field().unwrap().unwrap();
    assert_eq!(
        (fixed.number, fixed.varint(), fixed.bytes()),
        (4, Err(Malformed::Type), Err(Malformed::Type))
    );
    assert_eq!(fixed.double(), Err(Malformed::Type));
    assert_eq!(reader.field(), Ok(None));
    for key in
        [&[0x0b][..], &[0x0c], &[0x0e], &[0x0f], &[0x00, 0], &[0x80, 0x80, 0x80, 0x80, 0x10, 0]]
    {
        assert_eq!(field(key), Err(Malformed::Key), "{key:?}");
    }
    let ends = [2, 11, 14];
    for end in 1..bytes.len() {
        let mut reader = Reader::new(&bytes[..end]);
        let error = std::iter::from_fn(|| reader.field().transpose()).find_map(Result::err);
        assert_eq!(error, (!ends.contains(&end)).then_some(Malformed::Truncated), "{end}");
    }
    // A length beyond every message, and one beyond what a `usize` of wasm holds.
    for length in [&[0xff, 0x7f][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
        assert_eq!(field(&[&[0x0a], length].concat()), Err(Malformed::Truncated));
    }
}

/// What a reader makes of an entry `a`.
fn read_back(value: Data) -> Data {
    let mut out = Writer::default();
    value::write(&mut out, &[("a".to_owned(), value)]).unwrap();
    let bytes = out.finish();
    let mut entries = Vec::new();
    value::merge(&mut entries, Reader::new(&bytes)).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0).1
}

#[test]
fn values_are_as_the_json_mapping_has_them() {
    let text = |text: &str| Data::Text(text.to_owned());
    for (value, expected) in [
        (Data::Null, Data::Null),
        (Data::Bool(true), Data::Bool(true)),
        (Data::Int(-3), Data::Double(-3.0)),
        (Data::Uint(1 << 53), Data::Double(9_007_199_254_740_992.0)),
        (Data::Uint((1 << 53) + 1), text("9007199254740993")),
        (Data::Int(i64::MIN), text("-9223372036854775808")),
        (Data::Double(0.5), Data::Double(0.5)),
        (Data::Double(f64::NAN), text("NaN")),
        (Data::Double(f64::NEG_INFINITY), text("-Infinity")),
        (text(""), text("")),
        (Data::Bytes(vec![0, 255]), text("AP8=")),
        (Data::Duration(Duration::from_millis(1500)), text("1.5s")),
        (Data::Duration(Duration::from_secs(100)), text("100s")),
        (Data::Timestamp(Duration::from_secs(0)), text("1970-01-01T00:00:00Z")),
        (Data::List(vec![]), Data::List(vec![])),
        (
            Data::Map(vec![("b".to_owned(), Data::List(vec![Data::Null, Data::Bool(false)]))]),
            Data::Map(vec![("b".to_owned(), Data::List(vec![Data::Null, Data::Bool(false)]))]),
        ),
    ] {
        assert_eq!(read_back(value.clone()), expected, "{value:?}");
    }
}

#[test]
fn nesting_and_numbers_of_values_are_bounded() {
    // The entry's map is the first level.
    let nested = |levels: usize| (1..levels).fold(Data::Null, |inner, _| Data::List(vec![inner]));
    assert_eq!(read_back(nested(value::MAX_DEPTH)), nested(value::MAX_DEPTH));
    let deep = [("a".to_owned(), nested(value::MAX_DEPTH + 1))];
    assert_eq!(value::write(&mut Writer::default(), &deep), Err(Malformed::Depth));

    // A list in a list in a list: each level is a `Value` with a `ListValue` in it.
    let mut bytes = Vec::new();
    for _ in 0..value::MAX_DEPTH {
        let list = written(|out| out.bytes(1, &bytes));
        bytes = written(|out| out.bytes(6, &list));
    }
    let entry = written(|out| out.bytes(2, &bytes));
    let bytes = written(|out| out.bytes(1, &entry));
    assert_eq!(value::merge(&mut Vec::new(), Reader::new(&bytes)), Err(Malformed::Depth));

    // Empty entries have the same key, and count all the same.
    let entries = |count: usize| [0x0a, 0].repeat(count);
    let mut map = Vec::new();
    assert_eq!(value::merge(&mut map, Reader::new(&entries(value::MAX_VALUES))), Ok(()));
    assert_eq!(map, [(String::new(), Data::Null)]);
    let more = entries(value::MAX_VALUES + 1);
    assert_eq!(value::merge(&mut Vec::new(), Reader::new(&more)), Err(Malformed::Items));
}

#[test]
fn a_header_has_one_value_and_a_known_action() {
    use header::{HeaderAction, HeaderOption, HeaderValue};
    let option = |write: &dyn Fn(&mut Writer)| {
        let bytes = written(|out| {
            out.message(1, |out| {
                out.text(1, b"x-a");
                out.text(2, b"1");
            });
            write(out);
        });
        HeaderOption::read(Reader::new(&bytes)).map(|option| option.action)
    };
    let append = |out: &mut Writer, value| out.message(2, |out| out.number(1, value));
    for (action, expected) in [
        (0, HeaderAction::Overwrite),
        (1, HeaderAction::AddIfAbsent),
        (2, HeaderAction::Overwrite),
        (3, HeaderAction::OverwriteIfExists),
    ] {
        assert_eq!(option(&|out| out.number(3, action)), Ok(expected), "{action}");
        let both = |value, out: &mut Writer| {
            append(out, value);
            out.number(3, action);
        };
        assert_eq!(option(&|out| both(1, out)), Ok(HeaderAction::Append), "{action}");
        assert_eq!(option(&|out| both(0, out)), Ok(HeaderAction::Overwrite), "{action}");
    }
    assert_eq!(option(&|out| out.number(3, 4)), Err(Malformed::Value));
    assert_eq!(option(&|out| out.number(3, u64::MAX)), Err(Malformed::Value));

    let header = |value: &[u8], raw: &[u8]| {
        let bytes = written(|out| {
            out.text(2, value);
            out.bytes(3, raw);
        });
        HeaderValue::read(Reader::new(&bytes)).map(|header| header.value().to_vec())
    };
    assert_eq!(header(b"a", b""), Ok(b"a".to_vec()));
    assert_eq!(header(b"", b"\xff"), Ok(b"\xff".to_vec()));
    assert_eq!(header(b"a", b"a"), Ok(b"a".to_vec()));
    assert_eq!(header(b"a", b"b"), Err(Malformed::Value));
}
