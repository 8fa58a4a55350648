//! The index of prices has a row for everything that an expression can be made of, and the price of
//! each is that of work at a request.

use std::collections::BTreeSet;

use bench::index::{entries, measure};

/// What to do about an example of literals.
const MEND: &str = "; give it a rule over the request in e2e/bench/src/index/examples.rs";

#[test]
fn every_attribute_operator_macro_and_function_has_a_price() {
    let index = measure().unwrap_or_else(|error| panic!("{error}"));
    let priced: BTreeSet<&str> =
        index.prices.iter().map(|price| price.entry.name.as_str()).collect();
    for entry in entries() {
        let body = entry.name.ends_with(".body");
        assert!(body || priced.contains(entry.name.as_str()), "{}", entry.name);
    }
    for price in &index.prices {
        let entry = &price.entry;
        println!("{:>7} {} {}: {}", price.instructions, price.calls, entry.name, entry.rule);
    }
    for price in &index.prices {
        assert!(price.instructions > 40, "is computed at load: {price:?}{MEND}");
    }
    for body in &index.bodies {
        println!("{:?} {}", body.costs, body.rule);
    }
}

/// An example that none of the page's rows is of would be measured for nothing, and a row whose
/// example has no attribute would cost nothing.
#[test]
fn the_rows_are_those_of_the_documents() {
    let entries = entries();
    let page = include_str!("../../../docs/functions.md");
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    let attributes = entries.iter().filter(|entry| entry.group == "Attributes").count();
    assert_eq!(entries.len() - attributes, rows, "rows of docs/functions.md");
    assert_eq!(attributes, egress_filter::attributes::markdown().lines().count() - 2);
    for entry in &entries {
        let reads = ["request.", "source.", "uuid()", "random()"];
        let is_attribute = entry.group == "Attributes";
        let is_read = is_attribute || reads.iter().any(|read| entry.rule.contains(read));
        assert!(is_read, "{entry:?}{MEND}");
    }
}
