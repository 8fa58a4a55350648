//! A filter that does nothing: its one callback for requests lets them go on.

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {}

/// Gives the host memory to write into, which is never freed: nothing asks the host for anything.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; size].into_boxed_slice()).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(_context_id: u32, _root_context_id: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(_context_id: u32, _count: usize, _is_end: bool) -> u32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(_context_id: u32) {}
