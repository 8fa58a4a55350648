//! `request.headers` and `response.headers`: a map whose keys ignore letter case, in one of four
//! views.

use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as CelIterator, Sizer};
use cel::common::types::{CelInt, CelList, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};

use egress_reading::name::usual_spelling;
use egress_reading::{cookie, inline};

use super::{field_name, unreadable};
use crate::attributes::{Attributes, Id};
use crate::bridge;
use crate::library::{Ask, MAX_PARTS, MAX_TEXT};

/// How many bytes of cookies are read in a step.
const COOKIES_A_STEP: usize = 2;

/// How many bytes of names are compared in a step.
const COMPARED_A_STEP: usize = 96;

/// The text that replaces a secret value.
const REDACTED: &str = "<redacted>";

/// Whether a header's values are secrets, by its lower-case name with hyphens.
pub(crate) fn is_secret(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "proxy-authorization"
            | "cookie"
            | "set-cookie"
            | "api-key"
            | "x-api-key"
            | "x-auth-token"
            | "x-goog-api-key"
            | "x-amz-security-token"
    )
}

/// The kind of a view's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
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
#[derive(Debug, Clone)]
pub(crate) struct HeadersValue<'a> {
    attributes: &'a dyn Attributes,
    of: Id,
    values: Values,
    redacted: bool,
    names: OnceLock<Vec<CelString<'a>>>,
}

impl<'a> HeadersValue<'a> {
    pub(super) fn new(attributes: &'a dyn Attributes, of: Id) -> Self {
        let (values, names) = (Values::Chosen, OnceLock::new());
        HeadersValue { attributes, of, values, redacted: false, names }
    }

    /// The value of a header by name, or the result for a function's index.
    fn at(&self, key: &dyn Val) -> Result<Box<dyn Val + 'a>, ExecutionError> {
        let view =
            |values| Ok(Box::new(HeadersValue { values, ..self.clone() }) as Box<dyn Val + 'a>);
        match key.downcast_ref::<Ask>() {
            None => self.value(field_name(key)?),
            Some(Ask::Join) => view(Values::Joined),
            Some(Ask::Raw) => view(Values::Lines),
            Some(Ask::Split) => view(Values::Parts),
            Some(Ask::Fields) => Err(ExecutionError::no_such_key("")),
            Some(Ask::Redacted) => Ok(Box::new(HeadersValue { redacted: true, ..self.clone() })),
            Some(Ask::Cookie(name)) => {
                self.cookie(name).map(|value| Box::new(value) as Box<dyn Val + 'a>)
            }
        }
    }

    #[inline(never)]
    fn value(&self, name: &str) -> Result<Box<dyn Val + 'a>, ExecutionError> {
        self.look_up(name)?;
        if self.values == Values::Chosen {
            let found = self.text(
                name,
                self.looked_at(name).ok_or_else(|| ExecutionError::no_such_key(name))?,
            )?;
            return Ok(Box::new(CelString::from(if self.hides(name) { REDACTED } else { found })));
        }
        let lines = self.lines(name)?;
        let too_large = || {
            bridge::breach();
            ExecutionError::function_error("headers", "the header passes the limit")
        };
        if self.values == Values::Joined {
            let length = lines
                .iter()
                .fold(0_usize, |sum, line| sum.saturating_add(line.len()).saturating_add(1));
            return if length > MAX_TEXT {
                Err(too_large())
            } else {
                Ok(Box::new(CelString::from(lines.join(","))))
            };
        }
        let split = self.values == Values::Parts;
        let parts = lines.into_iter().flat_map(|line| {
            if split { Parts::Split(line.split(',')) } else { Parts::Whole(Some(line)) }
        });
        // One more than the limit shows that there are too many.
        let list: Vec<Box<dyn Val + 'a>> = parts
            .take(MAX_PARTS.saturating_add(1))
            .map(|part| Box::new(CelString::from(part)) as Box<dyn Val + 'a>)
            .collect();
        if list.len() > MAX_PARTS { Err(too_large()) } else { Ok(Box::new(CelList::from(list))) }
    }

    /// Charges for one pass through the lines, each of which may have a name that is nearly this
    /// one.
    fn look_up(&self, name: &str) -> Result<(), ExecutionError> {
        let compared =
            self.attributes.header_count(self.of).saturating_mul(name.len().saturating_add(8));
        bridge::spend_on(compared, COMPARED_A_STEP)
    }

    /// A line as text. One that cannot be read is a breach, because it must not be treated as
    /// missing.
    fn text(&self, name: &str, line: &'a [u8]) -> Result<&'a str, ExecutionError> {
        bridge::read(line.len())?;
        std::str::from_utf8(line).map_err(|_| unreadable(name))
    }

    /// All lines of a header, at least one.
    #[inline(never)]
    fn lines(&self, name: &str) -> Result<Vec<&'a str>, ExecutionError> {
        let Some(looked_at) = self.looked_at(name) else {
            return Err(ExecutionError::no_such_key(name));
        };
        let hidden = self.hides(name);
        let text = |line| if hidden { Ok(REDACTED) } else { self.text(name, line) };
        // For a line that Envoy may have joined, this is the part of this reading.
        let lines = self.attributes.header_lines(self.of, name);
        let is_part = || inline::is_of_request(name) && !lines.contains(&looked_at);
        if self.values == Values::Lines && is_part() {
            return Ok(vec![text(looked_at)?]);
        }
        let mut lines = lines.into_iter().map(text).collect::<Result<Vec<&'a str>, _>>()?;
        if lines.is_empty() {
            // `host`, which is the authority.
            lines.push(text(looked_at)?);
        }
        Ok(lines)
    }

    /// The line of a header in this reading.
    fn looked_at(&self, name: &str) -> Option<&'a [u8]> {
        self.attributes.header(self.of, name)
    }

