//! The bars that the project set itself, one by one.

use std::time::Duration;

use super::cost::{REQUEST, RULE};
use super::policies::Shape;
use super::rounds::{Group, NUMBERS, WORKSHOP};
use super::statistics::{crossing, median};
use super::subject::{Asked, Subject};
use super::{Emulated, Figures, Options, features};

/// One bar, and what was measured.
#[derive(Debug)]
pub(super) struct Bar {
    /// What is measured.
    pub(super) what: String,
    /// The most that it may be.
    pub(super) most: f64,
    /// What it is; not a number where it could not be measured.
    pub(super) value: f64,
    /// How many digits both have behind the point.
    pub(super) digits: usize,
    pub(super) unit: &'static str,
    /// What else is to be told of the value: quartiles, the worst of what.
    pub(super) beside: String,
}

impl Bar {
    fn new(what: impl Into<String>, most: f64, unit: &'static str, value: Option<f64>) -> Self {
        let (value, beside) = (value.unwrap_or(f64::NAN), String::new());
        Self { what: what.into(), most, value, digits: 0, unit, beside }
    }

    /// With this many digits behind the point.
    fn digits(self, digits: usize) -> Self {
        Self { digits, ..self }
    }

    fn beside(self, beside: impl Into<String>) -> Self {
        Self { beside: beside.into(), ..self }
    }

    /// A ratio, by its quartiles.
    fn ratio(what: impl Into<String>, most: f64, value: Option<[f64; 3]>) -> Self {
        let bar = Self::new(what, most, "times", value.map(|[_, middle, _]| middle)).digits(2);
        match value {
            Some([low, _, high]) => bar.beside(format!("{low:.2} to {high:.2}")),
            None => bar,
        }
    }

    /// Whether the value is at most what it may be.
    pub(super) fn is_met(&self) -> bool {
        self.value <= self.most
    }
}

/// All bars.
pub(super) fn all(options: &Options, figures: &Figures) -> Vec<Bar> {
    let mut bars = Vec::new();
    workshop(figures, &mut bars);
    flat(options, figures, &mut bars);
    worst(figures, &mut bars);
    size(options, figures, &mut bars);
    bars
}

fn group<'a>(figures: &'a Figures, name: &str) -> Option<&'a Group> {
    figures.groups.iter().find(|group| group.name == name)
}

pub(super) fn emulated(figures: &Figures, subject: Subject) -> Option<&Emulated> {
    figures.emulated.iter().find(|row| row.subject == subject)
}

/// What a request of the workshop costs in the emulated host: instructions and host calls.
pub(super) fn emulated_cost(
    figures: &Figures,
    subject: Subject,
    asked: Asked,
) -> Option<(u64, u64)> {
    let usage = emulated(figures, subject)?.request(asked)?;
    Some((usage.fuel, usage.total_calls()))
}

/// How the rows of the index begin that have a macro over eight items.
const ITEMS: &str = "['a', 'b', 'c', 'd', 'e', 'f', 'g', ";

/// The dearest macro over eight items, of those that test items or of those that make a list of
/// them: its name, and what it takes above a rule that is `true`.
pub(super) fn macros(figures: &Figures, makes_a_list: bool) -> Option<(&str, f64)> {
    let prices = figures.index.prices.iter().filter(|price| {
        price.entry.rule.starts_with(ITEMS)
            && price.entry.rule.ends_with(".size() == 8") == makes_a_list
    });
    let dearest = prices.max_by_key(|price| price.instructions)?;
    Some((dearest.entry.name.as_str(), dearest.instructions as f64))
}

fn workshop(figures: &Figures, bars: &mut Vec<Bar>) {
    for (asked, instructions, calls) in [(Asked::Allowed, 6_000, 6), (Asked::Denied, 3_500, 3)] {
        let cost = emulated_cost(figures, Subject::Workshop, asked);
        for (unit, most, value) in [
            ("instructions", instructions, cost.map(|(fuel, _)| fuel)),
            ("host calls", calls, cost.map(|(_, calls)| calls)),
        ] {
            let what = format!("a request of the workshop, {}", asked.name());
            bars.push(Bar::new(what, f64::from(most), unit, value.map(|value| value as f64)));
        }
    }
    let dearest = macros(figures, false);
    let bar = Bar::new(
        "a rule of one macro that tests 8 items, above a rule `true`",
        12_000.0,
        "instructions",
        dearest.map(|(_, value)| value),
    );
    let name = dearest.map_or("", |(name, _)| name);
    let made = macros(figures, true).map_or(String::new(), |(name, value)| {
        format!("; one that makes a list, {name}: {value:.0}")
    });
    bars.push(bar.beside(format!("{name}{made}")));
    let group = group(figures, WORKSHOP);
    for asked in [Asked::Allowed, Asked::Denied] {
        let ratio =
            group.and_then(|group| group.ratio(Subject::Workshop, Subject::FloorBinding, asked));
        let what = format!("added CPU, {}, against the floor that does as much", asked.name());
        bars.push(Bar::ratio(what, 1.25, ratio));
    }
    let logged = group
        .and_then(|group| group.ratio(Subject::WorkshopDenied, Subject::Workshop, Asked::Denied));
    bars.push(Bar::ratio(
        "added CPU, denied with its record logged, against denied without",
        1.6,
        logged,
    ));
}

