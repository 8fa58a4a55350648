//! The features as a section of the report.

use std::fmt::Write;

use super::measure::Figures;
use super::{ASKED, Feature, all};
use crate::Options;
use crate::statistics::{median, quartiles};

const HEADING: &str = "## What each feature costs\n";

const ABOUT: &str = "\
Each row is one feature, in a configuration with one Allow over the caller's namespace. Instructions
and host calls are those of one request in the emulated host, the same in every run; in brackets,
how many of them the feature adds to the configuration without it. A feature that no policy uses
adds none. Beside it is what a real Envoy's processor takes for a request more than without any
filter, in microseconds, and what Envoy's own means for the same job take, where there are any. They
do that job alone: no rule, no audit, no path safety. Each figure is a median of rounds in which all
these Envoys were asked in turn, with the quartiles in brackets. A request that the filter answers
itself does not reach the route, so it can cost less than the rule alone.
";

/// The section, with its heading.
#[must_use]
pub fn render(options: &Options, figures: &Figures) -> String {
    let mut text = format!("{HEADING}\n{ABOUT}\n");
    let _ = writeln!(text, "{} rounds of {:?}.\n", options.rounds, options.round);
    text.push_str(
        "| | instructions | host calls | adds us | Envoy's own | adds us |\n\
         |---|---|---|---|---|---|\n",
    );
    for (feature, cost) in all().iter().zip(&figures.costs) {
        let more = |with: u64, without: u64| {
            let change = i128::from(with) - i128::from(without);
            if change == 0 { with.to_string() } else { format!("{with} ({change:+})") }
        };
        let native = feature.native.as_ref().map(|native| native.name);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            feature.name,
            more(cost.with.fuel, cost.without.fuel),
            more(cost.with.total_calls(), cost.without.total_calls()),
            added(figures, feature.name),
            native.unwrap_or("-"),
            native.map_or_else(|| "-".to_owned(), |name| added(figures, name)),
        );
    }
    text.push('\n');
    let with_native: Vec<String> =
        all().iter().filter_map(|feature| ratio(figures, feature)).collect();
    let _ = writeln!(
        text,
        "Times what Envoy's own adds, round by round: {}.\n",
        with_native.join("; ")
    );
    let _ = writeln!(text, "{}\n", asked(figures));
    text
}

/// Whether a service that answers at once is asked as cheaply as the bar has it.
fn asked(figures: &Figures) -> String {
    let (name, most) = ASKED;
    let of = |wanted: &str| all().into_iter().find(|feature| feature.name == wanted);
    let native = of(name).and_then(|feature| Some(feature.native?.name)).unwrap_or_default();
    let (ours, theirs) = (differences(figures, name), differences(figures, native));
    let more: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours - theirs).collect();
    let [low, middle, high] = quartiles(&more);
    let verdict = if middle <= most { "met" } else { "missed" };
    format!(
        "{name} takes {middle:.1} us ({low:.1} to {high:.1}) more than Envoy's {native}, round by \
         round; it may take {most:.0}: {verdict}."
    )
}

/// What an Envoy adds to the one without a filter in each round.
fn differences(figures: &Figures, name: &str) -> Vec<f64> {
    let of = |name: &str| figures.rows.iter().find(|row| row.name == name);
    match (of(name), figures.rows.first()) {
        (Some(row), Some(none)) => {
            row.samples.iter().zip(&none.samples).map(|(own, none)| own - none).collect()
        }
        _ => Vec::new(),
    }
}

fn added(figures: &Figures, name: &str) -> String {
    let [low, middle, high] = quartiles(&differences(figures, name));
    format!("{middle:.1} ({low:.1} to {high:.1})")
}

/// How many times as much ours adds; nothing where Envoy's own adds nothing that can be measured.
fn ratio(figures: &Figures, feature: &Feature) -> Option<String> {
    let native = feature.native.as_ref()?;
    let (ours, theirs) = (differences(figures, feature.name), differences(figures, native.name));
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let [low, middle, high] = quartiles(&ratios);
    Some(if median(&theirs) < 1.0 {
        format!("{}: less than 1 us is no basis", native.name)
    } else {
        format!("{}: {middle:.1} ({low:.1} to {high:.1})", native.name)
    })
}

/// What follows the section in the report.
const NEXT: &str = "## In a real Envoy\n";

/// A page with this section in the place of the one that it has, or where the report has it.
#[must_use]
pub fn documented(page: &str, section: &str) -> String {
    let (before, rest) =
        page.split_once(HEADING).or_else(|| page.split_once(NEXT)).unwrap_or((page, ""));
    let after = match page.contains(HEADING) {
        true => rest.split_once("\n## ").map_or(String::new(), |(_, after)| format!("## {after}")),
        false => format!("{NEXT}{rest}"),
    };
    format!("{}\n\n{}\n\n{after}", before.trim_end(), section.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gets_the_section_once() {
        let section = format!("{HEADING}\nnew\n\n");
        let first = documented(&format!("# Page\n\n{NEXT}\ntext\n"), &section);
        assert_eq!(first, format!("# Page\n\n{HEADING}\nnew\n\n{NEXT}\ntext\n"));
        assert_eq!(documented(&first, &section), first);
        let old = first.replace("new", "old");
        assert_eq!(documented(&old, &section), first);
    }
}
