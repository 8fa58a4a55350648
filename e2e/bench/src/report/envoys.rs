//! What was measured in real Envoys.

use std::fmt::Write;

use super::bracketed;
use crate::proxied;
use crate::rounds::{Group, NUMBERS, WORKSHOP};
use crate::statistics::quartiles;
use crate::subject::{Asked, Subject};
use crate::{Figures, Options};

const INTERLEAVED: &str = "\
Several Envoys, with one worker each, run at the same time and get load in turn, round after round:
8 keep-alive HTTP/1.1 connections, with one request of ten headers after the other on each. In each
Envoy, a plain listener (without HBONE) leads to the filter chain that `envoy.yaml` has for
api.github.com, whose route answers directly. Figures are microseconds of the Envoy's processor time
for a request, as the kernel accounts it to all its threads. What a filter adds is the time of its
round, less that of the same round in the Envoy without a filter. Each figure is a median, with the
quartiles in brackets.

Before the measurement, each contestant must allow, deny by caller and by path, and change the
headers. The peers implement the policy alone: no path safety, no host binding, no counters, no
audit.
";

pub(super) fn render(text: &mut String, options: &Options, figures: &Figures) {
    let _ = writeln!(text, "## In a real Envoy\n\n{INTERLEAVED}\n",);
    for group in &figures.groups {
        let (rounds, round) = (group.rounds, options.round);
        let _ = writeln!(text, "### {}\n\n{rounds} rounds of {round:?}.\n", heading(group.name));
        match group.name {
            WORKSHOP => text.push_str(
                "![bars: what each contestant adds to a request, in \
                microseconds](chart:workshop.svg)\n\n",
            ),
            NUMBERS => text.push_str(
                "The workshop's policies among others that cannot match: a quarter each for other \
                 hosts (by\n\
                 `hosts`, and by `request.host ==`), for other callers and for other paths, with \
                 no two\n\
                 expressions alike. For our filter, half of them come before the workshop's and \
                 half after.\n\
                 The request is the allowed one.\n\n\
                 ![lines: what is added, by the number of policies](chart:policies.svg)\n\n",
            ),
            _ => {}
        }
        table(text, group);
    }
}

fn heading(name: &str) -> &str {
    match name {
        WORKSHOP => "The workshop's policies",
        NUMBERS => "Many policies",
        _ => "Many policies, in what Envoy brings",
    }
}

fn table(text: &mut String, group: &Group) {
    let floor = group.row(Subject::FloorBinding, Asked::Allowed).is_some();
    let times = if floor { " times the floor, host bound |" } else { "" };
    let _ = writeln!(
        text,
        "| | request | us a request | adds us |{times} requests | resident MB | ready after ms |"
    );
    let _ = writeln!(text, "|---|---|---|---|{}---|---|---|", if floor { "---|" } else { "" });
    for row in &group.rows {
        let none = row.subject == Subject::NoFilter;
        let adds = if none { "-".to_owned() } else { bracketed(quartiles(&group.added(row)), 1) };
        let mut times = String::new();
        if floor {
            let ratio =
                group.ratio(row.subject, Subject::FloorBinding, row.asked).filter(|_| !none);
            let _ =
                write!(times, " {} |", ratio.map_or("-".to_owned(), |ratio| bracketed(ratio, 2)));
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} | {adds} |{times} {} | {:.0} | {} |",
            row.subject.name(),
            if none { "-" } else { row.asked.name() },
            bracketed(quartiles(&row.samples), 1),
            row.requests,
            row.resident as f64 / 1e6,
            row.start.as_millis()
        );
    }
    text.push('\n');
}

const PROXIED: &str = "\
## Proxied from end to end

The waypoint of `envoy.yaml`, with one worker, does all that a waypoint does: it ends HBONE (mutual
TLS, HTTP/2 CONNECT), decides, and speaks TLS to an origin. Requests come in 8 tunnels of one
connection, as from a ztunnel. Nothing is logged but the access log. Three waypoints are asked in
turn. Latency is that of a request among the eight that are under way at any time; client and origin
share the machine with the waypoint.
";

/// What a proxied request costs.
pub(super) fn proxied(text: &mut String, options: &Options, figures: &Figures) {
    let (rounds, round) = (options.rounds, options.round);
    let _ = writeln!(
        text,
        "{PROXIED}\n{rounds} rounds of {round:?}.\n\n\
         | | us a request | adds us | times no filter | latency ms |\n|---|---|---|---|---|"
    );
    let none = figures.proxied.first().map_or(&[][..], |row| &row.samples);
    for (at, row) in figures.proxied.iter().enumerate() {
        let times: Vec<f64> = row.samples.iter().zip(none).map(|(own, none)| own / none).collect();
        let (adds, times) = match at {
            0 => ("-".to_owned(), "-".to_owned()),
            _ => {
                let added = proxied::added(&figures.proxied, row);
                (bracketed(quartiles(&added), 1), bracketed(quartiles(&times), 2))
            }
        };
        let _ = writeln!(
            text,
            "| {} | {} | {adds} | {times} | {} |",
            row.name,
            bracketed(quartiles(&row.samples), 1),
            bracketed(quartiles(&row.latencies), 2),
        );
    }
    text.push('\n');
}
