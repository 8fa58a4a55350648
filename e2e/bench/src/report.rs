//! The figures as Markdown, the method beside each.

use std::fmt::Write;

use super::bars::{self, Bar};
use super::loading::WORKERS;
use super::policies::Shape;
use super::rounds::Group;
use super::statistics::quartiles;
use super::subject::{Asked, Subject};
use super::{Emulated, Figures, Options};

/// Writes the report; the notes are what a program cannot know about the figures.
pub(super) fn render(options: &Options, figures: &Figures, notes: &str) -> String {
    let mut text = String::from("# What the filter costs\n\n");
    let _ = writeln!(text, "{}\n", machine());
    write_bars(&mut text, &bars::all(options, figures));
    if !notes.trim().is_empty() {
        let _ = writeln!(text, "{}\n", notes.trim());
    }
    text.push_str(&super::features::render(options, &figures.features));
    interleaved(&mut text, options, figures);
    loading(&mut text, figures);
    emulated(&mut text, options, figures);
    text
}

/// What the figures of real Envoys depend on.
fn machine() -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let envoy =
        std::process::Command::new(std::env::var("ENVOY").unwrap_or_else(|_| "envoy".to_owned()))
            .arg("--version")
            .output();
    let envoy = envoy
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let envoy = envoy
        .split_once("version: ")
        .and_then(|(_, version)| version.split('/').nth(1))
        .unwrap_or("unknown")
        .to_owned();
    format!(
        "Made by `make bench` (`make bench ARGS=--document` writes it to `docs/benchmarks.md`,\n\
         `ARGS=--quick` is a trial of two minutes) on {count} x {model}, with Envoy {envoy}.\n\
         Ratios travel from machine to machine, microseconds do not."
    )
}

const BARS: &str = "\
A bar is a limit that this project set itself. Those that it misses are listed too, and explained
below. Unless a row names something else, it compares ours with the *floor*, the same policy written
by hand. The quartiles are in brackets.
";

fn write_bars(text: &mut String, bars: &[Bar]) {
    text.push_str("## The bars\n\n");
    text.push_str(BARS);
    text.push_str("\n| | bar | value | |\n|---|---|---|---|\n");
    for Bar { what, bar, value, met } in bars {
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let _ = writeln!(text, "| {what} | {bar} | {value} | {verdict} |");
    }
    text.push('\n');
}

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

fn interleaved(text: &mut String, options: &Options, figures: &Figures) {
    let _ = writeln!(
        text,
        "## In a real Envoy\n\n{INTERLEAVED}\n{} rounds of {:?}.\n",
        options.rounds, options.round
    );
    for group in &figures.groups {
        let _ = writeln!(text, "### {}\n", heading(group.name));
        match group.name {
            "workshop" => text.push_str(
                "![bars: what each contestant adds to a request, in \
                microseconds](workshop.svg)\n\n",
            ),
            "number of policies" => text.push_str(
                "The workshop's policies among others that cannot match: a quarter each for other \
                 hosts (by\n\
                 `hosts`, and by `request.host ==`), for other callers and for other paths, with \
                 no two\n\
                 expressions alike. For our filter, half of them come before the workshop's and \
                 half after.\n\
                 The request is the allowed one.\n\n\
                 ![lines: what is added, by the number of policies](policies.svg)\n\n",
            ),
            _ => {}
        }
        table(text, group);
    }
}

fn heading(name: &str) -> &str {
    match name {
        "workshop" => "The workshop's policies",
        "number of policies" => "Many policies",
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

fn bracketed([low, middle, high]: [f64; 3], digits: usize) -> String {
    format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})")
}

fn loading(text: &mut String, figures: &Figures) {
    let _ = writeln!(
        text,
        "## Loading and memory\n\n\
         A running Envoy of {WORKERS} workers gets a new configuration by extension discovery, as \
         from\n\
         Istio, here from a file. The policies are the mix described above. Measured is the \
         processor\n\
         time of the main thread (which parses Envoy's configuration and tries the filter's in a \
         VM of\n\
         its own) and of each worker, from the change of the file until new connections to both \
         workers\n\
         are answered under the new configuration.\n\n\
         | policies beside the workshop's | configuration KB | in force after s | main thread s | \
         workers s | us a policy and thread |\n|---|---|---|---|---|---|"
    );
    for update in &figures.updates {
        let seconds: Vec<f64> =
            update.workers.iter().map(std::time::Duration::as_secs_f64).collect();
        let workers: Vec<String> = seconds.iter().map(|seconds| format!("{seconds:.3}")).collect();
        let main = update.main.as_secs_f64();
        let each = (main + seconds.iter().sum::<f64>()) / (1 + seconds.len()) as f64 * 1e6
            / update.others as f64;
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {main:.3} | {} | {each:.0} |",
            update.others,
            update.size / 1000,
            update.wall.as_secs_f64(),
            workers.join(", ")
        );
    }
    text.push_str(
        "\nResident memory after some thousand requests with one worker, and the memory of each \
         of two\n\
         further workers. The main thread has a VM too.\n\n\
         | | MB with one worker | over no filter | over the empty filter | MB a further worker \
         |\n|---|---|---|---|---|\n",
    );
    let of = |subject| {
        figures.memory.iter().find(|row| row.subject == subject).map_or(0.0, |row| row.one as f64)
    };
    let (none, empty) = (of(Subject::NoFilter), of(Subject::Empty));
    for row in &figures.memory {
        let one = row.one as f64;
        let (none, empty, further) = ((one - none) / 1e6, (one - empty) / 1e6, row.further / 1e6);
        let _ = writeln!(
            text,
            "| {} | {:.0} | {none:.1} | {empty:.1} | {further:.1} |",
            row.subject.name(),
            one / 1e6
        );
    }
    let _ = writeln!(text, "\nThe filter's file has {} bytes.\n", figures.size);
}

