//! The index as a section of the report.

use std::fmt::Write;

use super::bodies::SIZES;
use super::{Index, Price};

const ABOUT: &str = "\
## What an expression costs

Each row is a rule on the request of [`functions.md`](docs:functions.md), and what it takes above a
rule that is `true`: instructions of the module in the emulated host, the same in every run, and
host calls. It includes reading what the rule reads: the first table has that alone. A rule over
literals costs nothing, since it is computed when the configuration loads. What two rules read is
read once. Bodies have [a table of their own](#bodies).
";

const BODIES: &str = "\
### Bodies

Of the module that reads bodies: the instructions of a whole request with a body of this size, in
pieces of 16 KiB. Where another status than 200 is beside the figure, a limit is reached: a rule has
used up [its steps](docs:reading.md#what-a-request-may-cost), or the text is longer than
[a function takes](docs:expressions.md#limits).
";

/// The section, with its heading.
pub(crate) fn render(index: &Index) -> String {
    let mut text =
        format!("{ABOUT}\n| | rows | cheapest | median | dearest |\n|---|---|---|---|---|\n");
    let groups = groups(index);
    for (group, prices) in &groups {
        let at = |place: usize| prices.get(place).map_or(0, |price| price.instructions);
        let (last, count) = (prices.len().saturating_sub(1), prices.len());
        let _ =
            writeln!(text, "| {group} | {count} | {} | {} | {} |", at(last), at(last / 2), at(0));
    }
    text.push('\n');
    for (group, prices) in groups {
        let _ = writeln!(
            text,
            "<details><summary>{group}, the dearest first</summary>\n\n\
             | | rule | instructions | host calls |\n|---|---|---|---|"
        );
        for Price { entry, instructions, calls } in prices {
            let (name, rule) = (cell(&entry.name), cell(&entry.rule));
            let _ = writeln!(text, "| `{name}` | `{rule}` | {instructions} | {calls} |");
        }
        text.push_str("\n</details>\n\n");
    }
    bodies(&mut text, index);
    text
}

/// The prices by heading, in the documents' order, the dearest of each first.
fn groups(index: &Index) -> Vec<(&'static str, Vec<&Price>)> {
    let mut groups: Vec<(&'static str, Vec<&Price>)> = Vec::new();
    for price in &index.prices {
        let group = price.entry.group;
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, prices)) => prices.push(price),
            None => groups.push((group, vec![price])),
        }
    }
    for (_, prices) in &mut groups {
        prices.sort_by_key(|price| std::cmp::Reverse(price.instructions));
    }
    groups
}

fn bodies(text: &mut String, index: &Index) {
    let _ = write!(text, "{BODIES}\n| rule |");
    for size in SIZES {
        let _ = write!(text, " {} KiB |", size >> 10);
    }
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(SIZES.len()));
    for body in &index.bodies {
        let _ = write!(text, "| `{}` |", cell(body.rule));
        for (instructions, status) in &body.costs {
            let status = if status == "200" { String::new() } else { format!(" ({status})") };
            let _ = write!(text, " {instructions}{status} |");
        }
        text.push('\n');
    }
    text.push('\n');
}

/// Code in a cell of a table.
fn cell(code: &str) -> String {
    code.replace('|', "\\|")
}
