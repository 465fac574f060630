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
mod raw;
mod ssd;
#[cfg(test)]
mod tests;
mod thresholds;
mod values;
mod yolo;

pub use nms::merge;
pub use raw::{MAX_RANK, Summaries, Summary};

use crate::infer::TensorInfo;
use crate::limits::{MAX_DETECTIONS, MAX_KEYPOINTS};
use crate::preprocess::Mapping;
use crate::profile;
use blazeface::Blazeface;
use classify::Classify;
use raw::Raw;
use ssd::Ssd;
use std::fmt;
use yolo::Yolo;

/// One thing seen, in pixels of the camera's picture. May reach outside the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detection {
    /// Class index into the model's labels.
    pub class: u16,
    /// Used key points.
    pub keypoint_count: u16,
    /// The box of another model in which it was found: its place, from 1, among that model's detections of
    /// the frame. 0 for what was found in the whole picture.
    pub within: u16,
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
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How the outputs are read.
    pub decoder: profile::Decoder,
    /// Classes that have a name.
    pub labels: usize,
    /// Detections below are dropped, 0..=1.
    pub score_threshold: f32,
    /// Classes with a threshold of their own, each 0..=1.
    pub class_thresholds: Vec<(u16, f32)>,
    /// Overlap above which the weaker of two boxes of one class is suppressed, 0..=1.
    pub iou_threshold: f32,
    /// Detections kept of one frame, at most [`MAX_DETECTIONS`].
    pub max_detections: usize,
    /// What the class scores of `ssd` are.
    pub scores: profile::Scores,
    /// What the boxes of `yolo` are measured in.
    pub box_unit: profile::BoxUnit,
}

impl Settings {
    /// What holds where a profile says no more than this.
    #[must_use]
    pub const fn new(decoder: profile::Decoder, labels: usize) -> Self {
        Self {
            decoder,
            labels,
            score_threshold: 0.5,
            class_thresholds: Vec::new(),
            iou_threshold: 0.3,
            max_detections: 8,
            scores: profile::Scores::Logits,
            box_unit: profile::BoxUnit::Input,
        }
    }
}

impl From<&profile::Model> for Settings {
    fn from(model: &profile::Model) -> Self {
        let classes = |threshold: &profile::ClassThreshold| {
            let same = (0_u16..).zip(&model.labels);
            let same = same.filter(|(_, label)| **label == threshold.label);
            same.map(|(class, _)| (class, threshold.score))
                .collect::<Vec<_>>()
        };
        Self {
            decoder: model.decoder,
            labels: model.labels.len(),
            score_threshold: model.score_threshold,
            class_thresholds: model.class_thresholds.iter().flat_map(classes).collect(),
            iou_threshold: model.iou_threshold,
            max_detections: model.max_detections,
            scores: model.scores,
            box_unit: model.box_unit,
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
trait Read: fmt::Debug + Send {
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

/// Reads one model's outputs.
#[derive(Debug)]
pub struct Decoder(Box<dyn Read>);

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
            profile::Decoder::BlazefaceShort => {
                Box::new(Blazeface::short(settings, input, outputs)?)
            }
            profile::Decoder::Ssd => Box::new(Ssd::new(settings, input, outputs)?),
            profile::Decoder::Yolo => Box::new(Yolo::new(settings, input, outputs)?),
            profile::Decoder::Classify => Box::new(Classify::new(settings, outputs)?),
            profile::Decoder::Raw => Box::new(Raw::new(outputs)?),
        }))
    }

    /// How the model's tensors are understood, in words.
    #[must_use]
    pub fn layout(&self) -> String {
        self.0.layout()
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
        self.0.decode(outputs, mapping, detections)
    }

    /// What the outputs of the last frame held, for `decoder = "raw"`; empty for every other.
    #[must_use]
    pub fn summaries(&self) -> &Summaries {
        self.0.summaries()
    }
}