fn emulated(text: &mut String, options: &Options, figures: &Figures) {
    text.push_str(
        "## In the emulated host\n\n\
         The same module runs in wasmtime, in a host that behaves as Envoy does. Every run has \
         the same\n\
         result. One unit of fuel is about one wasm instruction; a bulk copy or fill counts as \
         one,\n\
         whatever its length. Figures are for one request, after 64 others, and for its callbacks \
         only,\n\
         from the creation of its context to the end. Counters are not included, because the \
         filter\n\
         reports them from its timer.\n\n\
         ![bars: instructions of an allowed request](fuel.svg)\n\n### A request\n\n\
         | | request | fuel | host calls | bytes to the guest | bytes from it | allocations for \
         the host |\n|---|---|---|---|---|---|---|\n",
    );
    let crowded = |row: &&Emulated| row.subject.shape().is_some();
    for row in figures.emulated.iter().filter(|row| !crowded(row)) {
        for (asked, usage) in &row.requests {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.subject.name(),
                asked.name(),
                usage.fuel,
                usage.total_calls(),
                usage.bytes_to_guest,
                usage.bytes_from_guest,
                usage.allocations
            );
        }
    }
    text.push('\n');
    for row in figures.emulated.iter().filter(|row| !crowded(row)) {
        for (asked, usage) in &row.requests {
            let calls: Vec<String> =
                usage.calls.iter().map(|(call, count)| format!("{count} `{call}`")).collect();
            let calls = if calls.is_empty() { "none".to_owned() } else { calls.join(", ") };
            let _ = writeln!(text, "- {}, {}: {calls}", row.subject.name(), asked.name());
        }
    }
    by_number(text, options, figures);
    load(text, figures);
    endurance(text, figures);
}

fn by_number(text: &mut String, options: &Options, figures: &Figures) {
    let others = options.others();
    text.push_str(
        "\n### Fuel of a request by the number of policies for others\n\n| the others \
                   are for | request |",
    );
    others.iter().for_each(|others| {
        let _ = write!(text, " {others} |");
    });
    let _ =
        writeln!(text, " host calls, all alike |\n|---|---|{}---|", "---|".repeat(others.len()));
    for shape in Shape::ALL {
        for asked in [Asked::Allowed, Asked::Denied] {
            let _ = write!(text, "| {} | {} |", shape.name(), asked.name());
            let mut calls = Vec::new();
            for others in &others {
                if let Some(usage) = bars::emulated(figures, Subject::amid(shape, *others))
                    .and_then(|row| row.request(asked))
                {
                    let _ = write!(text, " {} |", usage.fuel);
                    calls.push(usage.total_calls());
                }
            }
            calls.dedup();
            let calls: Vec<String> = calls.iter().map(u64::to_string).collect();
            let _ = writeln!(text, " {} |", calls.join(", "));
        }
    }
}

fn load(text: &mut String, figures: &Figures) {
    text.push_str(
        "\n### Loading a configuration\n\nFuel and memory are the guest's. The time is that of \
         this host, whose compiler optimises less\n\
         than Envoy's.\n\n\
         | | fuel in millions | fuel a policy | ms here | guest memory after it, KiB \
         |\n|---|---|---|---|---|\n",
    );
    for row in &figures.emulated {
        let policies = row.subject.others() as u64 + 3;
        let memory = row.memory.get(&0).copied().unwrap_or_default() / 1024;
        let each = if row.load.calls.is_empty() {
            "-".to_owned()
        } else {
            (row.load.fuel / policies).to_string()
        };
        let _ = writeln!(
            text,
            "| {} | {:.2} | {each} | {:.1} | {memory} |",
            row.subject.name(),
            row.load.fuel as f64 / 1e6,
            row.load_time.as_secs_f64() * 1e3
        );
    }
}

fn endurance(text: &mut String, figures: &Figures) {
    text.push_str(
        "\n### The guest's memory\n\nKiB of linear memory, which never shrinks, after requests \
         from many callers for many paths, some\n\
         of them denied.\n\n\
         | | after the load | after 1000 requests | at the end | which was after \
         |\n|---|---|---|---|---|\n",
    );
    for row in &figures.emulated {
        let (Some(begin), Some(some), Some((requests, end))) =
            (row.memory.get(&0), row.memory.get(&1_000), row.memory.last_key_value())
        else {
            continue;
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {requests} |",
            row.subject.name(),
            begin / 1024,
            some / 1024,
            end / 1024
        );
    }
}
