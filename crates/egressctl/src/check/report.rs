//! What was found, for people, programs and GitHub.

use std::io::Write as _;

use clap::ValueEnum;
use serde::Serialize;

use super::Checked;
use crate::Failure;
use crate::diagnostic::{Diagnostic, Severity, write_all};
use crate::terminal::{BAD, GOOD, ODD, Terminal, painted};

/// `--output`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
    /// For GitHub Actions, which shows it beside the lines of a pull request.
    Github,
}

/// The JSON document of `--output json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    plugins: usize,
    policies: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    diagnostics: Vec<&'a Diagnostic>,
}

impl<'a> Report<'a> {
    fn of(files: &'a [Checked]) -> Self {
        let diagnostics: Vec<&Diagnostic> = files.iter().flat_map(|file| &file.found).collect();
        let count =
            |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
        Report {
            plugins: files.iter().map(|file| file.plugins).fold(0, usize::saturating_add),
            policies: files.iter().map(|file| file.policies).fold(0, usize::saturating_add),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            diagnostics,
        }
    }

    /// In one line.
    fn summary(&self) -> String {
        let found = [
            (self.errors, "error", "errors"),
            (self.warnings, "warning", "warnings"),
            (self.notes, "note", "notes"),
        ];
        let found: Vec<String> = found
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| of(*count, one, many))
            .collect();
        let style = match (self.errors, self.warnings) {
            (0, 0) => GOOD,
            (0, _) => ODD,
            _ => BAD,
        };
        let verdict = if self.errors.saturating_add(self.warnings) == 0 {
            "ok".to_owned()
        } else {
            found.join(", ")
        };
        let plugins = of(self.plugins, "configuration", "configurations");
        format!(
            "{}: {plugins}, {}",
            painted(style, verdict),
            of(self.policies, "policy", "policies")
        )
    }
}

fn of(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Prints what was found in all files.
pub(super) fn print(
    files: &[Checked],
    format: Format,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let report = Report::of(files);
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut terminal.out, &report)
                .map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
            return Ok(());
        }
        Format::Text => {
            let found =
                files.iter().flat_map(|file| file.found.iter().map(|found| (&file.source, found)));
            write_all(&mut terminal.out, found)?;
        }
        Format::Github => {
            for found in &report.diagnostics {
                writeln!(terminal.out, "{}", annotation(found))?;
            }
        }
    }
    writeln!(terminal.out, "{}", report.summary())?;
    Ok(())
}

/// A workflow command of GitHub Actions.
fn annotation(found: &Diagnostic) -> String {
    let level = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let message = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| message(text).replace(':', "%3A").replace(',', "%2C");
    let title = found.policy.as_ref().map_or_else(String::new, |policy| {
        format!(",title={}", property(&format!("policy `{policy}`")))
    });
    let (line, column, end) = (found.line, found.column, found.end_column);
    format!(
        "::{level} file={},line={line},col={column},endColumn={end}{title}::{}{}",
        property(&found.file),
        message(&found.message),
        found.name.map_or_else(String::new, |name| format!(" [{name}]"))
    )
}
