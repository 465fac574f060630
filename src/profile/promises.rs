//! `[promises]`: which promises of the proof a run is held to.

use super::reader::Table;
use super::reader::values::truth;

/// `[promises]`: true where a promise that is not kept ends the run with exit code 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // one for each promise
pub struct Promises {
    /// Every frame is accounted for.
    pub accounted: bool,
    /// At least one frame of each camera was inferred.
    pub results: bool,
    /// No camera was without a result for longer than its `max-gap-ms`.
    pub gaps: bool,
    /// No thread stood still.
    pub threads: bool,
    /// Streams ended, and did not break off.
    pub streams: bool,
    /// No heap call after ready.
    pub heap: bool,
    /// No page fault after ready.
    pub faults: bool,
    /// No thread moved from its core.
    pub migrations: bool,
    /// Memory lies where it was asked for.
    pub memory: bool,
    /// No file lost everything.
    pub files: bool,
    /// No result, event, record or line was lost.
    pub losses: bool,
}

pub fn read(t: &mut Table<'_>) -> Promises {
    let mut demanded = |key, default| t.or(key, truth(), default);
    Promises {
        accounted: demanded("accounted", "true"),
        results: demanded("results", "true"),
        gaps: demanded("gaps", "false"),
        threads: demanded("threads", "false"),
        streams: demanded("streams", "true"),
        heap: demanded("heap", "false"),
        faults: demanded("faults", "false"),
        migrations: demanded("migrations", "false"),
        memory: demanded("memory", "false"),
        files: demanded("files", "true"),
        losses: demanded("losses", "false"),
    }
}
