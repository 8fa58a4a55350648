//! Credentials for origins: where they come from, and how they get into a request.
//!
//! A value comes from the waypoint's environment ([`environment`]), or is a token that is fetched
//! with one ([`token`]). [`compile`] checks when the configuration loads that a credential can only
//! go where it is meant to go; [`place`] knows what can be where. The stage `credentials` puts them
//! into requests.

mod compile;
pub(crate) mod environment;
pub(crate) mod place;
mod secret;
#[cfg(test)]
mod tests;
pub mod token;

pub(crate) use compile::compile;
pub use environment::{Environment, NamesOnly, Value};
pub use secret::Secret;

use crate::config::Location;
use token::Tokens;

/// The credentials of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// All of them, in the order of the configuration.
    pub(crate) all: Vec<Credential>,
    /// Whether any of them is a token that is fetched.
    has_tokens: bool,
}

/// One credential.
#[derive(Debug)]
pub(crate) struct Credential {
    /// The index of its policy.
    pub(crate) policy: usize,
    pub(crate) location: Location,
    pub(crate) source: Origin,
}

/// Where a credential's value comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// It is the same for as long as the configuration is in force; as it is sent, with its prefix.
    Fixed(Secret),
    /// An authorization service gives it with its answer about a request.
    Answered,
    /// It is fetched.
    Fetched(Box<Tokens>),
}

impl Credentials {
    /// Whether any of them is a token that is fetched.
    pub(crate) fn has_tokens(&self) -> bool {
        self.has_tokens
    }

    /// The tokens of a credential.
    pub(crate) fn tokens(&self, credential: usize) -> Option<&Tokens> {
        match &self.all.get(credential)?.source {
            Origin::Fetched(tokens) => Some(tokens),
            Origin::Fixed(_) | Origin::Answered => None,
        }
    }
}
