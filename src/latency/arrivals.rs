//! How a camera's frames arrive at its capture thread, and what kept the late ones.

use super::thread_counters::ThreadCounters;
use super::{Histogram, RunningQuantile, late};

/// What the capture thread noticed of one frame: bits that travel in its header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remarks(u32);

impl Remarks {
    /// The driver left frames out before this one, or took more than one and a half intervals for it.
    pub const DRIVER_GAP: Self = Self(1);
    /// It was taken later after its stamp than is usual for this camera.
    pub const LATE: Self = Self(1 << 1);
    /// The capture thread was at work when the frame was due, and not waiting for it.
    pub const BUSY: Self = Self(1 << 2);
    /// The capture thread had a page fault while the frame was due.
    pub const PAGE_FAULT: Self = Self(1 << 3);
    /// The capture thread changed its core while the frame was due.
    pub const MIGRATION: Self = Self(1 << 4);
    /// The capture thread was pushed off its core while the frame was due.
    pub const INVOLUNTARY_SWITCH: Self = Self(1 << 5);

    const BITS: u32 = (1 << 6) - 1;
    /// The header's stamp word has the kind of the stamp in its lowest byte.
    const SHIFT: u32 = 8;

    /// Whether all of `other` is noted.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These, and `other` if `noted`.
    #[must_use]
    const fn and(self, other: Self, noted: bool) -> Self {
        if noted { Self(self.0 | other.0) } else { self }
    }

    /// The header's stamp word: these beside the number of the stamp's kind.
    #[must_use]
    pub const fn beside(self, kind: u8) -> u32 {
        self.0 << Self::SHIFT | kind as u32
    }

    /// Those of a header's stamp word.
    #[must_use]
    pub const fn of(word: u32) -> Self {
        Self(word >> Self::SHIFT & Self::BITS)
    }
}

impl std::ops::BitOr for Remarks {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a capture thread's own counters were at its last two waits for frames: evidence for late ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    last: ThreadCounters,
    before: ThreadCounters,
}

impl Waits {
    /// The thread has done its work, and goes to wait.
    pub const fn waiting(&mut self, counters: ThreadCounters) {
        self.before = self.last;
        self.last = counters;
    }

    /// The newest counters that are not younger than a frame of `capture_ns`; of an old frame, the older
    /// ones.
    const fn since(&self, capture_ns: u64) -> &ThreadCounters {
        if self.last.at_ns <= capture_ns {
            &self.last
        } else {
            &self.before
        }
    }
}

/// One frame that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its capture stamp, as it is believed.
    pub capture_ns: u64,
    /// When the capture thread had taken it.
    pub dequeue_ns: u64,
    /// Numbers are missing before its sequence number.
    pub numbers_missing: bool,
}

/// One camera's arrivals. Takes constant time for each frame; all memory is taken when it is made.
#[derive(Clone, Debug)]
pub struct Arrivals {
    interval_ns: u64,
    last_capture_ns: Option<u64>,
    spacing: Histogram,
    baseline: RunningQuantile,
}

impl Arrivals {
    /// Of a camera with one frame each `interval_ns`; 0 when that is not known.
    #[must_use]
    pub fn new(interval_ns: u64) -> Self {
        Self {
            interval_ns,
            last_capture_ns: None,
            spacing: Histogram::new(),
            baseline: RunningQuantile::median(),
        }
    }

    /// Bytes that one holds.
    #[must_use]
    pub const fn bytes() -> u64 {
        Histogram::bytes() + RunningQuantile::bytes()
    }

    /// The stream began anew: the next frame follows no other.
    pub const fn restarted(&mut self) {
        self.last_capture_ns = None;
    }

    /// Times from one capture stamp to the next.
    #[must_use]
    pub const fn spacing(&self) -> &Histogram {
        &self.spacing
    }

