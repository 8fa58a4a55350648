//! A handle on one worker's instance of a module.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::callout::{Answer, Call, Protocol};
use super::error::HostError;
use super::instance::Inner;
use super::message::Request;
use super::module::Module;
use super::options::{Failure, HostOptions};
use super::shared::Shared;
use super::state::Log;
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

/// One worker's instance of a module, which lives as long as a handle or a stream of it. A clone is
/// another handle on the same.
#[derive(Debug, Clone)]
pub struct Vm {
    pub(crate) inner: Arc<Mutex<Inner>>,
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
        let mut inner = self.lock();
        let configured = inner.configure(json.as_ref());
        inner.pump();
        configured
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
        Some(inner.store.data().roots.get(&inner.root?)?.tick?.period)
    }

    /// Makes host calls fail from now on, instead of any earlier such wish.
    pub fn fail_calls(&self, failures: impl IntoIterator<Item = Failure>) {
        self.lock().store.data_mut().failures =
            failures.into_iter().map(|failure| (failure, 0)).collect();
    }

    /// Sets the time that the guest sees, in nanoseconds since the epoch. Nothing happens in the
    /// guest, whatever was due by then: [`Vm::advance`] lets time pass.
    pub fn set_time(&self, nanoseconds: u64) {
        self.lock().store.data_mut().now = nanoseconds;
    }

    /// The time that the guest sees, in nanoseconds since the epoch.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.lock().store.data().now
    }

    /// Lets time pass: ticks, answers and timeouts come when they are due, in order.
    pub fn advance(&self, duration: Duration) {
        let until = self.time().saturating_add(duration.as_nanos() as u64);
        advance(std::slice::from_ref(self), until);
    }

    /// The calls that wait for an answer, in the order in which they were made.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let inner = self.lock();
        inner.store.data().calls.values().map(|pending| pending.call.clone()).collect()
    }

    /// Answers a call. It returns whether the call was waiting: one that has been answered, has
    /// timed out or was cancelled gets nothing more, as in Envoy.
    pub fn answer(&self, call: &Call, answer: Answer) -> bool {
        let mut inner = self.lock();
        let waited = inner.answer(call.token, answer);
        inner.pump();
        waited
    }

    /// Calls the guest with an answer whose token belongs to no waiting call, as no sound Envoy
    /// does: a second answer, or one to a call that the guest never made.
    pub fn misdeliver(&self, protocol: Protocol, token: u32, answer: Answer) {
        let mut inner = self.lock();
        let root = inner.root.unwrap_or(0);
        inner.tell(root, protocol, token, 0, answer);
        inner.pump();
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

    /// The exported globals that are 64-bit integers, with what they hold.
    #[must_use]
    pub fn globals(&self) -> Vec<(String, i64)> {
        self.lock().globals()
    }

    /// Statistics, shared data and queues.
    #[must_use]
    pub fn shared(&self) -> Shared {
        self.lock().options.shared.clone()
    }
}

/// Lets time pass in several VMs at once, up to a time in nanoseconds since the epoch.
pub(crate) fn advance(vms: &[Vm], until: u64) {
    let next = || {
        let due = vms.iter().filter_map(|vm| Some((vm.lock().next_due()?, vm)));
        due.min_by_key(|(due, _)| *due).filter(|(due, _)| *due <= until)
    };
    while let Some((due, vm)) = next() {
        let now = due.max(vm.time());
        for other in vms {
            other.set_time(now);
        }
        vm.lock().run_at(now);
    }
    for vm in vms {
        vm.set_time(until);
    }
}
