//! `join`, `raw`, `split`, `redacted` and `cookie`, of `request.headers` and `response.headers`.
//!
//! Headers borrow the request, and the `cel` crate gives no way to recover such a value's own type. What is asked of one is
//! asked with an index that no expression can make.

use std::any::Any;

use cel::common::types::{BYTES_TYPE, MAP_TYPE, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{DeclarationError, Env};

use super::{Evaluated, failed, member, text};

/// What is asked of headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cel) enum Ask {
    /// The view whose values are all lines, with commas between them.
    Join,
    /// The view whose values are lists of the lines.
    Raw,
    /// The view whose values are lists of what commas part in the lines.
    Split,
    /// The view without what is secret.
    Redacted,
    /// The value of the cookie of this name.
    Cookie(String),
}

impl Val for Ask {
    fn get_type(&self) -> &Type {
        static ASK: Type = Type::new_unspecified_type("ask");
        &ASK
    }

    fn cel_type() -> &'static Type {
        // Only asked by macros that this type is not used with.
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

pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    member(env, "@join", MAP_TYPE, vec![], |arguments| ask("join", &arguments, &Ask::Join))?;
    member(env, "raw", MAP_TYPE, vec![], |arguments| ask("raw", &arguments, &Ask::Raw))?;
    member(env, "@split", MAP_TYPE, vec![], |arguments| ask("split", &arguments, &Ask::Split))?;
    member(env, "redacted", MAP_TYPE, vec![], |arguments| ask("redacted", &arguments, &Ask::Redacted))?;
    member(env, "cookie", MAP_TYPE, vec![STRING_TYPE], |arguments| {
        let name = text("cookie", &arguments, 1)?.to_owned();
        ask("cookie", &arguments, &Ask::Cookie(name))
    })
}

fn ask<'b, 'v>(function: &str, arguments: &[CowVal<'_, 'v>], ask: &Ask) -> Evaluated<'b, 'v> {
    let headers = arguments.first().and_then(|headers| headers.as_indexer()).ok_or_else(|| failed(function, "expected headers"))?;
    // Any other map has no such key.
    Ok(CowVal::Owned(headers.get(ask)?.into_owned()))
}
