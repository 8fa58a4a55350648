//! Calls to the host (proxy-wasm ABI 0.2.1), in bytes and without a panicking path.
//!
//! The SDK's wrappers panic on a header byte of 0x80 and above, and on any status that they do not
//! expect. A panic ends the VM and every request in it. The functions here take and return bytes,
//! and turn a status other than OK into a [`HostError`].

#![allow(
    unsafe_code,
    reason = "the host's functions are foreign, and `unsafe` is here and nowhere else"
)]

use std::borrow::Cow;
use std::fmt;
use std::ptr::null_mut;
use std::time::Duration;

use super::abi;
use super::shared::Update;
use crate::decision::Reply;
use crate::request::headers::Headers;

mod raw {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: u32, message: *const u8, message_size: usize) -> u32;
        pub(super) fn proxy_get_property(
            path: *const u8,
            path_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_get_header_map_pairs(
            map: u32,
            pairs: *mut *mut u8,
            pairs_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_add_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
        ) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
        ) -> u32;
        #[cfg(feature = "bodies")]
        pub(super) fn proxy_set_buffer_bytes(
            buffer: u32,
            start: usize,
            size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub(super) fn proxy_close_stream(stream: u32) -> u32;
        pub(super) fn proxy_continue_stream(stream: u32) -> u32;
        pub(super) fn proxy_set_effective_context(context_id: u32) -> u32;
        pub(super) fn proxy_http_call(
            cluster: *const u8,
            cluster_size: usize,
            headers: *const u8,
            headers_size: usize,
            body: *const u8,
            body_size: usize,
            trailers: *const u8,
            trailers_size: usize,
            timeout_milliseconds: u32,
            token: *mut u32,
        ) -> u32;
        pub(super) fn proxy_grpc_call(
            service: *const u8,
            service_size: usize,
            name: *const u8,
            name_size: usize,
            method: *const u8,
            method_size: usize,
            metadata: *const u8,
            metadata_size: usize,
            message: *const u8,
            message_size: usize,
            timeout_milliseconds: u32,
            token: *mut u32,
        ) -> u32;
        pub(super) fn proxy_grpc_cancel(token: u32) -> u32;
        pub(super) fn proxy_define_metric(
            kind: u32,
            name: *const u8,
            name_size: usize,
            id: *mut u32,
        ) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
        pub(super) fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub(super) fn proxy_set_tick_period_milliseconds(milliseconds: u32) -> u32;
        pub(super) fn proxy_get_shared_data(
            key: *const u8,
            key_size: usize,
            value: *mut *mut u8,
            value_size: *mut usize,
            cas: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_shared_data(
            key: *const u8,
            key_size: usize,
            value: *const u8,
            value_size: usize,
            cas: u32,
        ) -> u32;
    }
}

mod wasi {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    }
    /// The clock that only goes forward.
    pub(super) const MONOTONIC: u32 = 1;
}

/// A host call that failed: its name and its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostError {
    call: &'static str,
    status: u32,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} gave status {}", self.call, self.status)
    }
}

impl HostError {
    /// A call gave fewer bytes than there are.
    pub(super) fn short(call: &'static str) -> HostError {
        HostError { call, status: abi::NOT_FOUND }
    }
}

fn checked(call: &'static str, status: u32) -> Result<(), HostError> {
    if status == abi::OK { Ok(()) } else { Err(HostError { call, status }) }
}

