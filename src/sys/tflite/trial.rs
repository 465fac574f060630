//! What a model takes, found by making it.

use super::engine::{Settings, Stage, TfliteEngine};
use super::model::ModelError;
use crate::profile::OnFailure;
use crate::sys::malloc_guard::{guard_on, other_counts};
use std::path::Path;

/// Bytes of the heap that a model keeps once it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelMemory {
    /// Its file.
    pub file_bytes: u64,
    /// The interpreter, and what the delegate made of the weights.
    pub weight_bytes: u64,
    /// Tensors.
    pub tensor_bytes: u64,
    /// What the first inferences added.
    pub scratch_bytes: u64,
}

impl ModelMemory {
    /// All of it.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.file_bytes + self.weight_bytes + self.tensor_bytes + self.scratch_bytes
    }

    /// Makes a model as arming does, and runs it. Every thread that is not hot is counted: this is for a process that
    /// does nothing else.
    ///
    /// # Errors
    /// What is wrong with the model, or what does not fit.
    pub fn measure(
        path: &Path,
        sha256: &[u8; 32],
        settings: Settings,
        on_failure: OnFailure,
    ) -> Result<Self, ModelError> {
        let _guard = guard_on();
        let mut memory = Self::default();
        let mut before = other_counts();
        let mut done = |stage| {
            let counts = other_counts();
            let grown = counts.since(&before).growth_bytes();
            let grown = u64::try_from(grown).unwrap_or(0);
            before = counts;
            match stage {
                Stage::Begun => memory = Self::default(),
                Stage::Read => memory.file_bytes = grown,
                Stage::Made => memory.weight_bytes = grown,
                Stage::Allocated => memory.tensor_bytes = grown,
                Stage::Ran => memory.scratch_bytes = grown,
            }
        };
        TfliteEngine::build_or_replace_watched((path, sha256), settings, on_failure, &mut done)?;
        Ok(memory)
    }
}
