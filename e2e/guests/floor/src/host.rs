//! The host's calls (proxy-wasm ABI 0.2.1), and the memory that the host writes values into.

use core::cell::UnsafeCell;
use core::ptr::null_mut;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, pairs: *mut *mut u8, pairs_size: *mut usize) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

const REQUEST: u32 = 0;
const NOT_FOUND: u32 = 1;

/// Envoy takes 96 KiB of headers in a waypoint; the lengths in front of them and two properties
/// need far less than the rest.
const SIZE: usize = 160 * 1024;

/// What the host hands over for one request.
struct Memory {
    bytes: UnsafeCell<[u8; SIZE]>,
    used: UnsafeCell<usize>,
}

// SAFETY: a VM has one thread.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory { bytes: UnsafeCell::new([0; SIZE]), used: UnsafeCell::new(0) };

/// Makes room for a request; the values of an earlier one are gone.
pub(crate) fn forget_everything() {
    // SAFETY: one thread, and no reference to it is ever made.
    unsafe { *MEMORY.used.get() = 0 }
}

/// Where the host may write `size` bytes; null where there is no room, and the host's call fails
/// then.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    // SAFETY: one thread; `start` and what follows it lie within the buffer.
    unsafe {
        let start = *MEMORY.used.get();
        if size > SIZE - start {
            return null_mut();
        }
        *MEMORY.used.get() = start + size;
        MEMORY.bytes.get().cast::<u8>().add(start)
    }
}

/// Runs a call that hands over bytes; returns an empty value where there is none.
fn bytes(run: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<&'static [u8]> {
    let (mut data, mut size) = (null_mut(), 0);
    match run(&raw mut data, &raw mut size) {
        0 if !data.is_null() => {
            // SAFETY: the host got `data` from `proxy_on_memory_allocate(size)`, and it stays as it
            // is until the next request.
            Some(unsafe { core::slice::from_raw_parts(data, size) })
        }
        0 | NOT_FOUND => Some(&[]),
        _ => None,
    }
}

/// All headers of the request.
pub(crate) fn request_headers() -> Option<&'static [u8]> {
    // SAFETY: the pointers are of live values.
    bytes(|pairs, size| unsafe { proxy_get_header_map_pairs(REQUEST, pairs, size) })
}

/// A property; the segments of its path have a NUL between them.
pub(crate) fn property(path: &[u8]) -> Option<&'static [u8]> {
    // SAFETY: the pointers are of live values.
    bytes(|value, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), value, size) })
}

pub(crate) fn add_header(name: &str, value: &str) -> Option<()> {
    // SAFETY: the pointers and sizes are of live strings.
    let status = unsafe {
        proxy_add_header_map_value(REQUEST, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    (status == 0).then_some(())
}

pub(crate) fn replace_header(name: &str, value: &str) -> Option<()> {
    // SAFETY: the pointers and sizes are of live strings.
    let status = unsafe {
        proxy_replace_header_map_value(
            REQUEST,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    (status == 0).then_some(())
}

pub(crate) fn remove_header(name: &str) -> Option<()> {
    // SAFETY: the pointer and size are of a live string.
    let status = unsafe { proxy_remove_header_map_value(REQUEST, name.as_ptr(), name.len()) };
    (status == 0).then_some(())
}

/// Answers the request; a request that cannot be answered stays where it is.
pub(crate) fn answer(status: u32, body: &str, grpc_status: i32) {
    let no_headers = [0_u8; 4];
    // SAFETY: the pointers and sizes are of live values.
    unsafe {
        proxy_send_local_response(
            status,
            body.as_ptr(),
            0,
            body.as_ptr(),
            body.len(),
            no_headers.as_ptr(),
            4,
            grpc_status,
        );
    }
}
