//! `docs/functions.md` says what is: every function is in its tables, with the signatures it has,
//! and every example gives its result.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::message::{Scene, TABLE, View};
use crate::functions::{MACROS, Style, names, signatures};
use crate::meter::Allowance;
use crate::time::Timestamp;
use crate::{Expected, ExprError, Expression, Phase, Scope};

const PAGE: &str = include_str!("../../../../docs/functions.md");

/// A row of a table, without the code's backticks around example and result.
struct Row {
    table: &'static str,
    first: &'static str,
    example: String,
    result: String,
}

fn rows() -> Vec<Row> {
    let mut table = "";
    let mut rows = Vec::new();
    for line in PAGE.lines() {
        let Some(line) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            continue;
        };
        // Only Markdown's own bars have blanks on both sides and no backslash.
        let cells: Vec<&str> = line.split(" | ").collect();
        let &[first, gives, example, result] = cells.as_slice() else { continue };
        if (gives, example, result) == ("Returns", "Example", "Result") {
            table = first;
            continue;
        }
        let code = |cell: &str| cell.trim_matches('`').replace("\\|", "|");
        assert!(!gives.is_empty(), "{line}");
        rows.push(Row { table, first, example: code(example), result: code(result) });
    }
    rows
}

/// The request that the page shows.
fn on_the_request<T>(run: impl FnOnce(&View<'_>) -> T) -> T {
    let shown = PAGE.split("```http\n").nth(1).unwrap().split("```").next().unwrap();
    let mut lines = shown.lines();
    let mut start = lines.next().unwrap().split(' ');
    let mut headers = vec![
        (&b":method"[..], start.next().unwrap().as_bytes()),
        (b":path", start.next().unwrap().as_bytes()),
        (b":scheme", b"http"),
    ];
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let name = if name == "Host" { b":authority" } else { name.as_bytes() };
        headers.push((name, value.as_bytes()));
    }
    let scene = Scene {
        lines: headers,
        caller: b"spiffe://cluster.local/ns/team-a/sa/reader",
        version: start.next().unwrap().as_bytes(),
        addresses: [b"10.0.0.7:41000", b""],
        time: Timestamp::parse("2026-11-28T09:30:00.25Z").and_then(Timestamp::nanos),
        ..Scene::default()
    };
    scene.view(Phase::Request, run)
}

fn compiled(source: &str) -> Expression {
    let told = |errors: &Vec<ExprError>| {
        errors.iter().map(ExprError::to_string).collect::<Vec<_>>().join("; ")
    };
    Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
        .unwrap_or_else(|errors| panic!("{source}: {}", told(&errors)))
}

#[test]
fn every_example_gives_its_result() {
    let rows = rows();
    for Row { example, result, .. } in &rows {
        let rule = compiled(&if result == "error" {
            format!("{example} == true")
        } else {
            format!("({example}) == ({result})")
        });
        let found = on_the_request(|view| rule.matches(view, &Allowance::whole()));
        assert_eq!(
            found.as_ref().ok(),
            if result == "error" { None } else { Some(&true) },
            "{example} gives {result}: {found:?}"
        );
    }
    assert!(rows.len() > 100, "{} rows were found", rows.len());
}

#[test]
fn every_function_has_its_row_and_every_row_its_function() {
    let mut documented: Vec<String> = Vec::new();
    for row in rows().iter().filter(|row| row.table == "Function") {
        for signature in row.first.split("<br>") {
            let signature = signature.to_owned();
            assert!(!documented.contains(&signature), "{signature} has two rows");
            documented.push(signature);
        }
    }
    let mut declared: Vec<String> = Vec::new();
    for style in [Style::Global, Style::Member] {
        for name in names(style) {
            for signature in signatures(style, name).split(", `") {
                let signature = format!("`{}`", signature.trim_matches('`'));
                if !declared.contains(&signature) {
                    declared.push(signature);
                }
            }
        }
    }
    for signature in &declared {
        assert!(documented.contains(signature), "{signature} has no row");
    }
    for signature in &documented {
        assert!(declared.contains(signature), "{signature} is no function");
    }
}

/// What a signature or a macro's form calls, with what it is called on: `math.abs`,
/// `list(string).join`.
fn called(first: &str) -> &str {
    let signature = first.split("<br>").next().unwrap().trim_matches('`');
    // The bracket that the last one closes: where as many have been opened as closed, from the end
    // on.
    let opens = |(at, _): &(usize, &str)| {
        let inside = signature.get(*at..).unwrap();
        inside.matches('(').count() == inside.matches(')').count()
    };
    let (at, _) = signature.rmatch_indices('(').find(opens).unwrap();
    signature.get(..at).unwrap()
}

fn last_name(called: &str) -> &str {
    called.rsplit('.').next().unwrap()
}

#[test]
fn every_example_is_of_its_row() {
    for row in rows().iter().filter(|row| row.table != "Operator") {
        let name = called(row.first);
        let shown =
            [name, last_name(name)].iter().any(|name| row.example.contains(&format!("{name}(")));
        assert!(shown, "{} is no example of {}", row.example, row.first);
    }
}

#[test]
fn every_macro_has_its_row_and_every_row_its_macro() {
    let rows = rows();
    let forms = rows.iter().filter(|row| row.table == "Macro").map(|row| called(row.first));
    let documented: Vec<&str> =
        forms.map(|name| if MACROS.contains(&name) { name } else { last_name(name) }).collect();
    for name in MACROS {
        assert!(documented.contains(name), "`{name}` has no row");
    }
    for name in documented {
        assert!(MACROS.contains(&name), "`{name}` is no macro");
    }
}
