//! The services of a case: what they answer to the calls that the filter makes of them.

use std::time::Duration;

use egressctl::cases::{Answer, Fault, Origin, Service};

/// The most calls that one request may make.
const MAX_CALLS: usize = 100;
/// No call may wait so long: its timeout has passed long before.
const ANY_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// A call that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The host's token of the call.
    pub token: u32,
    /// The cluster that is called.
    pub cluster: String,
}

/// A request in a host that delivers answers to the filter's calls.
pub trait Callouts {
    /// The calls that wait for an answer, the oldest first.
    fn pending(&self) -> Vec<Call>;

    /// Delivers the answer to a call.
    fn answer(&mut self, token: u32, answer: &Origin);

    /// Ends a call as Envoy does when its connection is cut off.
    fn cut_off(&mut self, token: u32);

    /// Moves the clock forward. Calls whose timeout passes end as Envoy ends them.
    fn advance(&mut self, time: Duration);
}

/// The answers of a case's services, in the order in which they are called.
#[derive(Debug, Clone, Default)]
pub struct Script {
    services: Vec<(Service, usize)>,
}

impl Script {
    /// Services that have not been called yet.
    #[must_use]
    pub fn new(services: &[Service]) -> Self {
        Self { services: services.iter().map(|service| (service.clone(), 0)).collect() }
    }

    /// The clusters that there are.
    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|(service, _)| service.cluster.as_str())
    }

    /// What a service does on its next call; `None` where there is no such cluster.
    pub fn next(&mut self, cluster: &str) -> Option<Answer> {
        let (service, calls) =
            self.services.iter_mut().find(|(service, _)| service.cluster == cluster)?;
        let answer = service.answers.get(*calls).or(service.answers.last()).cloned();
        *calls += 1;
        answer
    }
}

/// Answers the calls that a request makes, until it waits for none.
///
/// # Errors
/// If a cluster is called that has no service, if a call waits although its timeout must have
/// passed, or if the calls do not end.
pub fn serve(request: &mut dyn Callouts, script: &mut Script) -> Result<(), String> {
    for _ in 0..MAX_CALLS {
        let Some(Call { token, cluster }) = request.pending().into_iter().next() else {
            return Ok(());
        };
        let answer = script
            .next(&cluster)
            .ok_or_else(|| format!("the cluster `{cluster}` is called, and has no service"))?;
        let waits = |request: &dyn Callouts| request.pending().iter().any(|c| c.token == token);
        if !answer.late.is_zero() {
            request.advance(answer.late);
        }
        // A call whose timeout has passed gets no answer any more.
        if !waits(request) {
            continue;
        }
        match answer.outcome {
            Ok(answer) => request.answer(token, &answer),
            Err(Fault::CutOff) => request.cut_off(token),
            Err(Fault::Never) => request.advance(ANY_TIMEOUT),
        }
        if waits(request) {
            return Err(format!("the call of `{cluster}` still waits after {ANY_TIMEOUT:?}"));
        }
    }
    Err(format!("the request has made {MAX_CALLS} calls, and makes more"))
}

#[cfg(test)]
mod tests;
