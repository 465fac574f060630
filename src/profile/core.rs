//! What the keys of several tables take: cores and priorities of threads.

use super::reader::values::{ValueParser, whole};

/// Highest core number, plus one: the kernel's usual bound on CPUs (`CONFIG_NR_CPUS`).
const CORES: usize = 1024;
/// Highest SCHED_FIFO priority: below the kernel's own threads that must not wait (99) and a margin.
const MAX_FIFO: u32 = 89;

/// The core of a thread.
pub fn core() -> ValueParser<usize> {
    whole(0..=CORES - 1, "core number")
}

/// The priority of a thread.
pub fn fifo() -> ValueParser<u32> {
    whole(0..=MAX_FIFO, "SCHED_FIFO priority, 0 is SCHED_OTHER")
}
