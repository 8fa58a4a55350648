//! An Envoy with several workers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::callout::{Answer, Call, Clusters};
use crate::error::HostError;
use crate::message::Request;
use crate::module::Module;
use crate::options::HostOptions;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::vm::{Configured, Vm, advance};

/// An Envoy that runs a module: its workers, what they share, its clusters and its clock.
#[derive(Debug)]
pub struct Host {
    module: Module,
    options: HostOptions,
    /// The time, in nanoseconds since the epoch.
    now: Mutex<u64>,
    workers: Mutex<Vec<Worker>>,
}

impl Host {
    /// An Envoy without workers yet.
    #[must_use]
    pub fn new(module: &Module, options: HostOptions) -> Self {
        let now = Mutex::new(options.now);
        Self { module: module.clone(), options, now, workers: Mutex::new(Vec::new()) }
    }

    /// Starts one more worker, with a VM of its own.
    ///
    /// # Errors
    /// If the module's initialisation traps.
    pub fn worker(&self) -> Result<Worker, HostError> {
        let worker = Worker::start(&self.module, self.options_now())?;
        lock(&self.workers).push(worker.clone());
        Ok(worker)
    }

    fn options_now(&self) -> HostOptions {
        HostOptions { now: *lock(&self.now), ..self.options.clone() }
    }

    /// Gives every worker a configuration, in the order in which they were started.
    pub fn configure(&self, json: impl AsRef<[u8]>) -> Vec<Configured> {
        let workers = lock(&self.workers).clone();
        workers.iter().map(|worker| worker.configure(json.as_ref())).collect()
    }

    /// The clusters that calls can go to.
    #[must_use]
    pub fn clusters(&self) -> &Clusters {
        &self.options.clusters
    }

    /// Statistics, shared data and queues.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.options.shared
    }

    /// Lets time pass in all workers: ticks, answers and timeouts come when they are due, in order.
    pub fn advance(&self, duration: Duration) {
        let until = {
            let mut now = lock(&self.now);
            *now = now.saturating_add(duration.as_nanos() as u64);
            *now
        };
        let vms: Vec<Vm> = lock(&self.workers).iter().map(Worker::vm).collect();
        advance(&vms, until);
    }
}

/// A thread of an [`Envoy`](Host), with the VM that runs the module in it. A clone is another
/// handle on the same.
#[derive(Debug, Clone)]
pub struct Worker(Arc<Mutex<Running>>);

#[derive(Debug)]
struct Running {
    module: Module,
    options: HostOptions,
    vm: Vm,
    /// The configuration in force.
    configuration: Option<Vec<u8>>,
}

impl Worker {
    fn start(module: &Module, options: HostOptions) -> Result<Self, HostError> {
        let vm = Vm::new(module, options.clone())?;
        let running = Running { module: module.clone(), options, vm, configuration: None };
        Ok(Self(Arc::new(Mutex::new(running))))
    }

    /// The VM that runs now.
    #[must_use]
    pub fn vm(&self) -> Vm {
        lock(&self.0).vm.clone()
    }

    /// Gives the plugin a configuration. Streams that have begun end under the one before; its
    /// root context lives until the last of them is gone.
    pub fn configure(&self, json: impl AsRef<[u8]>) -> Configured {
        let mut running = lock(&self.0);
        let configured = running.vm.configure(json.as_ref());
        if configured.accepted {
            running.configuration = Some(json.as_ref().to_vec());
        }
        configured
    }

    /// Puts a new VM in the place of the present one, as Envoy does after a trap where the plugin's
    /// failure policy is to reload; the configuration in force is given to it. What was under way
    /// in the old VM is lost.
    ///
    /// # Errors
    /// If the module's initialisation traps.
    pub fn reload(&self) -> Result<(), HostError> {
        let mut running = lock(&self.0);
        let options = HostOptions { now: running.vm.time(), ..running.options.clone() };
        running.vm = Vm::new(&running.module, options)?;
        if let Some(configuration) = &running.configuration {
            running.vm.configure(configuration);
        }
        Ok(())
    }

    /// A request arrives, as far as it was given: its headers, its body and its trailers.
    #[must_use]
    pub fn request(&self, request: Request) -> Stream {
        let mut stream = self.vm().stream(request);
        stream.arrive_whole();
        stream
    }

    /// The calls that wait for an answer, in the order in which they were made.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.vm().calls()
    }

    /// Answers a call, as [`Vm::answer`] does.
    pub fn answer(&self, call: &Call, answer: Answer) -> bool {
        self.vm().answer(call, answer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked while it held the lock is not this one's concern.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
