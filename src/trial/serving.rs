//! Answers the calls of a trial's request in the place of its services.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::call::{Answer, Call};
use crate::exchange::Event;
use crate::request::headers::Headers;
use crate::request::{Property, Source, Unavailable};

/// A service that answers the filter's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The proxy's name of its cluster.
    pub cluster: String,
    /// One answer for each call, in order; the last one is given to all further calls.
    pub answers: Vec<Served>,
}

/// What a service does when it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// How long it takes: before the answer comes, or before the connection is cut off.
    pub late: Duration,
    /// What comes then.
    pub outcome: Came,
}

/// What comes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// An answer of HTTP.
    Answer {
        /// The status.
        status: u16,
        /// Header lines in order.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// No answer comes.
    Nothing,
    /// The connection is cut off before an answer is complete.
    CutOff,
}

/// The services of a trial while its request is decided, and the clock, which moves on while it
/// waits for them.
#[derive(Debug)]
pub(crate) struct Serving<'t> {
    source: &'t dyn Source,
    services: &'t [Service],
    /// How long the request has waited, in nanoseconds.
    waited: AtomicU64,
    /// How often each cluster was called.
    calls: Mutex<BTreeMap<&'t str, usize>>,
}

impl<'t> Serving<'t> {
    pub(crate) fn new(services: &'t [Service], source: &'t dyn Source) -> Serving<'t> {
        let (waited, calls) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()));
        Serving { source, services, waited, calls }
    }

    /// The event that follows a call. A proxy has no cluster of a service that is not there.
    pub(crate) fn answer(&self, call: &Call) -> Event<'t> {
        let answer = self.served(&call.cluster).map_or(Answer::NotSent, |served| {
            let is_late = served.late >= call.timeout || served.outcome == Came::Nothing;
            self.wait(if is_late { call.timeout } else { served.late });
            match &served.outcome {
                // As Envoy answers in a service's place.
                _ if is_late => response(504, &[], "upstream request timeout"),
                Came::CutOff => Answer::CutOff,
                Came::Answer { status, headers, body } => response(*status, headers, body),
                Came::Nothing => Answer::NotSent,
            }
        });
        Event::Answer(call.id, answer)
    }

    fn served(&self, cluster: &str) -> Option<&'t Served> {
        let service = self.services.iter().find(|service| service.cluster == cluster)?;
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let call = calls.entry(&service.cluster).or_insert(0);
        let served = service.answers.get(*call).or(service.answers.last());
        *call = call.saturating_add(1);
        served
    }

    fn wait(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How long the request has waited.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Ordering::Relaxed))
    }

    /// How often each cluster was called.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|(cluster, count)| ((*cluster).to_owned(), *count)).collect()
    }
}

fn response<'t>(status: u16, headers: &[(String, String)], body: &'t str) -> Answer<'t> {
    let mut lines = Headers::default();
    lines.add(b":status", status.to_string().as_bytes());
    for (name, value) in headers {
        lines.add(name.as_bytes(), value.as_bytes());
    }
    let limit = crate::call::MAX_BODY;
    let bytes = body.as_bytes();
    let is_cut = bytes.len() > limit;
    Answer::response(lines, bytes.get(..limit).unwrap_or(bytes), is_cut)
}

impl Source for Serving<'_> {
    fn property(&self, property: Property) -> &[u8] {
        self.source.property(property)
    }

    fn failed(&self) -> bool {
        self.source.failed()
    }

    fn now(&self) -> Duration {
        self.source.now().saturating_add(self.waited())
    }

    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        self.source.shared(key)
    }

    fn shared_number(&self) -> u64 {
        self.source.shared_number()
    }

    fn set_shared(&self, key: &[u8], value: &[u8], version: u32) -> Result<bool, Unavailable> {
        self.source.set_shared(key, value, version)
    }
}
