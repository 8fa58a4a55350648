//! `extAuth`, compiled; and which rules can only be evaluated once a service has answered.

use std::sync::Mutex;
use std::time::Duration;

use super::Policy;
use super::conditional::Conditional;
use super::header_rules::{HeaderValue, compile_value};
use super::rule::{Pass, Rule};
use crate::attributes::{EXTAUTHZ, REQUEST_BODY};
use crate::cel::{Expected, Expression, HeadersRead, Phase, Scope};
use crate::config::{
    AnswerCacheConfig, ConditionalConfig, ConfigError, Expr, ExtAuthConfig, ExtAuthProtocol,
    FailureMode, GrpcAuthConfig, HostPattern, HttpAuthConfig, MAX_ERRORS, Mode, PolicyConfig,
    ServiceConfig, Ttl as TtlConfig,
};
use crate::ext_auth::cache::Answers;
use crate::reading::name::same_to_some_origin;

/// One form of `extAuth`.
#[derive(Debug)]
pub(crate) struct ExtAuth {
    pub(crate) service: ServiceConfig,
    pub(crate) failure_mode: FailureMode,
    /// How long an answer is waited for; never zero.
    pub(crate) timeout: Duration,
    pub(crate) protocol: Protocol,
    /// The headers of an answer that are credentials, lower-case.
    pub(crate) credential_headers: Vec<String>,
    pub(crate) cache: Option<Box<Cache>>,
    /// The most bytes of a request's body, which the service gets; none if it gets none.
    pub(crate) forward_body: Option<usize>,
}

/// How a service is asked.
#[derive(Debug)]
pub(crate) enum Protocol {
    Grpc(Grpc),
    Http(Box<Http>),
}

/// `grpc`
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) context_extensions: Vec<(String, String)>,
    /// Name spaces, and what is in each.
    pub(crate) metadata: Vec<(String, Expression)>,
}

/// `http`
#[derive(Debug)]
pub(crate) struct Http {
    /// None where the call has the request's path.
    pub(crate) path: Option<Expression>,
    pub(crate) redirect: Option<Expression>,
    pub(crate) body: Option<Expression>,
    pub(crate) request_headers: Vec<String>,
    pub(crate) added: Vec<HeaderValue>,
    pub(crate) response_headers: Vec<String>,
    pub(crate) metadata: Vec<(String, Expression)>,
}

/// `cache`, with the answers that this worker keeps.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) key: Vec<Expression>,
    pub(crate) ttl: Ttl,
    pub(crate) answers: Mutex<Answers>,
}

/// How long an answer is kept.
#[derive(Debug)]
pub(crate) enum Ttl {
    Fixed(Duration),
    Computed(Expression),
}

/// What is wrong with an expression that reads `extauthz` before there is any.
const NOT_ASKED: &str = "`extauthz` is what the services say, and they are not asked yet where \
    this is evaluated: read `request` or `source`";
/// What is wrong with a rule that reads `extauthz` where a service gets the body.
const FORWARDED: &str = "a service with `forwardBody` is asked after this is evaluated, so that no \
    rule can read what it says: leave out `forwardBody`, or let the service deny";
/// The same for the request's body.
const NO_BODY: &str = "the request's body is not there yet where this is evaluated: read \
    `request.headers`";

impl ExtAuth {
    /// Compiles all forms of a policy's `extAuth`. `errors` gets what is wrong with them.
    pub(super) fn compile_all(
        policy: &str,
        config: &ConditionalConfig<ExtAuthConfig>,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Conditional<ExtAuth> {
        let compiled = Conditional::compile(policy, config, scope, errors, |form, errors| {
            let mut compiling = Compiling { policy, scope, errors };
            compiling.form(form)
        });
        if let ConditionalConfig::FirstTrue { entries, .. } = config {
            for (entry, condition) in entries.iter().zip(compiled.conditions()) {
                if let Some((expr, condition)) = entry.condition.as_ref().zip(condition) {
                    refuse_later(policy, expr, condition, false, errors);
                }
            }
        }
        compiled
    }

    /// All its expressions, apart from the conditions.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let (grpc, http) = match &self.protocol {
            Protocol::Grpc(grpc) => (Some(grpc), None),
            Protocol::Http(http) => (None, Some(http)),
        };
        let metadata = grpc.map(|grpc| &grpc.metadata).or(http.map(|http| &http.metadata));
        let single = http.into_iter().flat_map(|http| [&http.path, &http.redirect, &http.body]);
        let added = http.into_iter().flat_map(|http| &http.added).map(|added| &added.value);
        let cache = self.cache.iter().flat_map(|cache| {
            let ttl = match &cache.ttl {
                Ttl::Fixed(_) => None,
                Ttl::Computed(ttl) => Some(ttl),
            };
            cache.key.iter().chain(ttl)
        });
        let metadata = metadata.into_iter().flatten().map(|(_, value)| value);
        single.flatten().chain(added).chain(metadata).chain(cache)
    }

    /// Whether an answer may set or remove this header of the request, given in lower case.
    fn may_change(&self, name: &str) -> bool {
        let same = |own: &String| same_to_some_origin(own.as_bytes(), name.as_bytes());
        match &self.protocol {
            _ if self.forward_body.is_some() => false,
            Protocol::Grpc(_) => true,
            Protocol::Http(http) => {
                http.response_headers.iter().chain(&self.credential_headers).any(same)
            }
        }
    }

    /// Whether an answer may set or remove any header of the request.
    fn changes_any(&self) -> bool {
        match &self.protocol {
            _ if self.forward_body.is_some() => false,
            Protocol::Grpc(_) => true,
            Protocol::Http(http) => {
                !http.response_headers.is_empty() || !self.credential_headers.is_empty()
            }
        }
    }
}

