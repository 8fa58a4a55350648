//! One worker's instance of a module.

use std::sync::{Arc, Mutex, MutexGuard};

use wasmtime::{Extern, Instance, Store, Val};

use super::error::HostError;
use super::message::Request;
use super::module::Module;
use super::options::{Failure, HostOptions, LogLevel};
use super::shared::Shared;
use super::state::{Log, Root, State};
use super::stream::Stream;
use super::usage::Usage;

/// How a configuration was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Whether the configuration is in force now.
    pub accepted: bool,
    /// What was logged meanwhile.
    pub logs: Vec<Log>,
    /// What it cost in the VM that took it.
    pub usage: Usage,
}

/// One worker's instance of a module; it lives as long as a handle or a stream of it.
#[derive(Debug)]
pub struct Vm {
    pub(crate) inner: Arc<Mutex<Inner>>,
}

pub(crate) struct Inner {
    pub(crate) store: Store<State>,
    instance: Instance,
    module: Module,
    options: HostOptions,
    pub(crate) failed: Option<String>,
    /// The root context whose configuration is in force.
    pub(crate) root: Option<u32>,
    last_context: u32,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("failed", &self.failed)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Vm {
    /// Instantiates the module and runs its initialisation, as a worker does.
    ///
    /// # Errors
    /// If the initialisation traps.
    pub fn new(module: &Module, options: HostOptions) -> Result<Self, HostError> {
        Ok(Self { inner: Arc::new(Mutex::new(Inner::new(module, options)?)) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no earlier use of this VM has panicked")
    }

    /// Gives the plugin a configuration, as an update does: first a canary VM gets it, then a new
    /// root context of this one; the old root context is torn down. What is refused changes nothing
    /// here.
    pub fn configure(&self, json: impl AsRef<[u8]>) -> Configured {
        self.lock().configure(json.as_ref())
    }

    /// Begins a request.
    #[must_use]
    pub fn stream(&self, request: Request) -> Stream {
        Stream::begin(Arc::clone(&self.inner), request)
    }

    /// Runs the timer once in every root context that set one, and delivers what waits in queues
    /// that it registered.
    pub fn tick(&self) {
        self.lock().tick();
    }

    /// The timer's period in milliseconds, where the configuration in force set one.
    #[must_use]
    pub fn tick_period(&self) -> Option<u32> {
        let inner = self.lock();
        inner.store.data().roots.get(&inner.root?)?.tick
    }

    /// Makes host calls fail from now on, instead of any earlier such wish.
    pub fn fail_calls(&self, failures: impl IntoIterator<Item = Failure>) {
        self.lock().store.data_mut().failures =
            failures.into_iter().map(|failure| (failure, 0)).collect();
    }

    /// Moves the time that the guest sees, in nanoseconds since the epoch.
    pub fn set_time(&self, nanoseconds: u64) {
        self.lock().store.data_mut().options.now = nanoseconds;
    }

    /// Why the VM is dead, if it is: after a trap every request in it gets a 503.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.lock().failed.clone()
    }

    /// Everything that was logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<Log> {
        self.lock().store.data().logs.clone()
    }

    /// What the VM used in its life so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.lock().usage()
    }

    /// Statistics, shared data and queues.
    #[must_use]
    pub fn shared(&self) -> Shared {
        self.lock().options.shared.clone()
    }
}

impl Inner {
    fn new(module: &Module, options: HostOptions) -> Result<Self, HostError> {
        let start = |error: wasmtime::Error| HostError::Start(format!("{error:#}"));
        let mut store = Store::new(module.linked.module().engine(), State::new(options.clone()));
        store.limiter(|state| &mut state.limits);
        store.set_fuel(options.fuel).map_err(start)?;
        let instance = module.linked.instantiate(&mut store).map_err(start)?;
        let mut inner = Self {
            store,
            instance,
            module: module.clone(),
            options,
            failed: None,
            root: None,
            last_context: 0,
        };
        // A WASI reactor is initialised, a command is started; Envoy never does both.
        for entry in ["_initialize", "_start"] {
            if inner.call(0, entry, &[]).is_some() {
                break;
            }
        }
        match inner.failed.take() {
            Some(reason) => Err(HostError::Start(reason)),
            None => Ok(inner),
        }
    }

    /// The next free context id. Root and stream contexts share one sequence.
    pub(crate) fn next_context(&mut self) -> u32 {
        self.last_context += 1;
        self.last_context
    }

    pub(crate) fn usage(&self) -> Usage {
        self.store.data().usage.clone()
    }

