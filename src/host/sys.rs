//! Calls to the host (proxy-wasm ABI 0.2.1), in bytes and without a panicking path.
//!
//! The SDK's wrappers panic on a header byte of 0x80 and above and on any status they do not
//! expect, and a panic here takes a worker's every request down. These take and give bytes, and a
//! status other than OK is a [`HostError`].

#![allow(
    unsafe_code,
    reason = "the host's functions are foreign, and `unsafe` is here and nowhere else"
)]

use std::fmt;
use std::ptr::null_mut;
use std::time::Duration;

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
        pub(super) fn proxy_define_metric(
            kind: u32,
            name: *const u8,
            name_size: usize,
            id: *mut u32,
        ) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
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

/// A host call that failed: its name and the status it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostError {
    call: &'static str,
    status: u32,
}

impl HostError {
    /// A call that said OK, and gave what cannot be read.
    pub(super) fn unreadable(call: &'static str) -> Self {
        HostError { call, status: PARSE_FAILURE }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} gave status {}", self.call, self.status)
    }
}

/// The thing that was asked for is not there.
const NOT_FOUND: u32 = 1;
/// What was given cannot be read.
const PARSE_FAILURE: u32 = 4;
const HTTP_REQUEST: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;
const COUNTER: u32 = 0;

/// Which headers, or trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Map {
    Request = 0,
    RequestTrailers = 1,
    Response = 2,
    ResponseTrailers = 3,
}

/// Severity, as the host has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Level {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
}

fn checked(call: &'static str, status: u32) -> Result<(), HostError> {
    if status == 0 { Ok(()) } else { Err(HostError { call, status }) }
}

/// Runs a call that gives bytes, which the host put where `proxy_on_memory_allocate` told it to;
/// nothing where it is not found.
fn bytes(
    call: &'static str,
    run: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Option<Vec<u8>>, HostError> {
    let mut data: *mut u8 = null_mut();
    let mut size = 0_usize;
    let status = run(&raw mut data, &raw mut size);
    if status == NOT_FOUND {
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
pub(super) fn log(level: Level, message: &str) {
    // SAFETY: the pointer and size are of a live string. There is nowhere to report a failure to
    // log.
    let _ = unsafe { raw::proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// A property; the segments of its path have a NUL between them.
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
pub(super) fn headers(map: Map) -> Result<Vec<u8>, HostError> {
    // SAFETY: the pointers are of live values.
    let found = bytes("proxy_get_header_map_pairs", |pairs, size| unsafe {
        raw::proxy_get_header_map_pairs(map as u32, pairs, size)
    })?;
    found.ok_or(HostError { call: "proxy_get_header_map_pairs", status: NOT_FOUND })
}

/// Appends a header line.
pub(super) fn add_header(map: Map, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    checked("proxy_add_header_map_value", status)
}

/// Gives a header that has at most one line this value.
pub(super) fn replace_header(map: Map, name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    checked("proxy_replace_header_map_value", status)
}

/// Removes every line of a header.
pub(super) fn remove_header(map: Map, name: &str) -> Result<(), HostError> {
    // SAFETY: the pointer and size are of a live string.
    let status =
        unsafe { raw::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    checked("proxy_remove_header_map_value", status)
}

/// The plugin's configuration.
pub(super) fn configuration() -> Result<Vec<u8>, HostError> {
    // SAFETY: the pointers are of live values.
    let found = bytes("proxy_get_buffer_bytes", |value, size| unsafe {
        raw::proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, value, size)
    })?;
    // The host says "not found" of a configuration that is not there.
    Ok(found.unwrap_or_default())
}

/// Answers the request. A gRPC call gets `grpc_status` with the body as its message, in place of
/// the HTTP status.
pub(super) fn answer(
    status: u16,
    details: &str,
    body: &str,
    grpc_status: u8,
) -> Result<(), HostError> {
    // No headers of our own: the host adds `content-type` and `content-length`.
    let headers = 0_u32.to_le_bytes();
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            i32::from(grpc_status),
        )
    };
    checked("proxy_send_local_response", status)
}

/// Ends the stream without an answer.
pub(super) fn reset() {
    // SAFETY: takes no pointer. There is nothing left to do if it fails.
    let _ = unsafe { raw::proxy_close_stream(HTTP_REQUEST) };
}

/// Makes a counter known, and gives its number.
pub(super) fn define_counter(name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: the pointers are of live values.
    let status =
        unsafe { raw::proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut id) };
    checked("proxy_define_metric", status).map(|()| id)
}

/// Counts so many more.
pub(super) fn increment(id: u32, by: i64) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    checked("proxy_increment_metric", unsafe { raw::proxy_increment_metric(id, by) })
}

/// Has the root context's `on_tick` called again and again.
pub(super) fn set_tick_period(period: Duration) -> Result<(), HostError> {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: takes no pointer.
    checked("proxy_set_tick_period_milliseconds", unsafe {
        raw::proxy_set_tick_period_milliseconds(milliseconds)
    })
}

/// A value that all VMs of the process share.
pub(super) fn shared_data(key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
    let mut cas = 0_u32;
    // SAFETY: the pointers are of live values.
    bytes("proxy_get_shared_data", |value, size| unsafe {
        raw::proxy_get_shared_data(key.as_ptr(), key.len(), value, size, &raw mut cas)
    })
}

/// Sets a value that all VMs of the process share, whatever it was.
pub(super) fn set_shared_data(key: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the pointers and sizes are of live values.
    let status = unsafe {
        raw::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), 0)
    };
    checked("proxy_set_shared_data", status)
}
