//! The dearest known requests.

use std::fmt::Write;

use crate::Figures;

const ABOUT: &str = "\
## The dearest request

What a pod can make a worker do, if the configuration goes as far as a limit
([an expression's](docs:expressions.md#limits),
[a configuration's](docs:configuration.md#limits),
[a request's](docs:reading.md#what-a-request-may-cost)) and the request is the worst that is known
for it: headers of 58 kB, which is what Istio's Envoy takes. For each limit, the dearest of several
hundred pairs of rule and request: its instructions in the emulated host, and how much longer a real
Envoy takes for it than for the same request without a rule (the fastest of nine). `make bench
ARGS=--worst` looks for dearer ones.
";

/// The dearest request for each limit.
pub(super) fn render(text: &mut String, figures: &Figures) {
    let _ = writeln!(
        text,
        "{ABOUT}\n| limit | the dearest request | million instructions | ms in Envoy |\n\
         |---|---|---|---|"
    );
    for worst in &figures.worst {
        let took = worst.took.as_ref();
        let took =
            took.map_or("-".to_owned(), |took| format!("{:.1}", took.time.as_secs_f64() * 1e3));
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {took} |",
            worst.limit.name(),
            worst.cost.name.replace('|', "\\|"),
            worst.cost.instructions as f64 / 1e6,
        );
    }
    text.push('\n');
}
