//! What a worker measures of one camera.

use crate::appliance::shared::camera_state::CameraState;
use crate::latency::{
    AgeOfInformation, Baseline, Histogram, StageHistograms, StageSummary, Stamps,
};

/// Times of one camera's results. All memory is taken when it is made.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) stages: StageHistograms,
    pub(crate) age: AgeOfInformation,
    pub(crate) inter_result: Histogram,
}

impl Measured {
    /// Bytes that one holds, with the camera's baseline.
    pub(crate) const fn bytes() -> u64 {
        StageHistograms::bytes()
            + AgeOfInformation::bytes()
            + Histogram::bytes()
            + Baseline::bytes()
    }

    /// A result of the camera. The watch began at `began_ns`: nothing was known before.
    pub(crate) fn record(&mut self, state: &CameraState, stamps: &Stamps, began_ns: u64) {
        self.stages.record(stamps);
        if let Some(known_ns) = state.learn(stamps.capture_ns) {
            self.age
                .learned(known_ns.max(began_ns), stamps.capture_ns, stamps.result_ns);
        }
        if let Some(spacing_ns) = state.since_result(stamps.result_ns) {
            self.inter_result.record(spacing_ns);
        }
    }

    /// Adds what another worker measured, or of another camera.
    pub(crate) fn add(&mut self, other: &Self) {
        self.stages.add(&other.stages);
        self.age.add(&other.age);
        self.inter_result.add(&other.inter_result);
    }

    pub(crate) fn summary(&self) -> StageSummary {
        StageSummary {
            age_of_knowledge: self.age.summary(),
            ..self.stages.summary()
        }
    }
}
