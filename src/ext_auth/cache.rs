//! The answers of an authorization service that are kept, in the memory of one worker.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Verdict;

/// How many bytes the answers of one cache may take together.
const MAX_BYTES: usize = 4 << 20;
/// The largest answer that is kept.
const MAX_ANSWER: usize = 128 << 10;

/// Answers by the keys of their requests. Callers choose keys, so there is a limit to their number
/// and to their size; where one is reached, the oldest answers go. A key may hold a secret of the
/// caller's, and is not shown.
pub(crate) struct Answers {
    kept: BTreeMap<Arc<[u8]>, Kept>,
    /// The keys, with the numbers of their answers, in the order in which they were kept.
    order: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
    next: u64,
    max_entries: usize,
}

/// An answer that is kept.
struct Kept {
    number: u64,
    verdict: Arc<Verdict>,
    /// The time at which it is no longer used.
    until: Duration,
    size: usize,
}

impl Answers {
    pub(crate) fn new(max_entries: usize) -> Answers {
        let (kept, order) = (BTreeMap::new(), VecDeque::new());
        Answers { kept, order, bytes: 0, next: 0, max_entries }
    }

    /// The answer that was kept for this key and is not too old.
    pub(crate) fn get(&mut self, key: &[u8], now: Duration) -> Option<Arc<Verdict>> {
        let kept = self.kept.get(key)?;
        if kept.until > now {
            return Some(Arc::clone(&kept.verdict));
        }
        self.forget(key);
        None
    }

    /// Keeps an answer until this time.
    pub(crate) fn keep(&mut self, key: Vec<u8>, verdict: Arc<Verdict>, until: Duration) {
        let size = verdict.size().saturating_add(key.len().saturating_mul(2));
        if size > MAX_ANSWER {
            return;
        }
        self.forget(&key);
        let (key, number): (Arc<[u8]>, _) = (key.into(), self.next);
        self.next = self.next.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
        self.order.push_back((number, Arc::clone(&key)));
        self.kept.insert(key, Kept { number, verdict, until, size });
        while self.order.len() > self.max_entries || self.bytes > MAX_BYTES {
            let Some((number, key)) = self.order.pop_front() else { break };
            if self.kept.get(&key).is_some_and(|kept| kept.number == number) {
                self.forget(&key);
            }
        }
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes = self.bytes.saturating_sub(kept.size);
        }
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::ext_auth::answer::Denied;

    const NOW: Duration = Duration::from_secs(100);

    fn denied(body: usize) -> Arc<Verdict> {
        let denied = Denied { status: 403, body: Some(vec![b'a'; body]), ..Denied::default() };
        Arc::new(Verdict::Denied(Box::new(denied)))
    }

    fn after(seconds: u64) -> Duration {
        NOW.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn an_answer_is_kept_until_its_time() {
        let mut answers = Answers::new(10);
        answers.keep(b"a".to_vec(), denied(1), after(5));
        assert_eq!(answers.get(b"a", after(4)), Some(denied(1)));
        assert_eq!(answers.get(b"b", NOW), None);
        assert_eq!(answers.get(b"a", after(5)), None);
        assert_eq!(answers.get(b"a", NOW), None, "it is forgotten");
        assert_eq!(answers.bytes, 0);
    }

    #[test]
    fn the_oldest_answers_go_where_there_are_too_many() {
        let mut answers = Answers::new(3);
        for key in [b"a", b"b", b"a", b"c", b"d"] {
            answers.keep(key.to_vec(), denied(1), after(5));
        }
        let there: Vec<bool> =
            [b"a", b"b", b"c", b"d"].iter().map(|key| answers.get(*key, NOW).is_some()).collect();
        assert_eq!(there, [true, false, true, true]);
        // A key that is kept over and over takes no room of its own.
        for _ in 0..100 {
            answers.keep(b"a".to_vec(), denied(1), after(5));
        }
        assert_eq!((answers.order.len(), answers.kept.len()), (3, 1));
    }

    #[test]
    fn the_oldest_answers_go_where_they_take_too_much() {
        let mut answers = Answers::new(1_000_000);
        for key in 0..200_u32 {
            answers.keep(key.to_le_bytes().to_vec(), denied(100_000), after(5));
            assert!(answers.bytes <= MAX_BYTES);
        }
        assert_eq!(answers.kept.len(), MAX_BYTES / 100_000);
        assert!(answers.get(&199_u32.to_le_bytes(), NOW).is_some());
        answers.keep(b"large".to_vec(), denied(MAX_ANSWER), after(5));
        assert_eq!(answers.get(b"large", NOW), None);
    }
}