/// Runs a call that returns bytes, which the host has written into memory from
/// `proxy_on_memory_allocate`; `None` if the host does not have them.
fn bytes(
    call: &'static str,
    run: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Option<Vec<u8>>, HostError> {
    let mut data: *mut u8 = null_mut();
    let mut size = 0_usize;
    let status = run(&raw mut data, &raw mut size);
    if status == abi::NOT_FOUND {
        return Ok(None);
    }
    checked(call, status)?;
    // The host allocates nothing for an empty value.
    if data.is_null() || size == 0 {
        return Ok(Some(Vec::new()));
    }
    // SAFETY: the host got `data` from `proxy_on_memory_allocate(size)`, which leaks a boxed slice
    // of `size` bytes, filled it, and keeps no hold of it.
    Ok(Some(unsafe { Vec::from_raw_parts(data, size, size) }))
}

/// Logs a line.
pub(super) fn log(level: u32, message: &[u8]) {
    // SAFETY: the pointer and size are of a live value. There is nowhere to report a failure to
    // log.
    let _ = unsafe { raw::proxy_log(level, message.as_ptr(), message.len()) };
}

/// A property; the segments of its path have a NUL between them.
#[inline]
pub(super) fn property(path: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
    // SAFETY: the pointers are of live values.
    bytes("proxy_get_property", |value, size| unsafe {
        raw::proxy_get_property(path.as_ptr(), path.len(), value, size)
    })
}

/// Sets filter state `wasm.<name>` of the stream.
pub(super) fn set_filter_state(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointers and sizes are of live values.
    checked("proxy_set_property", unsafe {
        raw::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// All headers, in the form that [`crate::request::headers::Headers::from_pairs`] reads.
#[inline]
pub(super) fn headers(map: u32) -> Result<Vec<u8>, HostError> {
    // SAFETY: the pointers are of live values.
    let found = bytes("proxy_get_header_map_pairs", |pairs, size| unsafe {
        raw::proxy_get_header_map_pairs(map, pairs, size)
    })?;
    found.ok_or(HostError { call: "proxy_get_header_map_pairs", status: abi::NOT_FOUND })
}

/// Appends a header line.
pub(super) fn add_header(map: u32, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    checked("proxy_add_header_map_value", status)
}

/// Gives a header that has at most one line this value.
pub(super) fn replace_header(map: u32, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_replace_header_map_value(
            map,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    checked("proxy_replace_header_map_value", status)
}

/// Removes every line of a header.
pub(super) fn remove_header(map: u32, name: &str) -> Result<(), HostError> {
    // SAFETY: the pointer and size are of a live string.
    let status = unsafe { raw::proxy_remove_header_map_value(map, name.as_ptr(), name.len()) };
    checked("proxy_remove_header_map_value", status)
}

/// The plugin's configuration. The host says "not found" of one that is not there.
pub(super) fn configuration() -> Result<Vec<u8>, HostError> {
    Ok(find_buffer(abi::PLUGIN_CONFIGURATION, usize::MAX)?.unwrap_or_default())
}

/// The first bytes of a buffer, at most this many.
pub(super) fn buffer(buffer: u32, size: usize) -> Result<Vec<u8>, HostError> {
    let found = find_buffer(buffer, size)?;
    found.ok_or(HostError { call: "proxy_get_buffer_bytes", status: abi::NOT_FOUND })
}

fn find_buffer(buffer: u32, size: usize) -> Result<Option<Vec<u8>>, HostError> {
    // SAFETY: the pointers are of live values.
    bytes("proxy_get_buffer_bytes", |value, value_size| unsafe {
        raw::proxy_get_buffer_bytes(buffer, 0, size, value, value_size)
    })
}

/// Replaces all bytes of a buffer.
#[cfg(feature = "bodies")]
pub(super) fn replace_buffer(buffer: u32, bytes: &[u8]) -> Result<(), HostError> {
    // Envoy takes any size that is not below that of the buffer for all of it.
    let all = i32::MAX.unsigned_abs() as usize;
    // SAFETY: the pointer and size are of a live value.
    let status =
        unsafe { raw::proxy_set_buffer_bytes(buffer, 0, all, bytes.as_ptr(), bytes.len()) };
    checked("proxy_set_buffer_bytes", status)
}

/// The lines of a reply in the form that the host reads; most replies have none.
fn pairs(lines: &[(String, Vec<u8>)]) -> Cow<'static, [u8]> {
    if lines.is_empty() {
        return Cow::Borrowed(&[0; 4]);
    }
    let lines: Headers<'_> =
        lines.iter().map(|(name, value)| (name.as_bytes(), &**value)).collect();
    Cow::Owned(lines.to_pairs())
}

/// Answers the request. A gRPC call gets the reply's gRPC status, with the body as its message,
/// instead of the HTTP status.
pub(super) fn reply(reply: &Reply, details: &str) -> Result<(), HostError> {
    let headers = pairs(&reply.headers);
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_send_local_response(
            u32::from(reply.status),
            details.as_ptr(),
            details.len(),
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            i32::from(reply.grpc_status),
        )
    };
    checked("proxy_send_local_response", status)
}

/// Makes an HTTP call to a cluster of the proxy, and returns the token under which the answer will
/// come.
pub(super) fn http_call(
    cluster: &str,
    headers: &[u8],
    body: &[u8],
    timeout_milliseconds: u32,
) -> Result<u32, HostError> {
    let trailers = 0_u32.to_le_bytes();
    let mut token = 0_u32;
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_milliseconds,
            &raw mut token,
        )
    };
    checked("proxy_http_call", status).map(|()| token)
}

/// Makes a unary call of gRPC, and returns the token under which the answer will come. `to` is a
/// serialized `envoy.config.core.v3.GrpcService`.
pub(super) fn grpc_call(
    to: &[u8],
    service: &str,
    method: &str,
    message: &[u8],
    timeout_milliseconds: u32,
) -> Result<u32, HostError> {
    let metadata = 0_u32.to_le_bytes();
    let mut token = 0_u32;
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_grpc_call(
            to.as_ptr(),
            to.len(),
            service.as_ptr(),
            service.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout_milliseconds,
            &raw mut token,
        )
    };
    checked("proxy_grpc_call", status).map(|()| token)
}