    /// Calls an exported function for a context. `None`: it is not exported, the VM is dead, or it
    /// trapped just now.
    pub(crate) fn call(&mut self, context: u32, name: &str, args: &[u32]) -> Option<u32> {
        if self.failed.is_some() {
            return None;
        }
        let function =
            self.instance.get_export(&mut self.store, name).and_then(Extern::into_func)?;
        let args: Vec<Val> = args.iter().map(|arg| Val::I32(arg.cast_signed())).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let fuel = self.options.fuel;
        self.store.set_fuel(fuel).expect("fuel is on in every engine of this host");
        self.store.data_mut().current = context;
        let outcome = function.call(&mut self.store, &args, &mut results);
        let left = self.store.get_fuel().unwrap_or(0);
        let memory = self
            .instance
            .get_memory(&mut self.store, "memory")
            .map_or(0, |memory| memory.data_size(&self.store));
        let state = self.store.data_mut();
        state.usage.fuel += fuel.saturating_sub(left);
        state.usage.memory = memory as u64;
        state.effective = 0;
        if let Err(error) = outcome {
            let reason = format!("{name} failed: {error:#}");
            state.log(LogLevel::Critical, reason.as_bytes());
            self.failed = Some(reason);
        }
        state_idle(self.store.data_mut());
        if self.failed.is_some() {
            return None;
        }
        Some(results.first().and_then(Val::i32).unwrap_or(0).cast_unsigned())
    }

    fn configure(&mut self, json: &[u8]) -> Configured {
        let before = (self.usage(), self.store.data().logs.len());
        if let Some(logs) = self.canary(json) {
            return Configured { accepted: false, logs, usage: Usage::default() };
        }
        let accepted = self.start_root(json);
        let logs = self.store.data().logs.get(before.1..).unwrap_or_default().to_vec();
        Configured { accepted, logs, usage: self.usage().since(&before.0) }
    }

    /// What the canary logged, if it refused the configuration.
    fn canary(&self, json: &[u8]) -> Option<Vec<Log>> {
        if !self.options.canary {
            return None;
        }
        // Its statistics and shared data are Envoy's real ones, but a refused configuration must
        // leave no trace here.
        let options =
            HostOptions { canary: false, shared: Shared::default(), ..self.options.clone() };
        match Inner::new(&self.module, options) {
            Ok(mut canary) => (!canary.start_root(json)).then(|| canary.store.data().logs.clone()),
            Err(error) => {
                Some(vec![Log { level: LogLevel::Critical, text: error.to_string(), context: 0 }])
            }
        }
    }

    /// Creates a root context, starts and configures it, and lets it replace the old one.
    fn start_root(&mut self, json: &[u8]) -> bool {
        let root = self.next_context();
        self.store.data_mut().roots.insert(root, Root { config: json.to_vec(), ..Root::default() });
        let vm_config = self.options.vm_config.len() as u32;
        self.call(root, "proxy_on_context_create", &[root, 0]);
        let started = self.accepts(root, "proxy_on_vm_start", vm_config);
        self.root_mut(root).configuring = true;
        let accepted = started && self.accepts(root, "proxy_on_configure", json.len() as u32);
        let accepted = accepted || (self.options.keeps_refused && self.failed.is_none());
        self.root_mut(root).configuring = false;
        let retired = if accepted { self.root.replace(root) } else { Some(root) };
        if let Some(old) = retired {
            self.end_root(old);
        }
        accepted
    }

    /// A callback that is not exported accepts; one that trapped does not.
    fn accepts(&mut self, root: u32, name: &str, size: u32) -> bool {
        let answer = self.call(root, name, &[root, size]);
        self.failed.is_none() && answer != Some(0)
    }

    fn root_mut(&mut self, root: u32) -> &mut Root {
        self.store
            .data_mut()
            .roots
            .get_mut(&root)
            .expect("a root context is removed only by `end_root`")
    }

    /// A root context that is not done yet stays until it calls `proxy_done`.
    fn end_root(&mut self, root: u32) {
        self.root_mut(root).pending = true;
        if self.call(root, "proxy_on_done", &[root]) != Some(0) {
            self.root_mut(root).pending = false;
        }
        self.reap();
    }

    /// Deletes retired root contexts that are done.
    pub(crate) fn reap(&mut self) {
        let state = self.store.data();
        let done = state.roots.iter().filter(|(id, root)| Some(**id) != self.root && !root.pending);
        let done: Vec<u32> = done.map(|(id, _)| *id).collect();
        for root in done {
            self.call(root, "proxy_on_delete", &[root]);
            self.store.data_mut().roots.remove(&root);
        }
    }

    fn tick(&mut self) {
        let roots: Vec<(u32, bool, Vec<u32>)> = self
            .store
            .data()
            .roots
            .iter()
            .map(|(id, root)| (*id, root.tick.is_some(), root.queues.clone()))
            .collect();
        for (root, ticking, queues) in roots {
            if ticking {
                self.call(root, "proxy_on_tick", &[root]);
            }
            for queue in queues {
                if self.options.shared.is_waiting(queue) {
                    self.call(root, "proxy_on_queue_ready", &[root, queue]);
                }
            }
        }
        self.reap();
    }
}

/// Between callbacks no context is current.
fn state_idle(state: &mut State) {
    state.current = 0;
}
