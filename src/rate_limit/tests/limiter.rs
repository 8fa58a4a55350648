//! What a worker does with a limit.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{Event, World};
use crate::rate_limit::bucket::Bucket;
use crate::rate_limit::limiter::Owner;
use crate::rate_limit::quota::Quota;
use crate::rate_limit::slots::ROOM_OF_ONE;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: u64 = 1_000_000_000;
const KEY: Owner<'_> = Owner::Value(0, b"k");

fn world(requests: u32, burst: u32) -> World {
    World::new(4, Bucket::new(requests, burst, MINUTE))
}

#[test]
fn a_bucket_is_full_at_first_and_fills_one_by_one() {
    let world = world(6, 2);
    let quota = |remaining, reset| Quota { limit: 8, remaining, reset };
    for left in (0..8).rev() {
        let outcome = world.ask(0, KEY).unwrap();
        assert!(outcome.is_admitted, "{left}");
        assert_eq!(outcome.quota, quota(left, 10));
    }
    let refused = world.ask(0, KEY).unwrap();
    assert!(!refused.is_admitted);
    assert_eq!(refused.quota, quota(0, 10));
    world.happen(Event::Pass(9 * SECOND));
    assert_eq!(world.ask(1, KEY).unwrap().quota, quota(0, 1));
    world.happen(Event::Pass(SECOND));
    assert!(world.ask(1, KEY).unwrap().is_admitted);
    assert!(!world.ask(0, KEY).unwrap().is_admitted);
    // It never has more than it can hold.
    world.happen(Event::Pass(3600 * SECOND));
    assert_eq!(world.ask(0, KEY).unwrap().quota, quota(7, 10));
}

