//! Why memory cannot be had, with the setting to change.

use super::{LockError, Placement, RegionRequest};
use crate::sys::memory::hugepool;
use crate::units::{KIB, MIB};
use nix::errno::Errno;
use std::path::Path;

/// The way out that a refusal names last.
pub(super) const ACCEPT: &str =
    ", or accept other pages with on-shortage = \"fallback\" in [memory]";

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
                write!(f, "{operation} of {bytes} bytes failed: {errno}")?;
                if *errno == Errno::ENOMEM {
                    f.write_str(
                        "; raise the limit of address space (LimitAS of the service, `ulimit -v`) if there is \
                         one, or lower memory.budget-mib",
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for MemoryError {}

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
