//! Memory that is there before it is needed: one mapping a node, huge pages, bound to its node before
//! the first touch, every page present, locked, and its placement read back.
//!
//! Answers for: that a `Region` can be touched anywhere without a page fault to the wrong node, a
//! SIGBUS, or a way past its ends. Does not answer for: what lies in it (`frame::arena`).
#![allow(unsafe_code)]

use crate::board::OnShortage;
use crate::limits::MAX_NODES;
use crate::sys::{hugepool, procfs};
use crate::units::{KIB, MIB, round_up};
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, MlockAllFlags, MmapAdvise, ProtFlags};
use nix::sys::mman::{madvise, mlock, mlockall, mmap_anonymous, mprotect, munmap};
use nix::sys::resource::{Resource, getrlimit};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::path::Path;
use std::ptr::NonNull;

/// Inaccessible bytes on each side of a region. Larger than the step from one row of the widest
/// picture to the next, so that a walk past the end meets them.
pub const GUARD_BYTES: usize = 64 << 10;

/// Size and alignment of a transparent huge page on the machines this runs on.
const TRANSPARENT_BYTES: u64 = 2 * MIB;

/// Pages asked about in one call of move_pages(2).
const BATCH: usize = 512;

/// The way out that a refusal names last.
const ACCEPT: &str = ", or accept other pages with on-shortage = \"fallback\" in [memory]";

/// What a region is to be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Huge pages of this size from the kernel's pool (2 MiB or 1 GiB as a rule).
    Huge {
        /// Size of one page.
        bytes: u64,
    },
    /// The machine's ordinary pages.
    Plain,
}

/// What [`Region::map`] is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionRequest {
    /// Bytes that are needed; rounded up to whole pages.
    pub bytes: u64,
    /// What pages.
    pub pages: Pages,
    /// NUMA node that every page must be on; `None` leaves it to the kernel.
    pub node: Option<usize>,
    /// What to do when pages, node or lock cannot be had.
    pub on_shortage: OnShortage,
}

/// What a region is really made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// Huge pages of the kernel's pool: never swapped, split or moved.
    Huge,
    /// Ordinary memory which the kernel backs with huge pages, wholly or in part.
    Transparent,
    /// Ordinary pages.
    Plain,
}

impl std::fmt::Display for PageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Huge => "hugepages",
            Self::Transparent => "transparent hugepages",
            Self::Plain => "plain pages",
        })
    }
}

/// Where the pages of a region are, as the kernel says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Pages asked about.
    pub pages: u64,
    /// Size of each.
    pub page_bytes: u64,
    /// Pages on each node.
    pub on_node: [u64; MAX_NODES],
    /// Pages on a node above the table's end.
    pub on_other: u64,
    /// Pages that are not present, or whose place the kernel does not tell.
    pub unknown: u64,
    /// The kernel knows no nodes (move_pages is not built in): every page counts as on node 0.
    pub assumed: bool,
}

impl Placement {
    /// Every page is on `node`.
    #[must_use]
    pub fn all_on(&self, node: usize) -> bool {
        self.on_node.get(node) == Some(&self.pages)
    }

    /// Bytes on `node`.
    #[must_use]
    pub fn bytes_on(&self, node: usize) -> u64 {
        self.on_node
            .get(node)
            .map_or(0, |pages| pages * self.page_bytes)
    }
}