#[test]
fn a_request_costs_a_round_trip_at_most_and_none_with_a_lease() {
    let world = world(6_000, 0);
    world.ask(0, KEY).unwrap();
    // The secret was read, made and read again.
    assert_eq!(world.cost(), (3, 2));
    let mut trips = 0;
    for _ in 0..1_000 {
        assert!(world.ask(0, KEY).unwrap().is_admitted);
        match world.cost() {
            (0, 0) => {}
            (1, 1) => trips += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(trips < 60, "{trips}");
}

#[test]
fn a_limit_that_is_seldom_used_is_counted_exactly() {
    let world = world(100, 0);
    for count in 1..=60 {
        let remaining = world.ask(count % 4, KEY).unwrap().quota.remaining;
        // Two seconds apart, with more coming back than is used.
        assert_eq!(remaining, 99, "{count}");
        world.happen(Event::Pass(2 * SECOND));
    }
}

#[test]
fn tokens_that_were_not_spent_are_given_back() {
    let world = world(6_000, 0);
    for _ in 0..200 {
        world.ask(0, KEY).unwrap();
    }
    // The bucket had 6,000, and 100 come back each second.
    world.happen(Event::Pass(SECOND));
    assert_eq!(world.ask(0, KEY).unwrap().quota.remaining, 6_000 - 200 + 100 - 1);
}

#[test]
fn refusals_cost_nothing_while_it_is_known_that_the_bucket_is_empty() {
    let world = world(1, 0);
    assert!(world.ask(0, KEY).unwrap().is_admitted);
    world.cost();
    for _ in 0..100 {
        assert!(!world.ask(0, KEY).unwrap().is_admitted);
    }
    assert_eq!(world.cost(), (0, 0));
    assert!(!world.ask(1, KEY).unwrap().is_admitted);
    assert_eq!(world.cost(), (2, 0), "the secret and the bucket are read");
}

#[test]
fn owners_have_buckets_of_their_own() {
    let world = world(1, 0);
    let id = "spiffe://cluster.local/ns/a/sa/a";
    for owner in [
        Owner::Nobody,
        Owner::Caller(""),
        Owner::Caller(id),
        Owner::Value(0, b""),
        Owner::Value(0, id.as_bytes()),
        Owner::Value(1, id.as_bytes()),
    ] {
        assert!(world.ask(0, owner).unwrap().is_admitted, "{owner:?}");
        assert!(!world.ask(1, owner).unwrap().is_admitted, "{owner:?}");
    }
}

#[test]
fn a_bucket_outlives_the_worker_that_made_it() {
    let world = world(2, 0);
    assert!(world.ask(0, KEY).unwrap().is_admitted);
    for worker in 0..4 {
        world.happen(Event::Restart { worker });
    }
    assert!(world.ask(0, KEY).unwrap().is_admitted);
    assert!(!world.ask(3, KEY).unwrap().is_admitted);
}

#[test]
fn two_workers_that_make_the_first_bucket_at_once_share_it() {
    let world = world(1, 0);
    // The first write is that of the secret, the second that of the bucket.
    let other = Event::Request { worker: 1, key: 7 };
    world.between.lock().unwrap().extend([other, other]);
    world.happen(Event::Request { worker: 0, key: 7 });
    world.happen(Event::Request { worker: 2, key: 7 });
    assert_eq!(world.admitted.lock().unwrap()[&7].len(), 1);
}

#[test]
fn a_bucket_that_others_change_all_the_time_admits_nobody() {
    let world = world(100, 0);
    assert!(world.ask(0, KEY).unwrap().is_admitted);
    (0..1_000).for_each(|_| world.happen(Event::Lose));
    let outcome = world.ask(1, KEY).unwrap();
    assert!(!outcome.is_admitted);
    assert_eq!(outcome.quota, Quota { limit: 100, remaining: 0, reset: 1 });
    assert!(world.cost().1 <= 20, "the attempts are few");
}

#[test]
fn nothing_is_admitted_without_shared_data() {
    let mut world = world(100, 0);
    world.is_unavailable = true;
    assert_eq!(world.ask(0, KEY), None);
}

#[test]
fn a_set_that_cannot_be_read_admits_nobody() {
    for wrong in [&b"x"[..], &[255; 9 * 24], &[255; 25]] {
        let world = world(100, 0);
        assert!(world.ask(0, KEY).unwrap().is_admitted);
        for number in 0..9_000_u32 {
            let key = format!("egress_filter.limits.1.{number}").into_bytes();
            let version = world.shared.get(&key).map_or(1, |(_, version)| version);
            assert!(world.shared.set(&key, wrong, version));
        }
        assert_eq!(world.ask(1, KEY), None, "{wrong:?}");
    }
}

/// Whoever can make up keys gets no more memory than there is, takes no place from a bucket that is
/// in use, and leaves those that find no place one bucket together.
#[test]
fn keys_without_end_take_no_more_room_and_push_nobody_out() {
    let world = world(2, 0);
    assert!(world.ask(0, KEY).unwrap().is_admitted);
    let (mut own, mut common) = (0, BTreeSet::new());
    for number in 0..40_000_u32 {
        let outcome = world.ask(1, Owner::Value(1, &number.to_le_bytes())).unwrap();
        if !outcome.is_shared {
            assert!(outcome.is_admitted, "{number}");
            own += 1;
        } else if outcome.is_admitted {
            common.insert(number);
        }
    }
    assert!(own > ROOM_OF_ONE * 9 / 10 && own < ROOM_OF_ONE, "{own} of {ROOM_OF_ONE}");
    assert_eq!(common.len(), 2, "{common:?}");
    assert!(world.shared.count() <= ROOM_OF_ONE / 8 + 2, "{}", world.shared.count());
    // The first bucket is still there, with its last token.
    assert!(world.ask(2, KEY).unwrap().is_admitted);
    assert!(!world.ask(2, KEY).unwrap().is_admitted);
    // When the buckets are full again, their places are free.
    world.happen(Event::Pass(60 * SECOND));
    let outcome = world.ask(3, Owner::Value(2, b"new")).unwrap();
    assert!(outcome.is_admitted && !outcome.is_shared, "{outcome:?}");
}
