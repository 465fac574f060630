//! The kernel's pools of huge pages, machine-wide and by node, as /sys shows them.
//!
//! # Source
//! Linux `Documentation/admin-guide/mm/hugetlbpage.rst`.

use crate::sys::io::procfs;
use crate::units::KIB;
use std::path::{Path, PathBuf};

/// One pool: pages of one size, machine-wide or of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePool {
    /// Size of its pages.
    pub page_bytes: u64,
    /// Pages that the pool has.
    pub total: u64,
    /// Pages of it that no mapping has touched.
    pub free: u64,
    /// Free pages that a mapping has been promised. The kernel counts them machine-wide only.
    pub reserved: u64,
}

impl HugePool {
    /// Pages that a new mapping can have.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.free.saturating_sub(self.reserved)
    }
}

/// Where the pool of pages of `page_bytes` is shown: of one node, or machine-wide.
#[must_use]
pub fn directory(root: &Path, page_bytes: u64, node: Option<usize>) -> PathBuf {
    let pool = format!("hugepages-{}kB", page_bytes / KIB);
    match node {
        None => root.join("sys/kernel/mm/hugepages").join(pool),
        Some(node) => root
            .join(format!("sys/devices/system/node/node{node}/hugepages"))
            .join(pool),
    }
}

/// The pool of pages of `page_bytes`; `None` when this kernel has no such pages or no such node.
#[must_use]
pub fn read(root: &Path, page_bytes: u64, node: Option<usize>) -> Option<HugePool> {
    let directory = directory(root, page_bytes, node);
    let count = |name: &str| {
        let mut buffer = [0; 32];
        procfs::number(procfs::read(&directory.join(name), &mut buffer).ok()?)
    };
    Some(HugePool {
        page_bytes,
        total: count("nr_hugepages")?,
        free: count("free_hugepages")?,
        reserved: count("resv_hugepages").unwrap_or(0),
    })
}

/// Page sizes that this kernel has pools for, smallest first.
#[must_use]
pub fn sizes(root: &Path) -> Vec<u64> {
    let mut sizes: Vec<u64> = std::fs::read_dir(root.join("sys/kernel/mm/hugepages"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let kib = name
                .to_str()?
                .strip_prefix("hugepages-")?
                .strip_suffix("kB")?;
            kib.parse::<u64>().ok()?.checked_mul(KIB)
        })
        .collect();
    sizes.sort_unstable();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::MIB;

    #[test]
    fn pools_are_read_by_size_and_node_and_reserved_pages_are_not_available() {
        let root = tempfile::tempdir().unwrap();
        let write = |node, name: &str, text: &str| {
            let directory = directory(root.path(), 2 * MIB, node);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join(name), text).unwrap();
        };
        write(None, "nr_hugepages", "64\n");
        write(None, "free_hugepages", "10\n");
        write(None, "resv_hugepages", "4\n");
        write(Some(1), "nr_hugepages", "32\n");
        write(Some(1), "free_hugepages", "3\n");
        let whole = read(root.path(), 2 * MIB, None).unwrap();
        assert_eq!((whole.total, whole.free, whole.available()), (64, 10, 6));
        let node = read(root.path(), 2 * MIB, Some(1)).unwrap();
        assert_eq!((node.total, node.available()), (32, 3));
        assert_eq!(read(root.path(), 2 * MIB, Some(0)), None);
        assert_eq!(read(root.path(), 1024 * MIB, None), None);
        assert_eq!(sizes(root.path()), [2 * MIB]);
    }
}
