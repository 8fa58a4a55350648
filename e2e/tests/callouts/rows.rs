//! The rows of the table: what happens to a call, and the outcome that is recorded.

use crate::columns::{Asking, Cluster, Column, Times};
use crate::fault::Fault;

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// In the words of the document.
    pub(crate) what: &'static str,
    pub(crate) cluster: Cluster,
    pub(crate) times: Times,
    pub(crate) fault: Fault,
    /// The outcomes by column, in audit records.
    pub(crate) outcomes: [&'static str; Column::ALL.len()],
}

impl Row {
    const fn of(
        what: &'static str,
        fault: Fault,
        outcomes: [&'static str; Column::ALL.len()],
    ) -> Row {
        Row { what, cluster: Cluster::Served, times: Times::Usual, fault, outcomes }
    }

    const fn to(what: &'static str, cluster: Cluster, outcome: &'static str) -> Row {
        let outcomes = [outcome; Column::ALL.len()];
        Row { what, cluster, times: Times::Usual, fault: Fault::None, outcomes }
    }

    pub(crate) fn asking(&self, column: Column, fails_open: bool) -> Asking {
        let Row { cluster, times, .. } = *self;
        Asking { column, cluster, fails_open, times }
    }
}

/// All rows.
pub(crate) const ROWS: [Row; 16] = [
    Row::of("the service answers in time", Fault::None, ["allowed"; 3]),
    Row::of("it never answers", Fault::Mute, ["timeout"; 3]),
    Row::of("its answer comes after `timeout`", Fault::Late, ["timeout"; 3]),
    Row {
        what: "calls before it have taken all of `callouts.deadline`",
        cluster: Cluster::Served,
        times: Times::Deadline,
        fault: Fault::Mute,
        outcomes: ["deadline"; 3],
    },
    Row::to("the waypoint has no such cluster", Cluster::Missing, "not-sent"),
    Row::to("the cluster has no endpoint", Cluster::Empty, "unreachable"),
    Row::to("the endpoint refuses the connection", Cluster::Refused, "unreachable"),
    Row::of("the connection ends before an answer", Fault::NoHead, ["unreachable"; 3]),
    Row::of(
        "it ends within the answer's head; for gRPC, right after it",
        Fault::CutInHead,
        ["cut-off"; 3],
    ),
    Row::of("it ends within the answer's body", Fault::CutInBody, ["cut-off"; 3]),
    Row::of(
        "the answer's body has more than 64 KiB",
        Fault::Large,
        ["allowed", "too-large", "too-large"],
    ),
    Row::of("two answers come", Fault::Doubled, ["allowed"; 3]),
    Row::of(
        "what comes is no HTTP; for gRPC, no such message",
        Fault::Garbage,
        ["cut-off", "unusable", "unusable"],
    ),
    Row::of("the service says 500; for gRPC, `UNKNOWN`", Fault::Error, ["error"; 3]),
    Row::of(
        "it says 503; for gRPC, `UNAVAILABLE`",
        Fault::Unavailable,
        ["error", "unreachable", "unreachable"],
    ),
    Row::of(
        "it says 504; for gRPC, `DEADLINE_EXCEEDED`",
        Fault::DeadlineExceeded,
        ["error", "timeout", "timeout"],
    ),
];