/// Mapped memory with inaccessible guards around it. Unmapped when dropped.
#[derive(Debug)]
pub struct Region {
    range: Range,
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

/// A region cannot be had as asked.
#[derive(Debug)]
pub enum MemoryError {
    /// Zero bytes, more than the address space, or a page size that is no power of two.
    Request(RegionRequest),
    /// The kernel has no huge pages of this size.
    NoSuchPageSize {
        /// Wanted size.
        page_bytes: u64,
        /// Sizes that it has.
        sizes: Vec<u64>,
    },
    /// The pool of huge pages is too small, or others hold it.
    Pool {
        /// Size of its pages.
        page_bytes: u64,
        /// The node whose pool ran short; `None` is the whole machine.
        node: Option<usize>,
        /// Pages needed.
        needed: u64,
        /// Pages that a new mapping could have.
        available: u64,
        /// Pages of the pool.
        total: u64,
        /// What the kernel said.
        errno: Errno,
    },
    /// There is no such node.
    NoSuchNode {
        /// Wanted node.
        node: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// The memory cannot be bound to a node.
    Bind {
        /// Wanted node.
        node: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// Pages lie where they were not bound to.
    Misplaced {
        /// Wanted node.
        node: usize,
        /// What was found.
        placement: Placement,
    },
    /// The memory cannot be locked.
    Lock(LockError),
    /// Another call failed: not enough memory as a rule.
    Map {
        /// The call.
        operation: &'static str,
        /// Bytes of the region.
        bytes: u64,
        /// What the kernel said.
        errno: Errno,
    },
}

impl MemoryError {
    /// The error as a line of what was done without: no advice to do without it.
    fn note(&self) -> String {
        let text = self.to_string();
        text.strip_suffix(ACCEPT).map(str::to_owned).unwrap_or(text)
    }

    /// Something that `on-shortage = "fallback"` can do without.
    fn is_shortage(&self) -> bool {
        !matches!(
            self,
            Self::Request(_) | Self::NoSuchNode { .. } | Self::Map { .. }
        )
    }
}

impl std::fmt::Display for MemoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(request) => {
                write!(
                    f,
                    "no region can have {} bytes of {:?}",
                    request.bytes, request.pages
                )
            }
            Self::NoSuchPageSize { page_bytes, sizes } => {
                write!(
                    f,
                    "this kernel has no hugepages of {} KiB; it has",
                    page_bytes / KIB
                )?;
                if sizes.is_empty() {
                    write!(f, " none at all (CONFIG_HUGETLBFS)")?;
                }
                for size in sizes {
                    write!(f, " {} KiB", size / KIB)?;
                }
                write!(f, "; set hugepage-kib in [memory] to one of these")
            }
            Self::Pool {
                page_bytes,
                node,
                needed,
                available,
                total,
                errno,
            } => {
                let kib = page_bytes / KIB;
                write!(f, "hugepages of {kib} KiB")?;
                if let Some(node) = node {
                    write!(f, " on node {node}")?;
                }
                let enough = total + needed.saturating_sub(*available);
                write!(
                    f,
                    ": found {available} available of {total}, need {needed} ({errno}); reserve \
                     them with "
                )?;
                match node {
                    Some(node) => write!(
                        f,
                        "`echo {enough} > /sys/devices/system/node/node{node}/hugepages/\
                         hugepages-{kib}kB/nr_hugepages` or the kernel argument \
                         `hugepagesz={kib}K hugepages={node}:{enough}`"
                    )?,
                    None if *page_bytes == 2 * MIB => write!(
                        f,
                        "`sysctl vm.nr_hugepages={enough}` or the kernel argument \
                         `hugepagesz=2M hugepages={enough}`"
                    )?,
                    None => {
                        write!(
                            f,
                            "the kernel argument `hugepagesz={kib}K hugepages={enough}`"
                        )?;
                    }
                }
                f.write_str(ACCEPT)
            }
            Self::NoSuchNode { node, errno } => {
                write!(
                    f,
                    "this machine has no memory node {node} ({errno}); see `pinsight probe`"
                )
            }
            Self::Bind { node, errno } => {
                write!(f, "memory cannot be bound to node {node}: mbind: {errno}")?;
                if *errno == Errno::EPERM {
                    write!(
                        f,
                        "; a container needs CAP_SYS_NICE or a seccomp rule for mbind"
                    )?;
                }
                Ok(())
            }
            Self::Misplaced { node, placement } => write!(
                f,
                "{} of {} pages are not on node {node} (by node: {:?}, unknown: {})",
                placement.pages - placement.on_node.get(*node).copied().unwrap_or(0),
                placement.pages,
                placement.on_node,
                placement.unknown
            ),
            Self::Lock(error) => error.fmt(f),
            Self::Map {
                operation,
                bytes,
                errno,
            } => {
                write!(f, "{operation} of {bytes} bytes failed: {errno}")
            }
        }
    }
}

