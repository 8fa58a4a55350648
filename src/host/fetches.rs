//! Tokens that are being fetched: which fetch a token of the proxy's stands for, and which streams
//! wait for it. A fetch belongs to the configuration, not to the stream that began it, and goes on
//! if that stream is gone.

use std::cell::RefCell;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use super::plugin::Loaded;
use super::{calls, sys};
use crate::call::Answer;
use crate::counters::{Count, Counter};
use crate::credential::token::{Ended, Failure, Fetch};
use crate::hash::Map;

/// A fetch whose answer has not come, and the configuration that it is for.
#[derive(Debug)]
pub(super) struct Fetching {
    pub(super) loaded: Rc<Loaded>,
    pub(super) fetch: Fetch,
}

thread_local! {
    /// The pending fetches, by token of the proxy's.
    static FETCHING: RefCell<Map<u32, Fetching>> =
        const { RefCell::new(Map::with_hasher(BuildHasherDefault::new())) };
    /// The credentials whose fetch could not be made while streams waited for an earlier one that
    /// was taken for lost. They cannot be woken while another stream runs.
    static UNSENT: RefCell<Vec<(Rc<Loaded>, usize)>> = const { RefCell::new(Vec::new()) };
}

/// Takes the credentials whose waiting streams are to be woken.
pub(super) fn take_unsent() -> Vec<(Rc<Loaded>, usize)> {
    UNSENT
        .with(|all| all.try_borrow_mut().map(|mut all| std::mem::take(&mut *all)))
        .unwrap_or_default()
}

/// The streams that wait for the tokens of a configuration.
#[derive(Debug, Default)]
pub(super) struct Waiters(RefCell<Vec<(usize, u32)>>);

impl Waiters {
    /// Adds a stream that waits for a credential.
    pub(super) fn add(&self, credential: usize, context_id: u32) {
        if let Ok(mut all) = self.0.try_borrow_mut() {
            all.push((credential, context_id));
        }
    }

    /// Forgets a stream.
    pub(super) fn forget(&self, context_id: u32) {
        if let Ok(mut all) = self.0.try_borrow_mut() {
            all.retain(|(_, waiting)| *waiting != context_id);
        }
    }

    /// Whether there are streams that wait for a credential.
    fn are_for(&self, credential: usize) -> bool {
        self.0.try_borrow().is_ok_and(|all| all.iter().any(|(wanted, _)| *wanted == credential))
    }

    /// Takes the streams that wait for a credential.
    pub(super) fn take(&self, credential: usize) -> Vec<u32> {
        let Ok(mut all) = self.0.try_borrow_mut() else { return Vec::new() };
        let is_for = |(wanted, _): &(usize, u32)| *wanted == credential;
        let found = all.iter().filter(|waiting| is_for(waiting)).map(|(_, id)| *id).collect();
        all.retain(|waiting| !is_for(waiting));
        found
    }
}

/// Makes the calls that are due. Returns the credentials whose fetch has ended with that.
pub(super) fn send_due(loaded: &Rc<Loaded>) -> Vec<usize> {
    let mut ended = Vec::new();
    while let Some((fetch, call)) = loaded.engine.due_fetch() {
        match calls::send(&call) {
            Ok(token) => FETCHING.with(|all| {
                if let Ok(mut all) = all.try_borrow_mut() {
                    all.insert(token, Fetching { loaded: Rc::clone(loaded), fetch });
                }
            }),
            Err(_) => {
                end(loaded, fetch, &Answer::NotSent);
                ended.push(fetch.credential);
                if loaded.waiters.are_for(fetch.credential) {
                    UNSENT.with(|all| {
                        if let Ok(mut all) = all.try_borrow_mut() {
                            all.push((Rc::clone(loaded), fetch.credential));
                        }
                    });
                }
            }
        }
    }
    ended
}

/// Takes the pending fetch of a token; `None` if it stands for none.
pub(super) fn take(token: u32) -> Option<Fetching> {
    FETCHING.with(|all| all.try_borrow_mut().ok()?.remove(&token))
}

/// Ends a fetch; returns whether it was still wanted.
pub(super) fn end(loaded: &Loaded, fetch: Fetch, answer: &Answer<'_>) -> bool {
    let now = sys::now().unwrap_or_default();
    let ended = loaded.engine.end_fetch(fetch, answer, now);
    let (true, Some((policy, cluster))) =
        (ended != Ended::Ignored, loaded.engine.fetched_from(fetch))
    else {
        return false;
    };
    let count = |counter| {
        loaded.metrics.count(Count { policy: None, counter });
        loaded.metrics.count(Count { policy: Some(policy), counter });
    };
    count(Counter::TokenFetches);
    if let Ended::Failed { why, is_news } = ended {
        count(Counter::TokenFetchFailures);
        if let (true, Some(policy)) = (is_news, loaded.engine.policy_name(policy)) {
            log_failure(policy, cluster, why, answer.status());
        }
    }
    true
}

fn log_failure(policy: &str, cluster: &str, why: Failure, status: Option<u16>) {
    let status = status.map(|status| format!(", status {status}")).unwrap_or_default();
    let ways = match why {
        Failure::NotSent => calls::WAYS,
        _ => "",
    };
    log::error!(
        "egress filter: policy `{policy}` has no token: {} (cluster `{cluster}`{status}){ways}",
        why.as_str()
    );
}
