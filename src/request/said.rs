//! What external authorization services have said about a request, while it is being decided.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::cel::data::Data;
use crate::cel::variables::Memo;

/// What was said, answer by answer. The last counts. Those before it stay, because an expression
/// may still borrow from them.
#[derive(Debug, Default)]
pub(super) struct Said {
    first: OnceLock<Box<Answer>>,
}

/// What was said from one answer on.
pub(super) struct Answer {
    pub(super) data: Arc<Data>,
    /// The outcomes of variables from then on.
    pub(super) memo: Memo,
    next: OnceLock<Box<Answer>>,
}

/// Without the data, which may be secret, and whose form for debugging would be in the module.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl Said {
    /// Nothing yet.
    pub(super) const fn new() -> Said {
        Said { first: OnceLock::new() }
    }

    pub(super) fn add(&self, data: Arc<Data>) {
        let mut next = &self.first;
        while let Some(answer) = next.get() {
            next = &answer.next;
        }
        // Nobody else adds an answer meanwhile: a request is decided in one thread.
        next.get_or_init(|| Box::new(Answer { data, memo: Memo::new(), next: OnceLock::new() }));
    }

    /// The last answer.
    #[inline]
    pub(super) fn last(&self) -> Option<&Answer> {
        let mut last = self.first.get()?;
        while let Some(answer) = last.next.get() {
            last = answer;
        }
        Some(last)
    }
}
