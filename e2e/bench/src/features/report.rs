//! The features as a section of the report.

use std::fmt::Write;

use super::measure::{Cost, Figures};
use super::{ASKED, all};
use crate::Options;
use crate::statistics::{median, quartiles};

const HEADING: &str = "## What each feature costs\n";

const ABOUT: &str = "\
Each row is one feature, in a configuration with one Allow over the caller's namespace, the dearest
first. Instructions and host calls are those of one request in the emulated host, the same in every
run; in brackets, how many of them the feature adds to the configuration without it. A feature that
no policy uses adds none. The time that a service takes is not in it.
";

const NATIVE: &str = "\
### Beside what Envoy brings

What a real Envoy's processor takes for a request more than without any filter, in microseconds, and
what Envoy's own means for the same job take. They do that job alone: no rule, no audit, no path
safety. Each figure is a median of rounds in which all these Envoys were asked in turn, with the
quartiles in brackets. A request that the filter answers itself does not reach the route, so it can
cost less than the rule alone. For limits that a service keeps there is no row: Envoy's filter makes
its descriptors from routes to clusters, of which these Envoys have none.
";

/// The section, with its heading.
#[must_use]
pub fn render(options: &Options, figures: &Figures) -> String {
    let mut text = format!("{HEADING}\n{ABOUT}\n");
    text.push_str("| | instructions | host calls |\n|---|---|---|\n");
    let mut costs: Vec<&Cost> = figures.costs.iter().collect();
    costs.sort_by_key(|cost| std::cmp::Reverse(change(cost.with.fuel, cost.without.fuel)));
    for cost in costs {
        let more = |with, without| match change(with, without) {
            0 => with.to_string(),
            change => format!("{with} ({change:+})"),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            cost.name,
            more(cost.with.fuel, cost.without.fuel),
            more(cost.with.total_calls(), cost.without.total_calls()),
        );
    }
    let rounds = options.rounds.div_ceil(2);
    let _ = writeln!(text, "\n{NATIVE}\n{rounds} rounds of {:?}.\n", options.round);
    text.push_str("| | adds us | Envoy's own | adds us | times |\n|---|---|---|---|---|\n");
    for feature in all() {
        let Some(native) = &feature.native else { continue };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            feature.name,
            added(figures, feature.name),
            native.name,
            added(figures, native.name),
            ratio(figures, feature.name, native.name),
        );
    }
    text.push('\n');
    text
}

fn change(with: u64, without: u64) -> i64 {
    with as i64 - without as i64
}

/// What asking a service that answers at once takes beyond what Envoy's own means take, in
/// microseconds: quartiles of the rounds.
pub(crate) fn asking(figures: &Figures) -> [f64; 3] {
    let of = all().into_iter().find(|feature| feature.name == ASKED.0);
    let native = of.and_then(|feature| Some(feature.native?.name)).unwrap_or_default();
    let (ours, theirs) = (differences(figures, ASKED.0), differences(figures, native));
    let more: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours - theirs).collect();
    quartiles(&more)
}

/// What an Envoy adds to the one without a filter in each round.
pub(crate) fn differences(figures: &Figures, name: &str) -> Vec<f64> {
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
fn ratio(figures: &Figures, ours: &str, native: &str) -> String {
    let (ours, theirs) = (differences(figures, ours), differences(figures, native));
    if median(&theirs) < 1.0 {
        return "less than 1 us is no basis".to_owned();
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let [low, middle, high] = quartiles(&ratios);
    format!("{middle:.1} ({low:.1} to {high:.1})")
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