/// Forms that are being compiled.
struct Compiling<'c> {
    policy: &'c str,
    scope: Scope<'c>,
    errors: &'c mut Vec<ConfigError>,
}

impl Compiling<'_> {
    fn form(&mut self, config: &ExtAuthConfig) -> ExtAuth {
        ExtAuth {
            service: config.service.clone(),
            failure_mode: config.failure_mode,
            timeout: config.timeout,
            protocol: match &config.protocol {
                ExtAuthProtocol::Grpc(grpc) => Protocol::Grpc(self.grpc(grpc)),
                ExtAuthProtocol::Http(http) => Protocol::Http(Box::new(self.http(http))),
            },
            credential_headers: config.credential_headers.clone(),
            cache: config.cache.as_ref().map(|cache| Box::new(self.cache(cache))),
            forward_body: config.forward_body,
        }
    }

    fn grpc(&mut self, config: &GrpcAuthConfig) -> Grpc {
        Grpc {
            context_extensions: config.context_extensions.clone(),
            metadata: self.metadata(&config.metadata, Phase::Request, Expected::Map),
        }
    }

    fn http(&mut self, config: &HttpAuthConfig) -> Http {
        let mut text = |expr: &Option<Expr>, expected| {
            self.expression(expr.as_ref()?, Phase::Request, expected, false)
        };
        let path = text(&config.path, Expected::Header);
        let redirect = text(&config.redirect, Expected::Header);
        let body = text(&config.body, Expected::Body);
        let mut added = Vec::with_capacity(config.added.len());
        for rule in &config.added {
            let compiled =
                compile_value(self.policy, rule, Phase::Request, self.scope, self.errors);
            if let Some(value) = compiled {
                refuse_later(self.policy, &rule.value, &value.value, false, self.errors);
                added.push(value);
            }
        }
        Http {
            path,
            redirect,
            body,
            request_headers: config.request_headers.clone(),
            added,
            response_headers: config.response_headers.clone(),
            metadata: self.metadata(&config.metadata, Phase::ResponseBody, Expected::Value),
        }
    }

    fn metadata(
        &mut self,
        config: &[(String, Expr)],
        phase: Phase,
        expected: Expected,
    ) -> Vec<(String, Expression)> {
        let entry = |(name, expr): &(String, Expr)| {
            Some((name.clone(), self.expression(expr, phase, expected, false)?))
        };
        config.iter().filter_map(entry).collect()
    }

    fn cache(&mut self, config: &AnswerCacheConfig) -> Cache {
        let mut key = Vec::with_capacity(config.key.len());
        for expr in &config.key {
            key.extend(self.expression(expr, Phase::Request, Expected::Scalar, false));
        }
        let ttl = match &config.ttl {
            TtlConfig::Fixed(ttl) => Ttl::Fixed(*ttl),
            TtlConfig::Computed(expr) => self
                .expression(expr, Phase::Request, Expected::Time, true)
                .map_or(Ttl::Fixed(Duration::ZERO), Ttl::Computed),
        };
        Cache { key, ttl, answers: Mutex::new(Answers::new(config.max_entries)) }
    }

    /// Compiles an expression. `is_after` says whether the service has answered when it is
    /// evaluated.
    fn expression(
        &mut self,
        expr: &Expr,
        phase: Phase,
        expected: Expected,
        is_after: bool,
    ) -> Option<Expression> {
        if self.errors.len() > MAX_ERRORS {
            return None;
        }
        match Expression::compile(self.scope, &expr.source, phase, expected) {
            Ok(expression) => {
                refuse_later(self.policy, expr, &expression, is_after, self.errors);
                Some(expression)
            }
            Err(found) => {
                let of = |error| ConfigError::of_expression(self.policy, expr, error);
                self.errors.extend(found.into_iter().map(of));
                None
            }
        }
    }
}

