//! Why memory cannot be had, with the setting to change.

use super::hugepool;
use super::lock::LockError;
use super::pages::RegionRequest;
use super::placement::Placement;
use crate::units::KIB;
use nix::errno::Errno;
use std::path::Path;

/// The way out that a refusal names last.
pub(super) const ACCEPT: &str =
    ", or accept other pages with on-shortage = \"fallback\" in [memory]";

/// A region cannot be had as asked.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Zero bytes, more than the address space, or a page size that is no power of two.
    #[error("no region can have {} bytes of {:?}", .0.bytes, .0.pages)]
    Request(RegionRequest),
    /// The kernel has no huge pages of this size.
    #[error(
        "this kernel has no hugepages of {} KiB; it has{}; set hugepage-kib in [memory] to one of these",
        page_bytes / KIB, listed(sizes)
    )]
    NoSuchPageSize {
        /// Wanted size.
        page_bytes: u64,
        /// Sizes that it has.
        sizes: Vec<u64>,
    },
    /// The pool of huge pages is too small, or others hold it.
    #[error(
        "hugepages of {} KiB{}: found {available} available of {total}, need {needed} ({errno}); reserve them with {}{}",
        page_bytes / KIB,
        node.map_or(String::new(), |node| format!(" on node {node}")),
        reservation(page_bytes / KIB, *node, total + needed.saturating_sub(*available)),
        ACCEPT
    )]
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
    #[error("this machine has no memory node {node} ({errno}); see `pinsight probe`")]
    NoSuchNode {
        /// Wanted node.
        node: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// The memory cannot be bound to a node.
    #[error("memory cannot be bound to node {node}: mbind: {errno}{}", match *.errno {
        Errno::EPERM => "; a container needs CAP_SYS_NICE or a seccomp rule for mbind",
        _ => "",
    })]
    Bind {
        /// Wanted node.
        node: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// Pages lie where they were not bound to.
    #[error(
        "{} of {} pages are not on node {node} (by node: {:?}, unknown: {})",
        placement.pages - placement.on_node.get(*node).copied().unwrap_or(0),
        placement.pages, placement.on_node, placement.unknown
    )]
    Misplaced {
        /// Wanted node.
        node: usize,
        /// What was found.
        placement: Placement,
    },
    /// The memory cannot be locked.
    #[error("{0}")]
    Lock(LockError),
    /// Another call failed: not enough memory as a rule.
    #[error("{operation} of {bytes} bytes failed: {errno}{}", match *.errno {
        Errno::ENOMEM => "; raise the limit of address space (LimitAS of the service, `ulimit -v`) if there is one, or \
                          lower camera.ring-slots or the size of pictures",
        _ => "",
    })]
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
    pub(super) fn note(&self) -> String {
        let text = self.to_string();
        text.strip_suffix(ACCEPT).map(str::to_owned).unwrap_or(text)
    }

    /// Something that `on-shortage = "fallback"` can do without.
    pub(super) fn is_shortage(&self) -> bool {
        !matches!(
            self,
            Self::Request(_) | Self::NoSuchNode { .. } | Self::Map { .. }
        )
    }
}

/// Page sizes in words.
fn listed(sizes: &[u64]) -> String {
    if sizes.is_empty() {
        return " none at all (CONFIG_HUGETLBFS)".to_owned();
    }
    sizes
        .iter()
        .map(|size| format!(" {} KiB", size / KIB))
        .collect()
}

/// How `enough` pages of `kib` are reserved.
fn reservation(kib: u64, node: Option<usize>, enough: u64) -> String {
    match node {
        Some(node) => format!(
            "`echo {enough} > /sys/devices/system/node/node{node}/hugepages/hugepages-{kib}kB/nr_hugepages` or the \
             kernel argument `hugepagesz={kib}K hugepages={node}:{enough}`"
        ),
        None if kib == 2048 => format!(
            "`sysctl vm.nr_hugepages={enough}` or the kernel argument `hugepagesz=2M hugepages={enough}`"
        ),
        None => format!("the kernel argument `hugepagesz={kib}K hugepages={enough}`"),
    }
}

/// What the pools hold, beside what was needed.
pub(super) fn pool_error(
    request: &RegionRequest,
    page_bytes: u64,
    needed: u64,
    errno: Errno,
) -> MemoryError {
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
