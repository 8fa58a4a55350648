//! Each row, by each column, in both failure modes.

use std::collections::BTreeMap;

use e2e::pki::TEAM_A_SPIFFE_ID;
use serde_json::json;

use crate::columns::{Column, Times};
use crate::rows::ROWS;
use crate::setting::enter;

/// The counters that tell of calls.
const COUNTERS: [&str; 8] = [
    "egress_allowed",
    "egress_denied",
    "egress_callouts",
    "egress_callout_failures",
    "egress_callout_timeouts",
    "egress_callouts_not_sent",
    "egress_failed_open",
    "egress_ignored_answers",
];

/// The counters that an outcome raises, beside `egress_callouts`.
fn raised(outcome: &str) -> &'static [&'static str] {
    match outcome {
        "allowed" | "denied" => &[],
        "timeout" | "deadline" => &["egress_callout_timeouts"],
        "not-sent" => &["egress_callout_failures", "egress_callouts_not_sent"],
        _ => &["egress_callout_failures"],
    }
}

#[tokio::test]
async fn each_row_is_as_the_document_has_it() {
    let (_turn, setting) = enter().await;
    let before = setting.settled(&COUNTERS).await;
    let mut expected: BTreeMap<&str, u64> = COUNTERS.iter().map(|name| (*name, 0)).collect();
    let mut wrong = Vec::new();
    for (row, outcomes) in ROWS.iter().map(|row| (row, row.outcomes)) {
        for (column, outcome) in Column::ALL.into_iter().zip(outcomes) {
            for fails_open in [false, true] {
                let asking = row.asking(column, fails_open);
                let id = format!("{} {}", asking.host(), row.fault.path());
                let response = setting.ask(asking, row.fault, &id).await;
                let record = setting.record(&id).await;
                let is_failure = outcome != "allowed";
                let goes_on = fails_open || !is_failure;
                // Where another call has taken the time, that comes first.
                let before = usize::from(row.times == Times::Deadline);
                let mut call = record["calls"][before].clone();
                let milliseconds = call["milliseconds"].take();
                let told = json!({
                    "status": response.status,
                    "verdict": record["verdict"],
                    "reason": record["reason"],
                    "caller": record["caller"],
                    "calls": record["calls"].as_array().map(Vec::len),
                    "outcome": call["outcome"],
                    "failedOpen": call["failedOpen"],
                    "policy": call["policy"],
                    "service": call["service"],
                    "arrived": setting.arrived(&id).len(),
                });
                let (status, body) = if goes_on { (200, "") } else { column.refusal() };
                let is_open = is_failure && fails_open;
                let wanted = json!({
                    "status": status,
                    "verdict": if goes_on { "allow" } else { "deny" },
                    "reason": if goes_on { "no-allow-rule" } else { "no-answer" },
                    "caller": TEAM_A_SPIFFE_ID,
                    "calls": before + 1,
                    "outcome": outcome,
                    "failedOpen": if is_open { json!(true) } else { json!(null) },
                    "policy": "ask",
                    "service": column.service(),
                    "arrived": u8::from(goes_on),
                });
                if told != wanted || response.text() != body || !milliseconds.is_u64() {
                    wrong.push(format!("{} ({id}): {record}", row.what));
                }
                if before == 1 {
                    let slow = ["egress_callouts", "egress_callout_timeouts", "egress_failed_open"];
                    for name in slow {
                        *expected.entry(name).or_default() += 1;
                    }
                }
                for name in raised(outcome).iter().chain(&["egress_callouts"]) {
                    *expected.entry(name).or_default() += 1;
                }
                let verdict = if goes_on { "egress_allowed" } else { "egress_denied" };
                *expected.entry(verdict).or_default() += 1;
                *expected.entry("egress_failed_open").or_default() += u64::from(is_open);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let after = setting.settled(&COUNTERS).await;
    let grown: BTreeMap<&str, u64> =
        COUNTERS.iter().zip(after.iter().zip(&before)).map(|(n, (a, b))| (*n, a - b)).collect();
    assert_eq!(grown, expected);
    assert_eq!(setting.settled(&["egress_internal_errors"]).await, [0]);
}
