//! The configuration as the operator writes it: `WasmPlugin.spec.pluginConfig`, as JSON.
//!
//! [`Config::parse`] checks its shape: fields, types, names, limits. The expressions in it are
//! checked when the engine compiles them. All errors are reported at once.

mod answer;
mod backend;
mod bodies;
mod callouts;
mod conditional;
mod decode;
mod elsewhere;
mod error;
mod ext_auth;
mod fingerprint;
mod fixed_headers;
mod global_limit;
pub mod json;
mod path_change;
mod rate_limit;
mod read;
mod record;
mod reply;
mod rewrite;
mod router;
mod service;
pub mod shape;
#[cfg(test)]
mod tests;
mod text;
mod totals;
mod transformation;
mod variables;

pub use answer::{DirectResponseConfig, RedirectConfig, Scheme};
pub use backend::{
    ClientAuth, ClientCredentials, CredentialConfig, CredentialValue, Location, MAX_CLIENT_ID,
    MAX_CREDENTIALS, MAX_PREFIX, MAX_SCOPES, MAX_TOKEN_TIMEOUT, Variable,
};
pub use bodies::{
    BODY_SIZE, BodiesConfig, CONTENT_TYPES, MAX_BODY_SIZE, MAX_CONTENT_TYPES, MAX_MEDIA_TYPE,
};
pub use callouts::{DEADLINE, FailureMode, MAX_DEADLINE};
pub use conditional::{ConditionalConfig, EntryConfig, MAX_CONDITIONAL};
pub use error::{ConfigError, Spot, bounded};
pub use ext_auth::{
    AnswerCacheConfig, ExtAuthConfig, ExtAuthProtocol, GrpcAuthConfig, HttpAuthConfig,
    MAX_CACHE_ENTRIES, MAX_CACHE_KEYS, MAX_EXTENSION, MAX_METADATA_NAME, MAX_TTL, Ttl,
};
pub use fixed_headers::{
    FixedHeadersConfig, HeaderModifiersConfig, MAX_HEADER_VALUE, MAX_MODIFIERS,
};
pub use global_limit::{
    DescriptorConfig, GlobalLimitConfig, MAX_DESCRIPTORS, MAX_DOMAIN, MAX_ENTRIES, MAX_ENTRY_NAME,
};
pub use rate_limit::{
    LimitUnit, LocalLimitConfig, MAX_LIMIT, MAX_LOCAL_LIMITS, QuotaHeaders, RateLimitConfig,
};
pub use record::{MAX_RECORD_FIELDS, RecordConfig, RecordFieldConfig};
pub use reply::{MAX_REPLY_BODY, MAX_REPLY_HEADERS, ReplyBody, ReplyConfig};
pub use rewrite::{HostRewrite, PathChange, UrlRewriteConfig};
pub use router::{MAX_ATTEMPTS, MAX_RETRY_CODES, RetryConfig};
pub use service::{MAX_CLUSTER, ReferenceKind, ServiceConfig};
pub use text::{MAX_NAME, MAX_PATH, MAX_SCOPE, MAX_USER_NAME};
pub use totals::check_size;
pub use transformation::TransformationConfig;

pub use egress_reading::header_name::Direction;
pub use egress_reading::header_name::unchangeable;

pub use egress_cel::variables::MAX_VARIABLES;

use std::time::Duration;

use egress_reading::path_safety::PathSafety;

/// The most policies that one configuration may hold.
pub const MAX_POLICIES: usize = 20_000;
/// The most expressions that one policy's authorization may hold.
pub const MAX_MATCH_EXPRESSIONS: usize = 64;
/// The most headers that one list of a transformation may name.
pub const MAX_TRANSFORMATIONS: usize = 64;
/// The most hosts that one policy's scope may name.
pub const MAX_HOSTS: usize = 256;
/// The most trust domains that may be listed.
pub const MAX_TRUST_DOMAINS: usize = 64;
/// The longest name of a policy, in bytes: that of a Kubernetes object, since it becomes part of a
/// metric's name.
pub const MAX_POLICY_NAME: usize = 253;

