//! The shape of a configuration, in one table. The reader checks a configuration against it, and
//! the JSON Schema and the documents' table of fields are made from it.

mod backend;
mod bodies;
mod ext_auth;
mod global_limit;
mod rate_limit;
mod record;
mod router;
mod transformation;
mod words;

use super::answer::{DIRECT_RESPONSE, REDIRECT};
use super::fixed_headers::HEADER_MODIFIERS;
use super::reply::{DENIAL, DENIAL_IS};
use super::rewrite::{HOST_REWRITE_FIELDS, URL_REWRITE};
use super::transformation::TRANSFORMATION;
use super::{
    Direction, MAX_HOSTS, MAX_MATCH_EXPRESSIONS, MAX_POLICIES, MAX_TRUST_DOMAINS, MAX_VARIABLES,
};
pub(super) use backend::{
    AUTH, AUTH_IS, BACKEND, BACKEND_IS, BASIC, CLIENT_CREDENTIALS, CLIENT_CREDENTIALS_ARE, COOKIE,
    CREDENTIAL, CREDENTIALS, HEADER, LOCATION, LOCATION_IS, PARAMETER, REFERENCE, REFERENCE_IS,
    SCOPES,
};
pub(super) use bodies::{BODIES, CONTENT_TYPES, REQUEST_BODY, RESPONSE_BODY};
pub(super) use ext_auth::{
    ADDED_HEADERS, CACHE, CACHE_KEYS, CALL_HEADER, CREDENTIAL_HEADERS, EXT_AUTH, EXTENSION_NAME,
    EXTENSIONS, FORWARD_BODY, GRPC, HEADERS as LISTED_HEADERS, HTTP, METADATA, METADATA_NAME,
};
pub(super) use global_limit::{
    DESCRIPTOR, DESCRIPTOR_ENTRIES, DESCRIPTOR_ENTRY, DESCRIPTORS, GLOBAL_LIMIT, GLOBAL_LIMIT_IS,
};
pub(super) use rate_limit::{LOCAL_LIMIT, LOCAL_LIMITS, RATE_LIMIT};
pub(super) use record::{ADDED, ADDED_FIELDS, RECORD_FIELDS};
pub(super) use router::{RETRIED, RETRY_CODES, TIMES};
pub(super) use transformation::{HEADERS, REQUEST, RESPONSE, header_value};
pub use words::OFF;
pub(super) use words::{
    ACTION, AUDIT_LOG, CLIENT_AUTH, COMBINE, COUNTED, DEFAULT_ACTION, FAILURE_MODE, HOST_BINDING,
    HOST_REWRITE, IDENTITY_SOURCES, LIMIT_UNIT, MODE, ON_ERROR, PATH_CHANGE, PATH_SAFETY,
    QUOTA_HEADERS, REFERENCE_KIND, SCHEME, Word, listed,
};

/// A field of an object.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The field's name.
    pub name: &'static str,
    /// Whether it is required.
    pub required: bool,
    /// The kind of its value.
    pub kind: Kind,
    /// What the field is for, in a sentence or two.
    pub about: &'static str,
}

