//! What a configuration holds in all. Besides the limits of each list there are limits of the
//! whole, which bound the memory and the time that loading takes.

use super::decode::Errors;
use super::error::{ConfigError, Spot};
use super::{MAX_ALL_EXPRESSIONS, MAX_ALL_HOSTS, MAX_ALL_SOURCES, MAX_BYTES, MAX_VALUES};

/// What is counted over the whole configuration while it is read.
#[derive(Debug)]
pub(super) struct Totals {
    expressions: Total,
    sources: Total,
    hosts: Total,
}

#[derive(Debug)]
struct Total {
    found: usize,
    limit: usize,
    what: &'static str,
    mend: &'static str,
    /// Where the limit was passed.
    passed_at: Option<String>,
}

impl Default for Totals {
    fn default() -> Self {
        let total = |limit, what, mend| Total { found: 0, limit, what, mend, passed_at: None };
        Totals {
            expressions: total(
                MAX_ALL_EXPRESSIONS,
                "expressions",
                "use `in [...]` where several differ in one text only, or leave out the policies \
                 of hosts that this waypoint does not serve",
            ),
            sources: total(
                MAX_ALL_SOURCES,
                "bytes of expressions",
                "shorten them, or leave out the policies of hosts that this waypoint does not \
                 serve",
            ),
            hosts: total(
                MAX_ALL_HOSTS,
                "entries of `hosts`",
                "use `*.example.com` for all hosts under one, or join policies of the same hosts",
            ),
        }
    }
}

impl Total {
    /// Adds an amount, and returns whether the total is still within its limit.
    fn take(&mut self, amount: usize, place: &str) -> bool {
        self.found = self.found.saturating_add(amount);
        let within = self.found <= self.limit;
        if !within && self.passed_at.is_none() {
            self.passed_at = Some(place.to_owned());
        }
        within
    }

    fn error(&self) -> Option<ConfigError> {
        let Total { found, limit, what, mend, passed_at } = self;
        let place = passed_at.clone()?;
        let message = format!(
            "the policies have {found} {what} in all, the limit is {limit}, and is passed here: \
             {mend}"
        );
        Some(ConfigError { policy: None, place, spot: Spot::Whole, message })
    }
}

impl Totals {
    /// Counts an expression, and returns whether it is within the limits.
    pub(super) fn expression(&mut self, source: &str, place: &str) -> bool {
        // Both totals are counted, even if one of them has passed its limit.
        let counted = self.expressions.take(1, place);
        self.sources.take(source.len(), place) && counted
    }

    /// Counts an entry of `hosts`, and returns whether it is within the limit.
    pub(super) fn host(&mut self, place: &str) -> bool {
        self.hosts.take(1, place)
    }

    /// Puts an error for each limit that was passed before all other errors, and returns whether
    /// there is any.
    pub(super) fn tell(&self, errors: &mut Errors) -> bool {
        let passed: Vec<ConfigError> = [&self.expressions, &self.sources, &self.hosts]
            .into_iter()
            .filter_map(Total::error)
            .collect();
        let any = !passed.is_empty();
        errors.found.splice(..0, passed);
        any
    }
}

/// Checks the size of a configuration, in bytes, before it is read.
///
/// # Errors
/// If it is over the limit.
pub fn check_size(bytes: usize) -> Result<(), ConfigError> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let message = format!("the configuration has {bytes} bytes, the limit is {MAX_BYTES}: {SPLIT}");
    Err(ConfigError { policy: None, place: String::new(), spot: Spot::Whole, message })
}

/// The error message for a configuration with too many values.
pub(super) fn too_many_values(values: usize) -> String {
    format!(
        "the configuration has {values} JSON values (texts, numbers, lists, objects), the limit \
         is {MAX_VALUES}: {SPLIT}"
    )
}

const SPLIT: &str = "leave out the policies of hosts that this waypoint does not serve";
