//! The bars that the project set itself, one by one.

use super::policies::Shape;
use super::rounds::Group;
use super::statistics::{crossing, median};
use super::subject::{Asked, Subject};
use super::{Emulated, Figures, Options};

/// One bar, and whether it was met.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) what: String,
    pub(super) bar: String,
    pub(super) value: String,
    /// `None` for a figure that is only stated.
    pub(super) met: Option<bool>,
}

impl Bar {
    fn new(
        what: impl Into<String>,
        bar: impl Into<String>,
        value: impl Into<String>,
        met: Option<bool>,
    ) -> Self {
        Self { what: what.into(), bar: bar.into(), value: value.into(), met }
    }

    fn ratio(what: impl Into<String>, limit: f64, value: Option<[f64; 3]>) -> Self {
        let text = value.map_or("-".to_owned(), |[low, middle, high]| {
            format!("{middle:.2} times ({low:.2} to {high:.2})")
        });
        Self::new(
            what,
            format!("at most {limit} times"),
            text,
            Some(value.is_some_and(|[_, middle, _]| middle <= limit)),
        )
    }
}

/// All bars.
pub(super) fn all(options: &Options, figures: &Figures) -> Vec<Bar> {
    let mut bars = Vec::new();
    workshop(figures, &mut bars);
    flat(options, figures, &mut bars);
    loading(options, figures, &mut bars);
    size(figures, &mut bars);
    endurance(options, figures, &mut bars);
    bars
}

fn group<'a>(figures: &'a Figures, name: &str) -> Option<&'a Group> {
    figures.groups.iter().find(|group| group.name == name)
}

pub(super) fn emulated(figures: &Figures, subject: Subject) -> Option<&Emulated> {
    figures.emulated.iter().find(|row| row.subject == subject)
}

/// The same work on both sides, with the host bound and without.
const SAME_WORK: [(Subject, Subject, &str); 2] = [
    (Subject::Workshop, Subject::FloorBinding, "ours against the floor, both bind the host"),
    (Subject::WorkshopUnbound, Subject::Floor, "ours against the floor, neither does"),
];

fn workshop(figures: &Figures, bars: &mut Vec<Bar>) {
    let interleaved = group(figures, "workshop");
    for (ours, floor, pair) in SAME_WORK {
        for asked in [Asked::Allowed, Asked::Denied] {
            let what = format!("workshop, {}: added CPU, {pair}", asked.name());
            bars.push(Bar::ratio(
                what,
                1.15,
                interleaved.and_then(|group| group.ratio(ours, floor, asked)),
            ));
            let calls = |subject| Some(emulated(figures, subject)?.request(asked)?.total_calls());
            let (own, least) = (calls(ours), calls(floor));
            let text = format!("{} against {}", own.unwrap_or_default(), least.unwrap_or_default());
            let what = format!("workshop, {}: host calls, {pair}", asked.name());
            bars.push(Bar::new(
                what,
                "as many or fewer",
                text,
                Some(own.is_some() && own <= least),
            ));
        }
    }
    let ratio = |of, to| interleaved.and_then(|group| group.ratio(of, to, Asked::Allowed));
    bars.push(Bar::ratio(
        "workshop, allowed: added CPU against Lua (the aim)",
        1.0,
        ratio(Subject::Workshop, Subject::Lua(0)),
    ));
    for peer in [Subject::Native(0), Subject::Tree(0)] {
        let bar = Bar::ratio(
            format!("workshop, allowed: added CPU against {}", peer.name()),
            1.0,
            ratio(Subject::Workshop, peer),
        );
        bars.push(Bar { bar: "to be stated".to_owned(), met: None, ..bar });
    }
}

