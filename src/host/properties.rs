//! What Envoy knows of a request besides its headers. Each property is read when it is first
//! needed, and only once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sys::{self, HostError};
use crate::request::{Property, Source};

/// The properties of one request, in the buffers that the host filled.
#[derive(Debug, Default)]
pub(super) struct Properties {
    read: [OnceLock<Vec<u8>>; Property::ALL.len()],
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
        let Some(cell) = self.read.get(property as usize) else { return &[] };
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