/// Gives a call of gRPC up, so that it is not answered.
pub(super) fn cancel_grpc_call(token: u32) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    checked("proxy_grpc_cancel", unsafe { raw::proxy_grpc_cancel(token) })
}

/// Makes the following host calls act on this context.
pub(super) fn set_effective_context(context_id: u32) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    let status = unsafe { raw::proxy_set_effective_context(context_id) };
    checked("proxy_set_effective_context", status)
}

/// Lets a held request go on.
pub(super) fn resume_request() -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    let status = unsafe { raw::proxy_continue_stream(abi::HTTP_REQUEST) };
    checked("proxy_continue_stream", status)
}

/// Ends the stream without an answer.
pub(super) fn reset() {
    // SAFETY: takes no pointer. There is nothing left to do if it fails.
    let _ = unsafe { raw::proxy_close_stream(abi::HTTP_REQUEST) };
}

/// Defines a counter, and returns its number.
pub(super) fn define_counter(name: &str) -> Result<u32, HostError> {
    define(abi::COUNTER, name)
}

/// Defines a gauge, and returns its number.
pub(super) fn define_gauge(name: &str) -> Result<u32, HostError> {
    define(abi::GAUGE, name)
}

/// Defines a histogram, and returns its number.
pub(super) fn define_histogram(name: &str) -> Result<u32, HostError> {
    define(abi::HISTOGRAM, name)
}

fn define(kind: u32, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: the pointers are of live values.
    let status = unsafe { raw::proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) };
    checked("proxy_define_metric", status).map(|()| id)
}

/// Adds a value to a histogram, or sets a gauge to it.
pub(super) fn record(id: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    checked("proxy_record_metric", unsafe { raw::proxy_record_metric(id, value) })
}

/// Adds to a counter.
pub(super) fn increment(id: u32, by: i64) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    checked("proxy_increment_metric", unsafe { raw::proxy_increment_metric(id, by) })
}

/// Sets how often the host calls the plugin's `proxy_on_tick`.
pub(super) fn set_tick_period(period: Duration) -> Result<(), HostError> {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: takes no pointer.
    checked("proxy_set_tick_period_milliseconds", unsafe {
        raw::proxy_set_tick_period_milliseconds(milliseconds)
    })
}

/// The time on a clock that only goes forward.
pub(super) fn now() -> Result<Duration, HostError> {
    let mut nanoseconds = 0_u64;
    // SAFETY: the pointer is of a live value.
    let status = unsafe { wasi::clock_time_get(wasi::MONOTONIC, 1, &raw mut nanoseconds) };
    checked("clock_time_get", status).map(|()| Duration::from_nanos(nanoseconds))
}

/// A value that all VMs of the process share, and the number of its version (`cas`, never 0).
pub(super) fn shared_data(key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let mut cas = 0_u32;
    // SAFETY: the pointers are of live values.
    let found = bytes("proxy_get_shared_data", |value, size| unsafe {
        raw::proxy_get_shared_data(key.as_ptr(), key.len(), value, size, &raw mut cas)
    })?;
    Ok(found.map(|value| (value, cas)))
}

/// Sets a value that all VMs of the process share, if it still has this version. 0 stands for any
/// version; a value that does not exist is always set.
pub(super) fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> Result<Update, HostError> {
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
    };
    if status == abi::CAS_MISMATCH {
        return Ok(Update::Lost);
    }
    checked("proxy_set_shared_data", status).map(|()| Update::Set)
}
