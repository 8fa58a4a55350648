//! The configuration as the operator writes it: `WasmPlugin.spec.pluginConfig`, as JSON.
//!
//! [`Config::parse`] checks its shape: fields, types, names, limits. What the expressions in it say
//! is checked when the engine compiles them. All errors are told at once.

mod decode;
mod error;
mod json;
mod read;
pub mod shape;
#[cfg(test)]
mod tests;
mod totals;

pub(crate) use error::bounded;
pub use error::{ConfigError, Spot};
#[cfg(all(target_arch = "wasm32", target_os = "wasi"))]
pub(crate) use totals::check_size;

pub use crate::header_name::Direction;
#[cfg(not(target_arch = "wasm32"))]
pub use crate::header_name::unchangeable;
pub use crate::identity::IdentitySource;

use crate::path::PathSafety;

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
/// The most JSON values that a configuration may have: texts, numbers, lists, objects and so on,
/// each field's and each entry's.
pub const MAX_VALUES: usize = 1_000_000;
/// The most expressions of all policies together, those of header values included.
pub const MAX_ALL_EXPRESSIONS: usize = 100_000;
/// The most bytes that all expressions together may have.
pub const MAX_ALL_SOURCES: usize = 6 << 20;
/// The most entries of `hosts` of all policies together.
pub const MAX_ALL_HOSTS: usize = 100_000;
/// The most bytes that all literal patterns together may take once compiled.
pub const MAX_ALL_PATTERNS: usize = 16 << 20;
/// So many errors are told of a configuration; beyond, only that there are more.
pub const MAX_ERRORS: usize = 10_000;

/// A configuration of the right shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the caller's identity comes from, and whose is believed.
    pub identity: IdentityConfig,
    /// Which paths are refused before any rule is looked at.
    pub path_safety: PathSafety,
    /// Whether a request must be for the service it was sent to.
    pub host_binding: HostBinding,
    /// Which decisions are logged.
    pub audit: AuditLog,
    /// `audit.accessLog`: whether the proxy's access log is told of each decision, in filter state.
    pub access_log: bool,
    /// The policies, in the order they apply.
    pub policies: Vec<PolicyConfig>,
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

/// `hostBinding`: whether `Host` must name the service that the caller dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostBinding {
    /// A request for another host than the service's is refused.
    #[default]
    Strict,
    /// `Host` may say anything.
    Off,
}

/// `audit.log`: which decisions are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditLog {
    /// Every decision.
    All,
    /// Denials, and what a shadow policy would have denied.
    #[default]
    Denied,
    /// None.
    None,
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
    /// The path safety of its hosts, if not the configuration's.
    pub path_safety: Option<PathSafety>,
    /// `traffic.authorization`.
    pub authorization: Option<AuthorizationConfig>,
    /// `traffic.transformation.request`.
    pub request: HeaderRulesConfig,
    /// `traffic.transformation.response`.
    pub response: HeaderRulesConfig,
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
    /// It decides.
    #[default]
    Enforce,
    /// It is evaluated, and what it would have denied is reported.
    Shadow,
}

/// `traffic.authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationConfig {
    /// What a match means.
    pub action: Action,
    /// How several expressions combine.
    pub combine: Combine,
    /// What an expression that errors means.
    pub on_error: OnError,
    /// The expressions, each with its JSON path.
    pub expressions: Vec<Expr>,
}

/// `traffic.authorization.action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Any matching one lets the request through, where no Deny matches and every Require does.
    Allow,
    /// Any matching one denies the request.
    Deny,
    /// Every one must match.
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

/// `traffic.authorization.onError`: what an expression that errors means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The cautious reading: a Deny denies, an Allow or Require does not match.
    #[default]
    Deny,
    /// The expression does not match, of a Deny too.
    Ignore,
}

/// A CEL expression and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// The JSON path, for messages.
    pub place: String,
    /// The source.
    pub source: String,
}

/// `set`, `add` and `remove` of one direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRulesConfig {
    /// Headers that get one value, whatever they had.
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
