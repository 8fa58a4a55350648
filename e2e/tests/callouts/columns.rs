//! The columns of the table: which feature asks, and by which protocol.

use std::time::Duration;

use serde_json::{Value, json};

/// How long an answer is waited for.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);
/// How long all calls about a request may take, where the first of two takes it all.
const SHORT: Duration = Duration::from_millis(100);
/// Longer than any test holds a request.
const LONG: Duration = Duration::from_secs(60);

/// A feature that asks, and its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    /// HTTP.
    Http,
    /// gRPC.
    Grpc,
}

impl Column {
    pub(crate) const ALL: [Column; 2] = [Column::Http, Column::Grpc];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Column::Http => "http",
            Column::Grpc => "grpc",
        }
    }

    pub(crate) fn is_grpc(self) -> bool {
        self != Column::Http
    }

    /// The status and the body of a request that is refused for want of an answer.
    pub(crate) fn refusal(self) -> (u16, &'static str) {
        match self {
            Column::Http | Column::Grpc => (403, "external authorization failed"),
        }
    }
}

/// Which cluster is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cluster {
    /// The service's.
    Served,
    /// That of a port on which nobody listens.
    Refused,
    /// One without endpoints.
    Empty,
    /// None: the proxy has no such cluster.
    Missing,
}

impl Cluster {
    pub(crate) const ALL: [Cluster; 4] =
        [Cluster::Served, Cluster::Refused, Cluster::Empty, Cluster::Missing];

    fn word(self) -> &'static str {
        match self {
            Cluster::Served => "served",
            Cluster::Refused => "refused",
            Cluster::Empty => "empty",
            Cluster::Missing => "missing",
        }
    }

    /// Envoy's name for it.
    pub(crate) fn name(self, column: Column) -> String {
        let kind = if column.is_grpc() { "grpc" } else { "http" };
        format!("outbound|8080||{}-{kind}.default.svc.cluster.local", self.word())
    }
}

/// How long calls may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Times {
    /// [`TIMEOUT`].
    Usual,
    /// As long as a test holds them.
    Patient,
    /// Longer than all calls about a request may take together, which is short.
    Deadline,
}

/// What asks about the requests of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asking {
    pub(crate) column: Column,
    pub(crate) cluster: Cluster,
    pub(crate) fails_open: bool,
    pub(crate) times: Times,
}

impl Asking {
    /// All that tests need.
    pub(crate) fn all() -> Vec<Asking> {
        let usual = Cluster::ALL.map(|cluster| (cluster, Times::Usual));
        let others = [Times::Patient, Times::Deadline].map(|times| (Cluster::Served, times));
        let mut all = Vec::new();
        for column in Column::ALL {
            for (cluster, times) in usual.into_iter().chain(others) {
                for fails_open in [false, true] {
                    all.push(Asking { column, cluster, fails_open, times });
                }
            }
        }
        all
    }

    pub(crate) fn host(self) -> String {
        let Asking { column, cluster, fails_open, times } = self;
        let mode = if fails_open { "open" } else { "closed" };
        let times = match times {
            Times::Usual => "usual",
            Times::Patient => "patient",
            Times::Deadline => "deadline",
        };
        format!("{}-{}-{times}-{mode}.example", column.word(), cluster.word())
    }

    /// The configuration of the host's chain.
    pub(crate) fn configuration(self) -> Value {
        let (timeout, deadline) = match self.times {
            Times::Usual => (TIMEOUT, LONG),
            Times::Patient => (LONG, LONG),
            Times::Deadline => (LONG, SHORT),
        };
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).expect("a short time");
        json!({
            "probe": {
                "cluster": self.cluster.name(self.column),
                "timeoutMilliseconds": milliseconds(timeout),
                "failOpen": self.fails_open,
                "grpc": self.column.is_grpc(),
            },
            "callouts": {"deadline": format!("{}ms", milliseconds(deadline))},
            "policies": [{"name": "ask", "traffic": {"transformation": {"request": {
                "set": [{"name": "x-mark", "value": "'audited'"}]}}}}],
            "audit": {"log": "All"},
        })
    }
}
