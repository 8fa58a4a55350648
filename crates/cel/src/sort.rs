//! Sorting that is in the module once.
//!
//! The standard library's sorts are copied for every type that is sorted, eight to ten kilobytes
//! each. Here only what moves the items is copied; what decides where they go is not.

use std::cmp::Ordering;

#[cfg(test)]
mod tests;

/// Up to so many items are sorted where they are, without a list of their places.
const FEW: usize = 8;

/// Sorts items by an order; those that are equal keep their order.
pub fn by<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    let count = items.len();
    if count > FEW {
        // One comparison says it of both orders. Those that are equal keep theirs.
        let after = |a: usize, b: usize| match (items.get(a), items.get(b)) {
            (Some(left), Some(right)) => order(left, right).then(a.cmp(&b)).is_gt(),
            _ => false,
        };
        let mut places = places(count, &after);
        put(&mut places, &mut |a, b| items.swap(a, b));
        return;
    }
    for end in 1..count {
        let mut at = end;
        while let Some(before) = at.checked_sub(1) {
            let out_of_order = items
                .get(before)
                .zip(items.get(at))
                .is_some_and(|(left, right)| order(left, right).is_gt());
            if !out_of_order {
                break;
            }
            items.swap(before, at);
            at = before;
        }
    }
}

/// For each place, the number of the item that is to be there: a heap sort.
#[inline(never)]
fn places(count: usize, greater: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut heap: Vec<usize> = (0..count).collect();
    for root in (0..count / 2).rev() {
        sift(&mut heap, root, count, greater);
    }
    for end in (1..count).rev() {
        heap.swap(0, end);
        sift(&mut heap, 0, end, greater);
    }
    heap
}

/// Moves an item of a heap down, until none below it is greater.
fn sift(heap: &mut [usize], mut root: usize, end: usize, greater: &dyn Fn(usize, usize) -> bool) {
    let is_greater = |heap: &[usize], a: usize, b: usize| match (heap.get(a), heap.get(b)) {
        (Some(left), Some(right)) => greater(*left, *right),
        _ => false,
    };
    loop {
        let mut child = root.saturating_mul(2).saturating_add(1);
        if child >= end {
            return;
        }
        let right = child.saturating_add(1);
        if right < end && is_greater(heap, right, child) {
            child = right;
        }
        if !is_greater(heap, child, root) {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}

/// Swaps items until each is at its place.
#[inline(never)]
fn put(places: &mut [usize], swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..places.len() {
        let mut at = start;
        while let Some(place) = places.get_mut(at) {
            let from = std::mem::replace(place, at);
            if from == start || from == at {
                break;
            }
            swap(at, from);
            at = from;
        }
    }
}
