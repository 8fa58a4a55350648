//! The plugin: loads its configuration, and makes a stream context for each request.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::allocator;
use super::host::{self, HostError};
use super::metrics::{self, Metrics};
use super::stream::Stream;
use crate::config::{ConfigError, Spot, check_size};
use crate::policy::{Engine, load_record};

/// What one configuration's streams share.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) metrics: Metrics,
}

/// The root context: one per worker and configuration.
#[derive(Debug, Default)]
pub(super) struct Root {
    loaded: Option<Rc<Loaded>>,
    /// That it was warned of callers of any trust domain.
    warned: bool,
}

impl Root {
    /// Tells the host what was counted.
    fn tell(&self) {
        if let Some(Loaded { engine, metrics }) = self.loaded.as_deref() {
            metrics.tell(engine);
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Another configuration takes over.
        self.tell();
    }
}

/// The most warnings that are logged; of the others, only their number.
const MAX_WARNINGS: usize = 20;
/// The most errors that are logged.
const MAX_ERRORS: usize = 100;

/// Shared by every VM of the process, this one's name behind it: that a configuration of this
/// plugin has been loaded. A configuration is tried in a VM of its own first, so nothing in that
/// VM's memory could tell.
const LOADED_KEY: &[u8] = b"egress_filter.loaded.";

fn loaded_key() -> Vec<u8> {
    let name = host::property(b"plugin_name").ok().flatten().unwrap_or_default();
    [LOADED_KEY, &name].concat()
}

/// Why there is no configuration to load.
enum Unread {
    /// It is not even read: that alone would take too much memory.
    TooLong(ConfigError),
    Failed(HostError),
}

/// The configuration, of which the host says how many bytes it has.
fn read(size: usize) -> Result<Vec<u8>, Unread> {
    check_size(size).map_err(Unread::TooLong)?;
    host::configuration().map_err(Unread::Failed)
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let _loading = allocator::loading();
        let outcome = match read(size) {
            Ok(json) => {
                #[cfg(feature = "trap-for-tests")]
                let json = super::trap::unmend(json);
                Engine::load(&json)
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
                log::error!("egress filter: configuration refused: {error}");
                return false;
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
                        "egress filter: configuration warnings: {}, of which {MAX_WARNINGS} are shown",
                        engine.warning_count()
                    );
                }
                log::info!(
                    "egress filter: configuration loaded, policies: {}",
                    engine.policy_count()
                );
                if let Err(error) = host::set_shared_data(&loaded_key(), b"1") {
                    log::warn!("egress filter: {error}");
                }
                if let Err(error) = host::set_tick_period(metrics::PERIOD) {
                    log::warn!("egress filter: there will be no counters: {error}");
                }
                self.tell();
                self.loaded = Some(Rc::new(Loaded { engine, metrics: Metrics::of_this_plugin() }));
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
                let earlier = matches!(host::shared_data(&loaded_key()), Ok(Some(_)));
                let (metric, consequence) = if earlier {
                    ("egress_config_refused_update", "the last good configuration stays in force")
                } else {
                    (
                        "egress_config_refused_first_load",
                        "every request is refused until a good one comes",
                    )
                };
                log::error!(
                    "egress filter: configuration refused, errors: {}; {consequence}",
                    errors.len()
                );
                if let Err(error) =
                    host::define_counter(metric).and_then(|id| host::increment(id, 1))
                {
                    log::warn!("egress filter: cannot count: {error}");
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.tell();
        if !self.warned
            && self.loaded.as_deref().is_some_and(|loaded| loaded.engine.believes_blindly())
        {
            self.warned = true;
            log::warn!(
                "egress filter: callers of any trust domain are believed: `identity.trustDomains` is left out, and the proxy does not \
                 know its own (no io.istio.local_principal); name the trust domains that are to be believed"
            );
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        let stream = Stream::new(self.loaded.clone());
        #[cfg(feature = "trap-for-tests")]
        let stream = super::trap::Trapping::new(stream);
        Some(Box::new(stream))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
