//! The documents have the stages in the order in which a request runs through them, and the modules
//! that there are.

use egress_filter::trace;

use crate::pages::{page, root};

/// The first cells of the table that begins with this heading.
fn first_cells(path: &str, heading: &str) -> Vec<String> {
    let text = page(path).text;
    let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("{path}: no `{heading}`"));
    let rows = rest.lines().skip(2).take_while(|line| line.contains('|'));
    let cells: Vec<String> =
        rows.filter_map(|row| Some(row.split('|').nth(1)?.trim().to_owned())).collect();
    assert!(cells.len() > 2, "{path}: {cells:?}");
    cells
}

#[test]
fn the_stages_are_those_of_a_request_in_its_order() {
    let mut expected: Vec<&str> = trace::stages().collect();
    let in_source = first_cells("src/lib.rs", "| stage | question |");
    let words: Vec<&str> = in_source.iter().map(|cell| cell.trim_matches('`')).collect();
    assert_eq!(words, expected, "src/lib.rs");
    expected.push("response");
    for (path, heading) in [
        ("docs/semantics.md", "| stage | what it does | answer |"),
        ("docs/architecture.md", "| stage | reads | may call out | may answer |"),
    ] {
        let cells = first_cells(path, heading);
        // What is reserved is in italics.
        let there = cells.iter().filter(|cell| !cell.starts_with('*'));
        let mut stages: Vec<&str> = there.filter_map(|cell| cell.split(':').next()).collect();
        stages.dedup();
        assert_eq!(stages, expected, "{path}");
    }
}

#[test]
fn every_module_is_on_the_map() {
    let mut listed: Vec<String> = first_cells("docs/architecture.md", "| module | what it holds |")
        .iter()
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    listed.sort();
    let library = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let mut modules: Vec<&str> = library
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .filter(|name| !["fuzzing", "tests"].contains(name))
        .collect();
    modules.sort_unstable();
    assert_eq!(listed, modules);
}
