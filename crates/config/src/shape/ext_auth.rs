//! The shape of `traffic.extAuth`: which service is asked about a request, how, and what its answer
//! may do.

use super::backend::{REFERENCE, REFERENCE_IS};
use super::words::FAILURE_MODE;
use super::{Bounds, Condition, Field, Kind, Text, field, listed, required};
use crate::bodies::MAX_BODY_SIZE;
use crate::conditional::{CONDITIONAL, ENTRIES, Shape, and_conditional, entry};
use crate::ext_auth::{MAX_CACHE_ENTRIES, MAX_CACHE_KEYS, MAX_EXTENSION, MAX_METADATA_NAME};
use crate::{Direction, MAX_CLUSTER};

const MAX_LISTED: usize = 64;

const BACKEND_REF: Field = field(
    "backendRef",
    Kind::Object(REFERENCE, REFERENCE_IS),
    "The authorization service, as a service of the mesh.",
);
const CLUSTER: Field = field(
    "cluster",
    Kind::Text(Text::Free(MAX_CLUSTER)),
    "The authorization service, as the name of Envoy's cluster. For an Envoy that is not Istio's.",
);
const HOST: Field = field(
    "host",
    Kind::Text(Text::HostName),
    "The authority of the calls. That of `backendRef` where it is left out; required with \
     `cluster`.",
);
const FAILURE: Field = field(
    "failureMode",
    Kind::Words(|| listed(FAILURE_MODE)),
    "What becomes of a request about which the service gives no answer that can be used. \
     FailClosed where it is left out.",
);
const TIMEOUT: Field = field(
    "timeout",
    Kind::Text(Text::Duration),
    "How long the answer is waited for, from `1ms` to `1m`. `200ms` where it is left out.",
);
const GRPC_FIELD: Field = field(
    "grpc",
    Kind::Object(GRPC, &[]),
    "The service speaks gRPC: `envoy.service.auth.v3.Authorization/Check`. `{}` if nothing more \
     need be said.",
);
const HTTP_FIELD: Field = field(
    "http",
    Kind::Object(HTTP, &[]),
    "The service speaks HTTP: any 2xx allows the request. `{}` if nothing more need be said.",
);
const CREDENTIALS: Field = field(
    "credentialHeaders",
    Kind::List(CREDENTIAL_HEADERS, &Kind::Text(REQUEST_HEADER)),
    "Headers of an answer that are credentials for the origin: put in last, seen by no expression, \
     record or trace. Only for hosts that the policy names exactly. The caller's own copies are \
     removed.",
);
const CACHE_FIELD: Field = field(
    "cache",
    Kind::Object(CACHE, &[]),
    "Answers that are kept, in the memory of each worker, so that the service is not asked again.",
);
const FORWARD_FIELD: Field = field(
    "forwardBody",
    Kind::Object(FORWARD_BODY, &[]),
    "The service gets the request's body, and is asked once all of it is there. Its answer can \
     then change no header of the request, and is not kept.",
);

const FIELDS: [Field; 10] = [
    BACKEND_REF,
    CLUSTER,
    HOST,
    FAILURE,
    TIMEOUT,
    GRPC_FIELD,
    HTTP_FIELD,
    CREDENTIALS,
    CACHE_FIELD,
    FORWARD_FIELD,
];
const FORM: &[Field] = &FIELDS;
const FORM_IS: &[Condition] = &[
    Condition::OneOf(&["backendRef", "cluster"]),
    Condition::Needs("cluster", "host"),
    Condition::OneOf(&["grpc", "http"]),
];

/// `traffic.extAuth`
pub(crate) const EXT_AUTH: Shape = Shape {
    whole: &and_conditional::<10, 11>(
        FIELDS,
        field(
            "conditional",
            Kind::List(ENTRIES, &Kind::Object(&entry(Kind::Object(FORM, FORM_IS)), &[])),
            CONDITIONAL,
        ),
    ),
    whole_is: &[
        Condition::OneOf(&["backendRef", "cluster", "conditional"]),
        Condition::Needs("cluster", "host"),
        Condition::OneOf(&["grpc", "http", "conditional"]),
        Condition::Alone("conditional"),
    ],
    form: FORM,
    form_is: FORM_IS,
};

/// `extAuth.forwardBody`
pub(crate) const FORWARD_BODY: &[Field] = &[required(
    "maxSize",
    Kind::Size(MAX_BODY_SIZE),
    "The most bytes that the body may have. A request with a longer one gets 413.",
)];

