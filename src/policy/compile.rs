//! From the configuration of policies to what requests are decided with.

use super::answers::DirectResponse;
use super::conditional::Conditional;
use super::ext_auth::ExtAuth;
use super::fixed_headers::FixedHeaders;
use super::header_rules::HeaderRules;
use super::rate_limit::RateLimit;
use super::reply_rules::ReplyRules;
use super::router::Router;
use super::rule::{Pass, Rule};
use super::{HeaderModifiers, Policy, Transformation, index};
use crate::cel::{Expression, Phase, Scope};
use crate::config::{
    ConfigError, HeaderModifiersConfig, MAX_ALL_PATTERNS, MAX_ERRORS, Mode, PolicyConfig, Spot,
    TransformationConfig,
};
use crate::order::Stage;

/// The stages of an order that these policies need: a stage that none of them uses costs nothing.
pub(super) fn order_for(order: &[Stage], policies: &[Policy]) -> Vec<Stage> {
    let is_needed =
        |stage: &Stage| stage.is_for_all() || policies.iter().any(|policy| policy.needs(*stage));
    order.iter().copied().filter(is_needed).collect()
}

/// Compiles policies, until their patterns or their errors exceed a limit.
#[inline(never)]
pub(super) fn compile(
    configs: &[PolicyConfig],
    scope: Scope<'_>,
    errors: &mut Vec<ConfigError>,
) -> Vec<Policy> {
    let mut policies = Vec::with_capacity(configs.len());
    let mut patterns = scope.variables.pattern_bytes();
    for config in configs {
        let policy = Policy::compile(config, scope, errors);
        patterns = patterns.saturating_add(policy.pattern_bytes());
        policies.push(policy);
        if patterns > MAX_ALL_PATTERNS {
            errors.insert(0, too_large_patterns(config, patterns));
        }
        if patterns > MAX_ALL_PATTERNS || errors.len() > MAX_ERRORS {
            break;
        }
    }
    policies
}

fn too_large_patterns(config: &PolicyConfig, bytes: usize) -> ConfigError {
    let message = format!(
        "the patterns of the policies up to this one take {bytes} bytes once compiled, the limit \
         is {MAX_ALL_PATTERNS}: ask for less with `{{n,m}}`, or leave out the policies of hosts \
         that this waypoint does not serve"
    );
    ConfigError {
        policy: Some(config.name.clone()),
        place: config.place.clone(),
        spot: Spot::Whole,
        message,
    }
}

