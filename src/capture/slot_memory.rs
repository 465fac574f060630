//! The memory of a slot, as a source sees it.
#![allow(unsafe_code)]

use std::ptr::NonNull;

/// Start and length of one slot's memory. Holding one proves nothing by itself about who may touch the
/// bytes: [`SlotMemory::new`] states the contract that every source relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotMemory {
    start: NonNull<u8>,
    len_bytes: usize,
}

// SAFETY: it is an address and a length. Whoever dereferences it relies on the contract of `new`, which
// names the owner of the bytes independently of the thread.
unsafe impl Send for SlotMemory {}
// SAFETY: as above; sharing an address changes nothing.
unsafe impl Sync for SlotMemory {}

impl SlotMemory {
    /// The memory `start .. start + len_bytes`.
    ///
    /// # Safety
    /// From now until every source that was armed with it is dropped:
    /// 1. the range is mapped, readable and writable, and lies in one mapping;
    /// 2. while the slot is with the source (queued, and neither dequeued nor given back by `stop`),
    ///    nobody else reads or writes it: drivers and sources write there at any time;
    /// 3. it overlaps no other slot.
    #[must_use]
    pub const unsafe fn new(start: NonNull<u8>, len_bytes: usize) -> Self {
        Self { start, len_bytes }
    }

    /// Address of the first byte.
    #[must_use]
    pub const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// The bytes, for writing a frame.
    ///
    /// # Safety
    /// The slot is with the source that calls, and no other reference to its bytes is alive.
    pub(crate) unsafe fn bytes_mut<'a>(&self) -> &'a mut [u8] {
        // SAFETY: the range is mapped and writable, and nobody else touches it (contract of `new`, points
        // 1 and 2, the slot being with the caller); u8 has no alignment and no invalid value.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len_bytes) }
    }
}