/// Refuses an expression that reads what is not there yet when it is evaluated.
fn refuse_later(
    policy: &str,
    expr: &Expr,
    expression: &Expression,
    is_after: bool,
    errors: &mut Vec<ConfigError>,
) {
    let reads = expression.uses().attributes;
    let mut refuse = |message: &str| {
        let error = crate::cel::ExprError { line: 1, column: 1, message: message.to_owned() };
        errors.push(ConfigError::of_expression(policy, expr, error));
    };
    if !is_after && reads.contains(EXTAUTHZ) {
        refuse(NOT_ASKED);
    }
    if reads.contains(REQUEST_BODY) {
        refuse(NO_BODY);
    }
}

/// Above this many policies with `extAuth`, each counts as one for every host: comparing the hosts
/// of all policies would take too long.
pub(super) const MANY: usize = 64;

/// Finds the rules that can only be evaluated once services have answered: those that read
/// `extauthz`, or a header that an answer may change.
#[inline(never)]
pub(super) fn assign_passes(
    configs: &[PolicyConfig],
    policies: &mut [Policy],
    errors: &mut Vec<ConfigError>,
) {
    let asking: Vec<usize> = policies
        .iter()
        .enumerate()
        .filter(|(_, policy)| policy.mode == Mode::Enforce && policy.ext_auth.is_some())
        .map(|(index, _)| index)
        .collect();
    let is_many = asking.len() > MANY;
    let mut late = Vec::new();
    for (index, (config, policy)) in configs.iter().zip(&*policies).enumerate() {
        let Some(rule) = &policy.rule else { continue };
        let in_scope = asking.iter().filter(|other| {
            is_many
                || configs.get(**other).is_some_and(|other| overlap(&config.hosts, &other.hosts))
        });
        let forms: Vec<_> = in_scope
            .filter_map(|index| policies.get(*index)?.ext_auth.as_deref())
            .flat_map(Conditional::forms)
            .collect();
        let expressions = rule
            .expressions()
            .iter()
            .zip(config.authorization.iter().flat_map(|config| &config.expressions));
        let said = |expression: &Expression| expression.uses().attributes.contains(EXTAUTHZ);
        if forms.iter().any(|form| form.forward_body.is_some()) {
            for (_, expr) in expressions.filter(|(expression, _)| said(expression)) {
                if errors.len() <= MAX_ERRORS {
                    let (line, column, message) = (1, 1, FORWARDED.to_owned());
                    let error = crate::cel::ExprError { line, column, message };
                    errors.push(ConfigError::of_expression(&config.name, expr, error));
                }
            }
        }
        if is_late(rule, forms.into_iter()) {
            late.push(index);
        }
    }
    for index in late {
        if let Some(rule) = policies.get_mut(index).and_then(|policy| policy.rule.as_mut()) {
            rule.pass = rule.pass.max(Pass::Late);
        }
    }
}

fn is_late<'p>(rule: &Rule, mut forms: impl Iterator<Item = &'p ExtAuth>) -> bool {
    let said = |rule: &Expression| rule.uses().attributes.contains(EXTAUTHZ);
    rule.expressions().iter().any(said) || forms.any(|form| reads_header_of(rule, form))
}

/// Whether a rule reads a header that an answer may set or remove.
pub(super) fn reads_header_of(rule: &Rule, form: &ExtAuth) -> bool {
    rule.expressions().iter().map(Expression::uses).any(|uses| match &uses.request_headers {
        HeadersRead::All => form.changes_any(),
        HeadersRead::Names(names) => {
            names.iter().any(|name| form.may_change(name))
                || (uses.cookies && form.may_change("cookie"))
        }
    })
}

/// Whether every host of the first list is one of the others, of which an empty one is for all
/// hosts.
pub(super) fn covered<'p>(
    hosts: &[HostPattern],
    others: impl Iterator<Item = &'p [HostPattern]> + Clone,
) -> bool {
    let of_one = |own: &HostPattern, other: &HostPattern| match (own, other) {
        (HostPattern::Exact(name), other) => other.matches(name),
        (HostPattern::Under(own), HostPattern::Under(other)) => own.ends_with(other),
        (HostPattern::Under(_), HostPattern::Exact(_)) => false,
    };
    let is_one = |own: &HostPattern| {
        others.clone().any(|other| other.iter().any(|other| of_one(own, other)))
    };
    others.clone().any(<[_]>::is_empty) || (!hosts.is_empty() && hosts.iter().all(is_one))
}

/// Whether some host is one of both lists, of which an empty one is for all hosts.
pub(super) fn overlap(a: &[HostPattern], b: &[HostPattern]) -> bool {
    let of_one = |a: &HostPattern, b: &HostPattern| match (a, b) {
        (HostPattern::Exact(name), other) | (other, HostPattern::Exact(name)) => {
            other.matches(name)
        }
        (HostPattern::Under(a), HostPattern::Under(b)) => a.ends_with(b) || b.ends_with(a),
    };
    a.is_empty() || b.is_empty() || a.iter().any(|a| b.iter().any(|b| of_one(a, b)))
}
