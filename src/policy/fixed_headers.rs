//! `headerModifiers`: `add`, `set` and `remove` in this order, with values that are the same for
//! every request.

use std::borrow::Cow;

use super::header_rules::{LINES_A_STEP, remove, replace};
use crate::cel::meter::Meter;
use crate::config::FixedHeadersConfig;
use crate::decision::Change;
use crate::request::headers::Headers;

/// The changes of the headers of one direction.
#[derive(Debug, Default)]
pub(crate) struct FixedHeaders {
    add: Vec<(String, String)>,
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

impl FixedHeaders {
    pub(crate) fn new(config: &FixedHeadersConfig) -> FixedHeaders {
        let FixedHeadersConfig { set, add, remove } = config.clone();
        FixedHeaders { add, set, remove }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.set.is_empty() && self.remove.is_empty()
    }

    /// Makes the changes in `headers`, and notes them.
    pub(crate) fn apply<'a>(
        &'a self,
        headers: &mut Headers<'a>,
        changes: &mut Vec<Change<'a>>,
        meter: &Meter,
    ) {
        let lists = self.add.len().saturating_add(self.set.len()).saturating_add(self.remove.len());
        meter.spend_on(lists.saturating_mul(headers.len()), LINES_A_STEP);
        for (name, value) in &self.add {
            headers.push(name.as_bytes(), Cow::Borrowed(value.as_bytes()));
            changes.push(Change::Add(Cow::Borrowed(name), Cow::Borrowed(value.as_bytes())));
        }
        for (name, value) in &self.set {
            replace(headers, changes, name, Cow::Borrowed(value.as_bytes()));
        }
        for name in &self.remove {
            remove(headers, changes, name, true);
        }
    }

    /// Drops the trailers that some origin may take for a header which is set or removed here.
    pub(crate) fn drop_trailers<'a>(
        &'a self,
        trailers: &mut Headers<'a>,
        changes: &mut Vec<Change<'a>>,
    ) {
        let set = self.set.iter().map(|(name, _)| name);
        for name in set.chain(&self.remove) {
            remove(trailers, changes, name, true);
        }
    }
}
