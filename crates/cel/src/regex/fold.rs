//! Letters in other cases, for `(?i)` and for names.

mod names;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use names::without_case;
use table::RUNS;

/// No letter has more forms than this: `K`, `k` and the Kelvin sign are three of one.
const MOST_FORMS: usize = 4;

/// The ranges (first and last character each), with all other cases of the characters in them.
/// Ranges may overlap, and come in any order.
pub(super) fn with_other_cases(ranges: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut all = ranges.to_vec();
    let mut last = 0;
    for _ in 1..MOST_FORMS {
        let end = all.len();
        let next: Vec<(u32, u32)> = all.iter().skip(last).flat_map(next_cases).collect();
        all.extend(next);
        last = end;
    }
    all
}

/// The next forms of the letters in a range.
fn next_cases(&(first, last): &(u32, u32)) -> impl Iterator<Item = (u32, u32)> + use<> {
    let from = RUNS.partition_point(|(_, end, _)| *end < first);
    let runs = RUNS.iter().skip(from).take_while(move |(start, ..)| *start <= last);
    runs.map(move |(start, end, distance)| {
        let (first, last) = (first.max(*start), last.min(*end));
        if *distance != 0 {
            return (first.saturating_add_signed(*distance), last.saturating_add_signed(*distance));
        }
        // The run is of pairs: both of each pair are added.
        let (first, last) = (first.wrapping_sub(*start), last.wrapping_sub(*start));
        (start.saturating_add(first & !1), start.saturating_add(last | 1))
    })
}
