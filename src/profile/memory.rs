//! `[memory]`: where frames live, and how much memory the board may take.

use super::reader::Table;
use super::reader::values::{choice, one_of, or_zero, whole, words};

/// Sizes of pages that frame slots may live in.
pub const HUGEPAGE_SIZES_KIB: &[u64] = &[64, 2_048, 32_768, 524_288, 1_048_576];

/// `[memory]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Size of the pages that frame slots are asked to live in: 64, 2048, 32768, 524288 or 1048576.
    pub hugepage_kib: u64,
    /// What to do when hugepages, node binding or locking cannot be had.
    pub on_shortage: OnShortage,
    /// Upper bound of the whole budget table, in MiB.
    pub budget_mib: u64,
    /// Fixed arena of a hot thread whose library calls malloc after ready, 64..=1048576 KiB; 0 is none.
    pub malloc_arena_kib: u64,
}

words! {
    /// `on-shortage`
    pub enum OnShortage {
        /// Do not start; report which setting to change.
        Refuse = "refuse",
        /// Hugepages, else transparent hugepages, else plain pages; reported.
        Fallback = "fallback",
    }
}

pub fn read(t: &mut Table<'_>) -> Memory {
    Memory {
        hugepage_kib: t.or("hugepage-kib", one_of(HUGEPAGE_SIZES_KIB, "KiB"), "2048"),
        on_shortage: t.or("on-shortage", choice(OnShortage::ALL), "\"fallback\""),
        budget_mib: t.or("budget-mib", whole(1..=1_048_576, "MiB"), "256"),
        malloc_arena_kib: t.or(
            "malloc-arena-kib",
            or_zero(whole(64..=1_048_576, "KiB")),
            "0",
        ),
    }
}
