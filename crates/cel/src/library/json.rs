//! `json`, `toJson` and `unvalidatedJwtPayload`.

mod read;
mod write;

pub(crate) use self::write::quote;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::write::text as json_text;

use cel::ExecutionError;
use cel::common::types::CelMap;
use cel::common::value::{CowVal, Val};

use super::super::bridge;
use super::Parameter::{Any, Bytes, Text};
use super::Style::Global;
use super::{
    Evaluated, MAX_TEXT, Overload, bytes, encoding, failed, passes_limit, run, string, text,
};

/// The deepest nesting of lists and objects that is read or written.
const MAX_DEPTH: usize = 32;
/// How many bytes are written in a step.
const WRITTEN_A_STEP: usize = 2;
/// The most values in one document.
const MAX_VALUES: usize = 4096;

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("json", Global, &[Text], |arguments| run(arguments, json)),
    Overload("json", Global, &[Bytes], |arguments| run(arguments, json)),
    Overload("toJson", Global, &[Any], |arguments| run(arguments, to_json)),
    Overload("unvalidatedJwtPayload", Global, &[Text], |arguments| {
        run(arguments, unvalidated_jwt_payload)
    }),
];

fn json<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    Ok(CowVal::Owned(parse("json", bytes("json", arguments, 0)?)?))
}

fn parse(function: &str, text: &[u8]) -> Result<Box<dyn Val>, ExecutionError> {
    if text.len() > MAX_TEXT {
        return Err(passes_limit(function, "the text passes the limit"));
    }
    read::value(text).map_err(|_| failed(function, "not JSON, or a field twice, or too much of it"))
}

fn to_json<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let value = arguments.first().ok_or_else(|| failed("toJson", "an argument is missing"))?;
    let text = write::text(value.as_ref())
        .ok_or_else(|| failed("toJson", "has no JSON, or passes the limit"))?;
    bridge::spend_on(text.len(), WRITTEN_A_STEP)?;
    Ok(string(text))
}

/// The claims of a JSON Web Token (RFC 7519), which are the second part of its compact form. The
/// signature is not verified.
fn unvalidated_jwt_payload<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    const FUNCTION: &str = "unvalidatedJwtPayload";
    let token = text(FUNCTION, arguments, 0)?;
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(failed(FUNCTION, "not three parts with dots between them"));
    };
    let payload =
        encoding::from_base64url(payload).ok_or_else(|| failed(FUNCTION, "not base64url"))?;
    let claims = parse(FUNCTION, &payload)?;
    if claims.downcast_ref::<CelMap<'_>>().is_none() {
        return Err(failed(FUNCTION, "the payload is no object"));
    }
    Ok(CowVal::Owned(claims))
}
