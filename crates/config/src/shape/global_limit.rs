//! `traffic.rateLimit.global`.

use super::words::{COUNTED, FAILURE_MODE};
use super::{Bounds, Condition, Field, Kind, Text, field, listed, required};
use crate::shape::backend::{REFERENCE, REFERENCE_IS};
use crate::{MAX_CLUSTER, MAX_DESCRIPTORS, MAX_DOMAIN, MAX_ENTRIES, MAX_ENTRY_NAME};

/// `traffic.rateLimit.global`
pub(crate) const GLOBAL_LIMIT: &[Field] = &[
    field(
        "backendRef",
        Kind::Object(REFERENCE, REFERENCE_IS),
        "The rate limit service, as a service of the mesh.",
    ),
    field(
        "cluster",
        Kind::Text(Text::Free(MAX_CLUSTER)),
        "The rate limit service, as the name of Envoy's cluster. For an Envoy that is not Istio's.",
    ),
    field(
        "host",
        Kind::Text(Text::HostName),
        "The authority of the calls. That of `backendRef` where it is left out; required with \
         `cluster`.",
    ),
    field(
        "failureMode",
        Kind::Words(|| listed(FAILURE_MODE)),
        "What becomes of a request if the service gives no answer that can be used. FailClosed \
         where it is left out.",
    ),
    field(
        "timeout",
        Kind::Text(Text::Duration),
        "How long the answer is waited for, from `1ms` to `1m`. `100ms` where it is left out.",
    ),
    required(
        "domain",
        Kind::Text(Text::Free(MAX_DOMAIN)),
        "The name space of the limits: the `domain` of the service's configuration.",
    ),
    required(
        "descriptors",
        Kind::List(DESCRIPTORS, &Kind::Object(DESCRIPTOR, &[])),
        "What the request is counted by. The service looks up the limit of each descriptor, and \
         counts each.",
    ),
];

pub(crate) const GLOBAL_LIMIT_IS: &[Condition] = &[
    Condition::OneOf(&["backendRef", "cluster"]),
    Condition::RequiredUnless("host", "backendRef"),
];

/// `traffic.rateLimit.global.descriptors`
pub(crate) const DESCRIPTORS: Bounds =
    Bounds { limit: MAX_DESCRIPTORS, if_empty: Some("give a descriptor, or leave `global` out") };

/// One of `traffic.rateLimit.global.descriptors`.
pub(crate) const DESCRIPTOR: &[Field] = &[
    required(
        "entries",
        Kind::List(DESCRIPTOR_ENTRIES, &Kind::Object(DESCRIPTOR_ENTRY, &[])),
        "The keys and values of the descriptor, in the order in which the service's limits nest.",
    ),
    field(
        "unit",
        Kind::Words(|| listed(COUNTED)),
        "What is counted. Requests where it is left out.",
    ),
    field(
        "cost",
        Kind::Text(Text::Expression),
        "A CEL expression that returns how many requests this one counts for, from 0 to \
         1000000000. 1 where it is left out.",
    ),
    field(
        "limitOverride",
        Kind::Text(Text::Expression),
        "A CEL expression that returns the limit in place of the service's own, such as \
         `{\"unit\": \"minute\", \"requestsPerUnit\": 5}`. The unit is second, minute, hour, day, \
         month or year.",
    ),
];

/// `traffic.rateLimit.global.descriptors[].entries`
pub(crate) const DESCRIPTOR_ENTRIES: Bounds =
    Bounds { limit: MAX_ENTRIES, if_empty: Some("give an entry, or leave the descriptor out") };

/// One of `traffic.rateLimit.global.descriptors[].entries`.
pub(crate) const DESCRIPTOR_ENTRY: &[Field] = &[
    required("name", Kind::Text(Text::Free(MAX_ENTRY_NAME)), "The key."),
    required(
        "expression",
        Kind::Text(Text::Expression),
        "A CEL expression that returns the value: a string, bytes (sent as base64), a bool, an \
         int or a uint. If it is an optional without a value, as `request.headers[?\"x-tenant\"]` \
         can be, the descriptor is left out of the call.",
    ),
];