impl std::error::Error for MemoryError {}

/// Memory could not be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockError {
    /// The call: mlock or mlockall.
    pub operation: &'static str,
    /// Bytes that were to be locked in all.
    pub needed_bytes: u64,
    /// RLIMIT_MEMLOCK as found; `None` is unlimited.
    pub limit_bytes: Option<u64>,
    /// What the kernel said.
    pub errno: Errno,
}

impl std::fmt::Display for LockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} failed: {}; RLIMIT_MEMLOCK: found ",
            self.operation, self.errno
        )?;
        match self.limit_bytes {
            Some(bytes) => write!(f, "{} KiB", bytes / KIB)?,
            None => f.write_str("unlimited")?,
        }
        write!(
            f,
            ", needed {} KiB; set LimitMEMLOCK=infinity in the service, `ulimit -l unlimited` in a \
             shell, or give CAP_IPC_LOCK",
            self.needed_bytes.div_ceil(KIB)
        )
    }
}

impl std::error::Error for LockError {}

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
                let needed_bytes = locked_bytes().unwrap_or(0) + region.range.len as u64;
                let error = MemoryError::Lock(lock_error("mlock", needed_bytes, errno));
                if !may_do_without(request, &error) {
                    return Err(error);
                }
                notes.push(error.note());
            }
        }
        Ok(region)
    }

    fn bare(range: Range, kind: PageKind, page_bytes: u64, node: Option<usize>) -> Self {
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
        self.hugepage_bytes = self.read_hugepage_bytes();
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
        self.placement = self.read_placement();
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

    /// Binds the region to its node (MPOL_BIND). Without NUMA in the kernel node 0 is all there is.
    ///
    /// # Source
    /// Linux `Documentation/admin-guide/mm/numa_memory_policy.rst`, mbind(2).
    fn bind(&self) -> Result<(), MemoryError> {
        const WORD_BITS: usize = libc::c_ulong::BITS as usize;
        const WORDS: usize = 1024 / WORD_BITS;
        let Some(node) = self.node else { return Ok(()) };
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
                self.range.base.as_ptr(),
                self.range.len,
                libc::MPOL_BIND,
                mask.as_ptr(),
                node + 2,
                0,
            )
        };
        match Errno::result(result) {
            Ok(_) => Ok(()),
            Err(Errno::ENOSYS) if node == 0 => Ok(()),
            Err(errno @ (Errno::EINVAL | Errno::ENOSYS)) => {
                Err(MemoryError::NoSuchNode { node, errno })
            }
            Err(errno) => Err(MemoryError::Bind { node, errno }),
        }
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

    /// Asks the kernel for the node of each page.
    fn read_placement(&self) -> Placement {
        let page_bytes = self.page_bytes;
        let pages = self.range.len as u64 / page_bytes;
        let mut placement = Placement {
            pages,
            page_bytes,
            ..Placement::default()
        };
        // Regions are below the address space's size, so every index fits.
        let step = usize::try_from(page_bytes).unwrap_or(usize::MAX);
        let mut addresses = [std::ptr::null_mut::<c_void>(); BATCH];
        let mut nodes = [0_i32; BATCH];
        for first in (0..self.range.len).step_by(step * BATCH) {
            let count = ((self.range.len - first) / step).min(BATCH);
            for (index, address) in addresses.iter_mut().take(count).enumerate() {
                *address = self
                    .range
                    .base
                    .as_ptr()
                    .wrapping_byte_add(first + index * step);
            }
            // SAFETY: both arrays are live and hold `count` entries; with a null list of nodes
            // move_pages moves nothing and writes each page's node into the second array.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_move_pages,
                    0,
                    count,
                    addresses.as_ptr(),
                    std::ptr::null::<i32>(),
                    nodes.as_mut_ptr(),
                    0,
                )
            };
            match Errno::result(result) {
                Ok(_) => {}
                Err(Errno::ENOSYS) => {
                    placement.on_node[0] = pages;
                    placement.assumed = true;
                    return placement;
                }
                Err(_) => {
                    placement.unknown += count as u64;
                    continue;
                }
            }
            for &node in &nodes[..count] {
                match usize::try_from(node).map(|node| placement.on_node.get_mut(node)) {
                    Ok(Some(count)) => *count += 1,
                    Ok(None) => placement.on_other += 1,
                    Err(_) => placement.unknown += 1,
                }
            }
        }
        placement
    }

    /// Bytes of the region that are in huge pages, as /proc/self/smaps says.
    fn read_hugepage_bytes(&self) -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let start = self.range.base.as_ptr().addr();
        hugepage_bytes(&smaps, start, start + self.range.len)
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
        self.read_placement()
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

