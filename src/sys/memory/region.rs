//! One mapping: made, bound, touched, locked, and read back.
#![allow(unsafe_code)]

use super::error::{MemoryError, pool_error};
use super::hugepool;
use super::lock::{charged_bytes, lock_error};
use super::pages::{PageKind, Pages, RegionRequest, machine_page_bytes};
use super::placement::{self, Placement};
use super::range::{Range, make_present_by_read, populate, probe};
use crate::profile::OnShortage;
use crate::units::{KIB, MIB};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, madvise, mlock};
use std::path::Path;
use std::ptr::NonNull;

/// Size and alignment of a transparent huge page on the machines this runs on.
const TRANSPARENT_BYTES: u64 = 2 * MIB;

/// Mapped memory with inaccessible guards around it. Unmapped when dropped.
#[derive(Debug)]
pub struct Region {
    pub(super) range: Range,
    kind: PageKind,
    page_bytes: u64,
    node: Option<usize>,
    placement: Placement,
    hugepage_bytes: u64,
    locked_bytes: u64,
    notes: Vec<String>,
}

// SAFETY: a region is an address range that belongs to the process, not to a thread. It hands out raw
// pointers only; whoever dereferences them answers for exclusion.
unsafe impl Send for Region {}
// SAFETY: as above; no method changes anything through a shared reference.
unsafe impl Sync for Region {}

impl Region {
    /// Maps, binds, touches, locks and verifies a region. The steps, in this order:
    ///
    /// 1. reserve address space for the region and its guards;
    /// 2. map the pages into it, inaccessible still, so that nothing (not even MCL_FUTURE) touches them;
    /// 3. bind them to the node;
    /// 4. make them accessible, and present by writing to each: a huge page that the node's pool
    ///    lacks is an error here, never a SIGBUS later;
    /// 5. lock them (pages of the pool need no lock: the kernel never takes them away);
    /// 6. ask the kernel where each page is.
    ///
    /// # Errors
    /// With [`OnShortage::Refuse`] whatever of this cannot be had; with [`OnShortage::Fallback`] only
    /// what leaves no memory at all. [`Self::notes`] then says what was done without.
    pub fn map(request: &RegionRequest) -> Result<Self, MemoryError> {
        let mut notes = Vec::new();
        if let Pages::Huge { bytes } = request.pages {
            match Self::map_huge(request, bytes) {
                Ok(region) => return region.finish(request, notes),
                Err(error) if may_do_without(request, &error) => notes.push(error.note()),
                Err(error) => return Err(error),
            }
        }
        Self::map_small(request, &mut notes)?.finish(request, notes)
    }

    /// Pages of the kernel's pool.
    fn map_huge(request: &RegionRequest, page_bytes: u64) -> Result<Self, MemoryError> {
        let sizes = hugepool::sizes(Path::new("/"));
        if !page_bytes.is_power_of_two() || page_bytes <= machine_page_bytes() {
            return Err(MemoryError::Request(*request));
        }
        if !sizes.contains(&page_bytes) {
            return Err(MemoryError::NoSuchPageSize { page_bytes, sizes });
        }
        let range = Range::reserve(request, page_bytes)?;
        // Never MAP_NORESERVE: without the kernel's promise a small pool is a SIGBUS at first touch.
        let flags = MapFlags::map_hugetlb_with_size_log2(page_bytes.trailing_zeros())
            .ok_or(MemoryError::Request(*request))?;
        let needed = range.len as u64 / page_bytes;
        let short = |errno| pool_error(request, page_bytes, needed, errno);
        // Older kernels unmap the target of MAP_FIXED before they find the pool too small, which would
        // leave a hole that another thread may map into. So ask beside first.
        probe(range.len, flags).map_err(short)?;
        let range = range
            .commit(flags)
            .map_err(|(operation, errno)| match errno {
                Errno::ENOMEM => short(errno),
                _ => MemoryError::Map {
                    operation,
                    bytes: request.bytes,
                    errno,
                },
            })?;
        let mut region = Self::bare(range, PageKind::Huge, page_bytes, request.node);
        region.bind()?;
        // A pool that has the pages, but not on this node, shows at the touch.
        if let Err(errno) = region.make_present() {
            // The pools are read without our own hold on them.
            drop(region);
            return Err(match errno {
                Errno::EFAULT | Errno::ENOMEM => pool_error(request, page_bytes, needed, errno),
                _ => MemoryError::Map {
                    operation: "touching",
                    bytes: request.bytes,
                    errno,
                },
            });
        }
        region.locked_bytes = region.range.len as u64;
        Ok(region)
    }

