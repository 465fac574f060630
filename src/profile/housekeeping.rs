//! `[housekeeping]`: the thread that is not real-time.

use super::core::core;
use super::reader::Table;
use super::reader::values::whole;
use crate::limits::{MAX_QUEUED, MAX_RECORDS};

/// `[housekeeping]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Housekeeping {
    /// Its core.
    pub core: usize,
    /// Results of one worker that may wait for it, 1..=1024; more are lost and counted.
    pub queue_results: usize,
    /// Records that the recording holds before the oldest is overwritten, 16..=10000000.
    pub record_results: u64,
}

pub fn read(t: &mut Table<'_>) -> Housekeeping {
    Housekeeping {
        core: t.or("core", core(), "0"),
        queue_results: t.or("queue-results", whole(1..=MAX_QUEUED, "results"), "64"),
        record_results: t.or(
            "record-results",
            whole(16..=MAX_RECORDS.into(), "results"),
            "16384",
        ),
    }
}