/// The longest configuration, in bytes of JSON.
pub const MAX_BYTES: usize = 16 << 20;
/// The most JSON values that a configuration may have. Each field and each entry of a list counts,
/// whatever its type.
pub const MAX_VALUES: usize = 1_000_000;
/// The most expressions that all policies together may have, those of header values included.
pub const MAX_ALL_EXPRESSIONS: usize = 100_000;
/// The most bytes that all expressions together may have.
pub const MAX_ALL_SOURCES: usize = 6 << 20;
/// The most entries of `hosts` of all policies together.
pub const MAX_ALL_HOSTS: usize = 100_000;
/// The most bytes that all literal patterns together may take once compiled.
pub const MAX_ALL_PATTERNS: usize = 16 << 20;
/// The most errors that are reported of a configuration; one more says that there are others.
pub const MAX_ERRORS: usize = 10_000;

/// One place to look for the caller's SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentitySource {
    /// Filter state `io.istio.peer_principal`, which a waypoint's HBONE listener writes.
    FilterState,
    /// The URI SAN of the peer's certificate, where this filter's own listener ends mTLS.
    PeerCertificate,
    /// The `x-forwarded-client-cert` header, which any caller can write unless the proxy in front
    /// removes it.
    ForwardedClientCert,
}

/// A configuration of the right shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the caller's identity comes from, and which trust domains are accepted.
    pub identity: IdentityConfig,
    /// Which paths are refused before any rule is evaluated.
    pub path_safety: PathSafety,
    /// Whether a request's `Host` must name the destination that the caller dialled.
    pub host_binding: HostBinding,
    /// What becomes of a request that no Allow is for.
    pub default_action: DefaultAction,
    /// The answer to requests that the rules deny, where no policy has one of its own.
    pub denial: Option<ReplyConfig>,
    /// `callouts.deadline`: the time that all calls about one request may take together.
    pub deadline: Duration,
    /// `bodies`: which bodies are read, where something reads bodies.
    pub bodies: BodiesConfig,
    /// Which decisions are logged.
    pub audit: AuditLog,
    /// `audit.accessLog`: whether each decision is put into filter state, for the proxy's access
    /// log.
    pub access_log: bool,
    /// `audit.filter` and `audit.fields`: what decisions are logged, and with which values.
    pub record: RecordConfig,
    /// The variables, in the order they are declared.
    pub variables: Vec<VariableConfig>,
    /// The policies, in the order they apply.
    pub policies: Vec<PolicyConfig>,
    /// Which configuration it is, whatever the order of its fields.
    pub fingerprint: u64,
}

/// `identity`: where the caller's identity comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// The sources, in the order they are tried.
    pub sources: Vec<IdentitySource>,
    /// The trust domains whose callers have an identity; empty for any that TLS let in.
    pub trust_domains: Vec<String>,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        IdentityConfig {
            sources: vec![IdentitySource::FilterState, IdentitySource::PeerCertificate],
            trust_domains: Vec::new(),
        }
    }
}

/// `hostBinding`: whether `Host` must name the destination that the caller dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostBinding {
    /// A request for a host other than the destination that was dialled is refused.
    #[default]
    Strict,
    /// `Host` may be anything.
    Off,
}

/// `defaultAction`: what becomes of a request that no Allow is for, if nothing denies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum DefaultAction {
    /// It goes on, unless an Allow is in scope.
    #[default]
    Allow,
    /// It is denied.
    Deny,
}

/// `audit.log`: which decisions are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditLog {
    /// Every decision.
    All,
    /// Denials, and what a shadow policy would have denied.
    #[default]
    Denied,
    /// No decision.
    None,
}

/// One of `variables`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableConfig {
    /// The name by which expressions read it, as `variables.name`.
    pub name: String,
    /// The JSON path of the variable, for messages.
    pub place: String,
    /// What it stands for.
    pub expression: Expr,
}

