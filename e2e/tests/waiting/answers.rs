//! In a real Envoy: what becomes of a request by what the service does.

use e2e::http1::Request;
use e2e::pki::TEAM_A_SPIFFE_ID;

use crate::setting::{LARGE, enter, get, large};

/// What the caller gets, and what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    GoesOn,
    /// Refused, because there was no answer.
    Unanswered,
    /// Refused with the service's own words.
    Relayed(&'static str),
}
use Outcome::{GoesOn, Relayed, Unanswered};

/// The part of the host's name, the path that is called, and what comes of it where a missing
/// answer refuses the request, and where it does not.
const TABLE: [(&str, &str, [Outcome; 2]); 12] = [
    ("served", "/ok", [GoesOn; 2]),
    ("served", "/late", [GoesOn; 2]),
    ("served", "/large", [GoesOn; 2]),
    ("served", "/refusal", [Relayed("short"); 2]),
    ("served", "/error", [Unanswered, GoesOn]),
    ("served", "/never", [Unanswered, GoesOn]),
    ("served", "/no-answer", [Unanswered, GoesOn]),
    ("served", "/cut-in-headers", [Unanswered, GoesOn]),
    ("served", "/cut-in-body", [Unanswered, GoesOn]),
    ("refused", "/ok", [Unanswered, GoesOn]),
    ("empty", "/ok", [Unanswered, GoesOn]),
    ("missing", "/ok", [Unanswered, GoesOn]),
];

#[tokio::test]
async fn the_answer_decides_and_where_there_is_none_the_failure_mode() {
    let (_turn, setting) = enter().await;
    let names = ["egress_allowed", "egress_denied", "egress_ignored_answers"];
    let before = setting.waypoint.settled(&names).await;
    let mut expected = [0; 3];
    for (name, probe, outcomes) in TABLE {
        for (end, outcome) in ["closed", "open"].into_iter().zip(outcomes) {
            let host = format!("{name}-{end}.example");
            let id = format!("{name}-{end}{probe}");
            let request = get(&host, &format!("/{id}"), probe).body("abcdef");
            let response = setting.ask(&host, &id, request).await;
            let record = setting.waypoint.record(&id).await;
            let entry = setting.logged_access(&format!("/{id}")).await;
            let told = [&record["verdict"], &record["reason"]].map(|told| told.as_str());
            let arrived = setting.arrived(&id);
            let (status, body, verdict, reason) = match outcome {
                GoesOn => (200, "", "allow", "no-allow-rule"),
                Unanswered => (403, "external authorization failed", "deny", "no-answer"),
                Relayed(body) => (418, body, "deny", "deny-matched"),
            };
            assert_eq!((response.status, &*response.text()), (status, body), "{id}");
            assert_eq!(told, [Some(verdict), Some(reason)], "{id}: {record}");
            assert_eq!(record["caller"], TEAM_A_SPIFFE_ID, "{id}");
            let access = [&entry["egress_decision"], &entry["egress_caller"]];
            assert_eq!(access, [verdict, TEAM_A_SPIFFE_ID], "{id}: {entry}");
            if outcome == GoesOn {
                assert_eq!(arrived.len(), 1, "{id}");
                assert_eq!(arrived[0].values("x-mark"), ["audited"], "{id}");
                assert_eq!(arrived[0].body_length, 6, "{id}");
            } else {
                assert_eq!(arrived, [], "{id}");
                assert_eq!(record["status"], status, "{id}");
            }
            expected[usize::from(outcome != GoesOn)] += 1;
        }
    }
    setting.assert_grown(&names, &before, &expected).await;
    let callers: Vec<_> = setting.calls("/ok").iter().map(|call| call.headers.clone()).collect();
    let is_named = |headers: &e2e::http1::Headers| {
        headers.get("x-caller") == Some(TEAM_A_SPIFFE_ID.as_bytes())
    };
    assert!(callers.iter().all(is_named), "{callers:?}");
    setting.assert_unharmed().await;
}

#[tokio::test]
async fn of_a_large_answer_a_bounded_part_is_relayed() {
    let (_turn, setting) = enter().await;
    let host = "served-closed.example";
    let response = setting.ask(host, "large", get(host, "/zen", "/large-refusal")).await;
    let bound = egress_filter::call::MAX_BODY;
    assert!(bound < LARGE);
    assert_eq!((response.status, response.body.len()), (418, bound));
    assert!(response.body == large()[..bound], "it is the beginning");
    assert_eq!(setting.arrived("large"), []);
    setting.assert_unharmed().await;
}

#[tokio::test]
async fn a_request_that_is_denied_or_asks_for_nothing_makes_no_call() {
    let (_turn, setting) = enter().await;
    let host = "served-closed.example";
    let denied = setting.ask(host, "denied", get(host, "/denied", "/for-denied")).await;
    assert_eq!((denied.status, &*denied.text()), (403, "authorization failed"));
    let record = setting.waypoint.record("denied").await;
    assert_eq!((&record["reason"], &record["policy"]), (&"deny-matched".into(), &"denied".into()));
    let before = setting.service.calls_where(|_| true).len();
    let plain = setting.ask(host, "plain", Request::get(host, "/zen")).await;
    assert_eq!((plain.status, setting.arrived("plain").len()), (200, 1));
    assert_eq!(setting.service.calls_where(|_| true).len(), before);
    assert_eq!((setting.calls("/for-denied").len(), setting.arrived("denied").len()), (0, 0));
}