/// `extAuth.grpc`
pub(crate) const GRPC: &[Field] = &[
    field(
        "contextExtensions",
        Kind::Map(EXTENSIONS, EXTENSION_NAME, &Kind::Text(Text::Free(MAX_EXTENSION))),
        "Texts that the service gets as `context_extensions`.",
    ),
    field(
        "requestMetadata",
        Kind::Map(METADATA, METADATA_NAME, &Kind::Text(Text::Expression)),
        "Name spaces, and for each a CEL expression that returns a map, which the service gets as \
         `metadata_context.filter_metadata`.",
    ),
];

/// `extAuth.http`
pub(crate) const HTTP: &[Field] = &[
    field(
        "path",
        Kind::Text(Text::Expression),
        "A CEL expression of the path of the call, with its query. The request's own where it is \
         left out.",
    ),
    field(
        "redirect",
        Kind::Text(Text::Expression),
        "A CEL expression of a URL. A caller whom the service answers with 401 or 403 is sent \
         there with 302.",
    ),
    field(
        "body",
        Kind::Text(Text::Expression),
        "A CEL expression of the body of the call. None where it is left out.",
    ),
    field(
        "allowedRequestHeaders",
        Kind::List(HEADERS, &Kind::Text(REQUEST_HEADER)),
        "The request's headers that the service gets. [authorization] where it is left out.",
    ),
    field(
        "addRequestHeaders",
        Kind::Map(ADDED_HEADERS, CALL_HEADER, &Kind::Text(Text::Expression)),
        "Headers that the service gets, each with a CEL expression of its value. They take the \
         place of the request's.",
    ),
    field(
        "allowedResponseHeaders",
        Kind::List(HEADERS, &Kind::Text(REQUEST_HEADER)),
        "Headers of the answer that the request to the origin gets. The caller's own copies are \
         removed, also where the answer has none.",
    ),
    field(
        "responseMetadata",
        Kind::Map(METADATA, METADATA_NAME, &Kind::Text(Text::Expression)),
        "Names, and for each a CEL expression over `request` and the answer as `response`, whose \
         values expressions read as `extauthz.<name>`.",
    ),
];

/// `extAuth.cache`
pub(crate) const CACHE: &[Field] = &[
    required(
        "key",
        Kind::List(CACHE_KEYS, &Kind::Text(Text::Expression)),
        "CEL expressions that return a string, bytes, bool, int or uint. Requests to one host for \
         which all of them have the same values share an answer.",
    ),
    required(
        "ttl",
        Kind::Text(Text::Expression),
        "How long an answer is kept, at most `24h`: a duration, or a CEL expression that returns \
         one, a number of seconds, or the timestamp at which it ends, and may read `extauthz`.",
    ),
    field(
        "maxEntries",
        Kind::Integer(1, MAX_CACHE_ENTRIES),
        "How many answers are kept at most. 10000 where it is left out.",
    ),
];

/// A header of the request to the origin.
pub(crate) const REQUEST_HEADER: Text = Text::Header { of: Direction::Request, pseudo: false };
/// A header of the call.
pub(crate) const CALL_HEADER: Text = Text::Header { of: Direction::Request, pseudo: true };
/// The names of `contextExtensions`.
pub(crate) const EXTENSION_NAME: Text = Text::Free(MAX_METADATA_NAME);
/// The names of metadata.
pub(crate) const METADATA_NAME: Text = Text::Free(MAX_METADATA_NAME);

/// `contextExtensions`
pub(crate) const EXTENSIONS: Bounds = Bounds { limit: MAX_LISTED, if_empty: None };
/// `requestMetadata` and `responseMetadata`
pub(crate) const METADATA: Bounds = Bounds { limit: MAX_LISTED, if_empty: None };
/// `allowedRequestHeaders` and `allowedResponseHeaders`
pub(crate) const HEADERS: Bounds = Bounds { limit: MAX_LISTED, if_empty: None };
/// `addRequestHeaders`
pub(crate) const ADDED_HEADERS: Bounds = Bounds { limit: MAX_LISTED, if_empty: None };
/// `credentialHeaders`
pub(crate) const CREDENTIAL_HEADERS: Bounds =
    Bounds { limit: 8, if_empty: Some("name a header, or leave the field out") };
/// `cache.key`
pub(crate) const CACHE_KEYS: Bounds = Bounds {
    limit: MAX_CACHE_KEYS,
    if_empty: Some("give an expression, such as `source.spiffeId`"),
};
