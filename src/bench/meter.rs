//! Counters of the whole process, between two moments.

use crate::sys::clock::now_ns;
use crate::sys::usage::Switches;

/// Counters of the whole process at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    at_ns: u64,
    heap: Option<Heap>,
    switches: Switches,
}

/// Calls of the heap that gave memory, C and C++ included, and the bytes that they asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heap {
    pub(super) calls: u64,
    pub(super) bytes: u64,
}

/// What happened between two readings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) elapsed_ns: u64,
    /// `None` where the heap is not counted.
    pub(super) heap: Option<Heap>,
    pub(super) switches: Switches,
}

impl Reading {
    pub(super) fn now() -> Self {
        Self {
            at_ns: now_ns(),
            heap: heap(),
            switches: Switches::of_process(),
        }
    }

    pub(super) fn since(self, before: Self) -> Spent {
        Spent {
            elapsed_ns: self.at_ns - before.at_ns,
            heap: self.heap.zip(before.heap).map(|(now, before)| Heap {
                calls: now.calls - before.calls,
                bytes: now.bytes - before.bytes,
            }),
            switches: self.switches.since(before.switches),
        }
    }
}

impl Spent {
    /// `count` of these as a rate.
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    pub(super) fn per_s(self, count: u64) -> f64 {
        count as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }
}

fn heap() -> Option<Heap> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_per_second_of_the_time_between_the_readings() {
        let spent = Spent {
            elapsed_ns: 500_000_000,
            heap: None,
            switches: Switches::default(),
        };
        assert!((spent.per_s(7) - 14.0).abs() < 1e-9);
        let before = Reading::now();
        assert!(Reading::now().since(before).elapsed_ns < 1_000_000_000_000);
    }
}
