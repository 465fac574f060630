//! The bell of a thread that drains its queues until there is nothing more to come.

use crate::ring::{Doorbell, Waiting};
use crate::sync::{AtomicBool, Ordering};

/// Rung for whatever is put into one of the thread's queues, and at the end.
#[derive(Debug)]
pub(crate) struct DrainBell {
    bell: Doorbell,
    /// Nothing more comes.
    finish: AtomicBool,
}

impl DrainBell {
    pub(crate) fn new() -> Self {
        Self {
            bell: Doorbell::new(),
            finish: AtomicBool::new(false),
        }
    }

    /// Wakes the thread.
    pub(crate) fn ring(&self) {
        self.bell.ring(1);
    }

    /// Nothing more comes: the thread drains its queues and ends.
    pub(crate) fn finish(&self) {
        // Release N1: the thread sees all that was put into its queues before.
        self.finish.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether nothing more comes. Read before the queues are drained: what came before the end is then seen.
    pub(crate) fn is_finishing(&self) -> bool {
        // Acquire N1.
        self.finish.load(Ordering::Acquire)
    }

    /// Waits until it is rung, at most until `until_ns`; whether it was.
    pub(crate) fn wait(&self, until_ns: u64, now_ns: impl Fn() -> u64) -> bool {
        self.bell.wait(Waiting::Park, until_ns, now_ns);
        self.bell.take() != 0
    }
}
