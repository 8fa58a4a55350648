//! Each row, by each column, in both failure modes.

use std::collections::BTreeMap;

use e2e::pki::TEAM_A_SPIFFE_ID;
use serde_json::json;

use crate::columns::{Cluster, Column, Times};
use crate::fault::Fault;
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

/// The name that a policy gives a service is the `:authority` of calls to it: servers of gRPC
/// refuse the `|` in the name of the cluster.
#[tokio::test]
async fn a_service_of_grpc_is_called_by_its_own_name() {
    let (_turn, setting) = enter().await;
    for column in [Column::Grpc, Column::RateLimit] {
        let asking = ROWS[0].asking(column, false);
        assert_eq!(setting.ask(asking, Fault::None, column.word()).await.status, 200);
    }
    let calls = setting.grpc.received(Fault::None);
    for method in [
        "/envoy.service.auth.v3.Authorization/Check",
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
    ] {
        assert!(calls.iter().any(|call| call.method == method), "{calls:?}");
    }
    assert!(calls.iter().all(|call| call.authority == "service.example"), "{calls:?}");
}

/// A caller cannot fill the log: each cluster is named once.
#[tokio::test]
async fn a_cluster_that_is_not_there_is_named_once_with_the_ways_to_get_one() {
    let (_turn, setting) = enter().await;
    let row = ROWS.iter().find(|row| row.cluster == Cluster::Missing).expect("a row");
    for column in Column::ALL {
        let asking = row.asking(column, false);
        let name = format!("calls to the cluster `{}` cannot be made", asking.cluster.name(column));
        let mut told = Vec::new();
        for attempt in 0..3 {
            let id = format!("missing {column:?} {attempt}");
            let response = setting.ask(asking, Fault::None, &id).await;
            assert_eq!(response.status, column.refusal().0);
            setting.waypoint.record(&id).await;
            let lines = setting.waypoint.log_lines().into_iter();
            told.push(lines.filter(|line| line.contains(&name)).collect::<Vec<_>>());
        }
        assert!(told[0].iter().any(|line| line.contains("extensionProviders")), "{told:#?}");
        assert!(told[0] == told[1] && told[1] == told[2], "{told:#?}");
    }
}

#[tokio::test]
async fn each_row_is_as_the_document_has_it() {
    let (_turn, setting) = enter().await;
    let before = setting.waypoint.settled(&COUNTERS).await;
    let mut expected: BTreeMap<&str, u64> = COUNTERS.iter().map(|name| (*name, 0)).collect();
    let mut wrong = Vec::new();
    for (row, outcomes) in ROWS.iter().map(|row| (row, row.outcomes)) {
        for (column, outcome) in Column::ALL.into_iter().zip(outcomes) {
            for fails_open in [false, true] {
                let asking = row.asking(column, fails_open);
                let id = format!("{} {}", asking.host(), row.fault.path());
                let response = setting.ask(asking, row.fault, &id).await;
                let record = setting.waypoint.record(&id).await;
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
    let after = setting.waypoint.settled(&COUNTERS).await;
    let grown: BTreeMap<&str, u64> =
        COUNTERS.iter().zip(after.iter().zip(&before)).map(|(n, (a, b))| (*n, a - b)).collect();
    assert_eq!(grown, expected);
    assert_eq!(setting.waypoint.settled(&["egress_internal_errors"]).await, [0]);
}
