//! The figures as Markdown, the method beside each.

mod bars;
mod emulated;
mod envoys;
mod loading;
mod summary;
mod worst;

use super::bars::all;
use super::{Figures, Options, features, index};

/// What stands before a link to another document, and before one to a chart: the report is read in
/// two places.
pub(super) const DOCUMENT: &str = "](docs:";
/// See [`DOCUMENT`].
pub(super) const CHART: &str = "](chart:";

/// Writes the report; the notes are what a program cannot know about the figures.
pub(super) fn render(options: &Options, figures: &Figures, notes: &str) -> String {
    let mut text = format!("# What the filter costs\n\n{}\n\n", machine());
    summary::render(&mut text, options, figures);
    bars::render(&mut text, &all(options, figures));
    text.push_str(notes.trim());
    text.push_str("\n\n");
    text.push_str(&index::render(&figures.index));
    text.push_str(&features::render(options, &figures.features));
    envoys::render(&mut text, options, figures);
    envoys::proxied(&mut text, options, figures);
    worst::render(&mut text, figures);
    loading::render(&mut text, figures);
    emulated::render(&mut text, options, figures);
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
        "Made by `make bench` (`ARGS=--document` writes it to `docs/benchmarks.md`, which takes \
         ten minutes;\n`ARGS=--quick` is a trial of two) on {count} x {model}, with Envoy {envoy}."
    )
}

/// A median, with its quartiles in brackets.
fn bracketed([low, middle, high]: [f64; 3], digits: usize) -> String {
    format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})")
}
