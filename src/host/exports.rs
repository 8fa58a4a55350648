//! The callbacks that the module exports. Envoy calls each of them for every stream, so only those
//! that are needed are here.
//!
//! Named in proxy-wasm's ABI specification 0.2.1, "Functions exposed by the Wasm module". They
//! return what that section says: whether all is well, or an action (`CONTINUE` or `PAUSE`).

#![allow(unsafe_code, reason = "symbols that a host looks up by name are not mangled")]

use super::{contexts, logger};
use crate::exchange::Part;

unsafe extern "C" {
    /// Runs the constructors of the C library and of Rust's standard library.
    fn __wasm_call_ctors();
}

/// Declares which version of the ABI the module has.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Called once, before anything else.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker defines it, and nothing else calls it.
    unsafe { __wasm_call_ctors() };
    logger::install();
}

/// Allocates memory for the host to write a value into. The host call that asked for the value
/// frees it.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    // The host fills all of it, so it is not zeroed first.
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context_id: u32, root_context_id: u32) {
    contexts::create(context_id, root_context_id);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root_context_id: u32, size: usize) -> bool {
    contexts::configure(root_context_id, size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root_context_id: u32) {
    contexts::tick(root_context_id);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context_id: u32, _count: usize, is_end: bool) -> u32 {
    contexts::stream(context_id, |stream| {
        stream.note_end(Part::RequestHeaders, is_end);
        stream.on_request_headers()
    })
}

/// A piece of the request's body has arrived, of which `size` bytes are held with it.
#[cfg(feature = "bodies")]
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context_id: u32, size: usize, is_end: bool) -> u32 {
    contexts::stream(context_id, |stream| stream.on_body(Part::RequestBody, size, is_end))
}

/// The same for the response's.
#[cfg(feature = "bodies")]
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context_id: u32, size: usize, is_end: bool) -> u32 {
    contexts::stream(context_id, |stream| stream.on_body(Part::ResponseBody, size, is_end))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context_id: u32, count: usize) -> u32 {
    contexts::stream(context_id, |stream| stream.on_request_trailers(count))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context_id: u32, count: usize, is_end: bool) -> u32 {
    contexts::stream(context_id, |stream| {
        stream.note_end(Part::ResponseHeaders, is_end);
        stream.on_response_headers(count)
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context_id: u32, count: usize) -> u32 {
    contexts::stream(context_id, |stream| stream.on_response_trailers(count))
}

/// An answer to a call. Its headers and body can be read until this returns. It comes to the
/// plugin's context, whichever stream made the call.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root_context_id: u32,
    token: u32,
    header_count: usize,
    body_size: usize,
    _trailer_count: usize,
) {
    contexts::answer(root_context_id, token, header_count, body_size);
}

/// The message with which a call of gRPC succeeded. It can be read until this returns. It comes to
/// the plugin's context, as every answer does.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(root_context_id: u32, token: u32, size: usize) {
    contexts::message(root_context_id, token, size);
}

/// A call of gRPC has failed with this status.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(root_context_id: u32, token: u32, status: u32) {
    contexts::closed(root_context_id, token, status);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context_id: u32) {
    contexts::delete(context_id);
}
