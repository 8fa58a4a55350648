//! The law of local limits, on generated histories of several workers.

#![cfg(not(target_arch = "wasm32"))]

use std::time::Duration;

use proptest::prelude::*;

use super::world::{Event, World};
use crate::rate_limit::bucket::Bucket;

const WORKERS: usize = 4;
const KEYS: u8 = 3;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        24 => (0..WORKERS, 0..KEYS).prop_map(|(worker, key)| Event::Request { worker, key }),
        4 => (0_u64..60_000_000).prop_map(Event::Pass),
        1 => (0_u64..3_000_000_000).prop_map(Event::Pass),
        1 => Just(Event::Lose),
        1 => (0..WORKERS).prop_map(|worker| Event::Restart { worker }),
    ]
}

fn bucket() -> impl Strategy<Value = Bucket> {
    let unit = prop_oneof![Just(1_u64), Just(60), Just(3600)];
    (1_u32..2_000, 0_u32..300, unit)
        .prop_map(|(requests, burst, unit)| Bucket::new(requests, burst, Duration::from_secs(unit)))
}

/// What a bucket gives in so many nanoseconds, if it is full at first.
fn most(bucket: &Bucket, time: u64) -> u64 {
    let [capacity, interval] = parameters(bucket);
    capacity + time / interval
}

fn parameters(bucket: &Bucket) -> [u64; 2] {
    let bits = u128::from_le_bytes(bucket.parameters());
    [(bits >> 64) as u64, bits as u64]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// In any time, all workers together admit at most what a full bucket has, what comes back in
    /// that time, and what they held before. From the beginning they hold nothing, and what they
    /// take they take from the bucket.
    #[test]
    fn workers_together_never_admit_more_than_the_limit(
        bucket in bucket(),
        events in prop::collection::vec(event(), 1..600),
        between in prop::collection::vec(event(), 0..300),
    ) {
        let world = World::new(WORKERS, bucket);
        world.between.lock().unwrap().extend(between);
        for event in events {
            world.happen(event);
        }
        for (key, times) in &*world.admitted.lock().unwrap() {
            for (first, begin) in times.iter().enumerate() {
                for (last, end) in times.iter().enumerate().skip(first) {
                    let count = (last - first + 1) as u64;
                    let limit = most(&bucket, end - begin) + world.most_leased();
                    prop_assert!(count <= limit, "{key}: {count} from {begin} to {end}");
                }
            }
            for (count, end) in (1..).zip(times) {
                let limit = most(&bucket, *end);
                prop_assert!(count <= limit, "{key}: {count} of {limit} until {end}");
            }
        }
    }

    /// While no time passes, exactly what the bucket has is admitted, however the requests fall to
    /// the workers, if each that took tokens is asked again.
    #[test]
    fn at_one_time_a_bucket_gives_what_it_has(
        requests in 1_u32..500,
        burst in 0_u32..200,
        workers in prop::collection::vec(0..WORKERS, 0..1_000),
    ) {
        let world = World::new(WORKERS, Bucket::new(requests, burst, Duration::from_secs(3600)));
        let everyone = (0..WORKERS).cycle().take(2_000 * WORKERS);
        for worker in workers.into_iter().chain(everyone) {
            world.happen(Event::Request { worker, key: 1 });
        }
        let admitted = world.admitted.lock().unwrap().get(&1).map_or(0, Vec::len);
        prop_assert_eq!(admitted, (requests + burst) as usize);
    }
}
