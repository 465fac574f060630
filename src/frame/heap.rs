//! A table of slots in ordinary memory: for tests, tools and measurements.
#![allow(unsafe_code)]

use super::arena::{ArenaLayout, CameraNeed};
use super::table::SlotTable;
use std::ptr::NonNull;
use std::sync::Arc;

impl SlotTable {
    /// A table in zeroed heap memory, page-aligned: for tests, tools and measurements.
    ///
    /// # Panics
    /// When `slots` is not in 1..=512 or the memory cannot be had.
    #[must_use]
    pub fn on_heap(slots: u16, bytes: u32) -> Self {
        let layout = ArenaLayout::of(&[CameraNeed {
            slots,
            bytes: bytes.into(),
        }])
        .expect("1 to 512 slots");
        let heap = Arc::new(HeapRegion::new(layout.total_bytes()));
        let (base, length) = (heap.base, heap.layout.size());
        // SAFETY: the region is `length` bytes of zeroed memory that live as long as `heap`, which
        // becomes `keep`; it was allocated here, so nothing else uses it; one table is made of it.
        unsafe { layout.table(0, base, length, heap) }
    }
}

/// Page-aligned memory of the heap.
#[derive(Debug)]
struct HeapRegion {
    base: NonNull<u8>,
    layout: std::alloc::Layout,
}

// SAFETY: it owns its memory, as a Box does, and gives nobody access to it by itself.
unsafe impl Send for HeapRegion {}
// SAFETY: as for Send: a shared reference gives no access.
unsafe impl Sync for HeapRegion {}

impl HeapRegion {
    fn new(bytes: u64) -> Self {
        let layout = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| std::alloc::Layout::from_size_align(bytes.max(1), 4096).ok())
            .expect("the region fits the address space");
        // SAFETY: the size is at least one byte.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        let base = NonNull::new(start).unwrap_or_else(|| std::alloc::handle_alloc_error(layout));
        Self { base, layout }
    }
}

impl Drop for HeapRegion {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed only here.
        unsafe { std::alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}