    /// Records a frame. `look` reads the thread's counters; it is called for late frames only.
    pub fn arrived(
        &mut self,
        arrival: &Arrival,
        waits: &Waits,
        look: impl FnOnce() -> ThreadCounters,
    ) -> Remarks {
        let spacing_ns = self
            .last_capture_ns
            .map(|last_ns| arrival.capture_ns.saturating_sub(last_ns));
        self.last_capture_ns = Some(arrival.capture_ns);
        if let Some(spacing_ns) = spacing_ns {
            self.spacing.record(spacing_ns);
        }
        let gap_ns = self.interval_ns + self.interval_ns / 2;
        let spaced = self.interval_ns > 0 && spacing_ns.is_some_and(|ns| ns > gap_ns);
        let remarks =
            Remarks::default().and(Remarks::DRIVER_GAP, arrival.numbers_missing || spaced);

        let taking_ns = arrival.dequeue_ns.saturating_sub(arrival.capture_ns);
        let usual_ns = self.baseline.value_ns();
        let known = self.baseline.count() > 0;
        self.baseline.record(taking_ns);
        if !known || !late(taking_ns, usual_ns) {
            return remarks;
        }
        let seen = waits.since(arrival.capture_ns).until(&look());
        let due_ns = arrival.capture_ns.saturating_add(usual_ns);
        (remarks | Remarks::LATE)
            .and(Remarks::BUSY, waits.last.at_ns > due_ns)
            .and(Remarks::PAGE_FAULT, seen.page_faults > 0)
            .and(Remarks::MIGRATION, seen.migrated)
            .and(Remarks::INVOLUNTARY_SWITCH, seen.involuntary_switches > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{NS_PER_MS, NS_PER_US};

    const INTERVAL: u64 = 33 * NS_PER_MS;
    const USUAL: u64 = 60 * NS_PER_US;

    /// A capture thread with a steady camera behind it, simulated.
    struct Thread {
        arrivals: Arrivals,
        waits: Waits,
        counters: ThreadCounters,
        now_ns: u64,
    }

    fn steady() -> Thread {
        let mut thread = Thread {
            arrivals: Arrivals::new(INTERVAL),
            waits: Waits::default(),
            counters: ThreadCounters::default(),
            now_ns: 0,
        };
        for _ in 0..50 {
            assert_eq!(thread.frame(INTERVAL, USUAL), Remarks::default());
        }
        thread
    }

    impl Thread {
        /// The next frame, captured so long after the last one and taken so long after that. The thread
        /// went to wait at once after the last one.
        #[track_caller]
        fn frame(&mut self, spacing_ns: u64, taking_ns: u64) -> Remarks {
            self.now_ns += spacing_ns;
            let arrival = Arrival {
                capture_ns: self.now_ns,
                dequeue_ns: self.now_ns + taking_ns,
                numbers_missing: false,
            };
            let counters = ThreadCounters {
                at_ns: arrival.dequeue_ns,
                ..self.counters
            };
            let remarks = self.arrivals.arrived(&arrival, &self.waits, || counters);
            self.waits.waiting(ThreadCounters {
                at_ns: arrival.dequeue_ns + 10 * NS_PER_US,
                ..counters
            });
            remarks
        }
    }

    #[test]
    fn a_steady_camera_is_not_remarked_upon_and_its_counters_are_not_looked_at() {
        let mut thread = steady();
        assert_eq!(thread.arrivals.spacing().count(), 49);
        let arrival = Arrival {
            capture_ns: thread.now_ns + INTERVAL,
            dequeue_ns: thread.now_ns + INTERVAL + USUAL,
            numbers_missing: false,
        };
        let remarks = thread
            .arrivals
            .arrived(&arrival, &thread.waits, || unreachable!());
        assert_eq!(remarks, Remarks::default());
    }

    #[test]
    fn a_gap_is_seen_by_the_numbers_and_by_the_stamps() {
        let mut thread = steady();
        assert_eq!(
            thread.frame(INTERVAL * 8 / 5, USUAL),
            Remarks::DRIVER_GAP,
            "1.6 intervals"
        );
        assert_eq!(thread.frame(INTERVAL * 7 / 5, USUAL), Remarks::default());
        thread.now_ns += INTERVAL;
        let arrival = Arrival {
            capture_ns: thread.now_ns,
            dequeue_ns: thread.now_ns + USUAL,
            numbers_missing: true,
        };
        let remarks = thread
            .arrivals
            .arrived(&arrival, &thread.waits, || unreachable!());
        assert_eq!(remarks, Remarks::DRIVER_GAP);
    }

    #[test]
    fn a_restart_and_an_unknown_interval_are_no_gaps() {
        let mut thread = steady();
        thread.arrivals.restarted();
        assert_eq!(thread.frame(70 * INTERVAL, USUAL), Remarks::default());
        thread.arrivals.interval_ns = 0;
        assert_eq!(thread.frame(70 * INTERVAL, USUAL), Remarks::default());
    }

    #[test]
    fn a_frame_taken_late_by_a_thread_that_waited_is_late_and_nothing_else() {
        assert_eq!(steady().frame(INTERVAL, 5 * NS_PER_MS), Remarks::LATE);
    }

    #[test]
    fn what_happened_to_the_capture_thread_since_it_went_to_wait_is_remarked() {
        let happens: [fn(&mut ThreadCounters); 3] = [
            |counters| counters.page_faults += 1,
            |counters| counters.core += 1,
            |counters| counters.involuntary_switches += 2,
        ];
        let remarks = [
            Remarks::PAGE_FAULT,
            Remarks::MIGRATION,
            Remarks::INVOLUNTARY_SWITCH,
        ];
        for (happens, remark) in happens.into_iter().zip(remarks) {
            let mut thread = steady();
            happens(&mut thread.counters);
            assert_eq!(
                thread.frame(INTERVAL, 5 * NS_PER_MS),
                Remarks::LATE | remark
            );
            // It is over: the next late frame has nothing to do with it.
            assert_eq!(thread.frame(INTERVAL, 5 * NS_PER_MS), Remarks::LATE);
        }
    }

    #[test]
    fn a_thread_that_was_at_work_when_the_frame_was_due_was_busy() {
        let mut thread = steady();
        // Another camera's restart took until 4 ms after this frame's capture; its trouble counts too.
        let restarted_ns = thread.now_ns + INTERVAL + 4 * NS_PER_MS;
        thread.counters.page_faults += 1;
        thread.waits.waiting(ThreadCounters {
            at_ns: restarted_ns,
            ..thread.counters
        });
        let expected = Remarks::LATE | Remarks::BUSY | Remarks::PAGE_FAULT;
        assert_eq!(thread.frame(INTERVAL, 4_100 * NS_PER_US), expected);
    }

    #[test]
    fn remarks_travel_beside_the_kind_of_the_stamp() {
        let remarks = Remarks::LATE | Remarks::MIGRATION;
        let word = remarks.beside(2);
        assert_eq!((Remarks::of(word), word & 0xff), (remarks, 2));
        assert_eq!(Remarks::of(2), Remarks::default());
    }
}
