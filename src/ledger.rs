//! The ledger: every frame that a driver delivered ends in exactly one column.
//!
//! Answers for: the counters of one camera, the identity they must keep, and what a driver's sequence
//! numbers say about frames that never arrived. Does not answer for: deciding which column (the stage
//! that ends the frame does).
//!
//! ```text
//! driver frames = inferred + evicted + stale + damaged + refused + failed + in flight
//! sequence span = driver frames + lost in driver - repeated
//! ```
//!
//! The counters are written in two places that share no cache line: by the camera's capture thread
//! ([`CaptureLedger`]) and by the workers ([`WorkerLedger`]). They order nothing (all accesses are
//! relaxed): frames in flight are counted elsewhere, from the slots' headers, so that the identity
//! compares two independent counts instead of one with itself.

use crate::sync::{Arc, AtomicU64, Ordering, Padded};
use schemars::JsonSchema;
use serde::Serialize;

/// How a frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// It gave a result.
    Inferred = 0,
    /// A newer one pushed it out before any worker claimed it.
    Evicted = 1,
    /// It was claimed too old, passed over for a newer one, or came with the number of the frame before it.
    Stale = 2,
    /// It came with the driver's error flag, short, torn or undecodable.
    Damaged = 3,
    /// It had nowhere to go: no free slot, no worker, stopping, or a model that ran past its deadline.
    Refused = 4,
    /// It was claimed, and its preprocessing or inference failed.
    Failed = 5,
}

impl Outcome {
    /// Every outcome, in the order of the ledger's columns.
    pub const ALL: [Self; 6] = [
        Self::Inferred,
        Self::Evicted,
        Self::Stale,
        Self::Damaged,
        Self::Refused,
        Self::Failed,
    ];
}

/// Frames that a driver may lose between the start of a stream and its first frame: as many as it can have
/// buffers (`VIDEO_MAX_FRAME`).
pub const LOST_AT_START: u32 = 32;

/// What one sequence number says, seen after the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceStep {
    /// The first of a stream; so many frames of the stream are missing before it.
    First(u32),
    /// The one that was due.
    Next,
    /// So many frames are missing before it.
    Gap(u32),
    /// The same number again.
    Repeat,
    /// It went back: the stream began anew without having said so.
    Restart,
}

/// A driver's sequence numbers as one count without end. Pure.
///
/// Numbers are 32 bits wide and wrap. A step forward of less than 2^31 is progress, a step back is a new
/// stream. The span counts, for each stream, the numbers from its first to its last frame.
///
/// A stream that was started counts from 0, so a small first number tells of frames that were lost before
/// it: up to [`LOST_AT_START`], and unless the number follows the last one of the stream before. Drivers that
/// do not start anew have other numbers, which tell nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceTracker {
    last: Option<u32>,
    /// The last number of the stream before.
    before: Option<u32>,
    span: u64,
    lost: u64,
    repeated: u64,
    streams: u64,
}

impl SequenceTracker {
    /// Before the first frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            last: None,
            before: None,
            span: 0,
            lost: 0,
            repeated: 0,
            streams: 0,
        }
    }

    /// The stream was stopped: the next frame is the first of a new one, whatever its number.
    pub const fn restart(&mut self) {
        if self.last.is_some() {
            self.before = self.last;
        }
        self.last = None;
    }

    /// Takes a frame's number into account.
    #[inline]
    pub fn observe(&mut self, sequence: u32) -> SequenceStep {
        let step = match self.last.map(|last| sequence.wrapping_sub(last)) {
            None => SequenceStep::First(self.lost_at_start(sequence)),
            Some(0) => SequenceStep::Repeat,
            Some(1) => SequenceStep::Next,
            Some(ahead) if ahead < 1 << 31 => SequenceStep::Gap(ahead - 1),
            Some(_) => SequenceStep::Restart,
        };
        match step {
            SequenceStep::First(missing) => {
                self.streams += 1;
                self.lost += u64::from(missing);
                self.span += u64::from(missing) + 1;
            }
            SequenceStep::Restart => {
                self.streams += 1;
                self.span += 1;
            }
            SequenceStep::Next => self.span += 1,
            SequenceStep::Gap(missing) => {
                self.lost += u64::from(missing);
                self.span += u64::from(missing) + 1;
            }
            SequenceStep::Repeat => self.repeated += 1,
        }
        self.last = Some(sequence);
        step
    }

    fn lost_at_start(&self, first: u32) -> u32 {
        let goes_on = self.before.map(|last| last.wrapping_add(1)) == Some(first);
        if goes_on || first > LOST_AT_START {
            0
        } else {
            first
        }
    }

    /// Numbers from the first to the last frame of each stream, summed; from 0 where frames were lost before
    /// the first one.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.span
    }

    /// Numbers within the span that never came.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Frames that carried the number of the frame before them.
    #[must_use]
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Streams seen, told and untold restarts included.
    #[must_use]
    pub const fn streams(&self) -> u64 {
        self.streams
    }
}

