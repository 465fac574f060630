//! What every decoder is: outputs in, detections out, with what it refuses.

use super::detection::Detections;
use super::summary::Summaries;
use crate::infer::TensorInfo;
use crate::preprocess::Mapping;
use std::fmt;

/// A model whose tensors a decoder cannot read. Found while arming.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DecoderError {
    /// The input tensor is not the one that the outputs are relative to.
    Input {
        /// The decoder's name in the profile.
        decoder: &'static str,
        /// The tensor found.
        found: TensorInfo,
        /// What is expected.
        expected: String,
    },
    /// An output is missing, or has another shape.
    Outputs {
        /// The decoder's name in the profile.
        decoder: &'static str,
        /// The tensors found.
        found: Vec<TensorInfo>,
        /// The shapes expected.
        expected: String,
    },
    /// The labels do not fit the model's classes.
    Labels {
        /// The decoder's name in the profile.
        decoder: &'static str,
        /// Labels in the profile.
        found: usize,
        /// Classes of the model, in words.
        expected: String,
    },
}

impl fmt::Display for DecoderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input {
                decoder,
                found,
                expected,
            } => {
                write!(
                    f,
                    "decoder \"{decoder}\": found input {found}, expected {expected}"
                )
            }
            Self::Outputs {
                decoder,
                found,
                expected,
            } => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "decoder \"{decoder}\": found outputs {}, expected {expected}",
                    found.join(" and ")
                )
            }
            Self::Labels {
                decoder,
                found,
                expected,
            } => write!(
                f,
                "decoder \"{decoder}\": found {found} labels, expected {expected}"
            ),
        }
    }
}

impl std::error::Error for DecoderError {}

/// Outputs that are not those the decoder was made for. Hot path: `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Which output.
    pub output: usize,
    /// Its bytes.
    pub found_bytes: usize,
    /// Bytes of the tensor that the decoder was made for.
    pub needed_bytes: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            output,
            found_bytes,
            needed_bytes,
        } = self;
        write!(
            f,
            "output {output}: found {found_bytes} bytes, expected {needed_bytes}"
        )
    }
}

impl std::error::Error for DecodeError {}

/// What became of one frame's candidates: `candidates = kept + suppressed + over_limit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeStats {
    /// At or above the threshold, with usable values.
    pub candidates: u32,
    /// Dropped because a stronger one of their class overlaps them.
    pub suppressed: u32,
    /// Dropped because the frame's detections were full.
    pub over_limit: u32,
    /// Values that are no number or infinite, and boxes without an area. Never candidates.
    pub refused: u32,
}

/// One way of reading outputs. Made at arming; `decode` allocates nothing.
pub(super) trait OutputReader: fmt::Debug + Send {
    /// How the tensors are understood, for the log.
    fn layout(&self) -> String;

    /// Adds what the outputs show to `detections`, which is empty.
    fn decode(
        &mut self,
        outputs: &[&[u8]],
        mapping: &Mapping,
        detections: &mut Detections,
    ) -> Result<DecodeStats, DecodeError>;

    /// What the outputs of the last frame held, where that is all that is known of them.
    fn summaries(&self) -> &Summaries {
        const NONE: &Summaries = &Summaries::new();
        NONE
    }
}
