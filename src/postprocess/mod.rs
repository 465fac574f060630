//! Output tensors into detections in the camera's pixels: decoders and suppression.
//!
//! Answers for: what the model's numbers mean, and which of several boxes for one thing is kept. Does not
//! answer for: what a detection means over time (`event`).
//!
//! A [`Decoder`] is made once, at arming, and checked against the model's tensors. After that it
//! allocates nothing, and what it cannot use it counts.

mod blazeface;
mod classify;
mod nms;
#[cfg(test)]
mod tests;
mod values;

use crate::board;
use crate::infer::TensorInfo;
use crate::limits::{MAX_DETECTIONS, MAX_KEYPOINTS};
use crate::preprocess::Mapping;
use blazeface::Blazeface;
use classify::Classify;
use std::fmt;

/// One thing seen, in pixels of the camera's picture. May reach outside the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detection {
    /// Class index into the model's labels.
    pub class: u16,
    /// Used key points.
    pub keypoint_count: u16,
    /// Confidence, 0..=1.
    pub score: f32,
    /// Left edge.
    pub x_px: f32,
    /// Upper edge.
    pub y_px: f32,
    /// Width.
    pub width_px: f32,
    /// Height.
    pub height_px: f32,
    /// x, y of each key point.
    pub keypoints: [[f32; 2]; MAX_KEYPOINTS],
}

/// What one frame showed, strongest first.
pub type Detections = heapless::Vec<Detection, MAX_DETECTIONS>;

/// What the profile says about reading a model's outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How the outputs are read.
    pub decoder: board::Decoder,
    /// Classes that have a name.
    pub labels: usize,
    /// Detections below are dropped, 0..=1.
    pub score_threshold: f32,
    /// Overlap above which the weaker of two boxes of one class is suppressed, 0..=1.
    pub iou_threshold: f32,
    /// Detections kept of one frame, at most [`MAX_DETECTIONS`].
    pub max_detections: usize,
}

impl From<&board::Model> for Settings {
    fn from(model: &board::Model) -> Self {
        Self {
            decoder: model.decoder,
            labels: model.labels.len(),
            score_threshold: model.score_threshold,
            iou_threshold: model.iou_threshold,
            max_detections: model.max_detections,
        }
    }
}

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
        /// The shape expected.
        expected: &'static str,
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
        /// Classes of the model.
        expected: usize,
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
                "decoder \"{decoder}\": found {found} labels, expected {expected}, one for each class of the model"
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

/// Reads one model's outputs.
#[derive(Clone, Debug)]
pub struct Decoder(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Blazeface(Blazeface),
    Classify(Classify),
}

impl Decoder {
    /// A decoder for a model with these tensors.
    ///
    /// # Errors
    /// The tensors or labels that do not fit, with what was expected.
    pub fn new(
        settings: &Settings,
        input: &TensorInfo,
        outputs: &[TensorInfo],
    ) -> Result<Self, DecoderError> {
        Ok(Self(match settings.decoder {
            board::Decoder::BlazefaceShort => {
                Kind::Blazeface(Blazeface::short(settings, input, outputs)?)
            }
            board::Decoder::Classify => Kind::Classify(Classify::new(settings, outputs)?),
        }))
    }

    /// Replaces `detections` by what the outputs show, strongest first, in pixels of the camera that
    /// `mapping` belongs to.
    ///
    /// # Errors
    /// An output has not the size it had at arming; `detections` is then empty.
    pub fn decode(
        &mut self,
        outputs: &[&[u8]],
        mapping: &Mapping,
        detections: &mut Detections,
    ) -> Result<DecodeStats, DecodeError> {
        detections.clear();
        match &mut self.0 {
            Kind::Blazeface(decoder) => decoder.decode(outputs, mapping, detections),
            Kind::Classify(decoder) => decoder.decode(outputs, mapping, detections),
        }
    }
}
