//! Address space with guards, and pages put into it: reserve, map, bind, open, make present.
#![allow(unsafe_code)]

use super::error::MemoryError;
use super::pages::RegionRequest;
use super::placement::only_node_0;
use crate::units::round_up;
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags};
use nix::sys::mman::{madvise, mmap_anonymous, mprotect, munmap};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// Inaccessible bytes on each side of a region. Larger than the step from one row of the widest
/// image to the next, so that a walk past the end meets them.
pub(super) const GUARD_BYTES: usize = 64 << 10;

/// A mapping with its guards; owns the address space.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) base: NonNull<c_void>,
    pub(super) len: usize,
    /// The reservation, guards included.
    outer: NonNull<c_void>,
    outer_len: usize,
}

impl Range {
    /// Reserves inaccessible address space for the request in units of `unit`, aligned to it, with
    /// guards on both sides.
    pub(super) fn reserve(request: &RegionRequest, unit: u64) -> Result<Self, MemoryError> {
        let refused = || MemoryError::Request(*request);
        let unit_len = usize::try_from(unit).map_err(|_| refused())?;
        let len = round_up(request.bytes.max(1), unit)
            .filter(|_| request.bytes > 0)
            .and_then(|len| usize::try_from(len).ok())
            .ok_or_else(refused)?;
        let wanted = len
            .checked_add(unit_len)
            .and_then(|sum| sum.checked_add(2 * GUARD_BYTES))
            .and_then(NonZeroUsize::new)
            .ok_or_else(refused)?;
        // SAFETY: a new private mapping without an address disturbs no other.
        let found =
            unsafe { mmap_anonymous(None, wanted, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) };
        let found = found.map_err(|errno| MemoryError::Map {
            operation: "reserving address space",
            bytes: request.bytes,
            errno,
        })?;
        let start = found.as_ptr().addr();
        let base = (start + GUARD_BYTES).next_multiple_of(unit_len);
        // What alignment did not need goes back: mlockall counts reserved address space too.
        let outer = base - GUARD_BYTES;
        let outer_end = base + len + GUARD_BYTES;
        unmap(found, outer - start);
        unmap(
            byte_add(found, outer_end - start),
            start + wanted.get() - outer_end,
        );
        Ok(Self {
            base: byte_add(found, base - start),
            len,
            outer: byte_add(found, outer - start),
            outer_len: outer_end - outer,
        })
    }

    /// Puts pages into the reservation: inaccessible ones, over the guards' neighbour.
    pub(super) fn commit(mut self, flags: MapFlags) -> Result<Self, (&'static str, Errno)> {
        let address = self.base.addr();
        let Some(len) = NonZeroUsize::new(self.len) else {
            return Err(("mmap", Errno::EINVAL));
        };
        let flags = flags | MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        // SAFETY: MAP_FIXED replaces the part of our own reservation that nobody has a pointer to.
        let mapped = unsafe { mmap_anonymous(Some(address), len, ProtFlags::PROT_NONE, flags) };
        if let Err(errno) = mapped {
            // The kernel may have unmapped the middle, and another thread mapped into it since. Only
            // the guards are surely ours still; at worst address space is lost, no memory.
            self.give_back_guards_only();
            return Err(("mmap", errno));
        }
        Ok(self)
    }

    /// Allows reading and writing.
    pub(super) fn open(&self) -> Result<(), Errno> {
        // SAFETY: the range is our own mapping.
        unsafe {
            mprotect(
                self.base,
                self.len,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            )
        }
    }