#[derive(Debug, Default)]
struct CaptureSide {
    driver_frames: AtomicU64,
    span: AtomicU64,
    lost: AtomicU64,
    repeated: AtomicU64,
    streams: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

#[derive(Debug, Default)]
struct Counters {
    capture: Padded<CaptureSide>,
    workers: Padded<[AtomicU64; Outcome::ALL.len()]>,
}

/// A ledger with nothing in it: the capture thread's end, the workers' end, and the reader's.
#[must_use]
pub fn ledger() -> (CaptureLedger, WorkerLedger, LedgerView) {
    let counters = Arc::new(Counters::default());
    (
        CaptureLedger {
            counters: Arc::clone(&counters),
            tracker: SequenceTracker::new(),
        },
        WorkerLedger {
            counters: Arc::clone(&counters),
        },
        LedgerView { counters },
    )
}

/// Adds to a counter that only this thread writes: no read-modify-write is needed.
#[inline]
fn add_alone(counter: &AtomicU64, count: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(count),
        Ordering::Relaxed,
    );
}

/// Where the capture thread counts. One for each camera, and not to be shared.
#[derive(Debug)]
pub struct CaptureLedger {
    counters: Arc<Counters>,
    tracker: SequenceTracker,
}

impl CaptureLedger {
    /// The driver delivered a frame with this sequence number, be it damaged or not.
    #[inline]
    pub fn frame(&mut self, sequence: u32) -> SequenceStep {
        let step = self.tracker.observe(sequence);
        let side = &self.counters.capture;
        add_alone(&side.driver_frames, 1);
        side.span.store(self.tracker.span(), Ordering::Relaxed);
        match step {
            SequenceStep::Next => {}
            SequenceStep::Repeat => side
                .repeated
                .store(self.tracker.repeated(), Ordering::Relaxed),
            SequenceStep::Gap(_) => side.lost.store(self.tracker.lost(), Ordering::Relaxed),
            SequenceStep::First(_) | SequenceStep::Restart => {
                side.streams
                    .store(self.tracker.streams(), Ordering::Relaxed);
                side.lost.store(self.tracker.lost(), Ordering::Relaxed);
            }
        }
        step
    }

    /// The stream was stopped: the next frame begins a new one.
    pub fn stream_stopped(&mut self) {
        self.tracker.restart();
    }

    /// `count` frames ended so, on the capture thread.
    #[inline]
    pub fn count(&mut self, outcome: Outcome, count: u64) {
        add_alone(&self.counters.capture.outcomes[outcome as usize], count);
    }
}

/// Where workers count. Each may have its own.
#[derive(Clone, Debug)]
pub struct WorkerLedger {
    counters: Arc<Counters>,
}

impl WorkerLedger {
    /// `count` frames ended so, on a worker.
    #[inline]
    pub fn count(&self, outcome: Outcome, count: u64) {
        self.counters.workers[outcome as usize].fetch_add(count, Ordering::Relaxed);
    }
}

