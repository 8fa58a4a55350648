//! Fields of AgentGateway's policies that this filter does not have, each with what to use in its
//! place: what is pasted across gets more than "unknown field".

use super::shape::Field;

/// The object's name, the field's name, and the advice.
type Row = (&'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        "traffic",
        "entExtAuth",
        "its AuthConfig is for Solo's own server: use `extAuth` with a server of yours",
    ),
    ("extAuth", "url", URL),
    ("policy", "url", URL),
    ("traffic", "entRateLimit", "it is called `rateLimit`"),
    (
        "local",
        "tokens",
        "tokens of language models are in bodies, which are not counted here: give `requests`",
    ),
    (
        "global",
        "url",
        "name the service with `backendRef`, with `kind: Hostname` where it is outside the \
         cluster: a waypoint calls only services that it has a cluster of",
    ),
    ("traffic", "extProc", "use Envoy's own ext_proc filter, by an EnvoyFilter"),
    ("traffic", "jwtAuthentication", JWT),
    ("traffic", "entJWT", JWT),
    ("traffic", "jwt", JWT),
    ("traffic", "oidc", JWT),
    ("traffic", "basicAuthentication", CALLER),
    ("traffic", "apiKeyAuthentication", CALLER),
    (
        "traffic",
        "cors",
        "it is for browsers, which do not call through an egress waypoint; HTTPRoute has a CORS \
         filter",
    ),
    (
        "traffic",
        "csrf",
        "it is for browsers, which do not call through an egress waypoint; a Deny can read \
         `request.headers[\"origin\"]`",
    ),
    ("traffic", "buffer", "use Envoy's buffer filter, by an EnvoyFilter"),
    ("traffic", "delay", "use `fault.delay` of a VirtualService"),
    (
        "traffic",
        "phase",
        "this filter has one phase, as the waypoint has chosen the service before any filter \
         runs: leave it out",
    ),
    ("traffic", "rewrite", "it is called `urlRewrite`"),
    ("traffic", "redirect", "it is called `requestRedirect`"),
    (
        "retry",
        "backoff",
        "Envoy's router takes none from a request, and waits 25 to 250 ms between tries unless \
         the route says otherwise: use `retries` of a VirtualService",
    ),
    (
        "retry",
        "condition",
        "Envoy's router decides about a response by its status: name these in `codes`",
    ),
    (
        "fields",
        "remove",
        "the record's own fields stay, so that whoever reads records can rely on them: leave it \
         out, and have the collector of the logs drop what you do not keep",
    ),
    ("transformation.request", "metadata", METADATA),
    ("transformation.response", "metadata", METADATA),
    (
        "backend",
        "tls",
        "use `trafficPolicy.tls` of a DestinationRule (`mode: SIMPLE`, or `MUTUAL` with a client \
         certificate)",
    ),
    ("backend", "tcp", CONNECTIONS),
    ("backend", "http", CONNECTIONS),
    ("backend", "tunnel", "use `trafficPolicy.tunnel` of a DestinationRule"),
    ("backend", "health", "use `trafficPolicy.outlierDetection` of a DestinationRule"),
    (
        "backend",
        "ai",
        "write rules over `json(request.body)`, and change prompts with \
         `transformation.request.body`",
    ),
    (
        "backend",
        "mcp",
        "write rules over `json(request.body)`, which has the method and its parameters",
    ),
    ("backend", "extAuth", "put it under `traffic`, with the policy's `hosts`"),
    ("backend", "transformation", "put it under `traffic`, with the policy's `hosts`"),
    ("backend.auth", "secretRef", SECRET),
    ("backend.credentials", "secretRef", SECRET),
    (
        "backend.auth",
        "key",
        "in plain text, a key could be read by whoever may read this configuration; put it into a \
         Secret, mount that into the waypoint's environment, and name the variable with `env`",
    ),
    (
        "backend.auth",
        "passthrough",
        "the caller's own `Authorization` passes where no credential takes its place: leave \
         `auth` out",
    ),
    ("backend.auth", "aws", "requests are not signed here: let the caller sign them"),
    ("backend.auth", "azure", "use `oauthClientCredentials` with the tenant's token endpoint"),
    ("backend.auth", "gcp", FETCHED),
    ("backend.auth", "jwtSign", FETCHED),
    ("backend.auth", "oauthTokenExchange", FETCHED),
    ("backend.auth", "crossAppAccess", FETCHED),
    ("backend.credentials", "basic", "a user name and a password go into `auth`"),
    ("backend.credentials", "oauthClientCredentials", "tokens that are fetched go into `auth`"),
];

const SECRET: &str = "a plug-in cannot read Secrets: mount the Secret into the waypoint's \
    environment, and name the variable with `env`";
const FETCHED: &str = "use `oauthClientCredentials`, or `env` with a token that something else \
    renews";
const URL: &str = "a waypoint calls only services that it has a cluster for: name the service with \
    `backendRef`, one outside the mesh with `kind: Hostname` and its ServiceEntry's host";
const JWT: &str = "use a RequestAuthentication, and an AuthorizationPolicy with \
    `requestPrincipals`, on the waypoint";
const CALLER: &str = "the caller is authenticated by its certificate: write a rule over \
    `source.identity`";
const METADATA: &str = "`variables` name an expression once, for rules, values and the audit";
const CONNECTIONS: &str = "use `trafficPolicy.connectionPool` of a DestinationRule";

/// What to use in the place of a field that the object at this place does not have.
pub(super) fn advice(place: &str, field: &str, shape: &[Field]) -> Option<&'static str> {
    // So it is with nearly every field that is written.
    if shape.iter().any(|known| known.name == field) {
        return None;
    }
    // The entries of a list are objects of its name.
    let place = match place.strip_suffix(']').and_then(|start| start.rsplit_once('[')) {
        Some((list, _)) => list,
        None => place,
    };
    let is_of =
        |object: &str| place.strip_suffix(object).is_some_and(|before| before.ends_with('.'));
    let found = ROWS.iter().find(|(object, name, _)| *name == field && is_of(object));
    found.map(|(_, _, advice)| *advice)
}
