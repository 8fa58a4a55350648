//! What was measured in the emulated host.

use std::fmt::Write;

use crate::policies::Shape;
use crate::subject::{Asked, Subject};
use crate::{Emulated, Figures, Options, bars};

pub(super) fn render(text: &mut String, options: &Options, figures: &Figures) {
    text.push_str(
        "## In the emulated host\n\n\
         The same module runs in wasmtime, in a host that behaves as Envoy does. Every run has \
         the same\n\
         result. One unit of fuel is about one instruction of the module; a bulk copy or fill \
         counts as one,\n\
         whatever its length. Figures are for one request, after 64 others, and for its callbacks \
         only,\n\
         from the creation of its context to the end. Counters are not included, because the \
         filter\n\
         reports them from its timer.\n\n\
         ![bars: instructions of an allowed request](chart:fuel.svg)\n\n### A request\n\n\
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
         | | after the load | after a tenth of the requests | at the end | which was after \
         |\n|---|---|---|---|---|\n",
    );
    for row in &figures.emulated {
        let (Some(begin), Some(some), Some((requests, end))) =
            (row.memory.get(&0), row.warm(), row.memory.last_key_value())
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
