//! Counters, each made known to the host when it is first needed: ten thousand policies have forty thousand.

use std::cell::RefCell;

use super::host;
use crate::outcome::{Count, Counter};
use crate::policy::Engine;

/// The host's numbers of the counters that are known to it.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// The filter's own, then each policy's, in the order of [`Counter::ALL`].
    ids: RefCell<Vec<Option<u32>>>,
}

impl Metrics {
    /// Counts. A counter that the host does not take is no reason to refuse a request: it is logged.
    pub(super) fn count(&self, engine: &Engine, counts: &[Count]) {
        for count in counts {
            if let Err(error) = self.step(engine, *count) {
                log::warn!("egress filter: cannot count: {error}");
            }
        }
    }

    fn step(&self, engine: &Engine, count: Count) -> Result<(), host::HostError> {
        let group = count.policy.map_or(0, |index| index.saturating_add(1));
        let position = group.saturating_mul(Counter::ALL.len()).saturating_add(count.counter as usize);
        let known = self.ids.try_borrow().ok().and_then(|ids| ids.get(position).copied().flatten());
        let id = match known {
            Some(id) => id,
            None => {
                let policy = count.policy.and_then(|index| engine.policy_name(index));
                let id = host::define_counter(&count.counter.name(policy))?;
                self.remember(position, id);
                id
            }
        };
        host::increment(id)
    }

    fn remember(&self, position: usize, id: u32) {
        let Ok(mut ids) = self.ids.try_borrow_mut() else { return };
        if ids.len() <= position {
            ids.resize(position.saturating_add(1), None);
        }
        if let Some(slot) = ids.get_mut(position) {
            *slot = Some(id);
        }
    }
}
