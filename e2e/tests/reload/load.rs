//! A steady load of both teams on both workers, in which every answer is checked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use e2e::envoy::Pod;
use e2e::hbone::Tunnel;
use e2e::http1::Request;

use crate::callers::{Callers, Line};
use crate::setting::{HOST, PATIENCE, Setting, WORKERS};
use crate::versions::{Verdict, read};

/// The pause between an answer and the next request on a connection: the load should be steady, not
/// the most that two cores can bear.
const PAUSE: Duration = Duration::from_millis(5);

/// What is known of the policies while the load runs.
#[derive(Debug, Default)]
struct Shared {
    /// The newest number that Envoy may have.
    published: AtomicU64,
    /// By worker and team, the newest number that decided.
    seen: [[AtomicU64; 2]; WORKERS],
    /// By worker, whether its VM may be dead at the moment.
    may_fail: [AtomicBool; WORKERS],
    stop: AtomicBool,
    tally: Mutex<Tally>,
}

/// What the answers were.
#[derive(Debug, Default)]
struct Tally {
    counts: Counts,
    /// How many answers each connection has had.
    answered: Vec<usize>,
    /// How long each answer took.
    times: Vec<Duration>,
    violations: Vec<String>,
}

/// How many answers there were.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// By worker, requests that the filter decided about.
    pub(crate) decided: [usize; WORKERS],
    /// Of these, the ones that were denied.
    pub(crate) denied: usize,
    /// By worker, requests that Envoy answered with 503 since it could not run the filter.
    pub(crate) unavailable: [usize; WORKERS],
}

