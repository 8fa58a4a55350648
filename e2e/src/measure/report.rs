//! The figures as a table that is read on a terminal and as Markdown.

use std::fmt::Write;
use std::time::Duration;

use super::Options;
use super::steps::Steps;

/// What was seen of one Envoy.
#[derive(Debug)]
pub(super) struct Row {
    name: &'static str,
    /// Microseconds of processor time a request, one for each round.
    pub(super) samples: Vec<f64>,
    pub(super) requests: u64,
    pub(super) resident: u64,
    pub(super) start: Duration,
}

impl Row {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, samples: Vec::new(), requests: 0, resident: 0, start: Duration::ZERO }
    }

    /// What this one's rounds have over the same rounds of another: paired, so that a slow moment counts for both.
    fn over(&self, base: &Self) -> Vec<f64> {
        self.samples.iter().zip(&base.samples).map(|(own, base)| own - base).collect()
    }
}

/// Lower quartile, median and upper quartile, each the nearest sample.
fn quartiles(samples: &[f64]) -> [f64; 3] {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: usize| sorted.get(sorted.len().saturating_sub(1) * part / 4).copied().unwrap_or(f64::NAN);
    [at(1), at(2), at(3)]
}

/// Writes the report; the first row is of no filter, the second of the empty one.
pub(super) fn render(options: &Options, rows: &[Row], steps: &[Steps]) -> String {
    let mut text = String::from("# What filters add to Envoy\n\n");
    let [none, empty, ..] = rows else { return text };
    let [_, empty_adds, _] = quartiles(&empty.over(none));
    let _ = writeln!(
        text,
        "{} interleaved rounds of {:?} each, all Envoys alive at once, one worker each, 8 keep-alive connections, straight to a plain\n\
         listener before the waypoint's own chain, direct response. Microseconds of Envoy's processor time a request: the median and,\n\
         in brackets, the quartiles; what a filter adds is taken round by round.\n",
        options.rounds, options.round
    );
    text.push_str("| | us a request | adds to no filter | times the empty filter | requests | resident MB | ready after ms |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for (index, row) in rows.iter().enumerate() {
        let [low, middle, high] = quartiles(&row.samples);
        let [less, adds, more] = quartiles(&row.over(none));
        let added = if index == 0 { "-".to_owned() } else { format!("{adds:.1} ({less:.1} to {more:.1})") };
        let times = if index == 0 { "-".to_owned() } else { format!("{:.1}", adds / empty_adds) };
        let resident = row.resident as f64 / 1e6;
        let _ = writeln!(
            text,
            "| {} | {middle:.1} ({low:.1} to {high:.1}) | {added} | {times} | {} | {resident:.0} | {} |",
            row.name,
            row.requests,
            row.start.as_millis()
        );
    }
    text.push_str("\nThe same requests in the emulated host, where every run gives the same numbers:\n\n");
    text.push_str("| | host calls | bytes to the guest | bytes from it | allocations | fuel |\n|---|---|---|---|---|---|\n");
    for Steps { name, usage } in steps {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} |",
            usage.total_calls(),
            usage.bytes_to_guest,
            usage.bytes_from_guest,
            usage.allocations,
            usage.fuel
        );
    }
    text.push('\n');
    for Steps { name, usage } in steps {
        let calls: Vec<String> = usage.calls.iter().map(|(call, count)| format!("{count} `{call}`")).collect();
        let _ = writeln!(text, "- {name}: {}", calls.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_samples_whatever_their_order() {
        assert_eq!(quartiles(&[5.0, 1.0, 4.0, 2.0, 3.0]), [2.0, 3.0, 4.0]);
        assert_eq!(quartiles(&[7.0]), [7.0; 3]);
        assert!(quartiles(&[])[1].is_nan());
    }

    #[test]
    fn what_is_added_is_taken_round_by_round() {
        let row = |samples: &[f64]| Row { samples: samples.to_vec(), ..Row::new("a") };
        assert_eq!(row(&[11.0, 31.0, 21.0]).over(&row(&[10.0, 30.0, 20.0])), [1.0; 3]);
    }
}
