//! What capture and inference threads have in common: after ready they are held to no heap call and no page fault.

use crate::appliance::exit::{Exit, Failure};
use crate::sys::malloc_guard::{self, HeapCounts, HotThread};
use crate::sys::thread::{ThreadUsage, UsageProbe};

/// What one hot thread did between ready and the end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HotUsage {
    pub(crate) thread: ThreadUsage,
    pub(crate) heap: HeapCounts,
}

/// Makes the calling thread a hot one.
pub(crate) fn register() -> Result<HotThread, Failure> {
    malloc_guard::register_hot().map_err(|error| Failure::new(Exit::Internal, error))
}

/// Runs `watch` between two readings of this thread's usage.
pub(crate) fn measured(
    probe: &mut UsageProbe,
    hot: &HotThread,
    watch: impl FnOnce(&mut UsageProbe, &HotThread),
) -> HotUsage {
    let thread = probe.read();
    let heap = hot.counts();
    watch(probe, hot);
    HotUsage {
        thread: probe.read().since(&thread),
        heap: hot.counts().since(&heap),
    }
}
