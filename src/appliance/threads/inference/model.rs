//! One model of a worker: from the tensor that is there to detections.

use crate::appliance::shared::invoke_deadline::InvokeDeadline;
use crate::appliance::shared::messages::{Inference, InferenceError};
use crate::infer::{Engine, outputs_of};
use crate::postprocess::{Decoder, Detections};
use crate::preprocess::Plan;
use crate::sys::clock::now_ns;
use crate::sys::malloc_guard::{HeapCounts, HotThread};

/// A model with its decoder.
pub(crate) struct Model<E> {
    /// Its place in the profile.
    pub(crate) place: u16,
    pub(crate) engine: E,
    pub(crate) decoder: Decoder,
    /// Values and boxes of its outputs that cannot be.
    pub(crate) values_refused: u64,
}

/// Why an inference gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoResult {
    Failed(InferenceError),
    /// It has returned after its frame was given up.
    GivenUp,
}

impl From<InferenceError> for NoResult {
    fn from(error: InferenceError) -> Self {
        Self::Failed(error)
    }
}

impl<E: Engine> Model<E> {
    /// One inference of the tensor that is there, under its deadline. `before` are the thread's heap counts from
    /// which on its arena must have had room. Gives when the model had run.
    pub(crate) fn invoke(
        &mut self,
        of: Inference,
        deadline: &InvokeDeadline,
        hot: &HotThread,
        before: &HeapCounts,
        now: u64,
    ) -> Result<u64, NoResult> {
        deadline.begin(of.camera, of.step, now);
        let invoked = self.engine.invoke();
        let invoked_ns = now_ns();
        if !deadline.end() {
            return Err(NoResult::GivenUp);
        }
        invoked.map_err(InferenceError::Engine)?;
        let drawn = hot.counts().since(before);
        // The reserve let the model end: this inference had more than its share.
        if drawn.arena_overdrawn + drawn.arena_refused > 0 {
            return Err(InferenceError::Arena.into());
        }
        Ok(invoked_ns)
    }

    /// Decodes the outputs into `found`. Gives how many values and boxes cannot be.
    pub(crate) fn decode(
        &mut self,
        plan: &Plan,
        found: &mut Detections,
    ) -> Result<u32, InferenceError> {
        let outputs = outputs_of(&self.engine);
        let decoded = self.decoder.decode(&outputs, plan.mapping(), found);
        let refused = decoded.map_err(|_| InferenceError::Outputs)?.refused;
        self.values_refused += u64::from(refused);
        Ok(refused)
    }
}
