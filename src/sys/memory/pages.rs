//! What memory is asked for, and what it is made of.
#![allow(unsafe_code)]

use crate::profile::OnShortage;
use crate::units::KIB;
use nix::libc;

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

/// Size of the machine's ordinary pages.
#[must_use]
pub fn machine_page_bytes() -> u64 {
    // SAFETY: sysconf only takes the number.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4 * KIB)
}
