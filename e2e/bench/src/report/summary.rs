//! What a reader wants to know first.

use std::fmt::Write;

use crate::bars::{emulated_cost, macros, over_empty};
use crate::features;
use crate::statistics::median;
use crate::subject::{Asked, Subject};
use crate::{Figures, Options, proxied};

const REQUESTS: &str = "\
## In short

What a request of yours pays for the filter, beside what Envoy's own filters take for the same
policy. Microseconds are processor time of one Envoy worker, medians of one run.

| a request | instructions | host calls | adds us | Envoy's own add us |
|---|---|---|---|---|
";

const PROXY: &str = "\
What a proxy pays, whether requests come or not:

| | |
|---|---|
";

const READING: &str = "\
## How to read this page

- **Instructions** and **host calls** are those of the module in an
  [emulated host](#in-the-emulated-host): the same in every run and on every machine, so they are
  what to compare two versions or two policies by. A host call is a call from the module to Envoy.
- **Microseconds** are of [real Envoys](#in-a-real-envoy) that are alive at once and asked in turn,
  so that a disturbance meets all alike. They do not travel from machine to machine; ratios between
  rows of one table do. In brackets are the quartiles of the rounds: rows whose quartiles overlap do
  not differ.
- **Adds** is beyond an Envoy without any filter in that place.
- What an expression costs is in [the index of expressions](#what-an-expression-costs), what a field
  of a policy costs in [the features](#what-each-feature-costs). What is not used costs nothing.
- Envoy's own filters do the policy alone: no path safety, no binding of the host to the
  destination, no counters, no audit record, no test or explanation of a policy.
";

/// The tables, and how to read them.
pub(super) fn render(text: &mut String, options: &Options, figures: &Figures) {
    text.push_str(REQUESTS);
    for row in requests(options, figures) {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    let _ = write!(text, "\n{PROXY}");
    for (what, value) in proxy(options, figures) {
        let _ = writeln!(text, "| {what} | {value} |");
    }
    let _ = writeln!(text, "\n{READING}");
}

type Row = [String; 5];

fn requests(options: &Options, figures: &Figures) -> Vec<Row> {
    let most = options.most;
    let peers = [Subject::Native(0), Subject::Lua(0)];
    let among = [Subject::Native(most), Subject::Tree(most), Subject::Lua(most)];
    let mut rows = vec![
        row(
            figures,
            "that the workshop's three policies allow, with three headers changed",
            (Subject::Workshop, Asked::Allowed),
            &peers,
        ),
        row(figures, "that they deny", (Subject::Workshop, Asked::Denied), &peers),
        row(
            figures,
            "that they deny, the record of it logged",
            (Subject::WorkshopDenied, Asked::Denied),
            &[],
        ),
        row(
            figures,
            &format!("that they allow, among {most} policies for others"),
            (Subject::Amid(most), Asked::Allowed),
            &among,
        ),
    ];
    rows.extend(macros(figures, false).map(|(_, instructions)| {
        let what = "one rule more with a macro that tests 8 items".to_owned();
        [what, format!("+{instructions:.0}"), "+0".to_owned(), "-".to_owned(), "-".to_owned()]
    }));
    rows.extend(figures.features.of_envoys().map(|(cost, native)| {
        let added = |name: &str| median(&features::differences(&figures.features, name));
        let more = |with: u64, without: u64| format!("{:+}", with as i64 - without as i64);
        [
            format!("{}, with a rule", cost.name),
            more(cost.with.fuel, cost.without.fuel),
            more(cost.with.total_calls(), cost.without.total_calls()),
            format!("{:.1}", added(cost.name)),
            format!("{:.1} ({native})", added(native)),
        ]
    }));
    let ours = figures.proxied.last();
    rows.extend(ours.zip(figures.proxied.first()).map(|(ours, none)| {
        let added = median(&proxied::added(&figures.proxied, ours));
        let whole = median(&none.samples);
        [
            "allowed, and proxied [from end to end](#proxied-from-end-to-end)".to_owned(),
            "as above".to_owned(),
            "as above".to_owned(),
            format!("{added:.1}, to {whole:.1} without a filter"),
            "-".to_owned(),
        ]
    }));
    rows
}

fn row(figures: &Figures, what: &str, of: (Subject, Asked), peers: &[Subject]) -> Row {
    let (subject, asked) = of;
    let cost = emulated_cost(figures, subject, asked);
    // A peer is compared within its own group, where it is measured beside an Envoy without filter.
    let added = |subject: Subject| {
        let groups = figures.groups.iter();
        let mut rows = groups.filter_map(|group| Some((group, group.row(subject, asked)?)));
        rows.next().map(|(group, row)| median(&group.added(row)))
    };
    let peers: Vec<String> = peers
        .iter()
        .filter_map(|peer| Some(format!("{:.1} ({})", added(*peer)?, peer.name())))
        .collect();
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    [
        what.to_owned(),
        text(cost.map(|(fuel, _)| fuel.to_string())),
        text(cost.map(|(_, calls)| calls.to_string())),
        text(added(subject).map(|added| format!("{added:.1}"))),
        if peers.is_empty() { "-".to_owned() } else { peers.join(", ") },
    ]
}

fn proxy(options: &Options, figures: &Figures) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let over = |subject| over_empty(figures, subject).unwrap_or(f64::NAN);
    let memory = |subject| figures.memory.iter().find(|row| row.subject == subject);
    let further = memory(Subject::WorkshopDenied).map_or(f64::NAN, |row| row.further / 1e6);
    rows.push((
        "memory over an empty module, with one worker; for each further worker".to_owned(),
        format!("{:.0} MB; {further:.0} MB", over(Subject::WorkshopDenied)),
    ));
    let most = options.most;
    rows.push((
        format!("the same with {most} policies"),
        format!("{:.0} MB", over(Subject::Amid(most))),
    ));
    let start = |subject| figures.starts.iter().find(|start| start.subject == subject);
    let seconds = |subject| start(subject).map_or(f64::NAN, |start| median(&start.seconds));
    rows.push((
        "first answer after Envoy's start; with an empty module; without".to_owned(),
        format!(
            "{:.2} s; {:.2} s; {:.2} s",
            seconds(Subject::WorkshopDenied),
            seconds(Subject::Empty),
            seconds(Subject::NoFilter)
        ),
    ));
    if let Some(update) = figures.updates.iter().find(|update| update.others == most) {
        let slowest = update.workers.iter().max().copied().unwrap_or_default();
        rows.push((
            format!(
                "load of {most} policies: the main thread; a worker, which answers nobody then"
            ),
            format!("{:.2} s; {:.2} s", update.main.as_secs_f64(), slowest.as_secs_f64()),
        ));
    }
    for (what, whole) in [
        ("the dearest known request to one rule", false),
        ("the dearest known request to any configuration", true),
    ] {
        let of = figures.worst.iter().filter(|worst| worst.limit.is_of_a_request() == whole);
        let took = of.filter_map(|worst| Some(worst.took.as_ref()?.time)).max();
        let took = took.unwrap_or_default().as_secs_f64() * 1e3;
        rows.push((format!("[{what}](#the-dearest-request)"), format!("{took:.1} ms")));
    }
    rows.push(("the module's file".to_owned(), format!("{:.2} MB", figures.size as f64 / 1e6)));
    rows
}
