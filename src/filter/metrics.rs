//! Counters, each made known to the host when it is first needed: ten thousand policies have forty thousand.

use std::cell::RefCell;
use std::collections::HashMap;

use super::host;
use crate::outcome::{Count, Counter};
use crate::policy::Engine;

/// The host's numbers of the counters that are known to it.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    ids: RefCell<HashMap<(Option<usize>, Counter), u32>>,
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
        let key = (count.policy, count.counter);
        let known = self.ids.try_borrow().ok().and_then(|ids| ids.get(&key).copied());
        let id = match known {
            Some(id) => id,
            None => {
                let policy = count.policy.and_then(|index| engine.policy_name(index));
                let id = host::define_counter(&count.counter.name(policy))?;
                if let Ok(mut ids) = self.ids.try_borrow_mut() {
                    ids.insert(key, id);
                }
                id
            }
        };
        host::increment(id)
    }
}