/// The kind of a value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// An object with these fields, and the further conditions on it.
    Object(&'static [Field], &'static [Condition]),
    /// A list, and the kind of its entries.
    List(Bounds, &'static Kind),
    /// One of a set of words.
    Words(Listed),
    /// `true` or `false`.
    Boolean,
    /// A whole number, from the first to the second.
    Integer(u64, u64),
    /// One of these whole numbers.
    Choice(&'static [u64]),
    /// A number of bytes, from 1 to this: a whole number, or one with a unit such as `Ki`.
    Size(u64),
    /// An object whose fields have names of the author's choice: how many there may be, what their
    /// names are, and the kind of their values.
    Map(Bounds, Text, &'static Kind),
    /// A text.
    Text(Text),
}

/// A condition on an object, besides having its fields.
#[derive(Debug, Clone, Copy)]
pub enum Condition {
    /// The first field may be there only if the second is.
    Needs(&'static str, &'static str),
    /// The first field may be there only if the second is, or if the third has this word.
    NeedsUnless(&'static str, &'static str, &'static str, &'static str),
    /// If a list in the first field's object (the second name) has several entries, the third field
    /// must be there.
    Several(&'static str, &'static str, &'static str),
    /// The first field's object may be empty only if the second field is there.
    NotEmptyUnless(&'static str, &'static str),
    /// One of these fields must be there, and no second one.
    OneOf(&'static [&'static str]),
    /// Of these fields, at most one may be there.
    AtMostOne(&'static [&'static str]),
    /// At least one of these fields must be there.
    AnyOf(&'static [&'static str]),
    /// Beside this field, no other may be there.
    Alone(&'static str),
    /// The first field must be there, unless the second is.
    RequiredUnless(&'static str, &'static str),
    /// The first field must be there, unless the second is this word; then it must not.
    UnlessWord(&'static str, &'static str, &'static str),
    /// Where the first field has this word (the second name), the third field must be there.
    Names(&'static str, &'static str, &'static str),
}

/// How many entries a list may have.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most entries.
    pub limit: usize,
    /// If the list may not be empty: what to do instead.
    pub if_empty: Option<&'static str>,
}

/// A set of words, each with what it means.
pub type Listed = fn() -> Vec<(&'static str, &'static str)>;

/// The kind of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// The name of a policy.
    PolicyName,
    /// A host, or `*.` and a host.
    Host,
    /// A trust domain.
    TrustDomain,
    /// A CEL expression.
    Expression,
    /// The name of a header that may be changed in this direction.
    Header {
        /// Whether it is a header of requests or of responses.
        of: Direction,
        /// Whether it may be a pseudo-header such as `:path`.
        pseudo: bool,
    },
    /// The value of a header, as it is.
    HeaderValue,
    /// Any text that is not empty, of at most so many characters.
    Free(usize),
    /// The name of a variable: a CEL identifier.
    Variable,
    /// The name of a field of an audit record.
    RecordField,
    /// The name of an environment variable.
    Environment,
    /// A host, and no wildcard.
    HostName,
    /// An absolute path, without a query.
    Path,
    /// A duration of the Gateway API: `1h30m`, `250ms`.
    Duration,
    /// A `token` of RFC 9110 section 5.6.2: the name of a cookie, or of a parameter.
    Token,
    /// A type and a subtype, with a `*` at most in the subtype.
    MediaType,
    /// A scope of OAuth 2 (RFC 6749 section 3.3).
    Scope,
    /// A user name of RFC 7617, which has no colon and no control character.
    UserName,
}

pub(super) const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, required: false, kind, about: said(about) }
}

/// What the schema and the documents say of a field or a word. The module makes neither of them, so
/// it goes without these texts.
const fn said(about: &'static str) -> &'static str {
    if cfg!(all(target_arch = "wasm32", target_os = "wasi")) { "" } else { about }
}

pub(super) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { required: true, ..field(name, kind, about) }
}

/// The configuration: `WasmPlugin.spec.pluginConfig`.
pub const CONFIGURATION: &[Field] = &[
    field(
        "identity",
        Kind::Object(IDENTITY, &[]),
        "Where the caller's identity comes from, and whose is accepted.",
    ),
    required(
        "policies",
        Kind::List(POLICIES, &Kind::Object(POLICY, POLICY_IS)),
        "The policies. Their order counts for what they change, not for verdicts: any matching \
         Deny denies; else every Require must match; else any matching Allow allows; else a \
         request is allowed only if no Allow is in scope and the default action is Allow.",
    ),
    field(
        "defaultAction",
        Kind::Words(|| listed(DEFAULT_ACTION)),
        "What becomes of a request that nothing denies and no Allow is for. Allow where it is \
         left out, so that a host which no policy names is open.",
    ),
    field(
        "denial",
        Kind::Object(DENIAL, DENIAL_IS),
        "The body, and headers, of the 403 for a request that the rules deny, where no policy's \
         own `denial` is used.",
    ),
    field(
        "variables",
        Kind::List(VARIABLES, &Kind::Object(VARIABLE, &[])),
        "Expressions with names, which all expressions can read as `variables.name`.",
    ),
    field(
        "callouts",
        Kind::Object(CALLOUTS, &[]),
        "What the calls to services about one request may take together.",
    ),
    bodies::FIELD,
    field("audit", Kind::Object(AUDIT, &[]), "Which decisions are logged, and where."),
    field(
        "pathSafety",
        Kind::Words(|| listed(PATH_SAFETY)),
        "Which paths are refused with 400 before any rule, because an origin could read them in \
         another way. Strict where it is left out.",
    ),
    field(
        "hostBinding",
        Kind::Words(|| listed(HOST_BINDING)),
        "Whether a request's `Host` must name the destination that the caller dialled; if not, \
         it is refused with 403. Strict where it is left out.",
    ),
];

