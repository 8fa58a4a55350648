//! An expression evaluated twice: as it is for a request, and by the interpreter alone. For tests,
//! and for fuzzing.

use cel::IdedExpr;

use super::meter::Allowance;
use super::view::{ChosenLine, View};
use super::{Expected, ExprError, Expression, Phase, budget, eval, parse, prepare};
use crate::config::IdentityConfig;
use crate::identity::peer::Callers;
use crate::request::headers::Headers;
use crate::request::{Facts, Given, address_and_port};

/// A header's name and value.
type Line<'a> = (&'a [u8], &'a [u8]);

/// Everything that an expression can look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scene<'a> {
    /// The request's headers.
    pub(crate) lines: Vec<Line<'a>>,
    pub(crate) caller: &'a [u8],
    pub(crate) service: &'a [u8],
    /// The source's address, and the destination's.
    pub(crate) addresses: [&'a [u8]; 2],
    pub(crate) version: &'a [u8],
    /// Which line of a header is looked at.
    pub(crate) chosen: Option<(&'a str, usize)>,
    /// What an earlier policy made of one of the request's headers.
    pub(crate) changed: Option<Line<'a>>,
    /// The response's headers.
    pub(crate) response: Vec<Line<'a>>,
}

impl Scene<'_> {
    /// Shows it to an expression.
    pub(crate) fn view<T>(&self, phase: Phase, run: impl FnOnce(&View<'_>) -> T) -> T {
        let (address, port) = address_and_port(self.addresses[0]).unwrap_or_default();
        let port = i64::from(port).to_le_bytes();
        let source = Given {
            peer_principal: self.caller,
            source_port: if address.is_empty() { &[] } else { &port },
            filter_chain_name: self.service,
            protocol: self.version,
            source_address: address.as_bytes(),
            destination_address: self.addresses[1],
            ..Given::default()
        };
        let facts = Facts::new(self.lines.iter().copied().collect(), &source);
        let callers = Callers::new(IdentityConfig::default());
        let mut request = facts.headers.clone();
        if let Some((name, value)) = self.changed {
            request.remove(|line| line == name);
            request.add(name, value);
        }
        let response: Headers<'_> = self.response.iter().copied().collect();
        let plain = View::new(&facts, &callers).with_request(&request);
        let of =
            |(name, index): &(&'_ str, usize)| plain.request_headers().values(name).nth(*index);
        let chosen: Vec<ChosenLine<'_>> = self
            .chosen
            .iter()
            .filter_map(|chosen| Some(ChosenLine { name: chosen.0.into(), value: of(chosen)? }))
            .collect();
        let view = plain.at(&chosen, egress_reading::cookie::Reading::default(), None);
        run(&if phase == Phase::Response { view.with_response(&response) } else { view })
    }
}

/// An expression and its unlowered form.
#[derive(Debug)]
pub(crate) struct Agreement {
    expression: Expression,
    root: IdedExpr,
    expected: Expected,
}

impl Agreement {
    /// Compiles a source.
    pub(crate) fn of(
        source: &str,
        phase: Phase,
        expected: Expected,
    ) -> Result<Self, Vec<ExprError>> {
        let expression = Expression::compile(source, phase, expected)?;
        let (mut root, _) = parse(source)?;
        prepare(&mut root, &mut Vec::new(), &mut Vec::new());
        budget::guard(&mut root);
        Ok(Agreement { expression, root, expected })
    }

    /// What the lowered form gives.
    pub(crate) fn ours(&self, view: &View<'_>) -> Result<Vec<u8>, String> {
        let allowance = Allowance::whole();
        let value = match self.expected {
            Expected::Rule => {
                self.expression.matches(view, &allowance).map(|value| vec![u8::from(value)])
            }
            Expected::Header => self.expression.header_value(view, &allowance),
        };
        held(value, &allowance)
    }

    /// What the interpreter gives.
    pub(crate) fn theirs(&self, view: &View<'_>) -> Result<Vec<u8>, String> {
        let Expression { env, patterns, .. } = &self.expression;
        let allowance = Allowance::whole();
        let value = match self.expected {
            Expected::Rule => eval::rule(&self.root, env, view, patterns, &allowance)
                .map(|value| vec![u8::from(value)]),
            Expected::Header => eval::header(&self.root, env, view, patterns, &allowance),
        };
        held(value, &allowance)
    }
}

/// Whether the lowered form's answer is the interpreter's: both have the same value, or none.
pub(crate) fn agree(ours: &Result<Vec<u8>, String>, theirs: &Result<Vec<u8>, String>) -> bool {
    ours.as_ref().ok() == theirs.as_ref().ok()
}

/// What holds of a value: none does, where the request passed a limit or cannot be read.
fn held(value: Result<Vec<u8>, String>, allowance: &Allowance) -> Result<Vec<u8>, String> {
    match allowance.breached() {
        Some(breach) => value.and(Err(breach.to_owned())),
        None => value,
    }
}

#[cfg(feature = "fuzzing")]
impl Agreement {
    /// Whether an interpreter's answer may be another than that of the lowered form: what differs
    /// each time it is asked, and a budget that short cuts do not use up.
    pub(crate) fn may_differ(source: &str, theirs: &Result<Vec<u8>, String>) -> bool {
        ["uuid", "random"].iter().any(|function| source.contains(function))
            || matches!(theirs, Err(message) if message == eval::EXCEEDED)
    }
}
