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
    /// `extAuth` with `http`.
    Http,
    /// `extAuth` with `grpc`.
    Grpc,
    /// `rateLimit.global`.
    RateLimit,
}

impl Column {
    pub(crate) const ALL: [Column; 3] = [Column::Http, Column::Grpc, Column::RateLimit];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Column::Http => "http",
            Column::Grpc => "grpc",
            Column::RateLimit => "limit",
        }
    }

    pub(crate) fn is_grpc(self) -> bool {
        self != Column::Http
    }

    /// The status and the body of a request that is refused for want of an answer.
    pub(crate) fn refusal(self) -> (u16, &'static str) {
        match self {
            Column::Http | Column::Grpc => (403, "external authorization failed"),
            Column::RateLimit => (500, "rate limit failed"),
        }
    }

    /// As the record of a call names it.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Column::Http | Column::Grpc => "extAuth",
            Column::RateLimit => "rateLimit.global",
        }
    }

    /// What a policy has that asks a cluster.
    pub(crate) fn traffic(self, cluster: &str, fails_open: bool, timeout: Duration) -> Value {
        let mode = if fails_open { "FailOpen" } else { "FailClosed" };
        let mut service = json!({
            "cluster": cluster,
            "host": "service.example",
            "failureMode": mode,
            "timeout": milliseconds(timeout),
        });
        match self {
            Column::Http => service["http"] = json!({}),
            Column::Grpc => service["grpc"] = json!({}),
            Column::RateLimit => {
                service["domain"] = json!("egress");
                service["descriptors"] =
                    json!([{"entries": [{"name": "path", "expression": "request.path"}]}]);
                return json!({"rateLimit": {"global": service}});
            }
        }
        json!({"extAuth": service})
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
        let ask = self.column.traffic(&self.cluster.name(self.column), self.fails_open, timeout);
        let mut policies = vec![json!({"name": "ask", "traffic": ask})];
        if self.times == Times::Deadline {
            let slow = Column::Http.traffic(&self.cluster.name(Column::Http), true, timeout);
            policies.insert(0, json!({"name": "slow", "traffic": slow}));
        }
        json!({
            "callouts": {"deadline": milliseconds(deadline)},
            "policies": policies,
            "audit": {"log": "All"},
        })
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}
