//! A driver's buffers mapped side by side into a range of addresses that never changes, so that a slot
//! keeps its address when the device is opened anew.
#![allow(unsafe_code)]

use crate::capture::{SlotMemory, SourceError};
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, OwnedFd};
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

fn last_error(operation: &'static str) -> SourceError {
    SourceError::new(operation, Errno::last_raw())
}

impl Mapping {
    /// Reserves `slots` places of `slot_bytes`, a multiple of the page size. Nothing is mapped there yet:
    /// touching it is a fault.
    pub(super) fn reserve(slots: usize, slot_bytes: usize) -> Result<Self, SourceError> {
        let total = slots.checked_mul(slot_bytes).filter(|&total| total > 0);
        let total = total.ok_or(SourceError::new("mmap", libc::EINVAL))?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no other mapping.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), total, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(last_error("mmap"));
        }
        let start = NonNull::new(start).ok_or(SourceError::new("mmap", libc::EFAULT))?;
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
        if slot >= self.slots || length == 0 || end.is_none_or(|end| end > self.slot_bytes) {
            return Err(SourceError::new("mmap", libc::EINVAL));
        }
        // SAFETY: within the reserved range, by the check above.
        let place = unsafe { self.start.byte_add(slot * self.slot_bytes + offset_bytes) };
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        let offset = libc::off_t::from(device_offset);
        // SAFETY: MAP_FIXED replaces mappings in `place .. place + length`, rounded up to pages, which lie
        // within this reservation (slot_bytes is a multiple of the page size), so nobody else's.
        let mapped = unsafe {
            libc::mmap(
                place.as_ptr(),
                length,
                protection,
                flags,
                fd.as_raw_fd(),
                offset,
            )
        };
        if mapped == libc::MAP_FAILED {
            Err(last_error("mmap"))
        } else {
            Ok(())
        }
    }

    /// Takes every buffer out of the range; the range stays reserved. Touching it is a fault from now on.
    pub(super) fn clear(&self) -> Result<(), SourceError> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let total = self.slots * self.slot_bytes;
        // SAFETY: MAP_FIXED replaces exactly this reservation by an empty one.
        let mapped =
            unsafe { libc::mmap(self.start.as_ptr(), total, libc::PROT_NONE, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            Err(last_error("mmap"))
        } else {
            Ok(())
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the reservation is this value's alone, and nobody uses it any more: whoever holds slots
        // of it holds its keeper. A failure leaves the range mapped, which harms nobody.
        unsafe { libc::munmap(self.start.as_ptr(), self.slots * self.slot_bytes) };
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
