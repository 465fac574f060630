//! When a device that is lost is tried again: soon, and then ever more rarely.

use crate::units::{NS_PER_MS, NS_PER_S};

/// Pause before a lost device is tried again for the first time; doubled with each failure.
pub(super) const FIRST_PAUSE_NS: u64 = 250 * NS_PER_MS;
/// Longest pause.
pub(super) const LONGEST_PAUSE_NS: u64 = 30 * NS_PER_S;

/// The pauses of one device. Due at once in the beginning.
#[derive(Debug)]
pub(super) struct Pauses {
    at_ns: u64,
    pause_ns: u64,
}

impl Pauses {
    pub(super) const fn new() -> Self {
        Self {
            at_ns: 0,
            pause_ns: FIRST_PAUSE_NS,
        }
    }

    /// It is time to try.
    pub(super) const fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.at_ns
    }

    /// When it is time.
    pub(super) const fn at_ns(&self) -> u64 {
        self.at_ns
    }

    /// The device failed.
    pub(super) fn failed(&mut self, now_ns: u64) {
        self.at_ns = now_ns.saturating_add(self.pause_ns);
        self.pause_ns = (self.pause_ns * 2).min(LONGEST_PAUSE_NS);
    }

    /// The device does what it is for: the next failure is a new one.
    pub(super) const fn worked(&mut self) {
        self.pause_ns = FIRST_PAUSE_NS;
    }
}
