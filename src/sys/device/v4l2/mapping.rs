//! A driver's buffers mapped side by side into a range of addresses that never changes, so that a slot
//! keeps its address when the device is opened anew.
#![allow(unsafe_code)]

use crate::capture::{SlotMemory, SourceError};
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

/// A reserved range of addresses: `slots` places of `slot_bytes` each. Unmapped when dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<libc::c_void>,
    slot_bytes: usize,
    slots: usize,
}

// SAFETY: it owns a range of addresses; its methods only change what is mapped there, and the kernel
// orders such calls.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

fn failed(errno: Errno) -> SourceError {
    SourceError::new("mmap", errno as i32)
}

impl Mapping {
    /// Reserves `slots` places of `slot_bytes`, a multiple of the page size. Nothing is mapped there yet:
    /// touching it is a fault.
    pub(super) fn reserve(slots: usize, slot_bytes: usize) -> Result<Self, SourceError> {
        let total = slots.checked_mul(slot_bytes).unwrap_or(0);
        let length = NonZeroUsize::new(total).ok_or(failed(Errno::EINVAL))?;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no other mapping.
        let start =
            unsafe { mmap_anonymous(None, length, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) };
        let start = start.map_err(failed)?;
        Ok(Self {
            start,
            slot_bytes,
            slots,
        })
    }

    /// The places, by slot, `len_bytes` of each (at most `slot_bytes`).
    pub(super) fn slots(&self, len_bytes: usize) -> Box<[SlotMemory]> {
        let len_bytes = len_bytes.min(self.slot_bytes);
        (0..self.slots)
            .map(|slot| {
                // SAFETY: slot * slot_bytes lies within the reserved range.
                let start = unsafe { self.start.byte_add(slot * self.slot_bytes) };
                // SAFETY: the range is this mapping's alone and is kept as long as it lives; the source
                // that has it maps a buffer at each place before the slot is first used, writes there
                // only through the driver, and keeps the mapping alive. The places do not overlap.
                unsafe { SlotMemory::new(start.cast(), len_bytes) }
            })
            .collect()
    }

    /// Maps `length` bytes of the device's memory at `offset_bytes` within the place of `slot`, in the
    /// stead of what is mapped there.
    pub(super) fn map(
        &self,
        fd: &OwnedFd,
        slot: usize,
        offset_bytes: usize,
        length: usize,
        device_offset: u32,
    ) -> Result<(), SourceError> {
        let end = offset_bytes.checked_add(length);
        if slot >= self.slots || end.is_none_or(|end| end > self.slot_bytes) {
            return Err(failed(Errno::EINVAL));
        }
        let place = self
            .start
            .addr()
            .saturating_add(slot * self.slot_bytes + offset_bytes);
        let length = NonZeroUsize::new(length).ok_or(failed(Errno::EINVAL))?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        let offset = libc::off_t::from(device_offset);
        // SAFETY: MAP_FIXED replaces mappings in `place .. place + length`, rounded up to pages, which lie
        // within this reservation (by the check above; slot_bytes is a multiple of the page size), so nobody
        // else's.
        unsafe { mmap(Some(place), length, protection, flags, fd, offset) }
            .map(drop)
            .map_err(failed)
    }

    /// Takes every buffer out of the range; the range stays reserved. Touching it is a fault from now on.
    pub(super) fn clear(&self) -> Result<(), SourceError> {
        let total = NonZeroUsize::new(self.slots * self.slot_bytes).ok_or(failed(Errno::EINVAL))?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        // SAFETY: MAP_FIXED replaces exactly this reservation by an empty one.
        unsafe { mmap_anonymous(Some(self.start.addr()), total, ProtFlags::PROT_NONE, flags) }
            .map(drop)
            .map_err(failed)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the reservation is this value's alone, and nobody uses it any more: whoever holds slots
        // of it holds its keeper. A failure leaves the range mapped, which harms nobody.
        let _ = unsafe { munmap(self.start, self.slots * self.slot_bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> OwnedFd {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        file.into()
    }

    #[test]
    fn slots_keep_their_addresses_when_they_are_mapped_anew() {
        let mapping = Mapping::reserve(3, 4096).unwrap();
        let slots = mapping.slots(100);
        for round in 1..4_u8 {
            let file = file();
            for slot in 0..3 {
                mapping.map(&file, slot, 0, 100, 4096).unwrap();
            }
            for memory in &slots {
                assert_eq!(memory.len_bytes(), 100);
                // SAFETY: mapped just above, and this test is the only user.
                unsafe { memory.start().write(round) };
            }
            // SAFETY: as above. All three map the same page of the file.
            assert_eq!(unsafe { slots[2].start().read() }, round);
            mapping.clear().unwrap();
        }
    }

    #[test]
    fn what_lies_outside_of_the_reservation_is_refused() {
        let mapping = Mapping::reserve(2, 4096).unwrap();
        let file = file();
        let refused = Err(SourceError::new("mmap", libc::EINVAL));
        assert_eq!(mapping.map(&file, 2, 0, 1, 0), refused);
        assert_eq!(mapping.map(&file, 0, 4096, 1, 0), refused);
        assert_eq!(mapping.map(&file, 0, 0, 4097, 0), refused);
        assert_eq!(mapping.map(&file, 0, usize::MAX, 2, 0), refused);
        assert_eq!(mapping.map(&file, 0, 0, 0, 0), refused);
        assert!(Mapping::reserve(0, 4096).is_err());
    }
}