    /// Ordinary pages, which the kernel is asked to back with transparent huge pages.
    fn map_small(request: &RegionRequest, notes: &mut Vec<String>) -> Result<Self, MemoryError> {
        let wants_huge = request.pages != Pages::Plain;
        let unit = if wants_huge {
            TRANSPARENT_BYTES
        } else {
            machine_page_bytes()
        };
        let failed = |operation, errno| MemoryError::Map {
            operation,
            bytes: request.bytes,
            errno,
        };
        let range = Range::reserve(request, unit)?
            .commit(MapFlags::empty())
            .map_err(|(operation, errno)| failed(operation, errno))?;
        let mut region = Self::bare(range, PageKind::Plain, machine_page_bytes(), request.node);
        if let Err(error) = region.bind() {
            if !may_do_without(request, &error) {
                return Err(error);
            }
            notes.push(error.note());
            region.node = None;
        }
        if wants_huge {
            // SAFETY: the range is our own mapping; the advice changes no contents.
            let advised = unsafe {
                madvise(
                    region.range.base,
                    region.range.len,
                    MmapAdvise::MADV_HUGEPAGE,
                )
            };
            if let Err(errno) = advised {
                notes.push(format!("no transparent hugepages: madvise: {errno}"));
            }
        }
        region
            .make_present()
            .map_err(|errno| failed("touching", errno))?;
        // SAFETY: the range is our own mapping, every page of it accessible.
        match unsafe { mlock(region.range.base, region.range.len) } {
            Ok(()) => region.locked_bytes = region.range.len as u64,
            Err(errno) => {
                let needed_bytes = charged_bytes() + region.range.len as u64;
                let error = MemoryError::Lock(lock_error("mlock", needed_bytes, errno));
                if !may_do_without(request, &error) {
                    return Err(error);
                }
                notes.push(error.note());
            }
        }
        Ok(region)
    }

    pub(super) fn bare(range: Range, kind: PageKind, page_bytes: u64, node: Option<usize>) -> Self {
        Self {
            range,
            kind,
            page_bytes,
            node,
            placement: Placement::default(),
            hugepage_bytes: 0,
            locked_bytes: 0,
            notes: Vec::new(),
        }
    }

    /// Reads back what the kernel made of it.
    fn finish(
        mut self,
        request: &RegionRequest,
        mut notes: Vec<String>,
    ) -> Result<Self, MemoryError> {
        self.hugepage_bytes = placement::read_hugepage_bytes(self.range.base, self.range.len);
        if self.kind == PageKind::Plain && self.hugepage_bytes > 0 {
            self.kind = PageKind::Transparent;
        }
        if request.pages != Pages::Plain && self.hugepage_bytes < self.range.len as u64 {
            notes.push(format!(
                "{} of {} KiB are in hugepages; the rest is in pages of {} KiB",
                self.hugepage_bytes / KIB,
                self.range.len as u64 / KIB,
                machine_page_bytes() / KIB
            ));
        }
        self.placement = placement::read(self.range.base, self.range.len, self.page_bytes);
        if self.placement.assumed && self.node.is_some() {
            notes.push("this kernel has one memory node: binding is a no-op".to_owned());
        }
        if let Some(node) = self.node
            && !self.placement.all_on(node)
        {
            let error = MemoryError::Misplaced {
                node,
                placement: self.placement,
            };
            if !may_do_without(request, &error) {
                return Err(error);
            }
            notes.push(error.note());
        }
        self.notes = notes;
        Ok(self)
    }

    /// Binds it to its node, if it has one.
    fn bind(&self) -> Result<(), MemoryError> {
        self.node.map_or(Ok(()), |node| self.range.bind(node))
    }

    /// Makes every page present and writable, by the kernel's hand: where a page cannot be had that is
    /// an error instead of a SIGBUS.
    fn make_present(&self) -> Result<(), Errno> {
        self.range.open()?;
        match populate(self.range.base, self.range.len) {
            Err(Errno::EINVAL) => {
                make_present_by_read(self.range.base, self.range.len, self.page_bytes)
            }
            result => result,
        }
    }

    /// Its bytes, all zero until they are written; it stays mapped to the end of the process.
    #[must_use]
    pub fn leak(self) -> &'static mut [u8] {
        let region = std::mem::ManuallyDrop::new(self);
        // SAFETY: the range is mapped, readable and writable (it was opened and touched by `map`), in one
        // mapping of its own that nobody else has a reference into, and it is never unmapped: the region is
        // not dropped, and gives its bytes away for good. u8 has no alignment and no invalid value.
        unsafe { std::slice::from_raw_parts_mut(region.base().as_ptr(), region.len_bytes()) }
    }

    /// First byte. Aligned to the page size.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.range.base.cast()
    }

    /// Bytes from [`Self::base`] on that may be touched.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.range.len
    }

    /// What it is really made of.
    #[must_use]
    pub fn kind(&self) -> PageKind {
        self.kind
    }

    /// The node that it is bound to.
    #[must_use]
    pub fn node(&self) -> Option<usize> {
        self.node
    }

    /// Where its pages were when it had been mapped.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Where its pages are now; asks the kernel.
    #[must_use]
    pub fn placement_now(&self) -> Placement {
        placement::read(self.range.base, self.range.len, self.page_bytes)
    }

    /// Bytes in huge pages, read back from the kernel.
    #[must_use]
    pub fn hugepage_bytes(&self) -> u64 {
        self.hugepage_bytes
    }

    /// Bytes that cannot be taken away: locked, or in pages of the huge page pool.
    #[must_use]
    pub fn locked_bytes(&self) -> u64 {
        self.locked_bytes
    }

    /// What was done without, and why: lines for the log. Empty when all is as asked.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// `on-shortage = "fallback"`, and the error is of that kind.
fn may_do_without(request: &RegionRequest, error: &MemoryError) -> bool {
    request.on_shortage == OnShortage::Fallback && error.is_shortage()
}
