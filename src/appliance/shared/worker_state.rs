//! What a worker shows of itself while it runs.

use super::progress::ThreadProgress;
use crate::sync::{Arc, AtomicU64, Ordering};

/// Every worker's state, by its number.
pub(crate) type WorkerStates = Arc<[WorkerState]>;

/// One worker's.
#[derive(Debug, Default)]
pub(crate) struct WorkerState {
    pub(crate) progress: ThreadProgress,
    service_ns: AtomicU64,
}

impl WorkerState {
    /// One frame takes it so long, as measured at arming.
    pub(crate) fn set_service(&self, service_ns: u64) {
        self.service_ns.store(service_ns, Ordering::Relaxed);
    }

    /// How long one frame takes it; 0 before that was measured.
    pub(crate) fn service_ns(&self) -> u64 {
        self.service_ns.load(Ordering::Relaxed)
    }
}
