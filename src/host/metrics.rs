//! Counters: counted here, and told to the host by the timer, so that no request pays for it. Each
//! is made known to the host when it is first told: ten thousand policies have forty thousand.

use std::cell::RefCell;
use std::time::Duration;

use super::host;
use crate::outcome::{Count, Counter, PolicyOf};
use crate::policy::Engine;

/// How long a count may wait here. A VM that is torn down in that time takes it along.
pub(super) const PERIOD: Duration = Duration::from_millis(250);

/// The counters of one configuration.
#[derive(Debug)]
pub(super) struct Metrics {
    /// The plugin's name, which is part of theirs.
    plugin: String,
    /// The filter's own, then each policy's, in the order of [`Counter::ALL`].
    counters: RefCell<Vec<One>>,
    /// The places of those that have something to tell.
    waiting: RefCell<Vec<usize>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct One {
    /// The host's number of it, once it is known there.
    id: Option<u32>,
    waiting: u32,
}

impl Metrics {
    /// Counters that have counted nothing yet.
    pub(super) fn of_this_plugin() -> Self {
        let plugin = host::property(b"plugin_name").unwrap_or_else(|error| {
            log::warn!(
                "egress filter: the policies' counters will lack the plugin's name: {error}"
            );
            None
        });
        let plugin = String::from_utf8_lossy(&plugin.unwrap_or_default()).into_owned();
        Metrics { plugin, counters: RefCell::default(), waiting: RefCell::default() }
    }

    /// Counts.
    pub(super) fn count(&self, count: Count) {
        let group = count.policy.map_or(0, |index| index.saturating_add(1));
        let place = group.saturating_mul(Counter::ALL.len()).saturating_add(count.counter as usize);
        let (Ok(mut counters), Ok(mut waiting)) =
            (self.counters.try_borrow_mut(), self.waiting.try_borrow_mut())
        else {
            return;
        };
        if counters.len() <= place {
            counters.resize(place.saturating_add(1), One::default());
        }
        if let Some(one) = counters.get_mut(place) {
            if one.waiting == 0 {
                waiting.push(place);
            }
            one.waiting = one.waiting.saturating_add(1);
        }
    }

    /// Tells the host. A counter that it does not take is logged, and told again with the next.
    pub(super) fn tell(&self, engine: &Engine) {
        let (Ok(mut counters), Ok(mut waiting)) =
            (self.counters.try_borrow_mut(), self.waiting.try_borrow_mut())
        else {
            return;
        };
        waiting.retain(|place| {
            let Some(one) = counters.get_mut(*place) else { return false };
            match tell(engine, &self.plugin, *place, one) {
                Ok(()) => {
                    one.waiting = 0;
                    false
                }
                Err(error) => {
                    log::warn!("egress filter: cannot count: {error}");
                    true
                }
            }
        });
    }
}

/// Counts at once what is so rare that it need not wait, and has no configuration to wait in.
pub(super) fn count_at_once(counter: Counter) {
    let name = counter.name(None);
    if let Err(error) = host::define_counter(&name).and_then(|id| host::increment(id, 1)) {
        log::warn!("egress filter: cannot count: {error}");
    }
}

fn tell(engine: &Engine, plugin: &str, place: usize, one: &mut One) -> Result<(), host::HostError> {
    let id = match one.id {
        Some(id) => id,
        None => {
            let kinds = Counter::ALL.len();
            let policy = place.checked_div(kinds).and_then(|group| {
                Some(PolicyOf { policy: engine.policy_name(group.checked_sub(1)?)?, plugin })
            });
            let Some(counter) = place.checked_rem(kinds).and_then(|kind| Counter::ALL.get(kind))
            else {
                return Ok(());
            };
            *one.id.insert(host::define_counter(&counter.name(policy))?)
        }
    };
    host::increment(id, i64::from(one.waiting))
}
