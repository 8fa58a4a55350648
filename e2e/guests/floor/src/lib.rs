//! The egress workshop's policy, written by hand: what a filter that does this and nothing else
//! costs.
//!
//! It does what `envoy.yaml`'s plugin configuration demands: the caller by its SPIFFE ID, one host,
//! a safe path, the path rule, three header changes. There is no configuration, no expression, no
//! audit record and no counter, and of the callbacks only the one that is needed: Envoy calls
//! whatever a module exports. Memory is a fixed buffer that each request starts anew.

#![no_std]

mod authority;
#[cfg(feature = "binding")]
mod binding;
mod bytes;
mod headers;
mod host;
mod path;

use bytes::same;
use headers::Seen;

/// The one caller whom the policy lets through.
const CALLER: &[u8; 42] = b"spiffe://cluster.local/ns/team-a/sa/team-a";

/// The host that the path rule is about.
const HOST: &[u8; 14] = b"api.github.com";

const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

enum Verdict {
    Allowed,
    BadRequest,
    Forbidden,
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(_context: u32, _count: u32, _end: u32) -> u32 {
    host::forget_everything();
    // A host call that fails refuses the request.
    match decide().unwrap_or(Verdict::Forbidden) {
        Verdict::Allowed => return CONTINUE,
        Verdict::BadRequest => host::answer(400, "bad request", 3),
        Verdict::Forbidden => host::answer(403, "authorization failed", 7),
    }
    PAUSE
}

fn decide() -> Option<Verdict> {
    let pairs = host::request_headers()?;
    let seen = Seen::read(pairs)?;
    let Some(host) = seen.one_host() else { return Some(Verdict::BadRequest) };
    if !path::is_safe(seen.path) {
        return Some(Verdict::BadRequest);
    }
    #[cfg(feature = "binding")]
    if !binding::serves(host)? {
        return Some(Verdict::Forbidden);
    }
    let is_api = same(host, HOST) || host.eq_ignore_ascii_case(HOST);
    if !same(caller()?, CALLER) || (is_api && !is_listed(path::without_query(seen.path))) {
        return Some(Verdict::Forbidden);
    }
    host::add_header("x-forwarded-by", "agentgateway-egress")?;
    if seen.caller_lines > 1 {
        host::remove_header("x-caller-identity")?;
    }
    host::replace_header("x-caller-identity", "team-a/team-a")?;
    if seen.debug_lines > 0 {
        host::remove_header("x-internal-debug")?;
    }
    Some(Verdict::Allowed)
}

fn is_listed(path: &[u8]) -> bool {
    same(path, b"/zen") || path.starts_with(b"/repos/")
}

/// The first source that has a value decides.
fn caller() -> Option<&'static [u8]> {
    let peer = host::property(b"filter_state\0io.istio.peer_principal")?;
    if peer.is_empty() || peer == b"-" {
        host::property(b"connection\0uri_san_peer_certificate")
    } else {
        Some(peer)
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
