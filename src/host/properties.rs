//! What Envoy knows of a request besides its headers. Each property is read when it is first
//! needed, and only once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sys::{self, HostError};
use crate::request::{Property, Source};

/// How many properties, the first ones, are read for most requests.
const COMMON: usize = 4;
/// How many are read for few.
const RARE: usize = Property::ALL.len() - COMMON;

/// A property's value, once it is read: the buffer that the host filled.
type Value = OnceLock<Vec<u8>>;

/// The properties of one request.
#[derive(Debug, Default)]
pub(super) struct Properties {
    common: [Value; COMMON],
    /// Apart from the others, so that a request which needs none of them does not pay for the room.
    rare: OnceLock<Box<[Value; RARE]>>,
    failed: AtomicBool,
}

impl Properties {
    fn fail(&self, error: HostError) {
        log::error!("egress filter: {error}");
        self.failed.store(true, Ordering::Relaxed);
    }
}

impl Source for Properties {
    fn property(&self, property: Property) -> &[u8] {
        let position = property as usize;
        let rare = || {
            let position = position.checked_sub(COMMON)?;
            self.rare.get_or_init(Box::default).get(position)
        };
        let Some(cell) = self.common.get(position).or_else(rare) else { return &[] };
        cell.get_or_init(|| match sys::property(property.path().as_bytes()) {
            Ok(value) => value.unwrap_or_default(),
            Err(error) => {
                self.fail(error);
                Vec::new()
            }
        })
    }

    fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn now(&self) -> Duration {
        sys::now().unwrap_or_else(|error| {
            self.fail(error);
            Duration::ZERO
        })
    }
}