/// `identity`
pub(super) const IDENTITY: &[Field] = &[
    field(
        "sources",
        Kind::List(SOURCES, &Kind::Words(|| listed(IDENTITY_SOURCES))),
        "Where the caller's SPIFFE ID is looked up: the first source that holds anything \
         decides. [filterState, peerCertificate] where it is left out.",
    ),
    field(
        "trustDomains",
        Kind::List(TRUST_DOMAINS, &Kind::Text(Text::TrustDomain)),
        "The trust domains whose callers have an identity. The waypoint's own where it is left \
         out; any that TLS let in where the proxy does not reveal its own.",
    ),
];

pub(super) const SOURCES: Bounds = Bounds {
    limit: IDENTITY_SOURCES.len(),
    if_empty: Some("no caller would have an identity, so name a source, or leave the field out"),
};

pub(super) const TRUST_DOMAINS: Bounds = Bounds {
    limit: MAX_TRUST_DOMAINS,
    if_empty: Some("name a trust domain, or leave the field out to believe any that TLS let in"),
};

/// `variables`
pub(super) const VARIABLES: Bounds = Bounds { limit: MAX_VARIABLES, if_empty: None };

/// One of `variables`.
pub(super) const VARIABLE: &[Field] = &[
    required(
        "name",
        Kind::Text(Text::Variable),
        "The variable's name, unique among the variables.",
    ),
    required(
        "expression",
        Kind::Text(Text::Expression),
        "A CEL expression of any type, over the request as it came. It can read the variables \
         before it.",
    ),
];

/// `callouts`
pub(super) const CALLOUTS: &[Field] = &[field(
    "deadline",
    Kind::Text(Text::Duration),
    "The time that all calls about one request may take together, from `1ms` to `1m`. A call for \
     which there is no time left has failed. `1s` where it is left out.",
)];

/// `audit`
pub(super) const AUDIT: &[Field] = &[
    field(
        "log",
        Kind::Words(|| listed(AUDIT_LOG)),
        "Which decisions get an audit record in Envoy's log. Denied where it is left out.",
    ),
    field(
        "accessLog",
        Kind::Boolean,
        "Whether Envoy's access log can show each decision, as \
         `%FILTER_STATE(wasm.egress_decision:PLAIN)%`. This costs three more host calls a \
         request, and one more for each of `fields`. false where it is left out.",
    ),
    record::FILTER,
    record::FIELDS,
];

pub(super) const POLICIES: Bounds = Bounds { limit: MAX_POLICIES, if_empty: None };

/// One of `policies`.
pub(super) const POLICY: &[Field] = &[
    required(
        "name",
        Kind::Text(Text::PolicyName),
        "The policy's name, unique among the policies; in audit records and metrics.",
    ),
    field(
        "hosts",
        Kind::List(HOSTS, &Kind::Text(Text::Host)),
        "The hosts that the policy is for: exact names, or all under one with a leading `*.`. \
         Every host where it is left out.",
    ),
    field(
        "mode",
        Kind::Words(|| listed(MODE)),
        "Whether the policy is enforced or only reported. Enforce where it is left out.",
    ),
    field(
        "pathSafety",
        Kind::Words(|| listed(PATH_SAFETY)),
        "The path safety of this policy's `hosts`, which must be there. That of the whole \
         configuration where it is left out.",
    ),
    field(
        "defaultAction",
        Kind::Words(|| listed(DEFAULT_ACTION)),
        "The default action of this policy's `hosts`, which must be there, except with `mode: \
         Shadow`. Of several policies, Deny counts. That of the whole configuration where it is \
         left out.",
    ),
    field(
        "denial",
        Kind::Object(DENIAL, DENIAL_IS),
        "The body, and headers, of the 403 for a request that this policy denies; and for one \
         that no Allow matches, if this is the first policy in scope that has a `denial`.",
    ),
    field(
        "traffic",
        Kind::Object(TRAFFIC, &[]),
        "What the policy does, in the fields of AgentGateway's `spec.traffic`.",
    ),
    field(
        "backend",
        Kind::Object(BACKEND, BACKEND_IS),
        "What the origin gets from the waypoint, in the fields of AgentGateway's `spec.backend`. \
         It needs `hosts`, all of them exact names.",
    ),
];