/// Where anybody reads.
#[derive(Clone, Debug)]
pub struct LedgerView {
    counters: Arc<Counters>,
}

impl LedgerView {
    fn read(&self) -> LedgerSnapshot {
        let capture = &self.counters.capture;
        let column = |outcome: Outcome| {
            capture.outcomes[outcome as usize].load(Ordering::Relaxed)
                + self.counters.workers[outcome as usize].load(Ordering::Relaxed)
        };
        LedgerSnapshot {
            driver_frames: capture.driver_frames.load(Ordering::Relaxed),
            inferred: column(Outcome::Inferred),
            dropped: Dropped {
                evicted: column(Outcome::Evicted),
                stale: column(Outcome::Stale),
                damaged: column(Outcome::Damaged),
                refused: column(Outcome::Refused),
                failed: column(Outcome::Failed),
            },
            in_flight: 0,
            lost_in_driver: capture.lost.load(Ordering::Relaxed),
            repeated_sequence: capture.repeated.load(Ordering::Relaxed),
            sequence_span: capture.span.load(Ordering::Relaxed),
            streams: capture.streams.load(Ordering::Relaxed),
        }
    }

    /// All counters, and the frames in flight as `in_flight` counts them: those in the ring, leased, and
    /// with a worker that has already given the slot back.
    ///
    /// At rest the snapshot is exact. While threads run, a frame may be between two counters at the
    /// moment it is looked at; the counters are read until they stand still around the count, a few
    /// times at most. A true breach of the identity is one that stays.
    pub fn snapshot(&self, mut in_flight: impl FnMut() -> u64) -> LedgerSnapshot {
        const ATTEMPTS: u32 = 8;
        let mut before = self.read();
        for attempt in 1.. {
            let flying = in_flight();
            let after = self.read();
            if after == before || attempt == ATTEMPTS {
                return LedgerSnapshot {
                    in_flight: flying,
                    ..after
                };
            }
            before = after;
        }
        unreachable!("the last attempt returns")
    }
}

/// Frames without a result, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Dropped {
    /// Pushed out by a newer one before any worker claimed it.
    pub evicted: u64,
    /// Claimed too old, passed over for a newer one, or a repetition.
    pub stale: u64,
    /// Driver's error flag, short, torn or undecodable.
    pub damaged: u64,
    /// No free slot, no worker, stopping.
    pub refused: u64,
    /// Preprocessing or inference failed.
    pub failed: u64,
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.evicted + self.stale + self.damaged + self.refused + self.failed
    }
}

/// The ledger of one camera at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerSnapshot {
    /// Frames that the driver delivered.
    pub driver_frames: u64,
    /// Frames that gave a result.
    pub inferred: u64,
    /// Frames that did not.
    pub dropped: Dropped,
    /// Frames that have not ended yet, counted from the slots.
    pub in_flight: u64,
    /// Frames that never reached us: gaps in the driver's sequence.
    pub lost_in_driver: u64,
    /// Frames that carried the number of the frame before them.
    pub repeated_sequence: u64,
    /// Numbers from the first to the last frame of each stream, summed.
    pub sequence_span: u64,
    /// Streams: starts, restarts, and sequence numbers that went back.
    pub streams: u64,
}

/// By how much an identity does not hold: left side minus right side, so 0 and 0 when both hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imbalance {
    /// Driver frames minus all columns.
    pub frames: i128,
    /// Sequence span minus (driver frames + lost - repeated).
    pub sequence: i128,
}

impl LedgerSnapshot {
    /// Both identities as differences.
    #[must_use]
    pub fn imbalance(&self) -> Imbalance {
        let driver = i128::from(self.driver_frames);
        let ended = i128::from(self.inferred) + i128::from(self.dropped.total());
        let expected_span =
            driver + i128::from(self.lost_in_driver) - i128::from(self.repeated_sequence);
        Imbalance {
            frames: driver - ended - i128::from(self.in_flight),
            sequence: i128::from(self.sequence_span) - expected_span,
        }
    }

