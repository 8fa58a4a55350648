//! What Envoy knows of a request besides its headers. Each property is read when it is first
//! needed, and only once.

#![allow(unsafe_code, reason = "a cell that one thread fills needs no lock")]

use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::shared::Update;
use super::sys::{self, HostError};
use crate::request::{Property, Source, Unavailable};

/// How many properties, the first ones, are read for most requests.
const COMMON: usize = 4;
/// How many are read for few.
const RARE: usize = Property::ALL.len() - COMMON;

/// What is filled once. To lock it for other threads, which there are not, would take longer than
/// to fill it.
#[derive(Debug)]
struct Once<T>(OnceCell<T>);

// SAFETY: a wasm VM has one thread.
unsafe impl<T> Sync for Once<T> {}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Once(OnceCell::new())
    }
}

/// A property's value, once it is read: the buffer that the host filled.
type Value = Once<Vec<u8>>;

/// The properties of one request.
#[derive(Debug, Default)]
pub(super) struct Properties {
    common: [Value; COMMON],
    /// Apart from the others, so that a request which needs none of them does not pay for the room.
    rare: Once<Box<[Value; RARE]>>,
    failed: AtomicBool,
}

impl Properties {
    fn fail(&self, error: HostError) -> Unavailable {
        log::error!("egress filter: {error}");
        self.failed.store(true, Ordering::Relaxed);
        Unavailable
    }
}

impl Source for Properties {
    fn property(&self, property: Property) -> &[u8] {
        let position = property as usize;
        let rare = || {
            let position = position.checked_sub(COMMON)?;
            self.rare.0.get_or_init(Box::default).get(position)
        };
        let Some(cell) = self.common.get(position).or_else(rare) else { return &[] };
        cell.0.get_or_init(|| match sys::property(property.path().as_bytes()) {
            Ok(value) => value.unwrap_or_default(),
            Err(error) => {
                let Unavailable = self.fail(error);
                Vec::new()
            }
        })
    }

    fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn now(&self) -> Duration {
        sys::now().unwrap_or_else(|error| {
            let Unavailable = self.fail(error);
            Duration::ZERO
        })
    }

    fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        sys::shared_data(key).map_err(|error| self.fail(error))
    }

    fn set_shared(&self, key: &[u8], value: &[u8], version: u32) -> Result<bool, Unavailable> {
        let update = sys::set_shared_data(key, value, version).map_err(|error| self.fail(error))?;
        Ok(update == Update::Set)
    }
}