/// One of `policies`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyConfig {
    /// The name, unique among the policies; in audit records and metrics.
    pub name: String,
    /// The JSON path of this policy, for messages.
    pub place: String,
    /// The hosts the policy is for; empty for all.
    pub hosts: Vec<HostPattern>,
    /// Whether it is enforced.
    pub mode: Mode,
    /// The path safety of its hosts, where it differs from that of the configuration.
    pub path_safety: Option<PathSafety>,
    /// The default action of its hosts, where it differs from that of the configuration.
    pub default_action: Option<DefaultAction>,
    /// The answer to requests that it denies.
    pub denial: Option<ReplyConfig>,
    /// `traffic.authorization`.
    pub authorization: Option<AuthorizationConfig>,
    /// `traffic.extAuth`.
    pub ext_auth: Option<ConditionalConfig<ExtAuthConfig>>,
    /// `traffic.rateLimit`.
    pub rate_limit: Option<ConditionalConfig<RateLimitConfig>>,
    /// `traffic.transformation`.
    pub transformation: ConditionalConfig<TransformationConfig>,
    /// `traffic.headerModifiers`.
    pub header_modifiers: HeaderModifiersConfig,
    /// `traffic.urlRewrite`.
    pub url_rewrite: Option<ConditionalConfig<UrlRewriteConfig>>,
    /// `traffic.hostRewrite`.
    pub host_rewrite: Option<HostRewrite>,
    /// `traffic.requestRedirect`.
    pub redirect: Option<ConditionalConfig<RedirectConfig>>,
    /// `traffic.directResponse`.
    pub direct_response: Option<ConditionalConfig<DirectResponseConfig>>,
    /// `traffic.timeouts.request`, in milliseconds.
    pub request_timeout: Option<u64>,
    /// `traffic.retry`.
    pub retry: Option<RetryConfig>,
    /// Those of `extAuth.credentialHeaders`, then `backend.auth` and `backend.credentials`.
    pub credentials: Vec<CredentialConfig>,
}

/// A host, or all hosts under one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host alone, lower-case.
    Exact(String),
    /// `*.example.com`: every host that ends in `.example.com`, kept here with its dot, and not
    /// `example.com` itself.
    Under(String),
}

impl HostPattern {
    /// Whether `host` (canonical: lower-case, no port, no trailing dot) is one of these.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            HostPattern::Exact(name) => name == host,
            HostPattern::Under(suffix) => {
                host.len() > suffix.len() && host.ends_with(suffix.as_str())
            }
        }
    }
}

/// `mode`: whether a policy is enforced or only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The policy decides.
    #[default]
    Enforce,
    /// The policy is evaluated, and what it would have denied is reported.
    Shadow,
}

/// `traffic.authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationConfig {
    /// What happens to a request that matches.
    pub action: Action,
    /// How several expressions combine.
    pub combine: Combine,
    /// What it means if an expression fails.
    pub on_error: OnError,
    /// The expressions, each with its JSON path.
    pub expressions: Vec<Expr>,
}

/// `traffic.authorization.action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Any match lets the request through, if no Deny matches and every Require does.
    Allow,
    /// Any match denies the request.
    Deny,
    /// The request must match every one of these.
    Require,
}

/// `traffic.authorization.match`: how several expressions of one policy combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// The policy matches when all its expressions do.
    All,
    /// The policy matches when one of its expressions does.
    Any,
}

/// `traffic.authorization.onError`: what it means if an expression fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// A Deny denies; an Allow or Require does not match.
    #[default]
    Deny,
    /// The expression does not match, in a Deny as well.
    Ignore,
}

/// A CEL expression and its place in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// The JSON path, for messages.
    pub place: String,
    /// The source.
    pub source: String,
}

/// `set`, `add` and `remove`, of requests or of responses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRulesConfig {
    /// Headers that get this one value, whatever they had before.
    pub set: Vec<HeaderValueConfig>,
    /// Headers that get one more value.
    pub add: Vec<HeaderValueConfig>,
    /// Headers that lose all values, lower-case.
    pub remove: Vec<String>,
}

/// A header and the expression of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderValueConfig {
    /// The name, lower-case.
    pub name: String,
    /// The value.
    pub value: Expr,
}
