//! `add`, `set` and `remove`, in this order.

use std::borrow::Cow;

use egress_reading::hash;

use crate::cel::attributes::Set;
use crate::cel::meter::{Allowance, Meter};
use crate::cel::{Expected, Expression, Phase, Scope};
use crate::config::{ConfigError, HeaderRulesConfig, HeaderValueConfig, MAX_ERRORS};
use crate::decision::Change;
use crate::header_name::{is_token, is_value};
use crate::path::PathSafety;
use crate::reading::name::same_to_some_origin;
use crate::request::headers::Headers;
use crate::request::host;

/// How many bytes of a value can be made, checked and written for one step.
pub(crate) const COPIED_A_STEP: usize = 32;
/// How many lines can be examined for one step.
pub(super) const LINES_A_STEP: usize = 64;

/// The message for a value that is not legal for the header.
pub(crate) const ILLEGAL: &str = "no legal value of this header";

/// The compiled header rules of one policy and direction.
#[derive(Debug, Default)]
pub(crate) struct HeaderRules {
    pub(crate) add: Vec<HeaderValue>,
    pub(crate) set: Vec<HeaderValue>,
    pub(crate) remove: Vec<String>,
    /// Whether an expression makes the path, perhaps of what the caller wrote.
    pub(crate) makes_path: bool,
}

/// A header that is added or set.
#[derive(Debug)]
pub(crate) struct HeaderValue {
    pub(crate) name: String,
    pub(crate) value: Expression,
    /// The value, if it is legal and the same for every request.
    pub(crate) constant: Option<String>,
}

impl HeaderRules {
    pub(crate) fn compile(
        policy: &str,
        config: &HeaderRulesConfig,
        phase: Phase,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> HeaderRules {
        let mut values = |rules: &[HeaderValueConfig]| -> Vec<HeaderValue> {
            rules
                .iter()
                .filter_map(|rule| compile_value(policy, rule, phase, scope, errors))
                .collect()
        };
        let (add, set) = (values(&config.add), values(&config.set));
        let makes_path = set.iter().any(|rule| rule.name == ":path" && rule.constant.is_none());
        HeaderRules { add, set, remove: config.remove.clone(), makes_path }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.set.is_empty() && self.remove.is_empty()
    }

    /// The expressions of the values that are added and set.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Expression> {
        self.add.iter().chain(&self.set).map(|rule| &rule.value)
    }

    /// Drops the trailers that some origin may take for a header which is set or removed here.
    pub(crate) fn drop_trailers<'a>(
        &'a self,
        trailers: &mut Headers<'a>,
        changes: &mut Vec<Change<'a>>,
    ) {
        let set = self.set.iter().map(|rule| &rule.name);
        for name in set.chain(&self.remove) {
            remove(trailers, changes, name, true);
        }
    }

    pub(crate) fn reads(&self) -> Set {
        self.values().fold(Set::default(), |reads, value| reads.or(value.uses().attributes))
    }

    /// Applies the rules to `headers`, and notes the changes. Returns what went wrong.
    ///
    /// If a value's expression fails, or the value is not legal, the header is left out: an `add`
    /// then adds no line, and a `set` still removes the caller's lines.
    #[inline(never)]
    pub(crate) fn apply<'a>(
        &'a self,
        headers: &mut Headers<'a>,
        changes: &mut Vec<Change<'a>>,
        meter: &Meter,
        value_of: impl Fn(&Headers<'a>, &Expression, &Allowance) -> Result<Vec<u8>, String>,
    ) -> Applied {
        let mut applied = Applied::default();
        if meter.is_exhausted() {
            return applied;
        }
        // Each rule may examine all lines.
        let rules = self.add.len().saturating_add(self.set.len()).saturating_add(self.remove.len());
        meter.spend_on(rules.saturating_mul(headers.len()), LINES_A_STEP);
        let failed = &mut applied.errors;
        let evaluate = |headers: &Headers<'a>, rule: &'a HeaderValue| {
            if let Some(value) = &rule.constant {
                return Ok(Cow::Borrowed(value.as_bytes()));
            }
            let (name, expression) = (&rule.name, &rule.value);
            meter.rule(|allowance| {
                let value = value_of(headers, expression, allowance)
                    .map_err(|error| format!("value of `{name}`: {error}"))?;
                if let Some(breach) = allowance.breached() {
                    return Err(format!("value of `{name}`: {breach}"));
                }
                allowance.spend_on(value.len(), COPIED_A_STEP);
                if is_legal(name, &value) {
                    Ok(Cow::Owned(value))
                } else {
                    Err(format!("value of `{name}`: {ILLEGAL}"))
                }
            })
        };
        for rule in &self.add {
            let name = &rule.name;
            match evaluate(headers, rule) {
                Ok(value) => {
                    headers.push(name.as_bytes(), value.clone());
                    changes.push(Change::Add(Cow::Borrowed(name), value));
                }
                Err(error) => failed.push(error),
            }
        }
        for rule in &self.set {
            let name = &rule.name;
            let value = evaluate(headers, rule);
            // A request without its `:path` is no request, so it cannot be left out, and the
            // caller's own must not stay.
            if name.starts_with(':') {
                match value {
                    Ok(value) => set_pseudo(headers, changes, name, value),
                    Err(error) => {
                        failed.push(error);
                        applied.unusable = true;
                    }
                }
                continue;
            }
            match value {
                Ok(value) => replace(headers, changes, name, value),
                Err(error) => {
                    remove(headers, changes, name, true);
                    failed.push(error);
                }
            }
        }
        for name in &self.remove {
            remove(headers, changes, name, true);
        }
        applied
    }
}

