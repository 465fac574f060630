//! Where the time of a frame went: stamps by stage, their distributions, and why the slow ones were slow.
//!
//! Answers for: what is measured, how it is summed up, and what is blamed for it. Does not answer for:
//! reading a clock or a thread's counters; every stamp and every [`ThreadCounters`] is handed in. Recording takes
//! constant time and no memory.
//!
//! # Nothing is left out
//! A measurement that waits for the system it measures stops looking exactly when there is something to
//! see (coordinated omission). Here:
//!
//! - Cameras do not wait for us. A frame's way begins at the driver's own capture stamp, never at the
//!   moment when a thread got round to looking, so a stall of ours is in the figures of every frame that
//!   lived through it.
//! - Frames that a stall cost have no latency at all: they are in the ledger, by cause, and the percentiles
//!   of capture to result are over those that were inferred. Beside them stands the age of information
//!   ([`AgeOfInformation`]), over time and not over results, and no stall can hide from it.
//! - Jitter is the standard deviation of each stage, and of the times between captures and between results.
//!
//! # The tail
//! Each worker keeps the [`tail::KEPT`] slowest results with all that was seen of them, and counts the
//! causes of every slow one: beyond its camera's 99th percentile or twice its median so far ([`Tail`]).
//! The slow stage is the one that exceeded its own median so far by most ([`Baseline`]); what is blamed for
//! it is in [`attribution`].

mod age;
mod arrivals;
pub mod attribution;
mod cause;
mod histogram;
mod running;
pub mod tail;
mod thread_counters;

pub use age::AgeOfInformation;
pub use arrivals::{Arrival, Arrivals, Remarks, Waits};
pub use attribution::{Baseline, Observed, StageCounters, Verdict, Wakeup};
pub use cause::{Cause, Causes};
pub use histogram::{Histogram, Summary};
pub use running::RunningQuantile;
pub use tail::Tail;
pub use thread_counters::{Disturbance, ThreadCounters};

use crate::units::NS_PER_US;
use schemars::JsonSchema;
use serde::Serialize;

/// One frame's way, CLOCK_MONOTONIC nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The driver's capture stamp.
    pub capture_ns: u64,
    /// The capture thread took it from the driver.
    pub dequeue_ns: u64,
    /// A worker claimed it.
    pub lease_ns: u64,
    /// Its tensor was complete and its slot given back.
    pub preprocessed_ns: u64,
    /// The model had run.
    pub invoked_ns: u64,
    /// Its detections were decoded and suppressed.
    pub result_ns: u64,
}

/// A stretch of a frame's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stage {
    /// Driver's stamp to dequeue: driver, interrupt and wake-up of the capture thread.
    CaptureToDequeue,
    /// Dequeue to lease: the queue wait in the ring, for a worker.
    DequeueToLease,
    /// Lease to tensor.
    Preprocess,
    /// The model.
    Invoke,
    /// Decoding and suppression.
    Postprocess,
    /// The whole way.
    CaptureToResult,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 6] = [
        Self::CaptureToDequeue,
        Self::DequeueToLease,
        Self::Preprocess,
        Self::Invoke,
        Self::Postprocess,
        Self::CaptureToResult,
    ];

    /// The stage's name in the proof.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaptureToDequeue => "capture_to_dequeue",
            Self::DequeueToLease => "dequeue_to_lease",
            Self::Preprocess => "preprocess",
            Self::Invoke => "invoke",
            Self::Postprocess => "postprocess",
            Self::CaptureToResult => "capture_to_result",
        }
    }

    /// This stage's share of a frame's way, in nanoseconds; 0 when the stamps run backwards.
    #[must_use]
    pub const fn of(self, stamps: &Stamps) -> u64 {
        let (from, to) = match self {
            Self::CaptureToDequeue => (stamps.capture_ns, stamps.dequeue_ns),
            Self::DequeueToLease => (stamps.dequeue_ns, stamps.lease_ns),
            Self::Preprocess => (stamps.lease_ns, stamps.preprocessed_ns),
            Self::Invoke => (stamps.preprocessed_ns, stamps.invoked_ns),
            Self::Postprocess => (stamps.invoked_ns, stamps.result_ns),
            Self::CaptureToResult => (stamps.capture_ns, stamps.result_ns),
        };
        to.saturating_sub(from)
    }
}

/// Whether `ns` is so much more than usual that it is worth knowing why: by an eighth, and by what a look
/// at the counters and a clock's jitter come to several times over.
const fn late(ns: u64, usual_ns: u64) -> bool {
    ns > usual_ns + usual_ns / 8 + 20 * NS_PER_US
}

