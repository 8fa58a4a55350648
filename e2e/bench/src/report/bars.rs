//! The bars, and which of them are missed by how much.

use std::fmt::Write;

use crate::bars::Bar;

const ABOUT: &str = "\
## The bars

A bar is a limit that this project set itself, so that a change that makes the filter dearer than a
platform team would accept is seen: for a request, near what the same policy costs by hand (the
[*floor*](#what-is-compared)); for many policies, as good as nothing for those that are for others;
for a proxy, what a sidecar's extension may take. Nobody else prescribes them. Those that are missed
are listed like the others, with how far they are missed, and
[why](#what-is-missed-why-and-what-was-tried). In brackets are quartiles, or what the figure is of.
";

/// The section.
pub(super) fn render(text: &mut String, bars: &[Bar]) {
    let _ = writeln!(text, "{ABOUT}\n| | at most | measured | |\n|---|---|---|---|");
    for bar in bars {
        let Bar { what, most, value, digits, unit, beside } = bar;
        let beside = if beside.is_empty() { String::new() } else { format!(" ({beside})") };
        let _ = writeln!(
            text,
            "| {what} | {most:.digits$} {unit} | {value:.digits$}{beside} | {} |",
            verdict(bar)
        );
    }
    text.push('\n');
}

fn verdict(bar: &Bar) -> String {
    if bar.is_met() {
        return "met".to_owned();
    }
    if bar.value.is_nan() {
        return "not measured".to_owned();
    }
    let by = match bar.most {
        0.0 => String::new(),
        most => format!(" by {:.0} %", (bar.value / most - 1.0) * 100.0),
    };
    format!("[**missed**](#what-is-missed-why-and-what-was-tried){by}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_bar_says_by_how_much() {
        let bar = |value| Bar {
            what: "a thing".to_owned(),
            most: 2.0,
            value,
            digits: 1,
            unit: "s",
            beside: String::new(),
        };
        let mut text = String::new();
        render(&mut text, &[bar(2.0), bar(3.0), bar(f64::NAN)]);
        let verdicts: Vec<&str> = text
            .lines()
            .rev()
            .skip(1)
            .take(3)
            .filter_map(|line| line.rsplit("| ").next())
            .collect();
        let why = "[**missed**](#what-is-missed-why-and-what-was-tried)";
        assert_eq!(
            verdicts,
            ["not measured |".to_owned(), format!("{why} by 50 % |"), "met |".to_owned()]
        );
    }
}
