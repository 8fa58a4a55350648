//! What the stages have made of a request that waits, so that they need not run again.

use std::borrow::Cow;

use crate::credential::Secret;
use crate::decision::Change;
use crate::request::headers::Headers;
use crate::stage::Turn;

/// The changes of a request's headers, kept while it waits.
#[derive(Debug)]
pub(super) struct Kept {
    /// The headers as changed, in the form that [`Headers::from_pairs`] reads; none where they are
    /// as they came.
    headers: Option<Vec<u8>>,
    changes: Vec<Owned>,
}

/// A [`Change`] that owns what it consists of.
#[derive(Debug)]
enum Owned {
    Add(String, Vec<u8>),
    Replace(String, Vec<u8>),
    Remove(String),
    Inject(String, Secret),
}

impl Kept {
    /// Keeps changed headers, and the changes.
    pub(super) fn of(headers: Option<&Headers<'_>>, changes: &[Change<'_>]) -> Kept {
        let owned = |change: &Change<'_>| match change {
            Change::Add(name, value) => Owned::Add(name.to_string(), value.to_vec()),
            Change::Replace(name, value) => Owned::Replace(name.to_string(), value.to_vec()),
            Change::Remove(name) => Owned::Remove(name.to_string()),
            Change::Inject(name, value) => {
                Owned::Inject((*name).to_owned(), value.clone().into_owned())
            }
        };
        Kept {
            headers: headers.map(Headers::to_pairs),
            changes: changes.iter().map(owned).collect(),
        }
    }

    /// Keeps what stages have changed, if they have changed anything.
    pub(super) fn of_turn(turn: &Turn<'_, '_, '_>) -> Option<Kept> {
        let headers = turn.headers.as_deref()?;
        Some(Kept::of(Some(headers), &turn.changes))
    }

    pub(super) fn headers(&self) -> Option<Headers<'_>> {
        Headers::from_pairs(self.headers.as_deref()?)
    }

    pub(super) fn changes(&self) -> Vec<Change<'_>> {
        fn borrowed(change: &Owned) -> Change<'_> {
            match change {
                Owned::Add(name, value) => Change::Add(Cow::Borrowed(name), Cow::Borrowed(value)),
                Owned::Replace(name, value) => {
                    Change::Replace(Cow::Borrowed(name), Cow::Borrowed(value))
                }
                Owned::Remove(name) => Change::Remove(Cow::Borrowed(name)),
                Owned::Inject(name, value) => Change::Inject(name, Cow::Borrowed(value)),
            }
        }
        self.changes.iter().map(borrowed).collect()
    }
}