fn flat(options: &Options, figures: &Figures, bars: &mut Vec<Bar>) {
    let most = options.most;
    for asked in [Asked::Allowed, Asked::Denied] {
        let worst = Shape::ALL.into_iter().filter_map(|shape| {
            let fuel = |others| {
                Some(emulated(figures, Subject::amid(shape, others))?.request(asked)?.fuel as f64)
            };
            Some((fuel(most)? / fuel(1)?, shape))
        });
        let worst = worst.max_by(|(one, _), (other, _)| one.total_cmp(other));
        let text = worst.map_or("-".to_owned(), |(ratio, shape)| {
            format!("{ratio:.2} times ({})", shape.name())
        });
        let what = format!(
            "{most} policies of which none can match against 1, {}: guest instructions, the worst \
             shape",
            asked.name()
        );
        bars.push(Bar::new(
            what,
            "at most 1.2 times",
            text,
            Some(worst.is_some_and(|(ratio, _)| ratio <= 1.2)),
        ));
    }
    let interleaved = group(figures, "number of policies");
    let ratio = interleaved
        .and_then(|group| group.ratio(Subject::Amid(most), Subject::Amid(1), Asked::Allowed));
    bars.push(Bar::ratio(
        format!("{most} policies of which none can match against 1: added CPU"),
        1.2,
        ratio,
    ));
    bars.push(ahead(
        figures,
        "ahead of native RBAC's list, all others tried before",
        Subject::Native,
        true,
    ));
    bars.push(ahead(
        figures,
        "ahead of native RBAC's list, half of them tried before",
        Subject::NativeHalfway,
        false,
    ));
}

/// From how many policies on ours adds less than a peer.
fn ahead(figures: &Figures, what: &str, peer: fn(usize) -> Subject, is_bar: bool) -> Bar {
    let mut peers = line(figures, peer);
    // A figure that does not depend on the order is measured once.
    let one = line(figures, Subject::Native)
        .into_iter()
        .filter(|(others, _)| peers.iter().all(|(known, _)| known > others));
    peers.splice(0..0, one.collect::<Vec<_>>());
    let ours = line(figures, Subject::Amid);
    let (at, text) = match crossing(&peers, &ours) {
        Some(at) => (at, format!("from {at:.0} policies on")),
        None if peers
            .first()
            .zip(ours.first())
            .is_some_and(|((_, peer), (_, ours))| ours < peer) =>
        {
            (0.0, "from the first on".to_owned())
        }
        None => (f64::INFINITY, "nowhere".to_owned()),
    };
    let bar = if is_bar { "from at most 100 policies on" } else { "to be stated" };
    Bar::new(what, bar, text, is_bar.then_some(at <= 100.0))
}

/// What a contestant adds by the number of policies beside the workshop's, in microseconds.
pub(super) fn line(figures: &Figures, make: fn(usize) -> Subject) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for group in figures.groups.iter().filter(|group| group.name != "workshop") {
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

fn loading(options: &Options, figures: &Figures, bars: &mut Vec<Bar>) {
    let Some(update) = figures.updates.iter().find(|update| update.others == options.most) else {
        return;
    };
    let most = options.most;
    let slowest = update.workers.iter().copied().max().unwrap_or_default();
    let limit = 2.0 * most as f64 / 10_000.0;
    for (thread, time) in [("main thread", update.main), ("the slowest worker", slowest)] {
        let seconds = time.as_secs_f64();
        let text = format!("{seconds:.2} s, {:.0} us a policy", seconds * 1e6 / most as f64);
        bars.push(Bar::new(
            format!("load of {most} policies in Envoy: {thread}"),
            format!("under {limit} s"),
            text,
            Some(seconds < limit),
        ));
    }
}

fn size(figures: &Figures, bars: &mut Vec<Bar>) {
    let megabytes = figures.size as f64 / 1e6;
    bars.push(Bar::new(
        "the file",
        "at most 1.5 MB",
        format!("{megabytes:.2} MB"),
        Some(megabytes <= 1.5),
    ));
    let Some(group) = group(figures, "workshop") else { return };
    let resident =
        |subject| group.row(subject, Asked::Allowed).map_or(0.0, |row| row.resident as f64 / 1e6);
    let over = resident(Subject::WorkshopDenied) - resident(Subject::Empty);
    bars.push(Bar::new(
        "resident memory over the empty filter, workshop",
        "at most 15 MB",
        format!("{over:.1} MB"),
        Some(over <= 15.0),
    ));
}

fn endurance(options: &Options, figures: &Figures, bars: &mut Vec<Bar>) {
    let growth = figures.emulated.iter().filter_map(|row| {
        let (_, last) = row.memory.last_key_value()?;
        Some((last.saturating_sub(*row.memory.get(&1_000)?), row.subject.name()))
    });
    let worst = growth.max();
    let text = match &worst {
        Some((0, _)) => "no growth in any configuration".to_owned(),
        Some((bytes, name)) => format!("{bytes} bytes more ({name})"),
        None => "-".to_owned(),
    };
    let what = format!("the guest's memory after {} requests", options.endurance);
    bars.push(Bar::new(what, "what it was after 1000", text, Some(matches!(worst, Some((0, _))))));
}
