//! Values by number, found without a hash where the numbers are given out in turn.

use std::hash::BuildHasherDefault;

use crate::hash::Map;

/// How many values have a slot of their own; a power of two.
const SLOTS: usize = 256;

/// Values by number. Of numbers that are given out in turn, most of those in use at the same time
/// have different slots. The values of the others are in a map.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: [Option<(u32, T)>; SLOTS],
    others: Map<u32, T>,
}

fn slot_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(0) % SLOTS
}

impl<T> Slots<T> {
    /// No values.
    pub(crate) const fn new() -> Slots<T> {
        let others = Map::with_hasher(BuildHasherDefault::new());
        Slots { slots: [const { None }; SLOTS], others }
    }

    /// Puts a value under a number that has none.
    pub(crate) fn insert(&mut self, number: u32, value: T) {
        match self.slots.get_mut(slot_of(number)) {
            Some(empty @ None) => *empty = Some((number, value)),
            _ => drop(self.others.insert(number, value)),
        }
    }

    /// The value under a number.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match self.slots.get_mut(slot_of(number)) {
            Some(Some((own, value))) if *own == number => Some(value),
            _ if self.others.is_empty() => None,
            _ => self.others.get_mut(&number),
        }
    }

    /// Takes the value under a number.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let slot = self.slots.get_mut(slot_of(number))?;
        if matches!(slot, Some((own, _)) if *own == number) {
            return slot.take().map(|(_, value)| value);
        }
        if self.others.is_empty() { None } else { self.others.remove(&number) }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn numbers_with_one_slot_have_values_of_their_own() {
        let mut slots = Slots::new();
        for number in [1, 257, 513] {
            slots.insert(number, number.to_string());
        }
        assert_eq!(slots.get_mut(257).map(|value| value.as_str()), Some("257"));
        assert_eq!(slots.remove(1).as_deref(), Some("1"));
        assert_eq!(slots.remove(1), None);
        slots.insert(769, "769".to_owned());
        for number in [257, 513, 769] {
            assert_eq!(slots.remove(number), Some(number.to_string()));
            assert_eq!(slots.get_mut(number), None);
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod generated {
        use std::collections::BTreeMap;

        use proptest::prelude::*;

        use super::super::*;

        proptest! {
            #[test]
            fn slots_hold_what_a_map_holds(
                steps in prop::collection::vec((0..8_u32, 0..4_u32, any::<bool>()), 0..200)
            ) {
                let (mut slots, mut model) = (Slots::new(), BTreeMap::new());
                for (position, (low, high, adds)) in steps.into_iter().enumerate() {
                    let number = (high << 8) | low;
                    if adds && !model.contains_key(&number) {
                        slots.insert(number, position);
                        model.insert(number, position);
                    } else {
                        prop_assert_eq!(slots.remove(number), model.remove(&number));
                    }
                    for number in (0..4).flat_map(|high| (0..8).map(move |low| (high << 8) | low)) {
                        prop_assert_eq!(slots.get_mut(number), model.get_mut(&number));
                    }
                }
            }
        }
    }
}
