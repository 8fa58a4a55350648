//! Traps on demand, so that tests can see what a proxy does with a VM that has died. Only in a
//! build with the feature `trap-for-tests`, which nothing ships: whoever may send a request could
//! kill a worker's VM with it.

#[cfg(not(debug_assertions))]
compile_error!(
    "the feature `trap-for-tests` is for the profile `trapping`: leave it out of what is shipped"
);

use core::arch::wasm32::unreachable;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Map};
use super::stream::Stream;
use crate::request::headers::Headers;

/// Takes the field `unmended` out of a configuration: the numbers of findings whose mends are
/// switched off, so that tests can show that what looks for the gaps finds them.
pub(super) fn unmend(json: Vec<u8>) -> Vec<u8> {
    let Ok(mut configuration) = serde_json::from_slice::<serde_json::Value>(&json) else {
        return json;
    };
    let field = configuration.as_object_mut().and_then(|fields| fields.remove("unmended"));
    let numbers = field
        .as_ref()
        .and_then(|field| field.as_array())
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_u64);
    crate::mends::switch_off(numbers.filter_map(|number| u32::try_from(number).ok()));
    if field.is_some() { configuration.to_string().into_bytes() } else { json }
}

/// The request header that asks for a trap: its value is the phase to trap in, `request` or
/// `response`.
const HEADER: &[u8] = b"x-trap-for-tests";

/// A stream that does what it is to do, unless its request asks for a trap.
#[derive(Debug)]
pub(super) struct Trapping {
    stream: Stream,
    in_response: bool,
}

impl Trapping {
    pub(super) fn new(stream: Stream) -> Self {
        Trapping { stream, in_response: false }
    }
}

/// The phase that the request asks to trap in.
fn asked() -> Option<Vec<u8>> {
    let bytes = host::headers(Map::Request).ok()?;
    Headers::from_pairs(&bytes)?.first(HEADER).map(<[u8]>::to_vec)
}

impl Context for Trapping {}

impl HttpContext for Trapping {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        match asked().as_deref() {
            Some(b"request") => unreachable(),
            phase => self.in_response = phase == Some(b"response"),
        }
        self.stream.on_http_request_headers(count, end)
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        if self.in_response {
            unreachable();
        }
        self.stream.on_http_response_headers(count, end)
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.stream.on_http_request_trailers(count)
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.stream.on_http_response_trailers(count)
    }
}
