//! What Envoy's router is told, in an explanation.

use serde_json::json;

use super::{explain, request};
use crate::explain::Fate;

#[test]
fn timeouts_and_retries_are_shown_as_the_headers_that_they_are() {
    let mut trial = request();
    trial.headers.push(("x-envoy-max-retries".to_owned(), "50".to_owned()));
    let policies = json!([
        {"name": "slow", "traffic": {"timeouts": {"request": "2s"}}},
        {"name": "flaky", "traffic": {"retry": {"attempts": 3}}},
    ]);
    let explanation = explain(policies, &trial);
    let found: Vec<(&str, &str, Fate, Option<&str>)> = explanation
        .request_headers
        .iter()
        .filter(|line| line.name.starts_with("x-envoy"))
        .map(|line| (line.name.as_str(), line.value.as_str(), line.fate, line.policy.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("x-envoy-max-retries", "50", Fate::Removed, Some("slow")),
            ("x-envoy-upstream-rq-timeout-ms", "2000", Fate::Added, Some("slow")),
            ("x-envoy-max-retries", "3", Fate::Added, Some("flaky")),
            (
                "x-envoy-retry-on",
                "reset,connect-failure,refused-stream",
                Fate::Added,
                Some("flaky")
            ),
        ]
    );
}
