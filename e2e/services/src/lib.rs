//! The servers that people put beside a waypoint, each started on loopback for a test: the Open
//! Policy Agent, Istio's authorization server, oauth2-proxy, and Envoy's rate limit service with
//! Redis. `make test-services` builds them and says where they are.

mod authorization;
mod native;
mod rate_limit;
mod stage;

use std::path::PathBuf;

pub use authorization::{ExtAuthz, OAuth2Proxy, Opa};
pub use native::Native;
pub use rate_limit::{RateLimit, Redis};
pub use stage::{Cluster, Seen, Stage};

/// A program that `make test-services` finds or builds.
///
/// # Panics
/// When the variable is not set, which must not pass for a test that ran.
#[must_use]
pub fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{variable} is not set: `make test-services` sets it"))
}
