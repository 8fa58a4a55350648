//! Values as records have them: JSON, in which what is too long or too deep is cut.
//!
//! A caller can make a value long. So nothing that it sends has a value left out of the record as
//! a whole: a long text ends in `...`, and a long list or map ends early.

use super::library::quote;

/// The longest text in a value, in bytes; what is cut from a longer one is replaced by `...`.
pub const MAX_RECORDED_TEXT: usize = 1024;
/// How many bytes a value may have before no more elements are added to it.
pub const MAX_RECORDED: usize = 2048;
/// The deepest nesting of lists and maps in a value.
pub(crate) const MAX_DEPTH: usize = 8;

/// A value as a record has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// The value in JSON (RFC 8259), without line breaks. It may have any other character.
    pub json: String,
    /// Whether something is left out of it: the end of a text, elements, or what cannot be read.
    pub is_cut: bool,
}

impl Recorded {
    /// A text.
    pub(super) fn of_text(text: &str) -> Recorded {
        let mut recorded = Recorded::default();
        recorded.text(text);
        recorded
    }

    pub(crate) fn null(&mut self) -> bool {
        self.json.push_str("null");
        true
    }

    /// Appends a text.
    pub(crate) fn text(&mut self, text: &str) {
        if text.len() <= MAX_RECORDED_TEXT {
            return quote(text, &mut self.json);
        }
        // A character has at most four bytes.
        let cut = (0..=MAX_RECORDED_TEXT).rev().find_map(|at| text.split_at_checked(at));
        let (start, _) = cut.unwrap_or_default();
        quote(&format!("{start}..."), &mut self.json);
        self.is_cut = true;
    }

    /// Whether another element fits. If none does, the value is cut.
    pub(crate) fn has_room(&mut self) -> bool {
        let has_room = self.json.len() < MAX_RECORDED;
        self.is_cut |= !has_room;
        has_room
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::meter::Allowance;
    use crate::tests::message::{Line, Scene, TABLE};
    use crate::tests::refused;
    use crate::{Expected, Expression, Phase, Scope};

    const ID: &str = "spiffe://cluster.local/ns/team-a/sa/reader";

    fn scene() -> Scene<'static> {
        Scene {
            lines: vec![
                (b":method", b"GET"),
                (b":authority", b"api.github.com"),
                (b":path", b"/zen?x=1"),
                (b"authorization", b"Bearer secret"),
                (b"x-team", b"a\"b"),
                (b"x-bytes", b"\xff"),
            ],
            caller: ID.as_bytes(),
            addresses: [b"10.0.0.7:41000", b"240.240.0.1:80"],
            ..Scene::default()
        }
    }