    /// Binds the pages to `node` (MPOL_BIND). Nothing is to be done where node 0 is all there is and the
    /// kernel does not take policies.
    ///
    /// # Source
    /// Linux `Documentation/admin-guide/mm/numa_memory_policy.rst`, mbind(2).
    pub(super) fn bind(&self, node: usize) -> Result<(), MemoryError> {
        const WORD_BITS: usize = libc::c_ulong::BITS as usize;
        const WORDS: usize = 1024 / WORD_BITS;
        let mut mask: [libc::c_ulong; WORDS] = [0; WORDS];
        let Some(word) = mask.get_mut(node / WORD_BITS) else {
            return Err(MemoryError::NoSuchNode {
                node,
                errno: Errno::EINVAL,
            });
        };
        *word |= 1 << (node % WORD_BITS);
        // SAFETY: mbind reads `maxnode - 1` bits of the mask: it takes one off what it is given, so one
        // bit more than the mask's use is named, and the mask holds 1024. The range is our own mapping;
        // a policy changes no contents.
        let result = unsafe {
            libc::syscall(
                libc::SYS_mbind,
                self.base.as_ptr(),
                self.len,
                libc::MPOL_BIND,
                mask.as_ptr(),
                node + 2,
                0,
            )
        };
        match Errno::result(result) {
            Ok(_) => Ok(()),
            // Not built in, or not allowed in a container.
            Err(Errno::ENOSYS | Errno::EPERM) if node == 0 && only_node_0() => Ok(()),
            Err(errno @ (Errno::EINVAL | Errno::ENOSYS)) => {
                Err(MemoryError::NoSuchNode { node, errno })
            }
            Err(errno) => Err(MemoryError::Bind { node, errno }),
        }
    }

    fn give_back_guards_only(&mut self) {
        unmap(self.outer, GUARD_BYTES);
        unmap(byte_add(self.base, self.len), GUARD_BYTES);
        self.outer_len = 0;
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        unmap(self.outer, self.outer_len);
    }
}

/// The address `count` bytes on, within one mapping.
pub(super) fn byte_add(pointer: NonNull<c_void>, count: usize) -> NonNull<c_void> {
    pointer.map_addr(|address| address.saturating_add(count))
}

/// Unmaps address space that this module has mapped and nobody uses.
fn unmap(address: NonNull<c_void>, len: usize) {
    if len > 0 {
        // SAFETY: both callers pass a range of their own reservation to which no pointer is left; a
        // `Region`'s pointers may not outlive it.
        let result = unsafe { munmap(address, len) };
        debug_assert_eq!(result, Ok(()));
    }
}

/// Maps and unmaps `len` bytes, to learn whether the kernel would grant them.
pub(super) fn probe(len: usize, flags: MapFlags) -> Result<(), Errno> {
    let wanted = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
    // SAFETY: a new private mapping without an address disturbs no other.
    let found = unsafe {
        mmap_anonymous(
            None,
            wanted,
            ProtFlags::PROT_NONE,
            flags | MapFlags::MAP_PRIVATE,
        )
    }?;
    unmap(found, len);
    Ok(())
}

/// Makes pages of our own mapping present and writable without touching them from user space: a page
/// that cannot be had is an error instead of a SIGBUS. Contents stay as they are.
///
/// # Errors
/// EINVAL on kernels before 5.14; else what is short.
pub(crate) fn populate(base: NonNull<c_void>, len: usize) -> Result<(), Errno> {
    loop {
        // SAFETY: populating changes no contents, and the kernel checks the addresses.
        match unsafe { madvise(base, len, MmapAdvise::MADV_POPULATE_WRITE) } {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            result => return result,
        }
    }
}

/// As [`populate`], for kernels without it and for fresh pages: one zero byte from /dev/zero into
/// each. The kernel writes it, so that a page which cannot be had is EFAULT instead of SIGBUS.
pub(super) fn make_present_by_read(
    base: NonNull<c_void>,
    len: usize,
    page_bytes: u64,
) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    let zero = std::fs::File::open("/dev/zero")
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    let step = usize::try_from(page_bytes).unwrap_or(usize::MAX);
    for offset in (0..len).step_by(step) {
        // SAFETY: the kernel checks the address, which lies in our own mapping; the page is fresh, so
        // the zero byte changes nothing.
        let count = unsafe { libc::read(zero.as_raw_fd(), byte_add(base, offset).as_ptr(), 1) };
        Errno::result(count)?;
    }
    Ok(())
}