/// Whether a source is words, as a text is that lacks the quotes of an expression.
fn is_plain_text(source: &str) -> bool {
    source.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/ ".contains(&byte))
        && source.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Compiles the value of a header. If that fails, `errors` gets the reasons.
pub(super) fn compile_value(
    policy: &str,
    rule: &HeaderValueConfig,
    phase: Phase,
    scope: Scope<'_>,
    errors: &mut Vec<ConfigError>,
) -> Option<HeaderValue> {
    if errors.len() > MAX_ERRORS {
        return None;
    }
    let compile = |source: &str| Expression::compile(scope, source, phase, Expected::Header);
    let compiled = compile(&rule.value.source).or_else(|errors| match rule.name.as_str() {
        // A status may be a number too.
        ":status" => compile(&format!("string(int({}\n))", rule.value.source)).or(Err(errors)),
        _ => Err(errors),
    });
    match compiled {
        Ok(value) => {
            let name = rule.name.clone();
            let constant = value
                .constant()
                .filter(|constant| is_legal(&name, constant.as_bytes()))
                .map(str::to_owned);
            Some(HeaderValue { name, value, constant })
        }
        Err(mut found) => {
            let source = rule.value.source.trim();
            if let Some(first) = found.first_mut()
                && first.message.starts_with("unknown attribute")
                && is_plain_text(source)
            {
                first.message.push_str(&format!("; if the text is meant, write `'\"{source}\"'`"));
            }
            let of = |error| ConfigError::of_expression(policy, &rule.value, error);
            errors.extend(found.into_iter().map(of));
            None
        }
    }
}

/// The outcome of applying header rules.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// What went wrong, header by header.
    pub(crate) errors: Vec<String>,
    /// A pseudo-header got no value, so the message must not be sent.
    pub(crate) unusable: bool,
}

/// Gives a header this one value.
#[inline(always)]
pub(super) fn replace<'a>(
    headers: &mut Headers<'a>,
    changes: &mut Vec<Change<'a>>,
    name: &'a str,
    value: Cow<'a, [u8]>,
) {
    let removed = remove(headers, changes, name, false);
    headers.push(name.as_bytes(), value.clone());
    changes.push(if removed > 1 {
        Change::Add(Cow::Borrowed(name), value)
    } else {
        Change::Replace(Cow::Borrowed(name), value)
    });
}

/// Gives a pseudo-header this value.
pub(crate) fn set_pseudo<'a>(
    headers: &mut Headers<'a>,
    changes: &mut Vec<Change<'a>>,
    name: &'a str,
    value: Cow<'a, [u8]>,
) {
    headers.remove(name.as_bytes(), |line| line == name.as_bytes());
    headers.push(name.as_bytes(), value.clone());
    changes.push(Change::Replace(Cow::Borrowed(name), value));
}

/// Removes a header, and every header that some origin would take for it. Returns how many lines
/// had exactly this name. If the header is to be replaced, and not `going`, its one line is not
/// noted as removed.
pub(crate) fn remove<'a>(
    headers: &mut Headers<'a>,
    changes: &mut Vec<Change<'a>>,
    name: &'a str,
    going: bool,
) -> usize {
    let wanted = name.as_bytes();
    let (mut own, first) = (0_usize, changes.len());
    headers.remove(wanted, |line| {
        if hash::same(line, wanted) {
            own = own.saturating_add(1);
            return true;
        }
        let same = same_to_some_origin(line, wanted);
        if same && line.eq_ignore_ascii_case(wanted) {
            own = own.saturating_add(1);
        } else if same {
            note_alias(changes, first, line);
        }
        same
    });
    if own > 1 || (going && own > 0) {
        changes.push(Change::Remove(Cow::Borrowed(name)));
    }
    own
}

/// Notes, once, that a header of another spelling is removed. The changes of the same header begin
/// at `first`.
#[cold]
#[inline(never)]
fn note_alias(changes: &mut Vec<Change<'_>>, first: usize, alias: &[u8]) {
    let noted = changes
        .iter()
        .skip(first)
        .any(|change| matches!(change, Change::Remove(noted) if noted.as_bytes() == alias));
    if !noted {
        changes.push(Change::Remove(Cow::Owned(String::from_utf8_lossy(alias).into_owned())));
    }
}

/// Whether a header may have this value: the legal bytes, and for a pseudo-header its own form.
pub(crate) fn is_legal(name: &str, value: &[u8]) -> bool {
    match name {
        ":path" => {
            PathSafety::Lenient.objection(value).is_none()
                && value.starts_with(b"/")
                && value.iter().all(|byte| (0x21..0x7f).contains(byte))
        }
        ":authority" => host::canonical(value).is_ok(),
        ":method" => is_token(value),
        ":status" => {
            value.len() == 3
                && value.iter().all(u8::is_ascii_digit)
                && (b"200".as_slice()..b"600".as_slice()).contains(&value)
        }
        _ => is_value(value),
    }
}