    /// How many bytes are compared when each line's name is compared with all the others.
    fn comparing_all_names(&self) -> usize {
        let bytes = self.attributes.header_name_bytes(self.of);
        bytes.saturating_mul(self.attributes.header_count(self.of))
    }

    fn hides(&self, name: &str) -> bool {
        self.redacted && is_secret(&usual_spelling(name).unwrap_or_else(|| name.to_owned()))
    }

    /// The value of a cookie. A cookie that cannot be read, or was sent twice with two values, is
    /// an error that nothing catches: origins differ in which one counts, so otherwise a rule could
    /// be evaded by sending another cookie first.
    fn cookie(&self, name: &str) -> Result<CelString<'a>, ExecutionError> {
        let lines = self.attributes.header_lines(self.of, "cookie");
        let length = lines.iter().fold(0, |sum: usize, line| line.len().saturating_add(sum));
        bridge::spend_on(length, COOKIES_A_STEP)?;
        let value = self.attributes.cookie(self.of, name).map_err(|fault| match fault {
            cookie::Fault::Missing => ExecutionError::no_such_key(name),
            cookie::Fault::NotUtf8 => unreadable("cookie"),
            cookie::Fault::TwoValues | cookie::Fault::OtherName => {
                bridge::breach();
                ExecutionError::function_error(
                    "cookie",
                    "sent twice with two values, or under a name that some take for this one",
                )
            }
        })?;
        Ok(CelString::from(if self.redacted { REDACTED.to_owned() } else { value }))
    }

    /// The names, each once, in the order they first came.
    fn names(&self) -> &[CelString<'a>] {
        self.names.get_or_init(|| {
            // Each name is compared with those before it. This function cannot return an error if
            // the steps do not suffice, but the allowance remembers it.
            let _ = bridge::spend_on(self.comparing_all_names(), COMPARED_A_STEP);
            self.attributes.header_names(self.of).into_iter().map(CelString::from).collect()
        })
    }
}

/// A line, or its parts without the blanks around them.
enum Parts<'a> {
    Whole(Option<&'a str>),
    Split(std::str::Split<'a, char>),
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match self {
            Parts::Whole(line) => line.take(),
            Parts::Split(parts) => parts.next().map(|part| part.trim_matches([' ', '\t'])),
        }
    }
}

impl Val for HeadersValue<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for HeadersValue<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        let name = field_name(key)?;
        self.look_up(name)?;
        Ok(self.looked_at(name).is_some())
    }
}

impl Indexer for HeadersValue<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.at(key).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.at(key)
    }
}

impl Sizer for HeadersValue<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.names().len()).unwrap_or(i64::MAX))
    }
}

impl Iterable for HeadersValue<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn CelIterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Names(self.names().iter()))
    }
}

struct Names<'b, 'a>(std::slice::Iter<'b, CelString<'a>>);

impl<'b, 'v, 'a: 'v> CelIterator<'b, 'v> for Names<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|name| name as &(dyn Val + 'v))
    }
}