    fn recorded_of(scene: &Scene<'_>, source: &str) -> Result<Option<Recorded>, String> {
        let compiled =
            Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Any)
                .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
        let allowance = Allowance::whole();
        scene.view(Phase::Request, |view| compiled.recorded(view, &allowance))
    }

    fn json(source: &str) -> String {
        recorded_of(&scene(), source)
            .map(|value| value.map_or_else(String::new, |it| it.json))
            .unwrap_or_else(|error| format!("error: {error}"))
    }

    #[test]
    fn a_value_of_any_type_has_its_json() {
        for (source, expected) in [
            ("request.method", r#""GET""#),
            ("request.headers['x-team']", r#""a\"b""#),
            ("request.method == 'GET'", "true"),
            ("source.port", "41000"),
            ("source.port > 5 ? 1.5 : 2.0", "1.5"),
            ("7u", "7"),
            ("null", "null"),
            ("b'abc'", r#""YWJj""#),
            ("ip('10.0.0.1')", r#""10.0.0.1""#),
            ("[1, 'a', [true]]", r#"[1,"a",[true]]"#),
            ("{'b': 1, 'a': {'c': null}}", r#"{"a":{"c":null},"b":1}"#),
            ("optional.of(1)", "1"),
            ("optional.none()", ""),
            ("request.headers[?'x-missing']", ""),
            ("[optional.none()]", "[null]"),
            ("request.headers['x-missing']", "error: no such key: x-missing"),
            ("0.0 / 0.0", "error: a double has no form in JSON"),
            ("[0.0 / 0.0, 1.0]", "[null,1.0]"),
            ("{'a': 0.0 / 0.0, 'b': 1}", r#"{"b":1}"#),
        ] {
            assert_eq!(json(source), expected, "{source}");
        }
    }

    #[test]
    fn an_object_has_the_attributes_that_the_request_has() {
        let identity =
            r#"{"namespace":"team-a","serviceAccount":"reader","trustDomain":"cluster.local"}"#;
        assert_eq!(
            json("source"),
            format!(
                r#"{{"address":"10.0.0.7","identity":{identity},"port":41000,"spiffeId":"{ID}"}}"#
            )
        );
        assert_eq!(json("[source.identity]"), format!("[{identity}]"));
        assert_eq!(json("destination"), r#"{"address":"240.240.0.1","port":80}"#);
        let nobody = Scene { caller: b"", addresses: [b"", b""], ..scene() };
        let found = recorded_of(&nobody, "source").unwrap().unwrap();
        assert_eq!((found.json.as_str(), found.is_cut), ("{}", false));
    }

    #[test]
    fn headers_as_a_whole_are_without_secrets_and_without_what_cannot_be_read() {
        let expected = r#""authorization":"<redacted>","host":"api.github.com","x-team":"a\"b"}"#;
        for source in ["request.headers", "[request.headers]", "request", "{'a': request}"] {
            let found = recorded_of(&scene(), source).unwrap().unwrap();
            assert!(found.json.contains(expected), "{source}: {}", found.json);
            assert!(found.is_cut, "{source}: a header cannot be read");
            assert!(serde_json::from_str::<serde_json::Value>(&found.json).is_ok(), "{source}");
        }
        assert_eq!(json("request.headers.authorization"), r#""Bearer secret""#);
    }

    #[test]
    fn what_is_long_or_deep_is_cut_and_stays_json() {
        let long = "é".repeat(5_000);
        let nested = format!("{}1{}", "[".repeat(20), "]".repeat(20));
        let wide = format!("[{}0]", "\"abcdefgh\",".repeat(600));
        let object = format!(
            "{{\"a\":\"b\"{}}}",
            (0..300).map(|n| format!(",\"k{n}\":\"v\"")).collect::<String>()
        );
        let lines: Vec<Line<'_>> = vec![
            (b":method", b"GET"),
            (b":authority", b"api.github.com"),
            (b":path", b"/"),
            (b"x-long", long.as_bytes()),
            (b"x-nested", nested.as_bytes()),
            (b"x-wide", wide.as_bytes()),
            (b"x-object", object.as_bytes()),
        ];
        let scene = Scene { lines, ..scene() };
        for source in [
            "request.headers['x-long']",
            "[request.headers['x-long']]",
            "bytes(request.headers['x-long'])",
            "json(request.headers['x-nested'])",
            "json(request.headers['x-wide'])",
            "json(request.headers['x-object'])",
            "request.headers",
        ] {
            let found = recorded_of(&scene, source).unwrap().unwrap();
            assert!(found.is_cut, "{source}: {}", found.json);
            let most = MAX_RECORDED + 2 * MAX_RECORDED_TEXT;
            assert!(found.json.len() < most, "{source}: {}", found.json.len());
            let read: serde_json::Value = serde_json::from_str(&found.json).expect(source);
            assert!(!read.is_null(), "{source}");
        }
        let text = recorded_of(&scene, "request.headers['x-long']").unwrap().unwrap();
        assert_eq!(text.json, format!("\"{}...\"", "é".repeat(512)));
    }

    #[test]
    fn a_record_has_neither_types_nor_what_the_response_will_have() {
        assert!(refused("type(1)", Expected::Any).contains("a type has no form in a record"));
        let early = refused("response.code", Expected::Any);
        assert!(early.contains("`response` is not there yet"), "{early}");
    }
}
