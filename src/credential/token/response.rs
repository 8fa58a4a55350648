//! The answer with a token (RFC 6749 section 5.1).

use std::time::Duration;

use super::Failure;
use crate::call::Answer;
use crate::config::json::{self, Json};
use crate::credential::Secret;

/// The most bytes that a token may have: a request's headers have no room for many more.
const MAX_TOKEN: usize = 16 * 1024;
/// The most JSON values that an answer may have.
const MAX_VALUES: usize = 1_000;

/// The token of an answer, and for how long it is valid, if the answer says so.
pub(super) fn read(answer: &Answer<'_>) -> Result<(Secret, Option<Duration>), Failure> {
    let body = match answer {
        Answer::NotSent => return Err(Failure::NotSent),
        Answer::CutOff | Answer::Message(_) | Answer::Status(_) | Answer::TooLarge => {
            return Err(Failure::CutOff);
        }
        Answer::Response { body, .. } => body,
    };
    match answer.status() {
        Some(200) => {}
        Some(504) => return Err(Failure::TimedOut),
        _ => return Err(Failure::Status),
    }
    let Ok((Json::Object(fields), ..=MAX_VALUES)) = json::read(body, MAX_VALUES) else {
        return Err(Failure::Unreadable);
    };
    let field = |wanted: &str| -> Result<Option<&Json<'_>>, Failure> {
        let mut values = fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value);
        // Which of two counts is anybody's guess.
        let (first, second) = (values.next(), values.next());
        if second.is_some() { Err(Failure::Unreadable) } else { Ok(first) }
    };
    let text = |wanted: &str| match field(wanted)? {
        Some(Json::String(text)) => Ok(text.as_ref()),
        _ => Err(Failure::Unreadable),
    };
    let token = text("access_token")?;
    // RFC 6750 section 2.1 has a narrower form; nothing that a line can hold is refused for it.
    let is_token =
        (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token || !text("token_type")?.eq_ignore_ascii_case("bearer") {
        return Err(Failure::Unreadable);
    }
    let lifetime = match field("expires_in")? {
        None | Some(Json::Null) => None,
        Some(Json::Number(seconds)) => Some(seconds.ok_or(Failure::Unreadable)?),
        // Some servers send the number as a text.
        Some(Json::String(text)) => Some(text.parse().map_err(|_| Failure::Unreadable)?),
        Some(_) => return Err(Failure::Unreadable),
    };
    Ok((Secret::new(token.as_bytes()), lifetime.map(Duration::from_secs)))
}
