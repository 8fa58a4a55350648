//! The header lines of a message, before and after the policies' header rules.

use super::{Fate, Header};
use crate::config::Direction;
use crate::decision::Change;
use crate::request::headers::Headers;
use crate::request::inline;
use crate::trial;

/// A message's header lines, before and after.
#[derive(Debug)]
pub(super) struct HeaderHistory(pub(super) Vec<Header>);

impl HeaderHistory {
    pub(super) fn of(headers: &Headers<'_>) -> HeaderHistory {
        let line = |(name, value): (String, Vec<u8>)| Header {
            name,
            value: text(&value),
            fate: Fate::Kept,
            policy: None,
        };
        HeaderHistory(trial::lines(headers).into_iter().map(line).collect())
    }

    /// Notes what a policy changes, as [`trial::changed`] makes it.
    pub(super) fn change(&mut self, direction: Direction, changes: &[Change<'_>], policy: &str) {
        for change in changes {
            match change {
                Change::Add(name, value) if inline::is_inline(direction, name.as_bytes()) => {
                    self.join(name, value, policy)
                }
                Change::Add(name, value) => self.put(name, value, Fate::Added, policy),
                Change::Replace(name, value) => {
                    let fate = if self.take(name, Fate::Replaced, policy) {
                        Fate::Replacement
                    } else {
                        Fate::Added
                    };
                    self.put(name, value, fate, policy);
                }
                Change::Remove(name) => {
                    self.take(name, Fate::Removed, policy);
                }
                Change::Inject(name, value) => {
                    let replaces = self.take(name, Fate::Replaced, policy);
                    let fate = if replaces { Fate::Replacement } else { Fate::Added };
                    self.put(name, value.expose(), fate, policy);
                }
            }
        }
    }

    fn put(&mut self, name: &str, value: &[u8], fate: Fate, policy: &str) {
        self.0.push(Header {
            name: name.to_owned(),
            value: text(value),
            fate,
            policy: Some(policy.to_owned()),
        });
    }

    /// Appends to the line that is there, as Envoy does for a header that it keeps on one line.
    fn join(&mut self, name: &str, value: &[u8], policy: &str) {
        let found =
            self.0.iter_mut().enumerate().find(|(_, line)| line.name == name && line.fate.stays());
        let Some((index, line)) = found else { return self.put(name, value, Fate::Added, policy) };
        let mut joined = line.value.clone().into_bytes();
        inline::join(&mut joined, value);
        let came = line.fate == Fate::Kept;
        let fate = if came { Fate::Replacement } else { line.fate };
        let joined = Header {
            name: name.to_owned(),
            value: text(&joined),
            fate,
            policy: Some(policy.to_owned()),
        };
        if came {
            line.fate = Fate::Replaced;
            line.policy = Some(policy.to_owned());
            self.0.insert(index.saturating_add(1), joined);
        } else {
            *line = joined;
        }
    }

    /// Marks the lines of a name as gone, and returns whether there were any. Lines that an earlier
    /// policy added vanish altogether.
    fn take(&mut self, name: &str, fate: Fate, policy: &str) -> bool {
        let mut found = false;
        self.0.retain_mut(|line| {
            if line.name != name || !line.fate.stays() {
                return true;
            }
            found = true;
            let came = line.fate == Fate::Kept;
            line.fate = fate;
            line.policy = Some(policy.to_owned());
            came
        });
        found
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
