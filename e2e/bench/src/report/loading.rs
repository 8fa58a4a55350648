//! Updates of the configuration, memory, and starts.

use std::fmt::Write;

use super::bracketed;
use crate::Figures;
use crate::loading::WORKERS;
use crate::statistics::quartiles;
use crate::subject::Subject;

pub(super) fn render(text: &mut String, figures: &Figures) {
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
    text.push_str(
        "\nSeconds from the start of an Envoy to its first answer, one Envoy at a time, in \
         turn:\n\n| | s |\n|---|---|\n",
    );
    for start in &figures.starts {
        let seconds = bracketed(quartiles(&start.seconds), 2);
        let _ = writeln!(text, "| {} | {seconds} |", start.subject.name());
    }
    let _ = writeln!(text, "\nThe filter's file has {} bytes.\n", figures.size);
}
