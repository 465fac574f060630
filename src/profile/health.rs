//! `[health]`: what becomes of a thread that stands still.

use super::reader::Table;
use super::reader::values::{or_zero, whole};

/// `[health]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// A capture, inference or housekeeping thread that has stood still for so long beyond its usual time ends the
    /// program, 3000..=3600000; 0 never.
    pub hang_exit_ms: u64,
}

pub fn read(t: &mut Table<'_>) -> Health {
    Health {
        hang_exit_ms: t.or(
            "hang-exit-ms",
            or_zero(whole(3000..=3_600_000, "ms")),
            "60000",
        ),
    }
}
