//! A plugin of a VM: loads its configuration, and publishes its counters.

use std::rc::Rc;

use super::calls::Unreached;
#[cfg(not(feature = "trap-for-tests"))]
use super::environment::OfVm;
use super::fetches::Waiters;
use super::metrics::{self, Metrics};
use super::sys::{self, HostError};
use super::{allocator, shared};
use crate::audit::load_record;
use crate::config::{ConfigError, Spot, check_size};
use crate::policy::Engine;

/// A configuration that was loaded, and what its streams share.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) metrics: Metrics,
    /// The streams that wait for a token.
    pub(super) waiters: Waiters,
    pub(super) unreached: Unreached,
}

/// A plugin: one per worker and configuration.
#[derive(Debug, Default)]
pub(super) struct Plugin {
    loaded: Option<Rc<Loaded>>,
    /// Whether the warning about callers of any trust domain was logged.
    warned: bool,
}

impl Plugin {
    /// Publishes what was counted.
    fn publish(&self) {
        if let Some(Loaded { engine, metrics, .. }) = self.loaded.as_deref() {
            metrics.publish(engine);
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // Another configuration takes over.
        self.publish();
    }
}

/// The most warnings that are logged. Of the others, only the number is.
const MAX_WARNINGS: usize = 20;
/// The most errors that are logged.
const MAX_ERRORS: usize = 100;

/// Why there is no configuration to load.
enum Unread {
    /// It is too long to be read: that alone would take too much memory.
    TooLong(ConfigError),
    Failed(HostError),
}

/// Reads the configuration, which has this many bytes.
fn read(size: usize) -> Result<Vec<u8>, Unread> {
    check_size(size).map_err(Unread::TooLong)?;
    sys::configuration().map_err(Unread::Failed)
}

impl Plugin {
    /// The configuration for streams that begin now; `None` while none is loaded.
    pub(super) fn loaded(&self) -> Option<Rc<Loaded>> {
        self.loaded.clone()
    }

    /// Loads the configuration, of this many bytes; returns whether it is in force.
    pub(super) fn configure(&mut self, size: usize) -> bool {
        let _loading = allocator::loading();
        let outcome = match read(size) {
            Ok(json) => {
                #[cfg(feature = "trap-for-tests")]
                let loaded = super::for_tests::load(json);
                #[cfg(not(feature = "trap-for-tests"))]
                let loaded = Engine::load_with(&json, &OfVm);
                loaded
            }
            Err(Unread::TooLong(error)) => Err(vec![error]),
            Err(Unread::Failed(error)) => {
                let unread = ConfigError {
                    policy: None,
                    place: String::new(),
                    spot: Spot::Whole,
                    message: error.to_string(),
                };
                log::info!("{}", load_record(Err(&[unread])));
                log::error!("egress filter: the configuration cannot be read: {error}");
                return refused(1);
            }
        };
        log::info!("{}", load_record(outcome.as_ref().map_err(Vec::as_slice)));
        match outcome {
            Ok(engine) => {
                for warning in engine.warnings().iter().take(MAX_WARNINGS) {
                    log::warn!("egress filter: configuration warning: {warning}");
                }
                if engine.warning_count() > MAX_WARNINGS {
                    log::warn!(
                        "egress filter: configuration warnings: {}, of which {MAX_WARNINGS} are \
                         shown",
                        engine.warning_count()
                    );
                }
                log::info!(
                    "egress filter: configuration loaded, policies: {}",
                    engine.policy_count()
                );
                if let Err(error) = shared::note_loaded() {
                    log::warn!("egress filter: {error}");
                }
                if let Err(error) = sys::set_tick_period(metrics::PERIOD) {
                    log::warn!("egress filter: there will be no counters: {error}");
                }
                self.publish();
                let metrics = Metrics::of_this_plugin();
                metrics.tell_fingerprint(&engine);
                self.loaded = Some(Rc::new(Loaded {
                    engine,
                    metrics,
                    waiters: Waiters::default(),
                    unreached: Unreached::default(),
                }));
                true
            }
            Err(errors) => {
                for error in errors.iter().take(MAX_ERRORS) {
                    log::error!("egress filter: configuration error: {error}");
                }
                if errors.len() > MAX_ERRORS {
                    log::error!(
                        "egress filter: configuration errors: {}, of which {MAX_ERRORS} are shown",
                        errors.len()
                    );
                }
                refused(errors.len())
            }
        }
    }

    /// Publishes what was counted.
    pub(super) fn tick(&mut self) {
        self.publish();
        if !self.warned
            && self.loaded.as_deref().is_some_and(|loaded| loaded.engine.believes_blindly())
        {
            self.warned = true;
            log::warn!(
                "egress filter: callers of any trust domain are believed: `identity.trustDomains` \
                 is left out, and the proxy does not know its own (no \
                 io.istio.local_principal); name the trust domains that are to be believed"
            );
        }
    }
}

/// Logs and counts that a configuration with so many errors is refused; returns that it is not in
/// force.
fn refused(errors: usize) -> bool {
    let (metric, consequence) = if shared::was_loaded() {
        ("egress_config_refused_update", "the last good configuration stays in force")
    } else {
        ("egress_config_refused_first_load", "every request is refused until a good one comes")
    };
    log::error!("egress filter: configuration refused, errors: {errors}; {consequence}");
    if let Err(error) = sys::define_counter(metric).and_then(|id| sys::increment(id, 1)) {
        log::warn!("egress filter: cannot count: {error}");
    }
    false
}
