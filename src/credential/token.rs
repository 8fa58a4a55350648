//! Tokens of an OAuth 2 authorization server (RFC 6749 section 4.4): when one is fetched, what is
//! sent for it, and what is made of the answer.
//!
//! The tokens of a credential are kept in the VM's memory, one for each worker. One fetch is under
//! way at a time. Requests that need its token wait for it together; while the token of before is
//! valid, they go on with that.

mod request;
mod response;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Secret;
use super::place;
use crate::call::{Answer, Call};
use crate::config::Location;
pub(crate) use request::Client;

/// How long a token lives whose answer does not say.
const LIFETIME: Duration = Duration::from_secs(300);
/// No token is kept for longer.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long before its end a token is renewed, at most: a fifth of its life, for shorter ones.
const RENEWAL: Duration = Duration::from_secs(60);
/// How long before its end a token is no longer sent, at most: a twentieth of its life. It may
/// take that long until the origin looks at it.
const TRAVEL: Duration = Duration::from_secs(5);
/// How long no token is fetched after a fetch that failed: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A fetch that has not ended so long after its timeout is taken for lost.
const LOST: Duration = Duration::from_secs(10);

/// A fetch of a token: the index of its credential, and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fetch {
    /// The index of the credential.
    pub(crate) credential: usize,
    /// No two fetches of a credential have the same.
    pub(crate) number: u32,
}

/// Why there is no token. Each is a detail of audit records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The call could not be made.
    NotSent,
    /// The call broke off.
    CutOff,
    /// There was no answer in time: 504, which Envoy says as well.
    TimedOut,
    /// The answer has another status than 200.
    Status,
    /// The answer has no token that can be read.
    Unreadable,
}

impl Failure {
    /// The words for audit records and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Failure::NotSent => "the token endpoint cannot be called",
            Failure::CutOff => "the token endpoint's answer broke off",
            Failure::TimedOut => "the token endpoint did not answer in time",
            Failure::Status => "the token endpoint refused",
            Failure::Unreadable => "the token endpoint's answer has no usable token",
        }
    }
}

/// What a request gets that needs a token.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The token, as it is sent.
    Token(Secret),
    /// It is being fetched.
    Wait,
    /// There is none.
    Failed(Failure),
}

/// The tokens of one credential.
#[derive(Debug)]
pub(crate) struct Tokens {
    client: Client,
    location: Location,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Held>,
    fetching: Option<Fetching>,
    failed: Option<Failed>,
    /// How many fetches there were.
    fetches: u32,
}

/// A token, and until when it is used.
#[derive(Debug)]
struct Held {
    value: Secret,
    renewed_at: Duration,
    expires_at: Duration,
}

/// A fetch that has not ended.
#[derive(Debug, Clone, Copy)]
struct Fetching {
    number: u32,
    began: Duration,
    /// Whether the call was handed to whoever makes it.
    is_sent: bool,
}

/// The last fetch failed.
#[derive(Debug, Clone, Copy)]
struct Failed {
    why: Failure,
    pause: Duration,
    again_at: Duration,
}

impl Tokens {
    pub(crate) fn new(client: Client, location: Location) -> Tokens {
        Tokens { client, location, state: Mutex::default() }
    }

    /// The token for a request at this time; begins to fetch one if that is due. A request that
    /// `has_waited` gets what was fetched for it, however soon that expires.
    pub(crate) fn take(&self, now: Duration, has_waited: bool) -> Taken {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let (true, Some(held), None) = (has_waited, &state.token, state.failed) {
            return Taken::Token(held.value.clone());
        }
        let lost = self.client.timeout.saturating_add(LOST);
        let is_lost = |fetching: &Fetching| now.saturating_sub(fetching.began) > lost;
        if state.fetching.as_ref().is_some_and(is_lost) {
            state.fetching = None;
        }
        let is_resting = state.failed.is_some_and(|failed| now < failed.again_at);
        let is_fresh = state.token.as_ref().is_some_and(|held| now < held.renewed_at);
        if state.fetching.is_none() && !is_resting && !is_fresh {
            state.fetches = state.fetches.wrapping_add(1);
            let number = state.fetches;
            state.fetching = Some(Fetching { number, began: now, is_sent: false });
        }
        match (&state.token, state.failed) {
            (Some(held), _) if now < held.expires_at => Taken::Token(held.value.clone()),
            (_, Some(failed)) if state.fetching.is_none() => Taken::Failed(failed.why),
            _ => Taken::Wait,
        }
    }

    /// The fetch that has begun and whose call is still to be made, and that call.
    pub(crate) fn due(&self, credential: usize) -> Option<(Fetch, Call)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fetching = state.fetching.as_mut().filter(|fetching| !fetching.is_sent)?;
        fetching.is_sent = true;
        Some((Fetch { credential, number: fetching.number }, self.client.call()))
    }

    /// Ends a fetch. Returns why it failed, if it did and the one before did not, so that it is
    /// said once; and whether it was the one that is under way.
    pub(crate) fn end(&self, number: u32, answer: &Answer<'_>, now: Duration) -> Ended {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fetching) = state.fetching.filter(|fetching| fetching.number == number) else {
            return Ended::Ignored;
        };
        state.fetching = None;
        let read = response::read(answer).and_then(|(token, lifetime)| {
            let value = place::prepared(&self.location, token.expose());
            Ok((value.map_err(|_| Failure::Unreadable)?, lifetime))
        });
        match read {
            Ok((value, lifetime)) => {
                let lifetime = lifetime.unwrap_or(LIFETIME).min(MAX_LIFETIME);
                let before_end = |most: Duration, part: u32| {
                    let early = lifetime.checked_div(part).unwrap_or_default().min(most);
                    fetching.began.saturating_add(lifetime.saturating_sub(early))
                };
                state.token = Some(Held {
                    value,
                    renewed_at: before_end(RENEWAL, 5),
                    expires_at: before_end(TRAVEL, 20),
                });
                state.failed = None;
                Ended::Fetched
            }
            Err(why) => {
                let before = state.failed;
                let pause = before.map_or(FIRST_PAUSE, |failed| {
                    failed.pause.saturating_mul(2).min(LONGEST_PAUSE)
                });
                state.failed = Some(Failed { why, pause, again_at: now.saturating_add(pause) });
                Ended::Failed { why, is_news: before.is_none_or(|before| before.why != why) }
            }
        }
    }

    /// Envoy's name of the cluster that is called.
    pub(crate) fn cluster(&self) -> &str {
        &self.client.cluster
    }
}

/// What came of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There is a new token.
    Fetched,
    /// There is none.
    Failed {
        /// Why not.
        why: Failure,
        /// Whether the fetch before did not fail for the same reason.
        is_news: bool,
    },
    /// Nobody waits for this fetch any more.
    Ignored,
}
