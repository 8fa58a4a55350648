//! The running instance of a module: its contexts, and the calls into it.

use wasmtime::{Extern, Instance, Store, Val};

use super::error::HostError;
use super::module::Module;
use super::options::{HostOptions, LogLevel};
use super::shared::Shared;
use super::state::{Log, Root, State};
use super::usage::Usage;
use super::vm::Configured;

/// What a [`crate::Vm`] and its streams share.
pub(crate) struct Inner {
    pub(crate) store: Store<State>,
    instance: Instance,
    module: Module,
    pub(crate) options: HostOptions,
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

impl Inner {
    pub(crate) fn new(module: &Module, options: HostOptions) -> Result<Self, HostError> {
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

    /// The exported globals that are 64-bit integers.
    pub(crate) fn globals(&mut self) -> Vec<(String, i64)> {
        let exports = self.instance.exports(&mut self.store);
        let globals: Vec<_> = exports
            .filter_map(|export| {
                let name = export.name().to_owned();
                Some((name, export.into_global()?))
            })
            .collect();
        let held = globals.into_iter().filter_map(|(name, global)| {
            let Val::I64(value) = global.get(&mut self.store) else { return None };
            Some((name, value))
        });
        held.collect()
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
        self.store.data_mut().current = 0;
        if self.failed.is_some() {
            return None;
        }
        Some(results.first().and_then(Val::i32).unwrap_or(0).cast_unsigned())
    }

    pub(crate) fn configure(&mut self, json: &[u8]) -> Configured {
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
                let text = error.to_string();
                Some(vec![Log { level: LogLevel::Critical, text, context: 0, stream: 0 }])
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
        self.after_callback();
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

    /// Ends a root context once no stream of it is left: a stream keeps the configuration that it
    /// began with.
    fn end_root(&mut self, root: u32) {
        if self.store.data().streams.values().any(|stream| stream.root == root) {
            return;
        }
        let context = self.root_mut(root);
        context.ending = true;
        context.pending = true;
        if self.call(root, "proxy_on_done", &[root]) != Some(0) {
            self.root_mut(root).pending = false;
        }
        self.reap();
    }

    /// Ends the root contexts that a removed stream was the last one of, and deletes those that are
    /// done. The calls of a deleted one are cancelled.
    pub(crate) fn reap(&mut self) {
        let current = self.root;
        let retired = |id: u32| Some(id) != current;
        let roots = &self.store.data().roots;
        let last = roots
            .iter()
            .filter(|(id, root)| retired(**id) && !root.ending && !root.configuring)
            .map(|(id, _)| *id);
        for root in last.collect::<Vec<u32>>() {
            self.end_root(root);
        }
        let roots = &self.store.data().roots;
        let done = roots
            .iter()
            .filter(|(id, root)| retired(**id) && root.ending && !root.pending)
            .map(|(id, _)| *id);
        for root in done.collect::<Vec<u32>>() {
            self.call(root, "proxy_on_delete", &[root]);
            let state = self.store.data_mut();
            state.roots.remove(&root);
            state.calls.retain(|_, pending| pending.root != root);
        }
    }

    pub(crate) fn tick(&mut self) {
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
                self.after_callback();
            }
            for queue in queues {
                if self.options.shared.is_waiting(queue) {
                    self.call(root, "proxy_on_queue_ready", &[root, queue]);
                    self.after_callback();
                }
            }
        }
        self.pump();
        self.reap();
    }
}
