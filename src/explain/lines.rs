//! The header lines of a message, before and after the policies' header rules.

use super::{Fate, Header};
use crate::config::Direction;
use crate::decision::Change;
use crate::request::headers::Headers;
use crate::request::inline;
use crate::trial;

/// A message's header lines, before and after.
#[derive(Debug)]
pub(super) struct Lines(pub(super) Vec<Header>);

impl Lines {
    pub(super) fn of(headers: &Headers<'_>) -> Lines {
        let line = |(name, value): (String, Vec<u8>)| Header {
            name,
            value: text(&value),
            fate: Fate::Kept,
            policy: None,
        };
        Lines(trial::lines(headers).into_iter().map(line).collect())
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

    /// Adds to the line that there is, as Envoy does where it keeps one.
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

    /// Takes the lines of a name away; gives whether there were any. What an earlier policy put
    /// there is as if it had not.
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