/// The median and the longest time of an answer.
fn median_and_longest(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (
        times.get(times.len() / 2).copied().unwrap_or_default(),
        times.last().copied().unwrap_or_default(),
    )
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest number known to be in force on a worker: it has decided there.
    fn in_force(&self, worker: usize) -> u64 {
        self.seen[worker].iter().map(|seen| seen.load(Ordering::SeqCst)).max().unwrap_or_default()
    }

    /// Sends one request and says what is wrong with its answer.
    async fn ask(
        &self,
        team: Pod,
        worker: usize,
        tunnel: &mut Tunnel,
        request: &Request,
    ) -> Result<(), String> {
        let may_fail = || self.may_fail[worker].load(Ordering::SeqCst);
        let (could_fail, oldest, begin) = (may_fail(), self.in_force(worker), Instant::now());
        let answer = tunnel.request(request).await;
        let (time, newest) = (begin.elapsed(), self.published.load(Ordering::SeqCst));
        let response = answer.map_err(|error| error.to_string())?;
        let verdict = read(team, &response)?;
        let mut tally = self.tally();
        tally.times.push(time);
        match verdict {
            Verdict::Decided(number) if (oldest..=newest).contains(&number) => {
                tally.counts.decided[worker] += 1;
                tally.counts.denied += usize::from(response.status == 403);
                self.seen[worker][team as usize].fetch_max(number, Ordering::SeqCst);
                Ok(())
            }
            Verdict::Decided(number) => Err(format!(
                "policies {number} decided, neither {oldest} nor {newest} nor between them"
            )),
            Verdict::Unavailable if could_fail || may_fail() => {
                tally.counts.unavailable[worker] += 1;
                Ok(())
            }
            Verdict::Unavailable => Err("503: the filter could not run".to_owned()),
        }
    }

    async fn run(&self, index: usize, mut line: Line) {
        let request = Request::get(HOST, "/load");
        while !self.stop.load(Ordering::SeqCst) {
            if let Err(wrong) = self.ask(line.team, line.worker, &mut line.tunnel, &request).await {
                self.tally().violations.push(format!(
                    "{} on worker {}: {wrong}",
                    line.team.name(),
                    line.worker
                ));
                return;
            }
            self.tally().answered[index] += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A running load; it needs a runtime with several threads, since tests read statistics without
/// giving theirs up.
pub(crate) struct Load {
    shared: Arc<Shared>,
    lines: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Starts a load of two connections of each team on each worker under the policies of this
    /// number, and returns when these have decided for each team on each worker.
    pub(crate) async fn start(setting: &Setting, number: u64) -> Self {
        Self::with(setting, number, 2).await
    }

    /// As [`Load::start`], with one connection each: where an update's coming into force is to be
    /// seen, and no more.
    pub(crate) async fn gentle(setting: &Setting, number: u64) -> Self {
        Self::with(setting, number, 1).await
    }

    async fn with(setting: &Setting, number: u64, each: usize) -> Self {
        let lines = Callers::new(&setting.waypoint).everywhere(setting, each).await;
        let shared = Arc::new(Shared::default());
        shared.published.store(number, Ordering::SeqCst);
        shared.tally().answered = vec![0; lines.len()];
        let run = |(index, line): (usize, Line)| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { shared.run(index, line).await })
        };
        let load = Self {
            lines: lines.into_iter().enumerate().map(run).collect(),
            shared: Arc::clone(&shared),
        };
        load.until_in_force(setting, number).await;
        load
    }

    /// Call this before the policies of this number are published.
    pub(crate) fn expect(&self, number: u64) {
        self.shared.published.store(number, Ordering::SeqCst);
    }

    /// Sets whether 503 is acceptable on a worker from now on.
    pub(crate) fn may_fail(&self, worker: usize, may: bool) {
        self.shared.may_fail[worker].store(may, Ordering::SeqCst);
    }

    /// Stops the test where an answer was wrong.
    fn check(&self, setting: &Setting) {
        let tally = self.shared.tally();
        assert!(tally.violations.is_empty(), "{}\n{}", tally.violations.join("\n"), setting.log());
    }

    /// Waits until the policies of this number have decided for each team on each worker.
    pub(crate) async fn until_in_force(&self, setting: &Setting, number: u64) {
        let everywhere =
            || self.shared.seen.iter().flatten().all(|seen| seen.load(Ordering::SeqCst) >= number);
        self.until(setting, &format!("policies {number} in force everywhere"), everywhere).await;
    }

    /// Waits until the filter has decided about this many more requests on each worker.
    pub(crate) async fn rounds(&self, setting: &Setting, count: usize) {
        let before = self.counts().decided;
        let answered =
            || self.counts().decided.iter().zip(before).all(|(now, before)| *now >= before + count);
        self.until(setting, "answers", answered).await;
    }

    /// Waits until this many more requests on this worker have got 503.
    pub(crate) async fn until_refused(&self, setting: &Setting, worker: usize, count: usize) {
        let before = self.counts().unavailable[worker];
        self.until(setting, "refusals", || self.counts().unavailable[worker] >= before + count)
            .await;
    }

    /// Waits until the filter has decided about this many more requests on this worker.
    pub(crate) async fn until_decided(&self, setting: &Setting, worker: usize, count: usize) {
        let before = self.counts().decided[worker];
        self.until(setting, "decisions", || self.counts().decided[worker] >= before + count).await;
    }

    /// Waits until a condition holds.
    pub(crate) async fn until(&self, setting: &Setting, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            self.check(setting);
            assert!(
                Instant::now() < deadline,
                "not within {PATIENCE:?}: {what}\n{}",
                setting.log()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.check(setting);
    }

    /// How many answers there were so far.
    pub(crate) fn counts(&self) -> Counts {
        self.shared.tally().counts
    }

    /// How many answers each connection has had so far.
    pub(crate) fn answered(&self) -> Vec<usize> {
        self.shared.tally().answered.clone()
    }

    /// The median and the longest time of the answers since this was last asked, and how many these
    /// were.
    pub(crate) fn take_times(&self) -> (usize, Duration, Duration) {
        let times = std::mem::take(&mut self.shared.tally().times);
        let count = times.len();
        let (median, longest) = median_and_longest(times);
        (count, median, longest)
    }

    /// Ends the load: every request has had its answer, and none was wrong.
    pub(crate) async fn stop(mut self, setting: &Setting) -> Counts {
        self.shared.stop.store(true, Ordering::SeqCst);
        for line in std::mem::take(&mut self.lines) {
            line.await.expect("a connection's task ends");
        }
        self.check(setting);
        self.counts()
    }
}
