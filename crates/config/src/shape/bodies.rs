//! The shapes of what is about bodies.

use super::{Bounds, Field, Kind, Text, field};
use crate::{MAX_BODY_SIZE, MAX_CONTENT_TYPES};

/// `bodies`, of the configuration.
pub(super) const FIELD: Field = field(
    "bodies",
    Kind::Object(BODIES, &[]),
    "Which bodies are read where a policy reads bodies, which only the image for bodies can.",
);

/// `bodies`
pub(crate) const BODIES: &[Field] = &[
    field(
        "maxSize",
        Kind::Size(MAX_BODY_SIZE),
        "The most bytes that a body may have which is read. A request with a longer one gets 413. \
         `64Ki` where it is left out.",
    ),
    field(
        "contentTypes",
        Kind::List(CONTENT_TYPES, &Kind::Text(Text::MediaType)),
        "The types of the bodies that are read. A body of another type cannot be read; one \
         without a stated type can. [application/json, application/*+json, \
         application/x-www-form-urlencoded, text/*] where it is left out.",
    ),
];

/// `bodies.contentTypes`
pub(crate) const CONTENT_TYPES: Bounds =
    Bounds { limit: MAX_CONTENT_TYPES, if_empty: Some("name a type, or leave the field out") };

/// `transformation.request.body`
pub(crate) const REQUEST_BODY: Field = field(
    "body",
    Kind::Text(Text::Expression),
    "A CEL expression that returns the new body, over the request and its `request.body`. A \
     string and bytes are taken as they are, other values as JSON. A request without a body stays \
     without one. If the expression fails, the request is refused with 403.",
);

/// `transformation.response.body`
pub(crate) const RESPONSE_BODY: Field = field(
    "body",
    Kind::Text(Text::Expression),
    "A CEL expression that returns the new body, over the request, the response and its \
     `response.body`, in the same way. If the expression fails, the response is cut off.",
);