/// A histogram for each stage, all memory taken when it is made.
#[derive(Debug, Clone)]
pub struct StageHistograms {
    stages: [Histogram; Stage::ALL.len()],
    /// Capture to result without the model: what this program adds.
    overhead: Histogram,
}

impl Default for StageHistograms {
    fn default() -> Self {
        Self::new()
    }
}

impl StageHistograms {
    /// Empty histograms.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stages: std::array::from_fn(|_| Histogram::new()),
            overhead: Histogram::new(),
        }
    }

    /// Bytes that one set of stage histograms holds.
    #[must_use]
    pub const fn bytes() -> u64 {
        (Stage::ALL.len() as u64 + 1) * Histogram::bytes()
    }

    /// Records every stage of one inferred frame.
    pub fn record(&mut self, stamps: &Stamps) {
        for stage in Stage::ALL {
            self.stages[stage as usize].record(stage.of(stamps));
        }
        let overhead = Stage::CaptureToResult
            .of(stamps)
            .saturating_sub(Stage::Invoke.of(stamps));
        self.overhead.record(overhead);
    }

    /// Adds another set, as of another worker.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.stages.iter_mut().zip(&other.stages) {
            mine.add(theirs);
        }
        self.overhead.add(&other.overhead);
    }

    /// Figures of every stage.
    #[must_use]
    pub fn summary(&self) -> StageSummary {
        let of = |stage: Stage| self.stages[stage as usize].summary();
        StageSummary {
            capture_to_dequeue: of(Stage::CaptureToDequeue),
            dequeue_to_lease: of(Stage::DequeueToLease),
            preprocess: of(Stage::Preprocess),
            invoke: of(Stage::Invoke),
            postprocess: of(Stage::Postprocess),
            capture_to_result: of(Stage::CaptureToResult),
            capture_to_result_minus_invoke: self.overhead.summary(),
            age_of_knowledge: Summary::default(),
        }
    }
}

/// Figures of every stage, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct StageSummary {
    /// Driver's stamp to dequeue.
    pub capture_to_dequeue: Summary,
    /// Waiting in the ring.
    pub dequeue_to_lease: Summary,
    /// Lease to tensor.
    pub preprocess: Summary,
    /// The model.
    pub invoke: Summary,
    /// Decoding and suppression.
    pub postprocess: Summary,
    /// The whole way.
    pub capture_to_result: Summary,
    /// The whole way without the model.
    pub capture_to_result_minus_invoke: Summary,
    /// Age of the newest inferred frame, over time and not over results; empty where only stages are summed
    /// up.
    pub age_of_knowledge: Summary,
}

impl StageSummary {
    /// Name and figures of the age of information, then of each stage in order, and of the whole way without the model.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, Summary); 8] {
        [
            ("age of information", self.age_of_knowledge),
            ("capture to dequeue", self.capture_to_dequeue),
            ("queue wait", self.dequeue_to_lease),
            ("preprocess", self.preprocess),
            ("invoke", self.invoke),
            ("postprocess", self.postprocess),
            ("capture to result", self.capture_to_result),
            ("  pipeline overhead", self.capture_to_result_minus_invoke),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{Stage, StageHistograms, Stamps};

    const WAY: Stamps = Stamps {
        capture_ns: 1_000,
        dequeue_ns: 3_000,
        lease_ns: 7_000,
        preprocessed_ns: 15_000,
        invoked_ns: 31_000,
        result_ns: 63_000,
    };

    #[test]
    fn the_stages_add_up_to_the_whole_way() {
        let parts: u64 = Stage::ALL[..5].iter().map(|stage| stage.of(&WAY)).sum();
        assert_eq!(parts, Stage::CaptureToResult.of(&WAY));
    }

    #[test]
    fn stamps_that_run_backwards_give_zero_and_no_panic() {
        let backwards = Stamps {
            capture_ns: 9,
            result_ns: 3,
            ..Stamps::default()
        };
        assert_eq!(Stage::CaptureToResult.of(&backwards), 0);
    }

    #[test]
    fn overhead_is_the_way_without_the_model() {
        let mut histograms = StageHistograms::new();
        histograms.record(&WAY);
        let summary = histograms.summary();
        assert_eq!(summary.capture_to_result.count, 1);
        let expected = 62_000 - 16_000;
        assert!(
            summary
                .capture_to_result_minus_invoke
                .max
                .abs_diff(expected)
                <= expected / 500
        );
    }
}