fn flat(options: &Options, figures: &Figures, bars: &mut Vec<Bar>) {
    let most = options.most;
    for asked in [Asked::Allowed, Asked::Denied] {
        let worst = Shape::ALL.into_iter().filter_map(|shape| {
            let fuel = |others| {
                Some(emulated_cost(figures, Subject::amid(shape, others), asked)?.0 as f64)
            };
            Some((fuel(most)? / fuel(1)?, shape))
        });
        let worst = worst.max_by(|(one, _), (other, _)| one.total_cmp(other));
        let what = format!(
            "instructions among {most} policies that cannot match against 1, {}, the worst shape",
            asked.name()
        );
        let bar = Bar::new(what, 1.15, "times", worst.map(|(ratio, _)| ratio)).digits(2);
        bars.push(bar.beside(worst.map_or("", |(_, shape)| shape.name())));
    }
    let interleaved = group(figures, NUMBERS);
    let ratio = interleaved
        .and_then(|group| group.ratio(Subject::Amid(most), Subject::Amid(1), Asked::Allowed));
    bars.push(Bar::ratio(
        format!("added CPU among {most} policies that cannot match against 1"),
        1.15,
        ratio,
    ));
    let at = ahead(figures, Subject::Native);
    let bar = Bar::new(
        "ahead of native RBAC's list, all others tried before, from how many policies on",
        150.0,
        "policies",
        at,
    );
    let halfway = ahead(figures, Subject::NativeHalfway);
    bars.push(bar.beside(
        halfway.map_or(String::new(), |at| format!("with half of them tried before: {at:.0}")),
    ));
    let [low, middle, high] = features::asking(&figures.features);
    let bar = Bar::new(
        "asking a service over HTTP (`extAuth`), beyond Envoy's ext_authz",
        features::ASKED.1,
        "us",
        Some(middle),
    );
    bars.push(bar.digits(1).beside(format!("{low:.1} to {high:.1}")));
}

/// From how many policies on ours adds less than a peer.
pub(super) fn ahead(figures: &Figures, peer: fn(usize) -> Subject) -> Option<f64> {
    let mut peers = line(figures, peer);
    // A figure that does not depend on the order is measured once.
    let one = line(figures, Subject::Native)
        .into_iter()
        .filter(|(others, _)| peers.iter().all(|(known, _)| known > others));
    peers.splice(0..0, one.collect::<Vec<_>>());
    // Ours is measured with fewer numbers of policies, and does not depend on them.
    let ours = line(figures, Subject::Amid);
    let of_ours =
        |x: f64| ours.iter().rev().find(|(others, _)| *others <= x).map(|(_, added)| (x, *added));
    let ours: Vec<(f64, f64)> = peers.iter().filter_map(|(x, _)| of_ours(*x)).collect();
    let is_ahead_at_once = match (peers.first(), ours.first()) {
        (Some((_, peer)), Some((_, ours))) => ours < peer,
        _ => false,
    };
    crossing(&peers, &ours).or(is_ahead_at_once.then_some(1.0))
}

/// What a contestant adds by the number of policies beside the workshop's, in microseconds.
pub(super) fn line(figures: &Figures, make: fn(usize) -> Subject) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for group in figures.groups.iter().filter(|group| group.name != WORKSHOP) {
        for row in group.rows.iter().filter(|row| row.subject == make(row.subject.others())) {
            let x = row.subject.others() as f64;
            if points.iter().all(|(known, _)| *known != x) {
                points.push((x, median(&group.added(row))));
            }
        }
    }
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

fn worst(figures: &Figures, bars: &mut Vec<Bar>) {
    for (what, most, whole) in
        [("the dearest known rule", RULE, false), ("the dearest known request", REQUEST, true)]
    {
        let costs = figures.worst.iter().filter(|worst| worst.limit.is_of_a_request() == whole);
        let dearest = costs.map(|worst| worst.cost.instructions).max();
        bars.push(Bar::new(
            what,
            most as f64 / 1e6,
            "million instructions",
            dearest.map(|instructions| instructions as f64 / 1e6),
        ));
    }
}

fn size(options: &Options, figures: &Figures, bars: &mut Vec<Bar>) {
    let megabytes = figures.size as f64 / 1e6;
    bars.push(Bar::new("the module", 1.2, "MB", Some(megabytes)).digits(2));
    let over = over_empty(figures, Subject::WorkshopDenied);
    bars.push(
        Bar::new("resident memory over an empty module, one worker", 30.0, "MB", over).digits(1),
    );
    let start = figures.starts.iter().find(|start| start.subject == Subject::WorkshopDenied);
    let start = start.map(|start| median(&start.seconds));
    bars.push(Bar::new("the first answer after Envoy's start", 0.7, "s", start).digits(2));
    let update = figures.updates.iter().find(|update| update.others == options.most);
    let slowest = update.and_then(|update| update.workers.iter().copied().max());
    for (thread, time) in
        [("main thread", update.map(|update| update.main)), ("the slowest worker", slowest)]
    {
        let what = format!("load of {} policies, {thread}", options.most);
        bars.push(Bar::new(what, 0.4, "s", time.as_ref().map(Duration::as_secs_f64)).digits(2));
    }
    let growth = figures.emulated.iter().filter_map(|row| {
        let (_, last) = row.memory.last_key_value()?;
        Some((last.saturating_sub(row.warm()?), row.subject.name()))
    });
    let worst = growth.max();
    let what = format!(
        "growth of the guest's memory from {} requests to {}, the worst configuration",
        options.endurance / 10,
        options.endurance
    );
    bars.push(Bar::new(what, 0.0, "bytes", worst.map(|(bytes, _)| bytes as f64)));
}

/// Resident memory over an Envoy with an empty module, in megabytes.
pub(super) fn over_empty(figures: &Figures, subject: Subject) -> Option<f64> {
    let of = |subject| figures.memory.iter().find(|row| row.subject == subject);
    Some((of(subject)?.one as f64 - of(Subject::Empty)?.one as f64) / 1e6)
}
