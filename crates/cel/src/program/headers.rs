//! `request.headers` and `response.headers`: a map whose keys ignore letter case, in one of four
//! views.

use std::borrow::Cow;

use egress_reading::name::usual_spelling;
use egress_reading::{cookie, inline};

use super::Value;
use super::evaluate::Run;
use crate::attributes::Id;
use crate::bounded::{MAX_PARTS, MAX_TEXT};
use crate::meter::BYTES_A_STEP;
use crate::run::{Evaluated, Failure};
use crate::values::{NOT_UTF8, is_secret};

/// How many bytes of cookies are read in a step.
const COOKIES_A_STEP: usize = 2;
/// How many bytes of names are compared in a step.
const COMPARED_A_STEP: usize = 96;
/// The text that replaces a secret value.
const REDACTED: &str = "<redacted>";

/// The kind of a view's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// The line of this reading.
    Chosen,
    /// All lines, with commas between them.
    Joined,
    /// A list of the lines.
    Lines,
    /// A list of the parts between commas in the lines.
    Parts,
}

/// Headers as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    pub(super) of: Id,
    pub(super) values: Values,
    pub(super) redacted: bool,
}

impl View {
    /// The view that an attribute has.
    pub(super) fn of(of: Id) -> View {
        View { of, values: Values::Chosen, redacted: false }
    }

    fn hides(self, name: &str) -> bool {
        self.redacted && is_secret(&usual_spelling(name).unwrap_or_else(|| name.to_owned()))
    }
}

impl<'p> Run<'_, 'p> {
    /// Whether there is a header of this name.
    pub(super) fn has_header(&self, view: View, name: &str) -> Evaluated<'p, bool> {
        self.look_up(view, name)?;
        Ok(self.scene.attributes.header(view.of, name).is_some())
    }

    /// Charges for one pass through the lines, each of which may have a name that is nearly this
    /// one.
    fn look_up(&self, view: View, name: &str) -> Evaluated<'p, ()> {
        let lines = self.scene.attributes.header_count(view.of);
        let compared = lines.saturating_mul(name.len().saturating_add(8));
        self.spend_on(compared, COMPARED_A_STEP)
    }

    /// A line as text. One that cannot be read is a breach, because it must not be treated as
    /// missing.
    fn line(&self, line: &'p [u8]) -> Evaluated<'p, &'p str> {
        self.spend_on(line.len(), BYTES_A_STEP)?;
        std::str::from_utf8(line).map_err(|_| self.not_utf8())
    }

    #[cold]
    pub(super) fn not_utf8(&self) -> Failure<'p> {
        self.scene.allowance.unreadable();
        Failure::Plain(NOT_UTF8)
    }

    /// The value of a header; none if it is missing.
    #[inline(never)]
    pub(super) fn header(&self, view: View, name: &str) -> Evaluated<'p, Option<Value<'p>>> {
        self.look_up(view, name)?;
        let attributes = self.scene.attributes;
        let Some(chosen) = attributes.header(view.of, name) else { return Ok(None) };
        let hidden = view.hides(name);
        if view.values == Values::Chosen {
            let text = self.line(chosen)?;
            return Ok(Some(Value::text(if hidden { REDACTED } else { text })));
        }
        let lines = attributes.header_lines(view.of, name);
        // For a line that Envoy may have joined, this is the part of this reading. Or it is `host`,
        // which is the authority.
        let is_part =
            view.values == Values::Lines && inline::is_of_request(name) && !lines.contains(&chosen);
        let lines = if is_part || lines.is_empty() { vec![chosen] } else { lines };
        let mut texts: Vec<&'p str> = Vec::with_capacity(lines.len());
        for line in lines {
            texts.push(if hidden { REDACTED } else { self.line(line)? });
        }
        if view.values == Values::Joined {
            let length = texts
                .iter()
                .fold(0_usize, |sum, text| sum.saturating_add(text.len()).saturating_add(1));
            return match length > MAX_TEXT {
                true => Err(self.breach("headers")),
                false => Ok(Some(Value::made(&texts.join(",")))),
            };
        }
        let mut list = Vec::with_capacity(texts.len());
        for text in texts {
            if view.values == Values::Parts {
                let parts = text.split(',').map(|part| part.trim_matches([' ', '\t']));
                // One more than the limit shows that there are too many.
                list.extend(parts.take(MAX_PARTS.saturating_add(1)).map(Value::text));
            } else {
                list.push(Value::text(text));
            }
            if list.len() > MAX_PARTS {
                return Err(self.breach("headers"));
            }
        }
        Ok(Some(Value::list(list)))
    }

    /// The value of a cookie. A cookie that cannot be read, or was sent twice with two values, is
    /// an error that nothing catches: origins differ in which one counts, so otherwise a rule could
    /// be evaded by sending another cookie first.
    pub(super) fn cookie(&self, view: View, name: &str) -> Evaluated<'p, Value<'p>> {
        let attributes = self.scene.attributes;
        let lines = attributes.header_lines(view.of, "cookie");
        let length = lines.iter().fold(0, |sum: usize, line| line.len().saturating_add(sum));
        self.spend_on(length, COOKIES_A_STEP)?;
        match attributes.cookie(view.of, name) {
            Ok(_) if view.redacted => Ok(Value::text(REDACTED)),
            Ok(value) => Ok(Value::made(&value)),
            Err(cookie::Fault::Missing) => Err(Failure::NoKey),
            Err(cookie::Fault::NotUtf8) => Err(self.unfit("cookie")),
            Err(cookie::Fault::TwoValues | cookie::Fault::OtherName) => Err(self.breach("cookie")),
        }
    }

    /// The names, each once, in the order they first came. Each is compared with those before it.
    pub(super) fn header_names(&self, view: View) -> Evaluated<'p, Vec<Value<'p>>> {
        let attributes = self.scene.attributes;
        let bytes = attributes.header_name_bytes(view.of);
        let compared = bytes.saturating_mul(attributes.header_count(view.of));
        self.spend_on(compared, COMPARED_A_STEP)?;
        let names: Vec<Cow<'p, str>> = attributes.header_names(view.of);
        Ok(names.into_iter().map(Value::of_cow).collect())
    }
}
