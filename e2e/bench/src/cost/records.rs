//! Values and filters of audit records: as many as there may be, each as costly as it can be.

use serde_json::{Map, Value, json};

use super::{LINES, Pair};

/// A configuration with this value in every field that there may be, and a filter.
fn fields(value: &str) -> Value {
    let add: Map<String, Value> =
        (0..32).map(|number| (format!("f{number}"), json!(value))).collect();
    let filter = "request.headers.all(a, request.headers.all(b, a + b != request.path))";
    json!({
        "policies": [],
        "audit": {"log": "All", "accessLog": true, "filter": filter, "fields": {"add": add}},
    })
}

pub(super) fn pairs(large: usize) -> Vec<Pair> {
    let x = "request.headers['x']";
    let spread: Vec<(String, String)> = (0..LINES)
        .map(|index| (format!("h-{index}"), "\u{e9}".repeat(large / LINES / 2)))
        .collect();
    let nested = format!("[{}1]", "[[1],2],".repeat(200));
    let fields_of_one: String = (0..4_000).map(|index| format!("\"{index}\":1,")).collect();
    let one = |text: String| vec![("x".to_owned(), text)];
    let pair = |name: &str, value: &str, headers: Vec<(String, String)>| Pair {
        name: format!("32 fields of a record: {name}"),
        configuration: fields(value),
        path: "/".to_owned(),
        headers,
    };
    let only = Pair {
        name: "one field of a record: a document of many fields".to_owned(),
        configuration: json!({
            "policies": [],
            "audit": {"log": "All", "fields": {"add": {"f": format!("json({x})")}}},
        }),
        path: "/".to_owned(),
        headers: one(format!("{{{fields_of_one}\"z\":1}}")),
    };
    vec![
        only,
        pair("a long text", x, one("a".repeat(large))),
        pair("a long text that is escaped", x, one("\u{1f389}".repeat(large / 4))),
        pair("all headers", "request.headers", spread.clone()),
        pair("all headers, many times", "[request, request, request, request]", spread.clone()),
        pair("a document", &format!("json({x})"), one(nested)),
        pair(
            "a list that is made in two loops",
            "request.headers.map(a, request.headers.map(b, a + b))",
            spread,
        ),
        pair("bytes", &format!("bytes({x})"), one("a".repeat(large))),
    ]
}