/// What the pools hold, beside what was needed.
fn pool_error(request: &RegionRequest, page_bytes: u64, needed: u64, errno: Errno) -> MemoryError {
    let root = Path::new("/");
    let machine = hugepool::read(root, page_bytes, None).unwrap_or_default();
    // The machine's pool is named when it is the one that is too small.
    let node = request.node.filter(|_| machine.available() >= needed);
    let pool = node.and_then(|node| hugepool::read(root, page_bytes, Some(node)));
    let pool = pool.unwrap_or(machine);
    MemoryError::Pool {
        page_bytes,
        node,
        needed,
        available: pool.available(),
        total: pool.total,
        errno,
    }
}

/// A mapping with its guards; owns the address space.
#[derive(Debug)]
struct Range {
    base: NonNull<c_void>,
    len: usize,
    /// The reservation, guards included.
    outer: NonNull<c_void>,
    outer_len: usize,
}

impl Range {
    /// Reserves inaccessible address space for the request in units of `unit`, aligned to it, with
    /// guards on both sides.
    fn reserve(request: &RegionRequest, unit: u64) -> Result<Self, MemoryError> {
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
    fn commit(mut self, flags: MapFlags) -> Result<Self, (&'static str, Errno)> {
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
    fn open(&self) -> Result<(), Errno> {
        // SAFETY: the range is our own mapping.
        unsafe {
            mprotect(
                self.base,
                self.len,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            )
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
fn byte_add(pointer: NonNull<c_void>, count: usize) -> NonNull<c_void> {
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
fn probe(len: usize, flags: MapFlags) -> Result<(), Errno> {
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
fn make_present_by_read(base: NonNull<c_void>, len: usize, page_bytes: u64) -> Result<(), Errno> {
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

/// Bytes of huge pages in `start..end` according to a text of /proc/pid/smaps.
fn hugepage_bytes(smaps: &str, start: usize, end: usize) -> u64 {
    let mut inside = false;
    let mut kib = 0;
    for line in smaps.lines() {
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        if let Some((from, to)) = first.split_once('-')
            && let (Ok(from), Ok(to)) = (
                usize::from_str_radix(from, 16),
                usize::from_str_radix(to, 16),
            )
        {
            inside = from < end && to > start;
        } else if inside
            && matches!(
                first,
                "AnonHugePages:" | "Private_Hugetlb:" | "Shared_Hugetlb:"
            )
        {
            kib += procfs::field(line.as_bytes(), first.trim_end_matches(':')).unwrap_or(0);
        }
    }
    kib * KIB
}

/// Size of the machine's ordinary pages.
#[must_use]
pub fn machine_page_bytes() -> u64 {
    // SAFETY: sysconf only takes the number.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4 * KIB)
}

/// Locks all memory of the process, present and future. Regions are bound and present before, so
/// this moves nothing; stacks of threads that are started later come out present.
///
/// # Errors
/// The limit, as found and as needed.
pub fn lock_all() -> Result<(), LockError> {
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(|errno| {
        let mut buffer = [0; 4096];
        let needed_kib = procfs::read(Path::new("/proc/self/status"), &mut buffer)
            .ok()
            .and_then(|status| procfs::field(status, "VmSize"));
        lock_error("mlockall", needed_kib.unwrap_or(0) * KIB, errno)
    })
}

fn lock_error(operation: &'static str, needed_bytes: u64, errno: Errno) -> LockError {
    let limit_bytes = match getrlimit(Resource::RLIMIT_MEMLOCK) {
        Ok((soft, _)) if soft != libc::RLIM_INFINITY => Some(soft),
        _ => None,
    };
    LockError {
        operation,
        needed_bytes,
        limit_bytes,
        errno,
    }
}

/// Bytes of this process that cannot be taken away: locked (`VmLck` in /proc/self/status), or in pages
/// of the huge page pool (`HugetlbPages`), which the kernel does not count as locked. `None` without
/// /proc. Does not allocate.
#[must_use]
pub fn locked_bytes() -> Option<u64> {
    let mut buffer = [0; 4096];
    let status = procfs::read(Path::new("/proc/self/status"), &mut buffer).ok()?;
    let kib = procfs::field(status, "VmLck")? + procfs::field(status, "HugetlbPages").unwrap_or(0);
    Some(kib * KIB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsRawFd as _;

    fn request(bytes: u64, pages: Pages, on_shortage: OnShortage) -> RegionRequest {
        RegionRequest {
            bytes,
            pages,
            node: Some(0),
            on_shortage,
        }
    }

    /// Whether the kernel could write one byte there: no signal, whatever the answer.
    fn writable(address: *mut u8) -> bool {
        let zero = File::open("/dev/zero").unwrap();
        // SAFETY: the kernel checks the address; a byte that it may write lies in the test's region.
        unsafe { libc::read(zero.as_raw_fd(), address.cast(), 1) == 1 }
    }

    fn is_mapped(address: *mut u8) -> bool {
        let page = address.map_addr(|address| address & !0xfff);
        let mut present = 0_u8;
        // SAFETY: mincore checks the address and writes one byte for the one page asked about.
        unsafe { libc::mincore(page.cast(), 1, &raw mut present) == 0 }
    }

    /// First and last byte can be used, the bytes beside them cannot.
    #[track_caller]
    fn assert_usable_and_guarded(region: &Region) {
        let base = region.base().as_ptr();
        let last = base.wrapping_add(region.len_bytes() - 1);
        for address in [base, last] {
            assert!(writable(address));
            // SAFETY: inside the region, which nobody else uses.
            unsafe { address.write(0x5a) };
            // SAFETY: as above, and just written.
            assert_eq!(unsafe { address.read() }, 0x5a);
        }
        for guard in [
            base.wrapping_sub(1),
            base.wrapping_sub(GUARD_BYTES),
            last.wrapping_add(1),
            last.wrapping_add(GUARD_BYTES),
        ] {
            assert!(is_mapped(guard), "the guard is reserved");
            assert!(!writable(guard), "the guard is inaccessible");
        }
    }

    #[test]
    fn plain_pages_are_present_locked_and_where_they_were_asked_for() {
        let wanted = request(300_000, Pages::Plain, OnShortage::Fallback);
        let region = Region::map(&wanted).unwrap();
        let page = machine_page_bytes();
        assert_eq!(
            region.len_bytes() as u64,
            300_000_u64.next_multiple_of(page)
        );
        assert_eq!(region.kind(), PageKind::Plain);
        assert_usable_and_guarded(&region);
        let placement = region.placement();
        assert_eq!(placement.pages, region.len_bytes() as u64 / page);
        assert!(placement.all_on(0), "{placement:?}");
        assert_eq!(placement.bytes_on(0), region.len_bytes() as u64);
        assert_eq!(region.placement_now(), *placement);
        assert!(region.locked_bytes() == region.len_bytes() as u64 || !region.notes().is_empty());
    }

    #[test]
    fn touching_a_region_faults_no_page() {
        let wanted = request(4 * MIB, Pages::Plain, OnShortage::Fallback);
        let region = Region::map(&wanted).unwrap();
        let before = crate::sys::thread::ThreadUsage::now();
        for offset in (0..region.len_bytes()).step_by(4096) {
            let byte = region.base().as_ptr().wrapping_add(offset);
            // SAFETY: inside the region, which nobody else uses.
            unsafe { byte.write_volatile(1) };
        }
        let usage = crate::sys::thread::ThreadUsage::now().since(&before);
        assert!(usage.minor_faults < 8, "1024 pages were touched: {usage:?}");
        assert_eq!(usage.major_faults, 0);
    }

    #[test]
    fn a_dropped_region_is_unmapped_guards_and_all() {
        let region = Region::map(&request(8 * MIB, Pages::Plain, OnShortage::Fallback)).unwrap();
        let base = region.base().as_ptr();
        let mapped = |base: *mut u8| is_mapped(base.wrapping_add(3 << 20));
        assert!(mapped(base));
        drop(region);
        // Another test may map into the hole; then it is not this region that is found. Eight MiB of
        // one mapping are not likely to be.
        let still = (0..8)
            .filter(|mib| is_mapped(base.wrapping_add(mib << 20)))
            .count();
        assert!(still < 8);
    }

    #[test]
    fn more_hugepages_than_the_machine_has_are_refused_with_the_setting_to_change() {
        let Some(&page_bytes) = hugepool::sizes(Path::new("/")).first() else {
            panic!("this kernel has no hugepages at all");
        };
        let wanted = request(
            1 << 44,
            Pages::Huge { bytes: page_bytes },
            OnShortage::Refuse,
        );
        let error = Region::map(&wanted).unwrap_err();
        let MemoryError::Pool {
            needed, available, ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(needed, (1 << 44) / page_bytes);
        assert!(available < needed);
        let text = error.to_string();
        assert!(text.contains("hugepages="), "{text}");
        assert!(text.contains(&format!("need {needed}")), "{text}");
        assert!(text.ends_with(ACCEPT), "{text}");
    }

    #[test]
    fn hugepages_are_used_where_there_are_some_and_what_stands_in_for_them_is_said() {
        let wanted = request(
            3 * MIB,
            Pages::Huge { bytes: 2 * MIB },
            OnShortage::Fallback,
        );
        let region = Region::map(&wanted).unwrap();
        assert_eq!(region.len_bytes() as u64, 4 * MIB);
        assert_eq!(region.base().as_ptr().addr() % (2 << 20), 0);
        assert_usable_and_guarded(&region);
        assert!(region.placement().all_on(0));
        match region.kind() {
            PageKind::Huge => {
                assert_eq!(region.hugepage_bytes(), 4 * MIB);
                assert_eq!(region.locked_bytes(), 4 * MIB);
                assert_eq!(region.placement().pages, 2);
                assert!(region.notes().is_empty(), "{:?}", region.notes());
            }
            PageKind::Transparent => {
                assert!(region.hugepage_bytes() > 0);
                assert!(region.notes()[0].contains("hugepages of 2048 KiB"));
                assert!(!region.notes()[0].contains("fallback"));
            }
            PageKind::Plain => {
                assert_eq!(region.hugepage_bytes(), 0);
                assert!(
                    region
                        .notes()
                        .iter()
                        .any(|note| note.contains("0 of 4096 KiB"))
                );
            }
        }
    }

    #[test]
    fn a_page_size_that_the_kernel_lacks_is_refused_with_those_it_has() {
        let wanted = request(MIB, Pages::Huge { bytes: 128 * KIB }, OnShortage::Refuse);
        let text = Region::map(&wanted).unwrap_err().to_string();
        assert!(
            text.contains("128 KiB") && text.contains("hugepage-kib"),
            "{text}"
        );
    }

    #[test]
    fn a_node_that_does_not_exist_is_refused_whatever_the_profile_says_of_shortage() {
        for node in [MAX_NODES + 500, 5000] {
            let mut wanted = request(MIB, Pages::Plain, OnShortage::Fallback);
            wanted.node = Some(node);
            let error = Region::map(&wanted).unwrap_err();
            assert!(matches!(error, MemoryError::NoSuchNode { .. }), "{error}");
        }
    }

    #[test]
    fn a_request_that_makes_no_sense_is_refused() {
        let sizes = [
            (0, Pages::Plain),
            (u64::MAX, Pages::Plain),
            (u64::MAX - (1 << 13), Pages::Plain),
            (MIB, Pages::Huge { bytes: 3 * MIB }),
            (MIB, Pages::Huge { bytes: 0 }),
        ];
        for (bytes, pages) in sizes {
            let error = Region::map(&request(bytes, pages, OnShortage::Refuse)).unwrap_err();
            assert!(matches!(error, MemoryError::Request(_)), "{error}");
        }
    }

    #[test]
    fn fresh_pages_are_made_present_on_kernels_without_populate_too() {
        let wanted = request(MIB, Pages::Plain, OnShortage::Fallback);
        let range = Range::reserve(&wanted, machine_page_bytes()).unwrap();
        let range = range.commit(MapFlags::empty()).unwrap();
        range.open().unwrap();
        make_present_by_read(range.base, range.len, machine_page_bytes()).unwrap();
        let region = Region::bare(range, PageKind::Plain, machine_page_bytes(), None);
        assert_eq!(region.read_placement().unknown, 0);
        let guard = byte_add(region.range.base, region.range.len);
        assert_eq!(make_present_by_read(guard, 1, 4096), Err(Errno::EFAULT));
    }

    #[test]
    fn huge_bytes_of_smaps_are_summed_over_the_mappings_of_the_region_only() {
        let smaps = "7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \n\
            AnonHugePages:      2048 kB\nPrivate_Hugetlb:       0 kB\n\
            7f0000400000-7f0000600000 rw-p 00000000 00:0f 123 /anon_hugepage (deleted)\n\
            AnonHugePages:         0 kB\nPrivate_Hugetlb:    2048 kB\n\
            7f0000600000-7f0000800000 ---p 00000000 00:00 0 \nAnonHugePages:   2048 kB\n";
        assert_eq!(
            hugepage_bytes(smaps, 0x7f00_0000_0000, 0x7f00_0060_0000),
            4 * MIB
        );
        assert_eq!(
            hugepage_bytes(smaps, 0x7f00_0040_0000, 0x7f00_0060_0000),
            2 * MIB
        );
        assert_eq!(hugepage_bytes(smaps, 0x1000, 0x2000), 0);
    }

    #[test]
    fn a_lock_that_the_limit_forbids_names_both_figures_and_the_setting() {
        let error = LockError {
            operation: "mlockall",
            needed_bytes: 300 * MIB,
            limit_bytes: Some(8 * MIB),
            errno: Errno::ENOMEM,
        };
        let text = error.to_string();
        assert!(text.contains("found 8192 KiB, needed 307200 KiB"), "{text}");
        assert!(text.contains("LimitMEMLOCK=infinity"), "{text}");
    }

    #[test]
    fn locked_memory_is_counted_by_the_kernel() {
        let before = locked_bytes().expect("Linux has /proc");
        let wanted = request(64 * KIB, Pages::Plain, OnShortage::Fallback);
        let region = Region::map(&wanted).unwrap();
        assert!(locked_bytes().unwrap() >= region.locked_bytes(), "{before}");
    }
}
