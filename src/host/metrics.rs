//! Counters, and histograms of how long calls to services took. Counters are counted here and
//! published by a timer, so no request pays for that. Each is defined at the host when it is first
//! published, because 20,000 policies would have 120,000 counters. A histogram is told at once:
//! only requests that were asked about have something for it.

use std::cell::RefCell;
use std::time::Duration;

use super::sys::{self, HostError};
use crate::counters::{Count, Counter, PolicyOf, Tally, fingerprint_gauge};
use crate::decision::{Asked, Service};
use crate::exchange::Report;
use crate::hash::Map;
use crate::policy::Engine;

/// How long a count may wait to be published. If the VM ends before, the count is lost.
pub(super) const PERIOD: Duration = Duration::from_millis(250);

/// The counters of one configuration.
#[derive(Debug)]
pub(super) struct Metrics {
    /// The plugin's name, which is part of the names of the policies' counters.
    plugin: String,
    tally: RefCell<Tally>,
    /// The host's numbers of the histograms, by policy and service.
    histograms: RefCell<Map<(usize, bool), u32>>,
}

impl Metrics {
    /// Counters that have counted nothing yet.
    pub(super) fn of_this_plugin() -> Self {
        let plugin = sys::property(b"plugin_name").unwrap_or_else(|error| {
            log::warn!(
                "egress filter: the policies' counters will lack the plugin's name: {error}"
            );
            None
        });
        let plugin = String::from_utf8_lossy(&plugin.unwrap_or_default()).into_owned();
        Metrics { plugin, tally: RefCell::default(), histograms: RefCell::default() }
    }

    /// Sets the gauge that says which configuration is in force.
    pub(super) fn tell_fingerprint(&self, engine: &Engine) {
        let gauge = sys::define_gauge(&fingerprint_gauge(&self.plugin));
        if let Err(error) = gauge.and_then(|id| sys::record(id, engine.fingerprint())) {
            log::warn!("egress filter: cannot count: {error}");
        }
    }

    /// Counts an event.
    pub(super) fn count(&self, count: Count) {
        if let Ok(mut tally) = self.tally.try_borrow_mut() {
            tally.count(count);
        }
    }

    /// Counts the events of a report.
    pub(super) fn count_report(&self, engine: &Engine, report: &Report<'_>) {
        if let Ok(mut tally) = self.tally.try_borrow_mut() {
            report.count(|count| tally.count(count));
        }
        if let Some(decision) = report.decision.filter(|decision| !decision.calls.is_empty()) {
            self.record_calls(engine, &decision.calls);
        }
    }

    /// Adds how long calls took to the histograms.
    #[inline(never)]
    fn record_calls(&self, engine: &Engine, calls: &[Asked]) {
        let Ok(mut histograms) = self.histograms.try_borrow_mut() else { return };
        for asked in calls.iter().filter(|asked| asked.was_sent()) {
            let Some(policy) = engine.policy_name(asked.policy) else { continue };
            let key = (asked.policy, asked.service == Service::Authorization);
            let id = histograms.get(&key).copied().map_or_else(
                || {
                    let of = PolicyOf { policy, plugin: &self.plugin };
                    let id = sys::define_histogram(&of.histogram(asked.service))?;
                    histograms.insert(key, id);
                    Ok(id)
                },
                Ok,
            );
            if let Err(error) = id.and_then(|id| sys::record(id, u64::from(asked.milliseconds))) {
                log::warn!("egress filter: cannot tell how long a call took: {error}");
            }
        }
    }

    /// Publishes what was counted. If the host rejects a counter, that is logged, and the count is
    /// published the next time.
    pub(super) fn publish(&self, engine: &Engine) {
        let Ok(mut tally) = self.tally.try_borrow_mut() else { return };
        let publish = |count: Count, id: &mut Option<u32>, by: u32| {
            let id = match *id {
                Some(id) => id,
                None => *id.insert(sys::define_counter(&self.name(engine, count))?),
            };
            sys::increment(id, i64::from(by))
        };
        tally.publish(publish, |error: HostError| {
            log::warn!("egress filter: cannot count: {error}");
        });
    }

    fn name(&self, engine: &Engine, count: Count) -> String {
        count.counter.name(count.policy.and_then(|index| {
            Some(PolicyOf { policy: engine.policy_name(index)?, plugin: &self.plugin })
        }))
    }
}

/// Counts and publishes at once, for events without a configuration.
pub(super) fn count_at_once(counter: Counter) {
    let name = counter.name(None);
    if let Err(error) = sys::define_counter(&name).and_then(|id| sys::increment(id, 1)) {
        log::warn!("egress filter: cannot count: {error}");
    }
}
