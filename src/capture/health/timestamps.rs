//! Checks the timestamp that a driver puts on a frame. Its sequence numbers are the ledger's
//! ([`SequenceTracker`](crate::ledger::SequenceTracker)).
//!
//! Drivers lie. Timestamps lie ahead of the clock, go back, or belong to another clock. Each is counted,
//! and a stamp that cannot be true is replaced by the time of dequeue: a frame's age is then too small by
//! the wait in the driver, but never negative and never without bound.

use crate::capture::{Dequeued, StampKind};

/// What was wrong with a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampFault {
    /// It lies ahead of the dequeue.
    Future,
    /// It equals the stamp before.
    Repeated,
    /// It lies before the stamp before.
    Backwards,
    /// It lies before the start of the stream, or follows a fault and is still far from the clock.
    Implausible,
}

/// A stamp as it is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedStamp {
    /// When it was captured: never later than it was dequeued.
    pub capture_ns: u64,
    /// What `capture_ns` marks.
    pub stamp: StampKind,
    /// What was wrong with the driver's stamp.
    pub fault: Option<StampFault>,
}

/// Sums since arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TimestampCounts {
    /// Frames checked.
    pub frames: u64,
    /// Stamps ahead of the clock.
    pub future: u64,
    /// Farthest that a stamp was ahead, in nanoseconds.
    pub most_ahead_ns: u64,
    /// Stamps that repeated or went back.
    pub not_monotonic: u64,
    /// Stamps that could not be true.
    pub implausible: u64,
}

/// The timestamps of one stream.
#[derive(Clone, Debug)]
pub struct Timestamps {
    slack_ns: u64,
    started_ns: u64,
    /// The driver's stamp of the frame before, believed or not.
    last_ns: Option<u64>,
    trusted: bool,
    counts: TimestampCounts,
}

/// A stamp that follows a fault is believed again when it is at most this old, in frame intervals.
const TRUSTED_INTERVALS: u64 = 4;
/// The same where the driver names no interval.
const TRUSTED_NS: u64 = 500 * crate::units::NS_PER_MS;

impl Timestamps {
    /// For streams with one frame each `interval_ns` (0: unknown).
    #[must_use]
    pub const fn new(interval_ns: u64) -> Self {
        let slack_ns = if interval_ns == 0 {
            TRUSTED_NS
        } else {
            interval_ns.saturating_mul(TRUSTED_INTERVALS)
        };
        Self {
            slack_ns,
            started_ns: 0,
            last_ns: None,
            trusted: true,
            counts: TimestampCounts {
                frames: 0,
                future: 0,
                most_ahead_ns: 0,
                not_monotonic: 0,
                implausible: 0,
            },
        }
    }

    /// A stream was (re)started: the next stamp follows no other.
    pub fn restarted(&mut self, now_ns: u64) {
        self.started_ns = now_ns;
        self.last_ns = None;
        self.trusted = true;
    }

    /// Sums since arming.
    #[must_use]
    pub const fn counts(&self) -> &TimestampCounts {
        &self.counts
    }

    /// Checks a frame that was dequeued at `now_ns`.
    pub fn check(&mut self, frame: &Dequeued, now_ns: u64) -> CheckedStamp {
        self.counts.frames += 1;
        let fault = self.stamp_fault(frame, now_ns);
        self.last_ns = Some(frame.capture_ns);
        let (capture_ns, stamp) = match fault {
            None if frame.stamp == StampKind::Dequeue => (now_ns, StampKind::Dequeue),
            None => (frame.capture_ns, frame.stamp),
            Some(_) => (now_ns, StampKind::Dequeue),
        };
        CheckedStamp {
            capture_ns,
            stamp,
            fault,
        }
    }

