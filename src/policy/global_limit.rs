//! `traffic.rateLimit.global`, compiled.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::attributes::view::View;
use crate::cel::data::Data;
use crate::cel::meter::Meter;
use crate::cel::{Expected, ExprError, Expression, Phase, Scope, Uses};
use crate::config::{
    ConfigError, DescriptorConfig, Expr, FailureMode, GlobalLimitConfig, ServiceConfig,
};
use crate::identity::peer::Callers;
use crate::rate_limit::service::{Descriptor, Unit};
use crate::request::headers::Headers;
use crate::request::{Facts, Given};

/// The most hits that a request may count for, as the protocol has it.
const MAX_HITS: u64 = 1_000_000_000;

/// The limits of a policy that a service keeps.
#[derive(Debug)]
pub(crate) struct GlobalLimit {
    pub(crate) service: ServiceConfig,
    pub(crate) failure_mode: FailureMode,
    pub(crate) timeout: Duration,
    pub(crate) domain: String,
    pub(crate) descriptors: Vec<DescriptorRules>,
}

/// What one descriptor of a request is made of.
#[derive(Debug)]
pub(crate) struct DescriptorRules {
    entries: Vec<(String, Expression)>,
    cost: Option<Expression>,
    limit: Option<Expression>,
}

impl GlobalLimit {
    /// Compiles the limits. If that fails, `errors` gets the reasons.
    pub(super) fn compile(
        policy: &str,
        config: &GlobalLimitConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> GlobalLimit {
        let descriptors = &config.descriptors;
        let descriptors = descriptors
            .iter()
            .map(|descriptor| DescriptorRules::compile(policy, descriptor, scope, errors))
            .collect();
        GlobalLimit {
            service: config.service.clone(),
            failure_mode: config.failure_mode,
            timeout: config.timeout,
            domain: config.domain.clone(),
            descriptors,
        }
    }

    /// Whether one call can ask about both.
    pub(crate) fn is_asked_with(&self, other: &GlobalLimit) -> bool {
        self.service == other.service
            && self.domain == other.domain
            && self.failure_mode == other.failure_mode
            && self.timeout == other.timeout
    }

    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.descriptors.iter().flat_map(|rules| {
            let values = rules.entries.iter().map(|(_, value)| value);
            values.chain(&rules.cost).chain(&rules.limit)
        })
    }
}

impl DescriptorRules {
    fn compile(
        policy: &str,
        config: &DescriptorConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> DescriptorRules {
        let mut compiled = |expr: &Expr, expected| {
            let checked = Expression::compile(scope, &expr.source, Phase::Request, expected)
                .and_then(|expression| match mistake(&expression, expected) {
                    None => Ok(expression),
                    Some(message) => Err(vec![ExprError { line: 1, column: 1, message }]),
                });
            checked
                .map_err(|found| {
                    let error = |error| ConfigError::of_expression(policy, expr, error);
                    errors.extend(found.into_iter().map(error));
                })
                .ok()
        };
        let entries = config.entries.iter();
        let entries = entries
            .filter_map(|(name, value)| Some((name.clone(), compiled(value, Expected::Scalar)?)))
            .collect();
        let mut option = |expr: &Option<Expr>, expected| compiled(expr.as_ref()?, expected);
        let cost = option(&config.cost, Expected::Count);
        let limit = option(&config.limit_override, Expected::Map);
        DescriptorRules { entries, cost, limit }
    }

    /// The descriptor of a request; none if one of its entries is an optional without a value.
    ///
    /// # Errors
    /// Why an expression failed, or what is wrong with its value.
    pub(crate) fn of(
        &self,
        view: &View<'_>,
        meter: &Meter,
    ) -> Result<Option<Descriptor<'_>>, String> {
        let evaluate = |part: &str, expression: &Expression| {
            meter
                .rule(|allowance| expression.optional_data(view, allowance))
                .map_err(|error| [part, ": ", &error].concat())
        };
        let mut entries = Vec::with_capacity(self.entries.len());
        for (name, value) in &self.entries {
            let Some(value) = evaluate(name, value)? else { return Ok(None) };
            entries.push((name.as_str(), text(value)));
        }
        let cost = self.cost.as_ref().map(|cost| evaluate(COST, cost)).transpose()?.flatten();
        let hits = cost.map(|cost| hits(&cost)).transpose()?;
        let limit = self.limit.as_ref().map(|limit| evaluate(LIMIT, limit)).transpose()?.flatten();
        let limit = limit.map(|limit| override_of(&limit)).transpose()?;
        Ok(Some(Descriptor { entries, limit, hits }))
    }
}

const COST: &str = "cost";
const LIMIT: &str = "limitOverride";

/// The value of an entry, as the protocol has it.
fn text(value: Data) -> String {
    match value {
        Data::Text(text) => text,
        Data::Bool(value) => if value { "true" } else { "false" }.to_owned(),
        Data::Int(number) => number.to_string(),
        Data::Uint(number) => number.to_string(),
        Data::Bytes(bytes) => STANDARD.encode(bytes),
        // A scalar is none of the others.
        _ => String::new(),
    }
}

fn hits(cost: &Data) -> Result<u64, String> {
    match cost {
        Data::Uint(hits @ 0..=MAX_HITS) => Ok(*hits),
        _ => Err("cost: more than 1000000000".to_owned()),
    }
}

/// A limit that is given in place of the service's own.
fn override_of(limit: &Data) -> Result<(u32, Unit), String> {
    const FORM: &str = "limitOverride: expected `unit`, which is second, minute, hour, day, month \
        or year, and `requestsPerUnit`, which is a whole number below 2^32";
    let Data::Map(fields) = limit else { return Err(FORM.to_owned()) };
    let unit = match limit.get("unit") {
        Some(Data::Text(word)) => Unit::of_word(word),
        _ => None,
    };
    let requests = match limit.get("requestsPerUnit") {
        Some(Data::Int(number)) => u32::try_from(*number).ok(),
        Some(Data::Uint(number)) => u32::try_from(*number).ok(),
        _ => None,
    };
    match (fields.len(), requests, unit) {
        (2, Some(requests), Some(unit)) => Ok((requests, unit)),
        _ => Err(FORM.to_owned()),
    }
}

/// What is wrong with an expression beside its type: it has the same value for every request, and
/// that is no legal one.
fn mistake(expression: &Expression, expected: Expected) -> Option<String> {
    if expected == Expected::Scalar || *expression.uses() != Uses::default() {
        return None;
    }
    let (nobody, source) = (Callers::new(Vec::new(), Vec::new()), Given::default());
    let facts = Facts::new(Headers::default(), &source);
    let view = View::new(&facts, &nobody);
    let value = Meter::new().rule(|allowance| expression.optional_data(&view, allowance));
    let checked = value.and_then(|value| match value {
        None => Ok(()),
        Some(count) if expected == Expected::Count => hits(&count).map(|_| ()),
        Some(limit) => override_of(&limit).map(|_| ()),
    });
    checked.err()
}
