//! The decoder that a profile names.

use super::blazeface::Blazeface;
use super::classify::Classify;
use super::detection::Detections;
use super::output_reader::{DecodeError, DecodeStats, DecoderError, OutputReader};
use super::raw::Raw;
use super::settings::Settings;
use super::ssd::Ssd;
use super::summary::Summaries;
use super::yolo::Yolo;
use crate::infer::TensorInfo;
use crate::preprocess::Mapping;
use crate::profile;

/// Reads one model's outputs.
#[derive(Debug)]
pub struct Decoder(Box<dyn OutputReader>);

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
