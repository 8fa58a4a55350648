//! The services of a case, as clusters that answer the filter's calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use egressctl::cases::{Fault, Origin, Service};

/// The connection to a service was cut off before its answer was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOff;

/// What comes back for one call: how long after it, and what.
pub type Delivery = (Duration, Result<Origin, CutOff>);

/// Says what comes back for the next call of a cluster; `None` where nothing ever does.
pub type NextDelivery = Box<dyn Fn() -> Option<Delivery> + Send + Sync>;

/// The clusters of a host that delivers answers to the filter's calls.
pub trait Clusters {
    /// Adds a cluster whose calls are answered so.
    fn serve(&self, cluster: &str, next: NextDelivery);
}

/// Adds the clusters of a case's services, none of which has been called yet.
pub fn serve(services: &[Service], clusters: &dyn Clusters) {
    for service in services {
        let answers = service.answers.clone();
        let calls = AtomicUsize::new(0);
        let next = move || {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            let answer = answers.get(call).or(answers.last())?;
            match &answer.outcome {
                Ok(origin) => Some((answer.late, Ok(origin.clone()))),
                Err(Fault::CutOff) => Some((answer.late, Err(CutOff))),
                Err(Fault::Never) => None,
            }
        };
        clusters.serve(&service.cluster, Box::new(next));
    }
}

#[cfg(test)]
mod tests;