impl Transformation {
    fn compile(
        policy: &str,
        config: &TransformationConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> Transformation {
        Transformation {
            request: HeaderRules::compile(policy, &config.request, Phase::Request, scope, errors),
            response: HeaderRules::compile(
                policy,
                &config.response,
                Phase::Response,
                scope,
                errors,
            ),
            request_body: Transformation::compile_body(
                policy,
                config.request_body.as_ref(),
                Phase::RequestBody,
                scope,
                errors,
            ),
            response_body: Transformation::compile_body(
                policy,
                config.response_body.as_ref(),
                Phase::ResponseBody,
                scope,
                errors,
            ),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.request.is_empty()
            && self.response.is_empty()
            && self.request_body.is_none()
            && self.response_body.is_none()
    }
}

impl HeaderModifiers {
    /// None if they change nothing.
    fn new(config: &HeaderModifiersConfig) -> Option<HeaderModifiers> {
        let request = FixedHeaders::new(&config.request);
        let response = FixedHeaders::new(&config.response);
        let is_empty = request.is_empty() && response.is_empty();
        (!is_empty).then_some(HeaderModifiers { request, response })
    }
}

impl Policy {
    /// How many bytes its literal patterns take.
    pub(super) fn pattern_bytes(&self) -> usize {
        self.expressions().fold(0, |sum, expression| sum.saturating_add(expression.pattern_bytes()))
    }

    /// All its expressions.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let rule = self.rule.iter().flat_map(Rule::expressions);
        let transformation = self.transformation.forms();
        let values =
            transformation.flat_map(|form| form.request.values().chain(form.response.values()));
        let forms = self.transformation.forms();
        let bodies = forms.flat_map(|form| form.request_body.iter().chain(&form.response_body));
        let answers = self.direct_response.iter().flat_map(|answer| answer.forms());
        rule.chain(values)
            .chain(bodies)
            .chain(answers.flat_map(|answer| answer.reply.expressions()))
            .chain(self.denial.iter().flat_map(ReplyRules::expressions))
            .chain(self.ext_auths().flat_map(ExtAuth::expressions))
            .chain(self.rate_limits().flat_map(RateLimit::expressions))
            .chain(self.conditions().flatten())
    }

    /// The forms of its external authorization.
    fn ext_auths(&self) -> impl Iterator<Item = &ExtAuth> {
        self.ext_auth.iter().flat_map(|forms| forms.forms())
    }

    /// The forms of its rate limits.
    fn rate_limits(&self) -> impl Iterator<Item = &RateLimit> {
        self.rate_limit.iter().flat_map(|limits| limits.forms())
    }

    /// The conditions of its features.
    pub(super) fn conditions(&self) -> impl Iterator<Item = Option<&Expression>> {
        let transformation = self.transformation.conditions();
        transformation
            .chain(self.url_rewrite.iter().flat_map(|rewrite| rewrite.conditions()))
            .chain(self.redirect.iter().flat_map(|redirect| redirect.conditions()))
            .chain(self.direct_response.iter().flat_map(|answer| answer.conditions()))
            .chain(self.ext_auth.iter().flat_map(|forms| forms.conditions()))
            .chain(self.rate_limit.iter().flat_map(|limits| limits.conditions()))
    }

    /// Compiles a policy. If that fails, `errors` gets the reasons, and the policy is not used.
    #[inline(never)]
    fn compile(config: &PolicyConfig, scope: Scope<'_>, errors: &mut Vec<ConfigError>) -> Policy {
        let rule = config
            .authorization
            .as_ref()
            .map(|authorization| Rule::compile(&config.name, authorization, scope, errors));
        let denial = config
            .denial
            .as_ref()
            .map(|denial| ReplyRules::compile(&config.name, denial, scope, errors));
        let name = config.name.as_str();
        let transformation =
            Conditional::compile(name, &config.transformation, scope, errors, |form, errors| {
                Transformation::compile(name, form, scope, errors)
            });
        let url_rewrite = config.url_rewrite.as_ref().map(|rewrite| {
            Conditional::compile(name, rewrite, scope, errors, |rewrite, _| rewrite.clone()).into()
        });
        let redirect = config.redirect.as_ref().map(|redirect| {
            Conditional::compile(name, redirect, scope, errors, |redirect, _| redirect.clone())
                .into()
        });
        let direct_response = config.direct_response.as_ref().map(|answer| {
            let form =
                |answer: &_, errors: &mut _| DirectResponse::compile(name, answer, scope, errors);
            Conditional::compile(name, answer, scope, errors, form).into()
        });
        let ext_auth = config
            .ext_auth
            .as_ref()
            .map(|forms| ExtAuth::compile_all(name, forms, scope, errors).into());
        let rate_limit = config
            .rate_limit
            .as_ref()
            .map(|limits| RateLimit::compile_all(name, limits, scope, errors).into());
        Policy {
            name: config.name.clone(),
            mode: config.mode,
            rule,
            default_action: config.default_action,
            denial,
            ext_auth,
            rate_limit,
            transformation,
            header_modifiers: HeaderModifiers::new(&config.header_modifiers).map(Box::new),
            url_rewrite,
            host_rewrite: config.host_rewrite,
            redirect,
            direct_response,
            router: Router::compile(config, scope, errors),
            credentials: Vec::new(),
        }
    }

    pub(super) fn composes_denials(&self) -> bool {
        self.denial.is_some()
    }

    /// Whether it does anything with a request, or its response, beside deciding about it.
    pub(crate) fn acts(&self) -> bool {
        self.transformation.forms().any(|form| !form.is_empty())
            || self.header_modifiers.is_some()
            || self.rewrites()
            || self.redirect.is_some()
            || self.direct_response.is_some()
            || self.router.is_some()
            || !self.credentials.is_empty()
            || self.ext_auth.is_some()
            || self.rate_limit.is_some()
    }

    /// When its rule can be evaluated.
    pub(super) fn pass(&self) -> Pass {
        self.rule.as_ref().map_or(Pass::First, |rule| rule.pass)
    }

    fn rewrites(&self) -> bool {
        self.url_rewrite.is_some() || self.host_rewrite.is_some()
    }

    /// Whether a request must pass this stage because of the policy.
    fn needs(&self, stage: Stage) -> bool {
        let has = match stage {
            // Rules that are only reported are evaluated as well.
            Stage::LateAuthorization => return self.pass() == Pass::Late,
            Stage::ExternalAuthorization => self.ext_auth.is_some(),
            Stage::LocalRateLimit => self.rate_limits().any(|limits| !limits.local.is_empty()),
            Stage::GlobalRateLimit => self.rate_limits().any(|limits| limits.global.is_some()),
            Stage::BodyAuthorization => return self.pass() == Pass::Body,
            Stage::BodyExternalAuthorization => {
                let mut forms = self.ext_auth.iter().flat_map(|forms| forms.forms());
                forms.any(|form| form.forward_body.is_some())
            }
            Stage::BodyTransformation => {
                self.transformation.forms().any(|form| form.request_body.is_some())
            }
            Stage::Transformation => self.acts(),
            Stage::HeaderModifiers => {
                self.header_modifiers.as_ref().is_some_and(|both| !both.request.is_empty())
            }
            Stage::Rewrite => self.rewrites(),
            Stage::Redirect => self.redirect.is_some(),
            Stage::DirectResponse => self.direct_response.is_some(),
            Stage::RouterHeaders => self.router.is_some(),
            Stage::Credentials => !self.credentials.is_empty(),
            _ => false,
        };
        has && self.mode == Mode::Enforce
    }

    /// What the index needs to know of it.
    pub(super) fn entry<'c>(&self, config: &'c PolicyConfig) -> index::Entry<'c> {
        let enforced = self.mode == Mode::Enforce;
        let rule = self.rule.as_ref().map(|rule| index::RuleEntry {
            // Shadow Allows would deny together, so all of them must be evaluated.
            guards: if enforced || !rule.is_allow() { rule.guards() } else { Vec::new() },
            is_allow: rule.is_allow(),
        });
        index::Entry {
            hosts: &config.hosts,
            rule,
            acts: enforced && self.acts(),
            enforced,
            path_safety: config.path_safety,
            default_action: self.default_action,
            has_denial: self.denial.is_some(),
        }
    }
}
