//! The table of fields in `docs/configuration.md` is made from the table that the reader of a
//! configuration uses. `BLESS=1` writes it anew.

use std::borrow::Cow;
use std::fmt::Write as _;

use egress_filter::config::shape::{CONFIGURATION, Field, Kind, Text};

use crate::pages::{page, root};

const PAGE: &str = "docs/configuration.md";
const START: &str = "<!-- fields -->\n";
const END: &str = "<!-- /fields -->";

/// The rows of an object's fields, each followed by those of what it holds.
fn rows(fields: &[Field], at: &str, table: &mut String) {
    for field in fields {
        let place = format!("{at}{}", field.name);
        let required = if field.required { "required" } else { "" };
        let (kind, words) = described(&field.kind);
        let _ = writeln!(table, "| `{place}` | {kind} | {required} | {}{words} |", field.about);
        match &field.kind {
            Kind::Object(fields, _) => rows(fields, &format!("{place}."), table),
            Kind::List(_, Kind::Object(fields, _)) => rows(fields, &format!("{place}[]."), table),
            _ => {}
        }
    }
}

/// What a value is, and the meanings of its words.
fn described(kind: &Kind) -> (String, String) {
    match kind {
        Kind::Object(..) => ("object".to_owned(), String::new()),
        Kind::List(bounds, entry) => {
            let (entry, words) = described(entry);
            (format!("list of at most {}: {entry}", grouped(bounds.limit)), words)
        }
        Kind::Words(listed) => {
            let mut words = String::new();
            for (word, about) in listed() {
                let _ = write!(words, "<br>`{word}`: {about}");
            }
            ("word".to_owned(), words)
        }
        Kind::Boolean => ("`true` or `false`".to_owned(), String::new()),
        Kind::Integer(least, most) => (format!("number from {least} to {most}"), String::new()),
        Kind::Choice(choices) => {
            let listed: Vec<String> = choices.iter().map(u64::to_string).collect();
            (listed.join(", "), String::new())
        }
        Kind::Map(bounds, names, values) => {
            let (value, words) = described(values);
            let (names, most) = (of_text(*names), grouped(bounds.limit));
            (format!("object of at most {most}: {names}, and its {value}"), words)
        }
        Kind::Size(most) => {
            let most = grouped(usize::try_from(*most).expect("a size fits"));
            (format!("number of bytes, at most {most}"), String::new())
        }
        Kind::Text(text) => (of_text(*text).into_owned(), String::new()),
    }
}

fn of_text(text: Text) -> Cow<'static, str> {
    let name = match text {
        Text::Free(most) => return format!("text of at most {} characters", grouped(most)).into(),
        Text::PolicyName => "name",
        Text::HeaderValue => "header value",
        Text::Host => "host, or `*.` and a host",
        Text::TrustDomain => "trust domain",
        Text::Expression => "CEL expression",
        Text::Header { pseudo: true, .. } => "header name, or a pseudo-header",
        Text::Header { pseudo: false, .. } => "header name",
        Text::Variable => "name of a variable",
        Text::RecordField => "name of a field",
        Text::Environment => "name of an environment variable",
        Text::HostName => "host",
        Text::Path => "path",
        Text::Duration => "duration",
        Text::Token => "name",
        Text::MediaType => "content type",
        Text::Scope => "scope",
        Text::UserName => "user name",
    };
    name.into()
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn table() -> String {
    let mut table = String::from("| field | value | | meaning |\n|---|---|---|---|\n");
    rows(CONFIGURATION, "", &mut table);
    table
}

#[test]
fn the_table_of_fields_is_that_of_the_reader() {
    let text = page(PAGE).text;
    let (before, rest) = text.split_once(START).expect("the table's start");
    let (kept, after) = rest.split_once(END).expect("the table's end");
    let table = table();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(root().join(PAGE), format!("{before}{START}{table}{END}{after}"))
            .expect("the page can be written");
        return;
    }
    assert!(kept == table, "{PAGE}: the table of fields is out of date; run with BLESS=1");
}

#[test]
fn thousands_have_commas() {
    assert_eq!([7, 256, 20_000, 1_000_000].map(grouped), ["7", "256", "20,000", "1,000,000"]);
}
