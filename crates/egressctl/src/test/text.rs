//! The report for people.

use std::io::Write as _;

use similar::ChangeTag;

use super::Args;
use super::coverage::{Coverage, Seen};
use super::run::{Ran, Results, decision, request, visible};
use crate::cases;
use crate::cases::load::Configurations;
use crate::diagnostic::render;
use crate::terminal::{BAD, FAINT, GOOD, ODD, STRONG, Terminal, painted};

/// The most policies of a configuration that a list names.
const MAX_LISTED: usize = 100;

/// Writes the whole report.
pub(crate) fn write(
    args: &Args,
    configurations: &Configurations,
    results: &Results<'_>,
    terminal: &mut Terminal,
) -> std::io::Result<()> {
    let out = &mut terminal.out;
    for ran in &results.cases {
        if ran.passed() && !args.quiet {
            writeln!(out, "{}      {}", painted(GOOD, "ok"), title(ran))?;
        } else if !ran.passed() {
            writeln!(out, "{}  {}", painted(BAD, "FAILED"), title(ran))?;
        }
        if args.verbose {
            let shadow = if ran.tried.shadow.is_empty() {
                String::new()
            } else {
                format!(", shadow: {}", ran.tried.shadow.join(", "))
            };
            writeln!(
                out,
                "        {}",
                painted(
                    FAINT,
                    format!(
                        "{}, caller {}: {}{shadow}",
                        request(ran.step),
                        ran.step.caller,
                        decision(&ran.tried)
                    )
                )
            )?;
        }
    }
    for (file, suite, count) in &results.not_run {
        let name = suite.name.as_ref().map(|name| format!(": {name}")).unwrap_or_default();
        let what = if *count == 1 { "1 case".to_owned() } else { format!("{count} cases") };
        writeln!(
            out,
            "{}  {}{name}: {what} not run: the policies do not load",
            painted(BAD, "FAILED"),
            file.source.name
        )?;
    }
    for ran in results.failed() {
        writeln!(
            out,
            "\n{} {}:{}: {}",
            painted(BAD, "FAILED"),
            ran.file.source.name,
            ran.line,
            painted(STRONG, visible(&ran.name))
        )?;
        for line in details(ran) {
            let style = match line.0 {
                Some(ChangeTag::Delete) => BAD,
                Some(ChangeTag::Insert) => GOOD,
                _ => anstyle::Style::new(),
            };
            writeln!(out, "{}", painted(style, line.1).trim_end())?;
        }
    }
    for loaded in &configurations.all {
        for (source, error) in &loaded.errors {
            if let Some(source) = loaded.sources.get(*source) {
                writeln!(out, "\n{}", render(source, error))?;
            }
        }
    }
    if args.filter.is_empty() {
        coverage(args, &results.coverage, terminal)?;
    }
    summary(args, results, terminal)
}

fn title(ran: &Ran<'_>) -> String {
    let suite = ran.suite.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    visible(&format!("{}: {suite}{}", ran.file.source.name, ran.name))
}

