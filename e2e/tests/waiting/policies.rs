//! The configuration of the tests.

use std::time::Duration;

use serde_json::json;

/// How long an answer is waited for.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// Asks the service of a cluster, within the given time. Lets every caller through whose path is
/// not denied, and marks what goes on.
pub(crate) fn asking(cluster: &str, timeout: Duration, fail_open: bool, mark: &str) -> String {
    let milliseconds = u64::try_from(timeout.as_millis()).expect("a short time");
    json!({
        "probe": {
            "cluster": cluster,
            "timeoutMilliseconds": milliseconds,
            "failOpen": fail_open,
        },
        "policies": [
            {"name": "denied", "traffic": {"authorization": {
                "action": "Deny", "policy": {"matchExpressions": ["request.path == '/denied'"]}}}},
            {"name": "mark", "traffic": {"transformation": {"request": {
                "set": [{"name": "x-mark", "value": format!("'{mark}'")}]}}}},
        ],
        "audit": {"log": "All", "accessLog": true},
    })
    .to_string()
}
