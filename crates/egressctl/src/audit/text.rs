//! What was found, for people.

use std::collections::BTreeSet;
use std::io::{self, Write};

use egress_filter::printable;

use super::propose::{LeftOut, Manner, Proposal, Refusal};
use super::summary::{Group, Key, Outcome, Summary};
use crate::request;
use crate::terminal::{BAD, FAINT, ODD, STRONG, painted};

/// The most different requests of a group that are shown.
const MAX_SHOWN: usize = 5;
/// The most refused requests that are shown.
const MAX_REFUSALS: usize = 20;

/// Writes the report.
pub(super) fn write(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    for (outcome, title, style) in [
        (Outcome::WouldBeDenied, "would be denied (shadow)", ODD),
        (Outcome::Denied, "denied", BAD),
    ] {
        let mut groups: Vec<(&Key, &Group)> =
            summary.groups.iter().filter(|(key, _)| key.outcome == outcome).collect();
        // The most requests first; of as many, in the order of their callers.
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
        if !groups.is_empty() {
            writeln!(out, "{}\n", painted(style, title))?;
        }
        for (key, group) in groups {
            write_group(out, key, group)?;
        }
    }
    let (would, denied) = (summary.count(Outcome::WouldBeDenied), summary.count(Outcome::Denied));
    let lines = of(summary.lines, "line", "lines");
    let records = of(summary.records, "audit record", "audit records");
    let would = of(would, "request", "requests");
    writeln!(out, "{lines}, {records}: {would} would be denied, {denied} were denied")?;
    if summary.unreadable > 0 {
        let records = of(summary.unreadable, "record is", "records are");
        writeln!(out, "{} {records} cut or changed, and not counted", painted(ODD, "warning:"))?;
    }
    write_ungrouped(out, summary.ungrouped)
}

fn write_ungrouped(out: &mut impl Write, ungrouped: u64) -> io::Result<()> {
    if ungrouped == 0 {
        return Ok(());
    }
    let requests = of(ungrouped, "request is", "requests are");
    writeln!(
        out,
        "{} {requests} not shown: their callers sent more different ones than are kept",
        painted(ODD, "warning:")
    )
}

fn write_group(out: &mut impl Write, key: &Key, group: &Group) -> io::Result<()> {
    writeln!(out, "  {}", painted(STRONG, title(key)))?;
    let time = match (&group.first, &group.last) {
        (Some(first), Some(last)) if first == last => format!(", {first}"),
        (Some(first), Some(last)) => format!(", {first} to {last}"),
        _ => String::new(),
    };
    writeln!(out, "    {}{time}", of(group.count, "request", "requests"))?;
    let mut requests: Vec<_> = group.requests.iter().collect();
    requests.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for ((method, path), count) in requests.iter().take(MAX_SHOWN) {
        let (method, path) = (printable::text(method), printable::text(path));
        writeln!(out, "    {method} {path} {}", painted(FAINT, format!("({count})")))?;
    }
    let hidden = requests.iter().skip(MAX_SHOWN).map(|(_, count)| **count);
    let more = hidden.fold(group.others, u64::saturating_add);
    if more > 0 {
        let different = requests.len().saturating_sub(MAX_SHOWN);
        let at_least = if group.others > 0 { "at least " } else { "" };
        let others = of(u64::try_from(different).unwrap_or(u64::MAX), "other", "others");
        writeln!(out, "    {}", painted(FAINT, format!("and {at_least}{others} ({more})")))?;
    }
    writeln!(out)
}

/// Caller, host, and policies or reason.
fn title(key: &Key) -> String {
    let caller = key.caller.as_deref().map_or("no identity".into(), request::short);
    let host = key.host.as_deref().unwrap_or("no host");
    let policies = key.policies.join(", ");
    let why = match (key.outcome, policies.is_empty()) {
        (Outcome::WouldBeDenied, _) => policies,
        (Outcome::Denied, true) => key.reason.clone(),
        (Outcome::Denied, false) => format!("{policies} ({})", key.reason),
    };
    printable::text(&format!("{caller}  {host}  {why}")).into_owned()
}

/// Writes which requests no rule is proposed for, and which are denied in spite of the rules.
pub(super) fn write_left_out(
    out: &mut impl Write,
    left_out: &[LeftOut],
    refusals: &[Refusal],
    ungrouped: u64,
) -> io::Result<()> {
    for LeftOut { key, count, why } in left_out {
        let requests = of(*count, "request", "requests");
        let warning = painted(ODD, "warning:");
        writeln!(out, "{warning} no rule for {requests}: {}: {why}", title(key))?;
    }
    write_ungrouped(out, ungrouped)?;
    for Refusal { request, reason, policy } in refusals.iter().take(MAX_REFUSALS) {
        let caller = request::short(&request.caller);
        let policy = policy.as_ref().map(|policy| format!(", policy `{policy}`"));
        let text = format!(
            "{caller} {} {}{} is denied all the same: {}{}",
            request.method,
            request.host,
            request.path,
            reason.as_str(),
            policy.unwrap_or_default()
        );
        writeln!(out, "{} {}", painted(ODD, "warning:"), printable::text(&text))?;
    }
    match refusals.len().checked_sub(MAX_REFUSALS) {
        Some(more) if more > 0 => writeln!(out, "... and {more} more"),
        _ => Ok(()),
    }
}

/// The comment above a proposal.
pub(super) fn heading(proposal: &Proposal, manner: Manner) -> String {
    let mode = if manner.is_shadow { ", in shadow mode" } else { "" };
    format!(
        "# Proposed by `egressctl audit` for {} from its log{mode}. Read it before you apply it:\n\
         # a caller under somebody else's control has proposed its own rules.\n",
        of(proposal.count, "request", "requests")
    )
}

/// How much a proposal is for.
pub(super) fn covered(proposal: &Proposal, refusals: &[Refusal]) -> String {
    let callers: BTreeSet<&str> =
        proposal.observed.iter().map(|request| request.caller.as_str()).collect();
    let hosts: BTreeSet<&str> =
        proposal.observed.iter().map(|request| request.host.as_str()).collect();
    let count = |count: usize, one, many| of(u64::try_from(count).unwrap_or(u64::MAX), one, many);
    let refused = match refusals.len() {
        0 => String::new(),
        several => format!("; {} denied all the same", count(several, "is", "are")),
    };
    format!(
        "{} for {} of {} to {}{refused}",
        count(proposal.len(), "policy", "policies"),
        of(proposal.count, "request", "requests"),
        count(callers.len(), "caller", "callers"),
        count(hosts.len(), "host", "hosts"),
    )
}

fn of(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