    fn stamp_fault(&mut self, frame: &Dequeued, now_ns: u64) -> Option<StampFault> {
        if frame.stamp == StampKind::Dequeue {
            return None;
        }
        let stamp_ns = frame.capture_ns;
        if stamp_ns > now_ns {
            self.counts.future += 1;
            self.counts.most_ahead_ns = self.counts.most_ahead_ns.max(stamp_ns - now_ns);
            return Some(StampFault::Future);
        }
        if let Some(last_ns) = self.last_ns
            && stamp_ns <= last_ns
        {
            self.counts.not_monotonic += 1;
            // A stamp ahead of the clock was not believed, so falling back from it casts no doubt.
            self.trusted = self.trusted && last_ns > now_ns;
            let fault = if stamp_ns == last_ns {
                StampFault::Repeated
            } else {
                StampFault::Backwards
            };
            return (!self.trusted).then_some(fault);
        }
        let age_ns = now_ns - stamp_ns;
        let before_start = stamp_ns.saturating_add(self.slack_ns) < self.started_ns;
        if before_start || (!self.trusted && age_ns > self.slack_ns) {
            self.counts.implausible += 1;
            self.trusted = false;
            return Some(StampFault::Implausible);
        }
        self.trusted = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: u64 = 33_000_000;
    const START: u64 = 10_000_000_000;

    fn frame(capture_ns: u64) -> Dequeued {
        Dequeued {
            slot: 0,
            sequence: 0,
            capture_ns,
            offset_bytes: 0,
            bytes_used: 1,
            stamp: StampKind::EndOfFrame,
            damaged: false,
        }
    }

    fn started() -> Timestamps {
        let mut timestamps = Timestamps::new(INTERVAL);
        timestamps.restarted(START);
        timestamps
    }

    #[test]
    fn a_clean_stream_is_believed() {
        let mut timestamps = started();
        for number in 1..=100 {
            let stamp = START + number * INTERVAL;
            let verdict = timestamps.check(&frame(stamp), stamp + 500);
            let stamp_kind = StampKind::EndOfFrame;
            let expected = CheckedStamp {
                capture_ns: stamp,
                stamp: stamp_kind,
                fault: None,
            };
            assert_eq!(verdict, expected);
        }
        assert_eq!(
            *timestamps.counts(),
            TimestampCounts {
                frames: 100,
                ..Default::default()
            }
        );
    }

    #[test]
    fn a_restarted_stream_follows_no_other() {
        let mut timestamps = started();
        let before = START + 9 * INTERVAL;
        timestamps.check(&frame(before), before);
        timestamps.restarted(START + 2 * INTERVAL);
        let now = START + 3 * INTERVAL;
        assert_eq!(timestamps.check(&frame(now), now).fault, None);
        assert_eq!(timestamps.counts().not_monotonic, 0);
    }

    #[test]
    fn a_stamp_in_the_future_becomes_the_time_of_dequeue() {
        let mut timestamps = started();
        let now = START + INTERVAL;
        let verdict = timestamps.check(&frame(now + 7), now);
        assert_eq!(
            (verdict.capture_ns, verdict.stamp),
            (now, StampKind::Dequeue)
        );
        assert_eq!(verdict.fault, Some(StampFault::Future));
        assert_eq!(
            (
                timestamps.counts().future,
                timestamps.counts().most_ahead_ns
            ),
            (1, 7)
        );
    }

    #[test]
    fn a_clock_that_jumps_back_is_not_believed_until_it_returns() {
        let mut timestamps = started();
        let mut number = 0;
        let mut judge = |back_ns: u64| {
            number += 1;
            let now = START + number * INTERVAL;
            timestamps.check(&frame(now - back_ns), now).fault
        };
        assert_eq!(judge(0), None);
        let jump = 2_000_000_000;
        assert_eq!(judge(jump), Some(StampFault::Backwards));
        for _ in 0..200 {
            assert_eq!(judge(jump), Some(StampFault::Implausible));
        }
        assert_eq!(judge(0), None);
        assert_eq!(judge(0), None);
    }

    #[test]
    fn a_stamp_that_repeats_is_not_believed_again_before_a_plausible_one() {
        let mut timestamps = started();
        let now = |number: u64| START + number * INTERVAL;
        assert_eq!(timestamps.check(&frame(now(1)), now(1)).fault, None);
        for number in 2..=4 {
            let verdict = timestamps.check(&frame(now(1)), now(number));
            assert_eq!(verdict.fault, Some(StampFault::Repeated));
            assert_eq!(verdict.capture_ns, now(number), "the time of dequeue");
        }
        assert_eq!(timestamps.counts().not_monotonic, 3);
        let verdict = timestamps.check(&frame(now(5)), now(5));
        assert_eq!((verdict.capture_ns, verdict.fault), (now(5), None));
    }

    #[test]
    fn a_backlog_keeps_its_true_age() {
        let mut timestamps = started();
        let late = START + 3_000_000_000;
        for number in 1..=4 {
            let stamp = START + number * INTERVAL;
            let verdict = timestamps.check(&frame(stamp), late);
            assert_eq!((verdict.capture_ns, verdict.fault), (stamp, None));
        }
    }

    #[test]
    fn a_stamp_of_another_clock_is_not_believed() {
        let mut timestamps = started();
        for number in 1..=5 {
            let now = START + number * INTERVAL;
            let verdict = timestamps.check(&frame(number), now);
            assert_eq!(verdict.fault, Some(StampFault::Implausible));
            assert_eq!(verdict.capture_ns, now);
        }
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn whatever_a_driver_says_the_capture_is_never_after_the_dequeue(
            frames in proptest::collection::vec((any::<u64>(), any::<u64>(), 0..3_u8), 0..50),
        ) {
            let mut timestamps = Timestamps::new(INTERVAL);
            for (stamp, now, kind) in frames {
                let kind = [StampKind::Dequeue, StampKind::EndOfFrame, StampKind::StartOfExposure][usize::from(kind)];
                let verdict = timestamps.check(&Dequeued { stamp: kind, ..frame(stamp) }, now);
                prop_assert!(verdict.capture_ns <= now);
            }
        }
    }
}
