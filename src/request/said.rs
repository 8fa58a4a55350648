//! What external authorization services have said about a request, and made of its headers, while
//! it is being decided.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::cel::data::Data;
use crate::cel::variables::Memo;
use crate::request::headers::Headers;

/// What was said, answer by answer. The last counts. Those before it stay, because an expression
/// may still borrow from them.
#[derive(Debug, Default)]
pub(super) struct Said {
    first: OnceLock<Box<Answer>>,
}

/// What was said from one answer on.
pub(super) struct Answer {
    pub(super) data: Option<Arc<Data>>,
    /// The request's headers as the services have left them; none while those are as they came.
    pub(super) headers: Option<Arc<Headers<'static>>>,
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

    /// Adds an answer. What it does not have is as the answers before it have it.
    pub(super) fn add(&self, data: Option<Arc<Data>>, headers: Option<Arc<Headers<'static>>>) {
        let last = self.last();
        let data = data.or_else(|| last?.data.clone());
        let headers = headers.or_else(|| last?.headers.clone());
        let next = last.map_or(&self.first, |answer| &answer.next);
        let (memo, after) = (Memo::new(), OnceLock::new());
        // Nobody else adds an answer meanwhile: a request is decided in one thread.
        next.get_or_init(|| Box::new(Answer { data, headers, memo, next: after }));
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
