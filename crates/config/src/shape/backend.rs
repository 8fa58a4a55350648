//! The shape of a policy's `backend`: credentials for the origin.

use super::{Bounds, Condition, Field, Kind, Text, field, listed, required};
use crate::shape::words::{CLIENT_AUTH, REFERENCE_KIND};
use crate::{Direction, MAX_CLIENT_ID, MAX_CLUSTER, MAX_CREDENTIALS, MAX_PREFIX, MAX_SCOPES};

/// `backend`
pub(crate) const BACKEND: &[Field] = &[
    field(
        "auth",
        Kind::Object(AUTH, AUTH_IS),
        "A credential that the waypoint puts into every request for the policy's `hosts` that the \
         rules let through. The caller's own copy is removed.",
    ),
    field(
        "credentials",
        Kind::List(CREDENTIALS, &Kind::Object(CREDENTIAL, &[])),
        "Further credentials, for an origin that wants several.",
    ),
];

pub(crate) const BACKEND_IS: &[Condition] = &[Condition::AnyOf(&["auth", "credentials"])];

pub(crate) const CREDENTIALS: Bounds =
    Bounds { limit: MAX_CREDENTIALS, if_empty: Some("give a credential, or leave the field out") };

const ENV: Field = field(
    "env",
    Kind::Text(Text::Environment),
    "The environment variable of the waypoint that holds the value: a token or an API key. One \
     newline at its end is cut.",
);

const LOCATION_FIELD: Field = field(
    "location",
    Kind::Object(LOCATION, LOCATION_IS),
    "Where the origin looks for it. `Authorization: Bearer <value>` where it is left out; a \
     `Bearer ` that the value begins with is then not repeated. With `basic` it is \
     `Authorization: Basic <value>`.",
);

/// `backend.auth`
pub(crate) const AUTH: &[Field] = &[
    ENV,
    field(
        "basic",
        Kind::Object(BASIC, &[]),
        "A user name, and the environment variable of its password (RFC 7617).",
    ),
    field(
        "oauthClientCredentials",
        Kind::Object(CLIENT_CREDENTIALS, CLIENT_CREDENTIALS_ARE),
        "A token of an OAuth 2 authorization server, fetched with the client credentials grant \
         (RFC 6749 section 4.4), kept in memory, and renewed before it expires.",
    ),
    LOCATION_FIELD,
];

pub(crate) const AUTH_IS: &[Condition] =
    &[Condition::OneOf(&["env", "basic", "oauthClientCredentials"])];

/// One of `backend.credentials`.
pub(crate) const CREDENTIAL: &[Field] = &[
    Field { required: true, ..ENV },
    required("location", Kind::Object(LOCATION, LOCATION_IS), "Where the origin looks for it."),
];

/// `backend.auth.basic`
pub(crate) const BASIC: &[Field] = &[
    required("username", Kind::Text(Text::UserName), "The user name, which has no colon."),
    required(
        "passwordEnv",
        Kind::Text(Text::Environment),
        "The environment variable of the waypoint that holds the password.",
    ),
];

/// `location`
pub(crate) const LOCATION: &[Field] = &[
    field("header", Kind::Object(HEADER, &[]), "A request header."),
    field(
        "queryParameter",
        Kind::Object(PARAMETER, &[]),
        "A parameter of the query. The rest of the query stays as it is.",
    ),
    field("cookie", Kind::Object(COOKIE, &[]), "A cookie. The other cookies stay as they are."),
];

pub(crate) const LOCATION_IS: &[Condition] =
    &[Condition::OneOf(&["header", "queryParameter", "cookie"])];

/// `location.header`
pub(crate) const HEADER: &[Field] = &[
    required(
        "name",
        Kind::Text(Text::Header { of: Direction::Request, pseudo: false }),
        "The header's name. Letter case does not matter.",
    ),
    field(
        "prefix",
        Kind::Text(Text::Free(MAX_PREFIX)),
        "What stands before the value, with its blank: `\"Bearer \"`. Nothing where it is left \
         out; `\"Basic \"` with `basic`.",
    ),
];

/// `location.queryParameter`
pub(crate) const PARAMETER: &[Field] =
    &[required("name", Kind::Text(Text::Token), "The parameter's name.")];

/// `location.cookie`
pub(crate) const COOKIE: &[Field] =
    &[required("name", Kind::Text(Text::Token), "The cookie's name.")];

/// `backend.auth.oauthClientCredentials`
pub(crate) const CLIENT_CREDENTIALS: &[Field] = &[
    field(
        "backendRef",
        Kind::Object(REFERENCE, REFERENCE_IS),
        "The authorization server, as a service of the mesh.",
    ),
    field(
        "cluster",
        Kind::Text(Text::Free(MAX_CLUSTER)),
        "The authorization server, as the name of Envoy's cluster. For an Envoy that is not \
         Istio's.",
    ),
    field(
        "host",
        Kind::Text(Text::HostName),
        "The host that the token request names. That of `backendRef` where it is left out; \
         required with `cluster`.",
    ),
    required("path", Kind::Text(Text::Path), "The path of the token endpoint."),
    required("clientId", Kind::Text(Text::Free(MAX_CLIENT_ID)), "The client's ID."),
    required(
        "clientSecretEnv",
        Kind::Text(Text::Environment),
        "The environment variable of the waypoint that holds the client's secret.",
    ),
    field(
        "scopes",
        Kind::List(SCOPES, &Kind::Text(Text::Scope)),
        "The scopes that are asked for. The server's own choice where it is left out.",
    ),
    field(
        "clientAuth",
        Kind::Words(|| listed(CLIENT_AUTH)),
        "How the client proves who it is. ClientSecretBasic where it is left out.",
    ),
    field(
        "timeout",
        Kind::Text(Text::Duration),
        "How long an answer is waited for, from `1ms` to `5m`. `10s` where it is left out.",
    ),
];

pub(crate) const CLIENT_CREDENTIALS_ARE: &[Condition] = &[
    Condition::OneOf(&["backendRef", "cluster"]),
    Condition::RequiredUnless("host", "backendRef"),
];

pub(crate) const SCOPES: Bounds = Bounds {
    limit: MAX_SCOPES,
    if_empty: Some("name a scope, or leave the field out for the server's own choice"),
};

/// `backendRef`
pub(crate) const REFERENCE: &[Field] = &[
    field(
        "kind",
        Kind::Words(|| listed(REFERENCE_KIND)),
        "What `name` is. Service where it is left out.",
    ),
    required("name", Kind::Text(Text::HostName), "The name of the service, or its host name."),
    field(
        "namespace",
        Kind::Text(Text::HostName),
        "The service's namespace. Required with kind Service, not allowed with Hostname.",
    ),
    required("port", Kind::Integer(1, 65_535), "The service's port."),
];

pub(crate) const REFERENCE_IS: &[Condition] =
    &[Condition::UnlessWord("namespace", "kind", "Hostname")];
