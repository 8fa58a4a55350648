//! Free ports of the loopback address for processes that cannot say which port they were given.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Below the ports that Linux, macOS and Windows hand out for outgoing connections: a port from
/// there could be taken by a parallel test's own connection between this check and its use.
const FIRST: u16 = 10_240;
const LAST: u16 = 32_000;

/// The one port of `envoy.yaml` in that range: the demo must be able to start while tests run.
const DEMO_HBONE: u16 = 15_008;

/// Finds different ports of 127.0.0.1 that nobody listens on at this moment.
///
/// Another process may take one before it is used, so callers try again with other ports when that
/// happens.
///
/// # Errors
/// When a thousand random ports did not hold enough free ones.
pub fn free(count: usize) -> io::Result<Vec<u16>> {
    let mut found = BTreeSet::new();
    let random = RandomState::new();
    for attempt in 0..1_000_u32 {
        if found.len() == count {
            break;
        }
        let mut hasher = random.build_hasher();
        hasher.write_u32(attempt);
        let offset = hasher.finish() % u64::from(LAST - FIRST);
        let port = FIRST + u16::try_from(offset).unwrap_or_default();
        if port != DEMO_HBONE && is_free(port) && hand_out(port) {
            found.insert(port);
        }
    }
    if found.len() < count {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("fewer than {count} free ports on 127.0.0.1"),
        ));
    }
    Ok(found.into_iter().collect())
}

/// Notes that a port is taken, and returns whether it was not before: what runs in parallel in this
/// process must not get the same one before either listens on it.
fn hand_out(port: u16) -> bool {
    static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner).insert(port)
}

/// Whether nobody listens on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
