//! The answer with a token (RFC 6749 section 5.1).

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use super::Failure;
use crate::call::Answer;
use crate::credential::Secret;

/// The most bytes that a token may have: a request's headers have no room for many more.
const MAX_TOKEN: usize = 16 * 1024;

/// The fields that are read. Others may be there.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow)]
    token_type: Cow<'a, str>,
    #[serde(default, borrow)]
    expires_in: Option<Seconds<'a>>,
}

/// A number of seconds. Some servers send it as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds<'a> {
    Whole(u64),
    Fraction(f64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl Seconds<'_> {
    fn duration(&self) -> Result<Duration, Failure> {
        let seconds = match self {
            Seconds::Whole(seconds) => Some(Duration::from_secs(*seconds)),
            Seconds::Fraction(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            Seconds::Text(text) => text.parse().ok().map(Duration::from_secs),
        };
        seconds.ok_or(Failure::Unreadable)
    }
}

/// The token of an answer, and for how long it is valid, if the answer says so.
pub(super) fn read(answer: &Answer<'_>) -> Result<(Secret, Option<Duration>), Failure> {
    let body = match answer {
        Answer::NotSent => return Err(Failure::NotSent),
        Answer::CutOff => return Err(Failure::CutOff),
        Answer::Response { body, .. } => body,
    };
    match answer.status() {
        Some(200) => {}
        Some(504) => return Err(Failure::TimedOut),
        _ => return Err(Failure::Status),
    }
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|_| Failure::Unreadable)?;
    // RFC 6750 section 2.1 has a narrower form; nothing that a line can hold is refused for it.
    let is_token = |text: &str| {
        !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !is_token(&fields.access_token) || !fields.token_type.eq_ignore_ascii_case("bearer") {
        return Err(Failure::Unreadable);
    }
    let lifetime = fields.expires_in.as_ref().map(Seconds::duration).transpose()?;
    Ok((Secret::new(fields.access_token.as_bytes()), lifetime))
}
