//! `[capture]`: the threads that serve the cameras.

use super::core::fifo;
use super::reader::Table;

/// `[capture]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// SCHED_FIFO priority of every capture thread, 1..=89, or 0 for SCHED_OTHER.
    pub fifo_priority: u32,
}

pub fn read(t: &mut Table<'_>) -> Capture {
    Capture {
        fifo_priority: t.or("fifo-priority", fifo(), "0"),
    }
}
