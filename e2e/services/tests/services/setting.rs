//! What the tests share: names, and requests.

use std::time::{Duration, Instant};

use e2e::http1::Request;
use serde_json::{Value, json};
use services::{Cluster, Seen, Stage};

/// The cluster of OPA, as `backendRef: {name: opa, namespace: default, port: 9191}` names it.
pub(crate) const OPA: &str = "outbound|9191||opa.default.svc.cluster.local";
/// The cluster of the rate limit service.
pub(crate) const RATE_LIMIT: &str = "outbound|8081||ratelimit.default.svc.cluster.local";
/// The cluster of Istio's authorization server, over gRPC.
pub(crate) const EXT_AUTHZ: &str = "outbound|9000||ext-authz.default.svc.cluster.local";

/// A host for which a server that does not answer denies.
pub(crate) const CLOSED: &str = "closed.example";
/// A host for which a server that does not answer is passed by.
pub(crate) const OPEN: &str = "open.example";

/// The cluster of a server that speaks gRPC.
pub(crate) fn grpc(name: &'static str, port: u16) -> Cluster {
    Cluster { name, port, http2: true }
}

/// Sends a GET.
pub(crate) async fn get(stage: &Stage, caller: &str, host: &str, path: &str) -> Seen {
    send(stage, caller, host, Request::get(host, path)).await
}

/// Sends a request.
pub(crate) async fn send(stage: &Stage, caller: &str, host: &str, request: Request) -> Seen {
    let what = String::from_utf8_lossy(&request.target).into_owned();
    stage.send(caller, host, request).await.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// A configuration of these policies. A call may take as long as the slowest machine needs, and all
/// calls about a request longer.
pub(crate) fn configuration(policies: &[Value]) -> Value {
    json!({"callouts": {"deadline": "10s"}, "policies": policies, "audit": {"log": "All"}})
}

/// The audit record of the request for a path, counted from 0 where there are several.
pub(crate) async fn record_of(stage: &Stage, path: &str, index: usize) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let records = stage.waypoint().audit_records();
        let mut those = records.into_iter().filter(|record| record["path"] == path);
        if let Some(record) = those.nth(index) {
            return record;
        }
        assert!(Instant::now() < deadline, "no record of {path}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