/// The report of a failed case, line by line; the lines of its diff carry their kind.
pub(crate) fn details(ran: &Ran<'_>) -> Vec<(Option<ChangeTag>, String)> {
    let mut lines = Vec::new();
    let mut say =
        |name: &str, text: &str| lines.push((None, format!("  {name:<9} {}", visible(text))));
    say("request", &request(ran.step));
    for (name, value) in &ran.step.request.headers {
        say("", &format!("{name}: {value}"));
    }
    say("caller", &ran.step.caller.to_string());
    say("policies", ran.policies);
    say("decision", &decision(&ran.tried));
    for note in &ran.notes {
        say("", note);
    }
    lines.push((None, String::new()));
    lines.push((Some(ChangeTag::Delete), "  - expected".to_owned()));
    lines.push((Some(ChangeTag::Insert), "  + got".to_owned()));
    for (tag, line) in cases::diff(&ran.facts) {
        let mark = match tag {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        lines.push((Some(tag), format!("  {mark} {line}")));
    }
    lines
}

fn coverage(args: &Args, all: &[Coverage], terminal: &mut Terminal) -> std::io::Result<()> {
    let unexercised = |seen: &Seen| (!seen.gaps().is_empty()).then(|| seen.gaps().join("; "));
    list(all, painted(ODD, "policies that no case has exercised"), unexercised, terminal)?;
    defaults(all, terminal)?;
    let no_one = |seen: &Seen| {
        (seen.gaps().is_empty() && seen.missed == Some(false))
            .then(|| "without it, all cases pass".to_owned())
    };
    list(all, painted(ODD, "policies that no case would miss"), no_one, terminal)?;
    if args.quiet {
        return Ok(());
    }
    let one_way = |seen: &Seen| if seen.gaps().is_empty() { seen.one_way() } else { None };
    list(
        all,
        painted(STRONG, "policies that the cases have seen one way only"),
        one_way,
        terminal,
    )?;
    if args.verbose {
        list(all, painted(STRONG, "policies"), |seen| Some(seen.summary()), terminal)?;
    }
    Ok(())
}

/// The configurations whose default action Deny is not covered.
fn defaults(all: &[Coverage], terminal: &mut Terminal) -> std::io::Result<()> {
    for coverage in all {
        let Some(default) = coverage.default_deny.as_ref().filter(|it| !it.is_covered()) else {
            continue;
        };
        let says = default.gap().unwrap_or_else(|| "without it, all cases pass".to_owned());
        writeln!(terminal.out, "\n{}", painted(ODD, "the default action is not covered"))?;
        writeln!(terminal.out, "  {}", painted(FAINT, &coverage.label))?;
        writeln!(terminal.out, "    defaultAction  {says}")?;
    }
    Ok(())
}

/// A title, and by configuration the policies that have a remark.
fn list(
    all: &[Coverage],
    title: String,
    says: impl Fn(&Seen) -> Option<String>,
    terminal: &mut Terminal,
) -> std::io::Result<()> {
    let mut title = Some(title);
    for coverage in all {
        let rows: Vec<(&str, String)> = coverage
            .policies
            .iter()
            .filter_map(|seen| Some((seen.name.as_str(), says(seen)?)))
            .collect();
        if rows.is_empty() {
            continue;
        }
        if let Some(title) = title.take() {
            writeln!(terminal.out, "\n{title}")?;
        }
        writeln!(terminal.out, "  {}", painted(FAINT, &coverage.label))?;
        let width =
            rows.iter().take(MAX_LISTED).map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, text) in rows.iter().take(MAX_LISTED) {
            writeln!(terminal.out, "    {name:<width$}  {text}")?;
        }
        let more = rows.len().saturating_sub(MAX_LISTED);
        if more > 0 {
            writeln!(terminal.out, "    and {more} more, which --output json has")?;
        }
    }
    Ok(())
}

fn summary(args: &Args, results: &Results<'_>, terminal: &mut Terminal) -> std::io::Result<()> {
    let failed = results.failed().count();
    let not_run = results.not_run.iter().map(|(_, _, count)| *count).fold(0, usize::saturating_add);
    let mut parts = vec![format!("{} passed", results.passed())];
    let counts = [
        (failed, "failed"),
        (not_run, "not run"),
        (results.behind_proxy, "for a proxy only"),
        (results.left_out, "left out by --filter"),
    ];
    parts.extend(
        counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}")),
    );
    let exercised = results
        .coverage
        .iter()
        .flat_map(|coverage| &coverage.policies)
        .filter(|seen| seen.gaps().is_empty())
        .count();
    let policies = results
        .coverage
        .iter()
        .map(|coverage| coverage.policies.len())
        .fold(0, usize::saturating_add);
    if args.filter.is_empty() && policies > 0 {
        parts.push(format!("{exercised} of {policies} policies exercised"));
    }
    let verdict =
        if super::is_well(args, results) { painted(GOOD, "ok") } else { painted(BAD, "FAILED") };
    let has_gaps = || results.coverage.iter().any(|coverage| !coverage.is_whole());
    let alone =
        args.quiet && failed == 0 && not_run == 0 && (!args.filter.is_empty() || !has_gaps());
    let blank = if alone { "" } else { "\n" };
    writeln!(
        terminal.out,
        "{blank}{verdict}: {} ({:.2} s)",
        parts.join(", "),
        results.took.as_secs_f64()
    )
}
