//! Pending calls: which stream made the call that a token of the proxy stands for.
//!
//! The proxy delivers an answer to the plugin, not to the stream. It does so even if the stream is
//! gone, because that does not cancel the call. A call of gRPC can be canceled, one of HTTP cannot.

use std::cell::RefCell;
use std::hash::BuildHasherDefault;
use std::time::Duration;

use super::abi;
use super::sys::{self, HostError};
use crate::call::{Answer, Call, CallId, Form, MAX_BODY};
use crate::exchange::Pairs;
use crate::hash::Map;
use crate::request::headers::Headers;

/// The call that a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The context of the stream.
    pub(super) context_id: u32,
    /// The call's number in the stream's exchange.
    pub(super) call: CallId,
    is_grpc: bool,
}

thread_local! {
    /// The pending calls, by token. Calls of HTTP and of gRPC have no token in common: Envoy keeps
    /// the kind of a call in the lowest two bits.
    static WAITING: RefCell<Map<u32, Waiting>> =
        const { RefCell::new(Map::with_hasher(BuildHasherDefault::new())) };
}

/// Makes a call, and returns the token under which its answer will come.
pub(super) fn send(call: &Call) -> Result<u32, HostError> {
    let timeout = milliseconds(call.timeout);
    match &call.form {
        Form::Http { headers, body } => {
            let headers: Headers<'_> =
                headers.iter().map(|(name, value)| (name.as_bytes(), &**value)).collect();
            sys::http_call(&call.cluster, &headers.to_pairs(), body, timeout)
        }
        Form::Grpc { authority, service, method, message } => {
            let to = grpc_service(&call.cluster, authority);
            sys::grpc_call(&to, service, method, message, timeout)
        }
    }
}

/// Names a service of gRPC: `envoy.config.core.v3.GrpcService` with an `envoy_grpc` (1) of a
/// `cluster_name` (1) and an `authority` (2). With the cluster's name alone, that would be the
/// authority, and servers refuse the `|` in Istio's names.
fn grpc_service(cluster: &str, authority: &str) -> Vec<u8> {
    let mut envoy_grpc = Vec::new();
    put(&mut envoy_grpc, 1, cluster.as_bytes());
    put(&mut envoy_grpc, 2, authority.as_bytes());
    let mut service = Vec::new();
    put(&mut service, 1, &envoy_grpc);
    service
}

/// Appends a field of bytes, with a number below 16.
fn put(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field.wrapping_shl(3) | 2);
    let mut length = bytes.len();
    while length >= 128 {
        message.push(u8::try_from(length & 127).unwrap_or_default() | 128);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap_or_default());
    message.extend_from_slice(bytes);
}

/// Makes a stream's call, and returns its token.
pub(super) fn dispatch(context_id: u32, call: &Call) -> Result<u32, HostError> {
    let token = send(call)?;
    let is_grpc = matches!(call.form, Form::Grpc { .. });
    let waiting = Waiting { context_id, call: call.id, is_grpc };
    WAITING.with(|all| {
        if let Ok(mut all) = all.try_borrow_mut() {
            all.insert(token, waiting);
        }
    });
    Ok(token)
}

/// A timeout as Envoy takes it: as a number with a sign, of which it refuses what is below zero. 0
/// would be "for ever".
fn milliseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).clamp(1, i32::MAX.unsigned_abs())
}

/// Takes the pending call of a token; `None` if no call, or no longer one, is pending under it. So
/// a second answer to a call finds nothing.
pub(super) fn take(token: u32) -> Option<Waiting> {
    WAITING.with(|all| all.try_borrow_mut().ok()?.remove(&token))
}

/// Gives up the pending call of a token, whose stream is gone. The proxy may never answer it, if
/// the plugin goes too. An answer of HTTP that comes still is ignored.
pub(super) fn forget(token: u32) {
    let is_grpc = take(token).is_some_and(|waiting| waiting.is_grpc);
    if is_grpc && let Err(error) = sys::cancel_grpc_call(token) {
        log::warn!("egress filter: a call is not canceled: {error}");
    }
}

/// The clusters of a configuration to which a call could not be made.
#[derive(Debug, Default)]
pub(super) struct Unreached(RefCell<Vec<String>>);

impl Unreached {
    /// Logs that a call cannot be made, once for each cluster: a caller could otherwise fill the
    /// log.
    pub(super) fn note(&self, cluster: String, error: HostError) {
        let Ok(mut all) = self.0.try_borrow_mut() else { return };
        if !all.contains(&cluster) {
            log::error!(
                "egress filter: calls to the cluster `{cluster}` cannot be made, as it has no \
                 endpoint or is not there: {error}{WAYS}"
            );
            all.push(cluster);
        }
    }
}

/// How a waypoint gets the cluster of a service.
pub(super) const WAYS: &str = "; a waypoint has the cluster of a service if MeshConfig's \
     `extensionProviders` name the service (no policy need use the provider), if a route of one of \
     the waypoint's services refers to it, if it is the host of a `jwksUri`, or if an \
     EnvoyFilter's annotation `envoyfilter.istio.io/referenced-services` names it";

/// The bytes of an answer of HTTP.
#[derive(Debug, Default)]
pub(super) struct Received {
    headers: Vec<u8>,
    header_count: usize,
    body: Vec<u8>,
    is_cut: bool,
}

impl Received {
    /// Reads the answer that is being delivered; `None` if the call broke off.
    pub(super) fn read(header_count: usize, body_size: usize) -> Option<Received> {
        if header_count == 0 {
            return None;
        }
        let read = || -> Result<Received, HostError> {
            let headers = sys::headers(abi::CALL_RESPONSE_HEADERS)?;
            let body = match body_size.min(MAX_BODY) {
                0 => Vec::new(),
                size => sys::buffer(abi::CALL_RESPONSE_BODY, size)?,
            };
            // A body that the proxy does not give is not an empty one.
            let is_cut = body.len() < body_size;
            Ok(Received { headers, header_count, body, is_cut })
        };
        read().map_err(|error| log::error!("egress filter: an answer was lost: {error}")).ok()
    }

    /// The answer, as an exchange takes it.
    pub(super) fn answer(received: Option<&Received>) -> Answer<'_> {
        let Some(Received { headers, header_count, body, is_cut }) = received else {
            return Answer::CutOff;
        };
        match (Pairs { bytes: headers, count: *header_count }).read() {
            Some(headers) => Answer::response(headers, body, *is_cut),
            None => Answer::CutOff,
        }
    }
}

/// The message of gRPC that is being delivered, of this many bytes.
pub(super) fn message(size: usize) -> Result<Vec<u8>, HostError> {
    if size == 0 {
        return Ok(Vec::new());
    }
    let message = sys::buffer(abi::GRPC_MESSAGE, size)?;
    if message.len() == size { Ok(message) } else { Err(HostError::short("a message of gRPC")) }
}