pub(super) const POLICY_IS: &[Condition] = &[
    Condition::Needs("pathSafety", "hosts"),
    Condition::NeedsUnless("defaultAction", "hosts", "mode", "Shadow"),
    Condition::Needs("backend", "hosts"),
    Condition::NotEmptyUnless("traffic", "pathSafety"),
    Condition::AnyOf(&["traffic", "backend", "pathSafety", "defaultAction", "denial"]),
];

pub(super) const HOSTS: Bounds = Bounds {
    limit: MAX_HOSTS,
    if_empty: Some("name a host, or leave the field out for a policy of all hosts"),
};

/// `traffic`
pub(super) const TRAFFIC: &[Field] = &[
    field(
        "authorization",
        Kind::Object(AUTHORIZATION, AUTHORIZATION_IS),
        "A rule that allows or denies requests.",
    ),
    field(
        "extAuth",
        Kind::Object(EXT_AUTH.whole, EXT_AUTH.whole_is),
        "A service that is asked whether a request may go on, once the rules that need no answer \
         have let it through.",
    ),
    field(
        "rateLimit",
        Kind::Object(RATE_LIMIT.whole, RATE_LIMIT.whole_is),
        "How many allowed requests there may be in a time. One over the limit is refused with 429.",
    ),
    field(
        "transformation",
        Kind::Object(TRANSFORMATION.whole, TRANSFORMATION.whole_is),
        "Changes to the headers of allowed requests, and of their responses.",
    ),
    field(
        "headerModifiers",
        Kind::Object(HEADER_MODIFIERS, &[]),
        "Headers of allowed requests, and of their responses, that get fixed values.",
    ),
    field(
        "urlRewrite",
        Kind::Object(URL_REWRITE.whole, URL_REWRITE.whole_is),
        "Changes to the authority and the path of allowed requests, as HTTPRoute's URLRewrite. \
         The rules see the request as it came, the origin the new one.",
    ),
    field(
        "hostRewrite",
        Kind::Object(HOST_REWRITE_FIELDS, &[]),
        "Whether the origin gets the name of the destination as `:authority`.",
    ),
    field(
        "requestRedirect",
        Kind::Object(REDIRECT.whole, REDIRECT.whole_is),
        "Answers allowed requests with a redirect, as HTTPRoute's RequestRedirect.",
    ),
    field(
        "directResponse",
        Kind::Object(DIRECT_RESPONSE.whole, DIRECT_RESPONSE.whole_is),
        "Answers allowed requests in the origin's place.",
    ),
    router::TIMEOUTS,
    router::RETRY,
];

/// `traffic.authorization`
pub(super) const AUTHORIZATION: &[Field] = &[
    field(
        "action",
        Kind::Words(|| listed(ACTION)),
        "What it means for a request to match. Allow where it is left out.",
    ),
    required("policy", Kind::Object(RULE, &[]), "The rule's expressions."),
    field(
        "match",
        Kind::Words(|| listed(COMBINE)),
        "How several expressions combine; required where there are several. AgentGateway's \
         documentation says all; its controller does any, except for Require.",
    ),
    field(
        "onError",
        Kind::Words(|| listed(ON_ERROR)),
        "What it means if an expression fails, for example because it reads a header that is \
         not there. Deny where it is left out.",
    ),
];

const AUTHORIZATION_IS: &[Condition] = &[Condition::Several("policy", "matchExpressions", "match")];

/// `traffic.authorization.policy`
pub(super) const RULE: &[Field] = &[required(
    "matchExpressions",
    Kind::List(MATCH_EXPRESSIONS, &Kind::Text(Text::Expression)),
    "CEL expressions that return a bool, over `source`, `request` and `destination`.",
)];

pub(super) const MATCH_EXPRESSIONS: Bounds = Bounds {
    limit: MAX_MATCH_EXPRESSIONS,
    if_empty: Some("give an expression (`true` for one that always matches)"),
};
