//! The allocator of the module: a request makes a dozen small allocations and frees them again, and
//! the general allocator of a wasm libc takes longer for each than a rule does to evaluate.
//!
//! A freed block goes into the list for its size, and is allocated again from there. Memory never
//! moves from one size to another, so the total is bounded by the sum of the peaks of all sizes.
//! Large blocks come from the general allocator.

#![allow(unsafe_code, reason = "an allocator deals in raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{abi, sys};
use crate::audit::load::OUT_OF_MEMORY;

#[global_allocator]
static ALLOCATOR: Lists = Lists {
    state: UnsafeCell::new(State { free: [null_mut(); CLASSES], chunk: null_mut(), left: 0 }),
};

/// Sizes are rounded up to a multiple of this many bytes. It is also the alignment of blocks.
const GRAIN: usize = 16;
/// From this size on, a block comes from the general allocator.
const LARGE: usize = 1024;
const CLASSES: usize = LARGE / GRAIN;
/// How many bytes are taken from the general allocator at a time.
const CHUNK: usize = 32 * 1024;

/// Whether a configuration is being loaded.
static LOADING: AtomicBool = AtomicBool::new(false);

/// While it lives, a configuration is being loaded.
#[derive(Debug)]
pub(super) struct Loading(());

pub(super) fn loading() -> Loading {
    LOADING.store(true, Ordering::Relaxed);
    Loading(())
}

impl Drop for Loading {
    fn drop(&mut self) {
        LOADING.store(false, Ordering::Relaxed);
    }
}

/// Logs, once, that memory ran out while a configuration was being loaded. The lines are static,
/// because there is no memory left to build them in.
#[cold]
#[inline(never)]
fn ran_out() {
    if LOADING.swap(false, Ordering::Relaxed) {
        sys::log(abi::LOG_INFO, OUT_OF_MEMORY.record.as_bytes());
        sys::log(abi::LOG_ERROR, OUT_OF_MEMORY.error.as_bytes());
    }
}

struct Lists {
    state: UnsafeCell<State>,
}

struct State {
    /// The first free block of each size. Each block holds the address of the next one in its first
    /// bytes.
    free: [*mut u8; CLASSES],
    /// The rest of the current chunk, of which no block was made yet.
    chunk: *mut u8,
    left: usize,
}

// SAFETY: a wasm VM has one thread.
unsafe impl Sync for Lists {}

/// The list that blocks of a layout are in.
fn class(layout: Layout) -> Option<usize> {
    (layout.size() < LARGE && layout.align() <= GRAIN).then(|| layout.size() / GRAIN)
}

/// The size of the blocks of a list.
fn size_of(class: usize) -> usize {
    class.saturating_add(1).saturating_mul(GRAIN)
}

impl State {
    /// Makes a new block from the rest of the chunk, or from a new chunk.
    ///
    /// # Safety
    /// `size` is a multiple of the grain, and no larger than a chunk.
    unsafe fn make(&mut self, size: usize) -> *mut u8 {
        if self.left < size {
            let Ok(layout) = Layout::from_size_align(CHUNK, GRAIN) else { return null_mut() };
            // SAFETY: the size is not zero. The rest of the old chunk is less than a block, and is
            // left.
            let chunk = unsafe { System.alloc(layout) };
            if chunk.is_null() {
                return null_mut();
            }
            (self.chunk, self.left) = (chunk, CHUNK);
        }
        let block = self.chunk;
        // SAFETY: `size` bytes are left behind `chunk`.
        self.chunk = unsafe { block.add(size) };
        self.left = self.left.saturating_sub(size);
        block
    }
}

impl Lists {
    /// A block that has been freed before, if there is one.
    fn find(&self, layout: Layout) -> Option<*mut u8> {
        let class = class(layout)?;
        // SAFETY: one thread, and nothing in here allocates from these lists.
        let state = unsafe { &mut *self.state.get() };
        let first = state.free.get_mut(class)?;
        let block = *first;
        if block.is_null() {
            return None;
        }
        // SAFETY: a free block holds the address of the next, and is aligned for it.
        *first = unsafe { block.cast::<*mut u8>().read() };
        Some(block)
    }

    /// A new block. It is apart, so that to find one needs no room on the stack.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::alloc`].
    #[cold]
    #[inline(never)]
    unsafe fn make(&self, layout: Layout) -> *mut u8 {
        let block = match class(layout) {
            // SAFETY: the caller's promises are what it asks for.
            None => unsafe { System.alloc(layout) },
            // SAFETY: one thread, and nothing in here allocates from these lists. Sizes of lists
            // are multiples of the grain, and smaller than a chunk.
            Some(class) => unsafe { (*self.state.get()).make(size_of(class)) },
        };
        if block.is_null() {
            ran_out();
        }
        block
    }
}

// SAFETY: a block is given out once until it is freed; blocks of a list are large enough and
// aligned for every layout of it; a layout's list is the same when it is freed.
unsafe impl GlobalAlloc for Lists {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.find(layout) {
            Some(block) => block,
            // SAFETY: the caller's promises are what it asks for.
            None => unsafe { self.make(layout) },
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else {
            // SAFETY: it was the general allocator's.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: one thread, and nothing in here allocates from these lists.
        let state = unsafe { &mut *self.state.get() };
        if let Some(first) = state.free.get_mut(class) {
            // SAFETY: the block is not in use any more, and has room for an address.
            unsafe { block.cast::<*mut u8>().write(*first) };
            *first = block;
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return null_mut() };
        match (class(layout), class(wanted)) {
            (Some(old), Some(new)) if old == new => block,
            (None, None) => {
                // SAFETY: the caller's promises are what it asks for.
                let moved = unsafe { System.realloc(block, layout, size) };
                if moved.is_null() {
                    ran_out();
                }
                moved
            }
            _ => {
                // SAFETY: both blocks are valid for the smaller of the two sizes, and are not the
                // same.
                unsafe {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        block.copy_to_nonoverlapping(moved, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}
