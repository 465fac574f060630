//! Where pages are and how large they are, asked back from the kernel.
#![allow(unsafe_code)]

use crate::limits::MAX_NODES;
use crate::sys::io::procfs;
use crate::units::KIB;
use nix::errno::Errno;
use nix::libc;
use std::ffi::c_void;
use std::path::Path;
use std::ptr::NonNull;

/// Pages asked about in one call of move_pages(2).
const BATCH: usize = 512;

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
    /// The kernel does not tell, and node 0 is all there is: every page counts as on it.
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

/// This machine has memory on node 0 and on no other.
pub(super) fn only_node_0() -> bool {
    let mut buffer = [0; 64];
    let nodes = Path::new("/sys/devices/system/node/has_memory");
    procfs::read(nodes, &mut buffer).map_or(true, |list| list.trim_ascii() == b"0")
}

/// Asks the kernel for the node of each page.
pub(super) fn read(base: NonNull<c_void>, len: usize, page_bytes: u64) -> Placement {
    let pages = len as u64 / page_bytes;
    let mut placement = Placement {
        pages,
        page_bytes,
        ..Placement::default()
    };
    // Regions are below the address space's size, so every index fits.
    let step = usize::try_from(page_bytes).unwrap_or(usize::MAX);
    let mut addresses = [std::ptr::null_mut::<c_void>(); BATCH];
    let mut nodes = [0_i32; BATCH];
    for first in (0..len).step_by(step * BATCH) {
        let count = ((len - first) / step).min(BATCH);
        for (index, address) in addresses.iter_mut().take(count).enumerate() {
            *address = base.as_ptr().wrapping_byte_add(first + index * step);
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
            // Not built in, or not allowed in a container.
            Err(Errno::ENOSYS | Errno::EPERM) if only_node_0() => {
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
pub(super) fn read_hugepage_bytes(base: NonNull<c_void>, len: usize) -> u64 {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let start = base.as_ptr().addr();
    hugepage_bytes(&smaps, start, start + len)
}

/// Bytes of huge pages in `start..end` according to a text of /proc/pid/smaps.
pub(super) fn hugepage_bytes(smaps: &str, start: usize, end: usize) -> u64 {
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
