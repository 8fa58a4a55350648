//! `join`, `raw`, `split`, `redacted` and `cookie`, of `request.headers` and `response.headers`.
//!
//! Headers borrow the request, and the `cel` crate has no way to recover the Rust type of such a
//! value. So these functions index it with a value that no expression can make.

use std::any::Any;

use cel::common::types::{BYTES_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};

use super::Parameter::{Map, Text};
use super::Style::Member;
use super::{Evaluated, Overload, failed, run, text};

/// What a function wants from headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The view whose values are all lines, with commas between them.
    Join,
    /// The view whose values are lists of the lines.
    Raw,
    /// The view whose values are lists of the parts between commas in the lines.
    Split,
    /// The view without what is secret.
    Redacted,
    /// The names of the attributes that an object has; headers have none of these.
    Fields,
    /// The value of the cookie of this name.
    Cookie(String),
}

impl Val for Ask {
    fn get_type(&self) -> &Type {
        static ASK: Type = Type::new_unspecified_type("ask");
        &ASK
    }

    fn cel_type() -> &'static Type {
        // Only macros call this, and none of them is used with this type.
        &BYTES_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Ask {}

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("@join", Member, &[Map], |arguments| {
        run(arguments, |arguments| ask("join", arguments, &Ask::Join))
    }),
    Overload("raw", Member, &[Map], |arguments| {
        run(arguments, |arguments| ask("raw", arguments, &Ask::Raw))
    }),
    Overload("@split", Member, &[Map], |arguments| {
        run(arguments, |arguments| ask("split", arguments, &Ask::Split))
    }),
    Overload("redacted", Member, &[Map], |arguments| {
        run(arguments, |arguments| ask("redacted", arguments, &Ask::Redacted))
    }),
    Overload("cookie", Member, &[Map, Text], |arguments| run(arguments, cookie)),
];

fn cookie<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    ask("cookie", arguments, &Ask::Cookie(text("cookie", arguments, 1)?.to_owned()))
}

fn ask<'b, 'v>(function: &str, arguments: &[CowVal<'_, 'v>], ask: &Ask) -> Evaluated<'b, 'v> {
    let headers = arguments
        .first()
        .and_then(|headers| headers.as_indexer())
        .ok_or_else(|| failed(function, "expected headers"))?;
    // Any other map has no such key.
    Ok(CowVal::Owned(headers.get(ask)?.into_owned()))
}
