//! `traffic.timeouts` and `traffic.retry`.

use super::{Bounds, Field, Kind, Text, field, required};
use crate::{MAX_ATTEMPTS, MAX_RETRY_CODES};

pub(super) const TIMEOUTS: Field =
    field("timeouts", Kind::Object(TIMES, &[]), "How long Envoy's router waits for the origin.");

/// `traffic.timeouts`
pub(crate) const TIMES: &[Field] = &[required(
    "request",
    Kind::Text(Text::Duration),
    "How long the origin has from the end of the request to the end of its response, all tries \
     together; at least 1ms. Then the caller gets 504, or a response that has begun is broken off.",
)];

pub(super) const RETRY: Field = field(
    "retry",
    Kind::Object(RETRIED, &[]),
    "When Envoy's router sends the request again: where the connection fails or breaks before a \
     response, where the origin refuses the stream, and for the status codes in `codes`.",
);

/// `traffic.retry`
pub(crate) const RETRIED: &[Field] = &[
    field(
        "attempts",
        Kind::Integer(0, MAX_ATTEMPTS),
        "How many further tries there are at most. 1 where it is left out or 0, as in \
         AgentGateway.",
    ),
    field(
        "codes",
        Kind::List(RETRY_CODES, &Kind::Integer(400, 599)),
        "The status codes of the origin with which a request is tried again.",
    ),
    field(
        "precondition",
        Kind::Text(Text::Expression),
        "A CEL expression that returns a bool. A request for which it is not true, or fails, is \
         sent once.",
    ),
];

/// `traffic.retry.codes`
pub(crate) const RETRY_CODES: Bounds =
    Bounds { limit: MAX_RETRY_CODES, if_empty: Some("name a status code, or leave the field out") };