    /// Whether both identities hold.
    #[must_use]
    pub fn identity_holds(&self) -> bool {
        self.imbalance() == Imbalance::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn steps(numbers: &[u32]) -> (Vec<SequenceStep>, SequenceTracker) {
        let mut tracker = SequenceTracker::new();
        let steps = numbers.iter().map(|&n| tracker.observe(n)).collect();
        (steps, tracker)
    }

    #[test]
    fn gaps_and_repeats_are_told_from_progress() {
        let (seen, tracker) = steps(&[4, 5, 8, 8, 9]);
        assert_eq!(
            seen,
            [
                SequenceStep::First(4),
                SequenceStep::Next,
                SequenceStep::Gap(2),
                SequenceStep::Repeat,
                SequenceStep::Next
            ]
        );
        assert_eq!(
            (tracker.span(), tracker.lost(), tracker.repeated()),
            (10, 6, 1)
        );
    }

    #[test]
    fn frames_lost_before_the_first_one_are_counted_as_far_as_it_can_be_true() {
        let first = |before: Option<u32>, number: u32| {
            let mut tracker = SequenceTracker::new();
            if let Some(before) = before {
                tracker.observe(before);
                tracker.restart();
                // Told twice is told once.
                tracker.restart();
            }
            let lost = tracker.lost();
            tracker.observe(number);
            tracker.lost() - lost
        };
        assert_eq!(first(None, 0), 0);
        assert_eq!(first(None, 5), 5);
        assert_eq!(first(None, LOST_AT_START), u64::from(LOST_AT_START));
        assert_eq!(first(None, LOST_AT_START + 1), 0, "it began elsewhere");
        assert_eq!(first(Some(100), 5), 5);
        assert_eq!(first(Some(4), 5), 0, "it goes on where it was");
        assert_eq!(first(Some(5), 5), 5);
        assert_eq!(first(Some(u32::MAX), 0), 0);
    }

    #[test]
    fn a_wrap_is_progress() {
        let (seen, tracker) = steps(&[u32::MAX - 1, u32::MAX, 0, 3]);
        assert_eq!(seen[2..], [SequenceStep::Next, SequenceStep::Gap(2)]);
        assert_eq!(
            (tracker.span(), tracker.lost(), tracker.streams()),
            (6, 2, 1)
        );
    }

    #[test]
    fn a_gap_across_the_wrap_is_counted_whole() {
        let (seen, _) = steps(&[u32::MAX - 3, 2]);
        assert_eq!(seen[1], SequenceStep::Gap(5));
    }

    #[test]
    fn a_step_back_begins_a_new_stream() {
        let (seen, tracker) = steps(&[100, 101, 0, 1]);
        assert_eq!(seen[2], SequenceStep::Restart);
        assert_eq!(
            (tracker.span(), tracker.lost(), tracker.streams()),
            (4, 0, 2)
        );
    }

    #[test]
    fn a_told_restart_loses_nothing_between_the_streams() {
        let mut tracker = SequenceTracker::new();
        tracker.observe(7);
        tracker.restart();
        assert_eq!(tracker.observe(500), SequenceStep::First(0));
        tracker.restart();
        assert_eq!(tracker.observe(500), SequenceStep::First(0));
        assert_eq!(
            (tracker.span(), tracker.lost(), tracker.repeated()),
            (10, 7, 0)
        );
    }

    #[test]
    fn half_the_numbers_ahead_is_the_border_between_gap_and_restart() {
        let (seen, _) = steps(&[0, (1 << 31) - 1]);
        assert_eq!(seen[1], SequenceStep::Gap((1 << 31) - 2));
        let (seen, _) = steps(&[0, 1 << 31]);
        assert_eq!(seen[1], SequenceStep::Restart);
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn span_equals_frames_plus_lost_where_the_number_only_rises(
            rises in proptest::collection::vec(1..1000_u32, 0..100), first: u32,
        ) {
            let mut tracker = SequenceTracker::new();
            tracker.observe(first);
            let mut number = first;
            for rise in &rises {
                number = number.wrapping_add(*rise);
                tracker.observe(number);
            }
            let before = if first > LOST_AT_START { 0 } else { u64::from(first) };
            let span = before + 1 + rises.iter().map(|rise| u64::from(*rise)).sum::<u64>();
            let frames = 1 + rises.len() as u64;
            prop_assert_eq!(tracker.span(), span);
            prop_assert_eq!(tracker.span(), frames + tracker.lost());
            prop_assert_eq!((tracker.streams(), tracker.repeated()), (1, 0));
        }

        #[test]
        fn the_span_holds_for_any_numbers(numbers in proptest::collection::vec(any::<u32>(), 0..200)) {
            let (_, tracker) = steps(&numbers);
            let frames = numbers.len() as u64;
            prop_assert_eq!(tracker.span() + tracker.repeated(), frames + tracker.lost());
        }
    }

    #[test]
    fn both_sides_add_to_the_same_columns() {
        let (mut capture, worker, view) = ledger();
        for sequence in [0, 1, 3, 3, 4, 5, 6, 7] {
            capture.frame(sequence);
        }
        capture.count(Outcome::Evicted, 2);
        capture.count(Outcome::Damaged, 1);
        let other = worker.clone();
        for (end, outcome) in [&worker, &other].into_iter().cycle().zip(Outcome::ALL) {
            if outcome != Outcome::Evicted {
                end.count(outcome, 1);
            }
        }
        let snapshot = view.snapshot(|| 0);
        let expected = LedgerSnapshot {
            driver_frames: 8,
            inferred: 1,
            dropped: Dropped {
                evicted: 2,
                stale: 1,
                damaged: 2,
                refused: 1,
                failed: 1,
            },
            in_flight: 0,
            lost_in_driver: 1,
            repeated_sequence: 1,
            sequence_span: 8,
            streams: 1,
        };
        assert_eq!(snapshot, expected);
        assert!(snapshot.identity_holds());
    }

    #[test]
    fn a_frame_that_nobody_counted_breaks_the_identity() {
        let (mut capture, _worker, view) = ledger();
        capture.frame(0);
        let lost = view.snapshot(|| 0);
        assert_eq!(
            lost.imbalance(),
            Imbalance {
                frames: 1,
                sequence: 0
            }
        );
        assert!(!lost.identity_holds());
        assert!(view.snapshot(|| 1).identity_holds());
        assert_eq!(view.snapshot(|| 2).imbalance().frames, -1);
        capture.count(Outcome::Refused, 1);
        assert!(view.snapshot(|| 0).identity_holds());
    }

    #[test]
    fn a_snapshot_waits_a_little_for_counters_that_stand_still() {
        let (mut capture, _worker, view) = ledger();
        let mut looks = 0;
        let snapshot = view.snapshot(|| {
            looks += 1;
            if looks < 4 {
                capture.frame(looks);
                capture.count(Outcome::Refused, 1);
            }
            0
        });
        assert_eq!((looks, snapshot.driver_frames), (4, 3));
        let mut looks = 0;
        view.snapshot(|| {
            looks += 1;
            capture.frame(looks + 3);
            0
        });
        assert_eq!(looks, 8, "it gives up and reports what it saw last");
    }

    #[test]
    fn the_json_has_the_proof_s_keys() {
        let (_, _, view) = ledger();
        let json = serde_json::to_value(view.snapshot(|| 3)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "driver_frames": 0, "inferred": 0,
                "dropped": {"evicted": 0, "stale": 0, "damaged": 0, "refused": 0, "failed": 0},
                "in_flight": 3, "lost_in_driver": 0, "repeated_sequence": 0,
                "sequence_span": 0, "streams": 0
            })
        );
    }

    #[test]
    fn the_two_sides_share_no_cache_line() {
        use std::mem::offset_of;
        assert_eq!(offset_of!(Counters, capture) % 128, 0);
        assert_eq!(offset_of!(Counters, workers) % 128, 0);
        assert_ne!(offset_of!(Counters, workers), offset_of!(Counters, capture));
    }
}
