//! Counters of the whole process, between two moments.

use crate::harness::usage::Switches;
use pinsight::sys::clock::now_ns;
use pinsight::sys::malloc_guard;

/// While it is held, every entry into the heap is counted, C and C++ included.
#[derive(Debug)]
pub(crate) struct Meter {
    /// `None` where the heap cannot be watched: see [`Meter::remark`].
    counting: Option<malloc_guard::Guard>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            counting: malloc_guard::self_test()
                .is_ok()
                .then(malloc_guard::guard_on),
        }
    }

    /// Why heap calls are missing from the figures, if they are.
    pub(crate) fn remark() -> Option<String> {
        malloc_guard::self_test()
            .err()
            .map(|error| error.to_string())
    }

    pub(crate) fn read(&self) -> Reading {
        let counts = self
            .counting
            .as_ref()
            .map(|_| malloc_guard::hot_counts().plus(&malloc_guard::other_counts()));
        Reading {
            at_ns: now_ns(),
            heap: counts.map(|counts| Heap {
                calls: counts.calls,
                bytes: counts.allocated_bytes,
            }),
            switches: Switches::of_process(),
        }
    }
}

/// Counters of the whole process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    at_ns: u64,
    heap: Option<Heap>,
    switches: Switches,
}

/// Calls of the heap that gave memory, and the bytes that they got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heap {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

/// What happened between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) elapsed_ns: u64,
    /// `None` where the heap is not counted.
    pub(crate) heap: Option<Heap>,
    pub(crate) switches: Switches,
}

impl Reading {
    pub(crate) fn since(self, before: Self) -> Spent {
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
    pub(crate) fn per_s(self, count: u64) -> f64 {
        count as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_is_counted_and_a_rate_is_per_second() {
        let meter = Meter::new();
        let before = meter.read();
        let kept = std::hint::black_box(vec![1_u8; 100_000]);
        let spent = meter.read().since(before);
        drop(kept);
        let heap = spent.heap.expect("glibc's heap can be watched");
        assert!(heap.calls >= 1 && heap.bytes >= 100_000);
        let half = Spent {
            elapsed_ns: 500_000_000,
            ..spent
        };
        assert!((half.per_s(7) - 14.0).abs() < 1e-9);
    }
}
