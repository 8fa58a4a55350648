//! What callers are told of rate limits: `x-ratelimit-limit`, `x-ratelimit-remaining`,
//! `x-ratelimit-reset`, and `retry-after` (RFC 9110 section 10.2.3).

use crate::decision::{Reason, Reply};

/// How much of a limit is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// The most requests that there can be at once.
    pub(crate) limit: u64,
    /// How many there can be now.
    pub(crate) remaining: u64,
    /// The seconds until there can be more, rounded up. 0 if there can be no more than now.
    pub(crate) reset: u64,
}

/// The headers that tell of a quota.
pub(crate) const NAMES: [&str; 3] =
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

impl Quota {
    /// The one with the fewest requests left, of this and one that came before.
    pub(crate) fn or_fewer(self, earlier: Option<Quota>) -> Quota {
        earlier.filter(|earlier| earlier.remaining <= self.remaining).unwrap_or(self)
    }

    /// The values of the headers, in the order of their names.
    pub(crate) fn values(self) -> [String; 3] {
        [self.limit, self.remaining, self.reset].map(|number| number.to_string())
    }

    /// The answer to a request over the limit.
    pub(crate) fn refusal(self) -> Reply {
        let mut reply = Reply::refusing(Reason::RateLimited);
        self.tell(&mut reply);
        let wait = self.reset.max(1).to_string();
        reply.headers.push(("retry-after".to_owned(), wait.into_bytes()));
        reply
    }

    /// Puts the headers into an answer, unless it has one of them.
    pub(crate) fn tell(self, reply: &mut Reply) {
        if !reply.headers.iter().any(|(name, _)| NAMES.contains(&name.as_str())) {
            let lines = NAMES.into_iter().zip(self.values());
            let lines = lines.map(|(name, value)| (name.to_owned(), value.into_bytes()));
            reply.headers.extend(lines);
        }
    }
}
