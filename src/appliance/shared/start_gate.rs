//! The gate that hot threads wait at while the rest of the appliance is armed.

use std::sync::{Condvar, Mutex, PoisonError};

/// How far arming has come. Only ever advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Threads prepare themselves.
    Arming,
    /// Streams may start.
    Stream,
    /// Ready: the watch begins.
    Watch,
    /// The watch is over, and what the other threads did in it has been read: hot threads may end.
    Over,
    /// Arming failed: threads end without having watched.
    Abandoned,
}

/// One gate for all threads of a run.
#[derive(Debug)]
pub(crate) struct StartGate {
    phase: Mutex<Phase>,
    moved: Condvar,
}

impl StartGate {
    pub(crate) fn new() -> Self {
        Self {
            phase: Mutex::new(Phase::Arming),
            moved: Condvar::new(),
        }
    }

    pub(crate) fn advance(&self, to: Phase) {
        // The phase is a plain value: a thread that died holding the lock has not spoilt it.
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        *phase = (*phase).max(to);
        drop(phase);
        self.moved.notify_all();
    }

    /// Ready has been said.
    pub(crate) fn is_watching(&self) -> bool {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        (Phase::Watch..=Phase::Over).contains(&phase)
    }

    /// Waits until `phase` is reached; false when arming was abandoned instead.
    pub(crate) fn wait_for(&self, phase: Phase) -> bool {
        let guard = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = self
            .moved
            .wait_while(guard, |now| *now < phase)
            .unwrap_or_else(PoisonError::into_inner);
        *reached != Phase::Abandoned
    }
}
