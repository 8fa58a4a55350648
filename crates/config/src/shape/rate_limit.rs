//! `traffic.rateLimit`.

use super::global_limit::{GLOBAL_LIMIT, GLOBAL_LIMIT_IS};
use super::words::{LIMIT_UNIT, QUOTA_HEADERS};
use super::{Bounds, Condition, Field, Kind, Text, field, listed, required};
use crate::conditional::{CONDITIONAL, ENTRIES, Shape, entry};
use crate::{MAX_LIMIT, MAX_LOCAL_LIMITS};

const LOCAL: Field = field(
    "local",
    Kind::List(LOCAL_LIMITS, &Kind::Object(LOCAL_LIMIT, &[])),
    "Limits that the waypoint keeps by itself. A request must keep all of them. Each replica of \
     the waypoint counts for itself: with three, a caller may get three times as much.",
);
const GLOBAL: Field = field(
    "global",
    Kind::Object(GLOBAL_LIMIT, GLOBAL_LIMIT_IS),
    "Limits that a rate limit service keeps, for all waypoints together. It is asked about every \
     request that the local limits admit.",
);
const HEADERS: Field = field(
    "headers",
    Kind::Words(|| listed(QUOTA_HEADERS)),
    "Which answers tell the caller of the limits, in `x-ratelimit-limit`, \
     `x-ratelimit-remaining` and `x-ratelimit-reset`. Denied where it is left out.",
);

const FORM: &[Field] = &[LOCAL, GLOBAL, HEADERS];
const FORM_IS: &[Condition] = &[Condition::AnyOf(&["local", "global"])];
const ENTRY: Kind = Kind::Object(FORM, FORM_IS);

/// `traffic.rateLimit`
pub(crate) const RATE_LIMIT: Shape = Shape {
    whole: &[
        LOCAL,
        GLOBAL,
        HEADERS,
        field("conditional", Kind::List(ENTRIES, &Kind::Object(&entry(ENTRY), &[])), CONDITIONAL),
    ],
    whole_is: &[
        Condition::AnyOf(&["local", "global", "conditional"]),
        Condition::Alone("conditional"),
    ],
    form: FORM,
    form_is: FORM_IS,
};

/// `traffic.rateLimit.local`
pub(crate) const LOCAL_LIMITS: Bounds =
    Bounds { limit: MAX_LOCAL_LIMITS, if_empty: Some("give a limit, or leave the field out") };

/// One of `traffic.rateLimit.local`.
pub(crate) const LOCAL_LIMIT: &[Field] = &[
    required(
        "requests",
        Kind::Integer(1, MAX_LIMIT),
        "How many requests there may be in each `unit`. They come back one by one, and not all at \
         the unit's end.",
    ),
    required("unit", Kind::Words(|| listed(LIMIT_UNIT)), "The unit of time."),
    field(
        "burst",
        Kind::Integer(0, MAX_LIMIT),
        "How many more there may be at once, if there were few before. 0 where it is left out.",
    ),
    field(
        "key",
        Kind::Text(Text::Expression),
        "A CEL expression that returns a string, bytes, a bool, an int or a uint: each of its \
         values is counted for itself. If it fails, the request is refused. `source.spiffeId` \
         where it is left out, and callers without one are counted together.",
    ),
];
