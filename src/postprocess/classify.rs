//! Classification: one score for each class; the best ones stand for the whole picture.

use super::detection::{Detection, Detections};
use super::output_reader::{DecodeError, DecodeStats, DecoderError, OutputReader};
use super::settings::Settings;
use super::thresholds::Thresholds;
use super::values::Values;
use crate::infer::TensorInfo;
use crate::limits::MAX_DETECTIONS;
use crate::preprocess::Mapping;

const NAME: &str = "classify";
/// How far the sum of probabilities may be from 1, and a probability from 0..=1, in a float tensor.
const SLACK: f32 = 0.01;

#[derive(Clone, Debug)]
pub(super) struct Classify {
    scores: Values,
    classes: u16,
    /// The tensor can hold nothing but probabilities.
    probabilities: bool,
    thresholds: Thresholds,
    top_k: usize,
}

impl Classify {
    pub(super) fn new(settings: &Settings, outputs: &[TensorInfo]) -> Result<Self, DecoderError> {
        let wrong = || DecoderError::Outputs {
            decoder: NAME,
            found: outputs.to_vec(),
            expected: "one output [1, classes] of 2..=65535 classes".into(),
        };
        let [output] = outputs else {
            return Err(wrong());
        };
        let Some((&count, others)) = output.shape.split_last() else {
            return Err(wrong());
        };
        let classes = u16::try_from(count).ok().filter(|&classes| classes >= 2);
        let classes = classes
            .filter(|_| others.iter().all(|&extent| extent == 1))
            .ok_or_else(wrong)?;
        if settings.labels != count {
            return Err(DecoderError::Labels {
                decoder: NAME,
                found: settings.labels,
                expected: format!("{count}, one for each class of the model"),
            });
        }
        let scores = Values::new(0, output);
        let (least, greatest) = scores.range();
        Ok(Self {
            scores,
            classes,
            probabilities: least >= -SLACK && greatest <= 1.0 + SLACK,
            thresholds: Thresholds::new(settings),
            top_k: settings.max_detections.clamp(1, MAX_DETECTIONS),
        })
    }
}

impl OutputReader for Classify {
    fn layout(&self) -> String {
        let scores = if self.probabilities {
            "probabilities"
        } else {
            "probabilities where they add up to 1, else logits"
        };
        format!("{} classes, {scores}", self.classes)
    }

    /// Values that are probabilities already (all in 0..=1, with sum 1) are taken as they are; others are
    /// logits, and go through softmax.
    fn decode(
        &mut self,
        outputs: &[&[u8]],
        mapping: &Mapping,
        detections: &mut Detections,
    ) -> Result<DecodeStats, DecodeError> {
        let scores = self.scores.of(outputs)?;
        let values = || (0..self.classes).map(|class| (class, scores.at(usize::from(class))));
        let mut stats = DecodeStats::default();
        for (_, value) in values() {
            stats.refused += u32::from(!value.is_finite());
        }
        if stats.refused > 0 {
            return Ok(stats);
        }

        let sum: f32 = values().map(|(_, value)| value).sum();
        let within = || values().all(|(_, value)| (-SLACK..=1.0 + SLACK).contains(&value));
        let are_probabilities = self.probabilities || ((sum - 1.0).abs() <= SLACK && within());
        let greatest = values()
            .map(|(_, value)| value)
            .fold(f32::NEG_INFINITY, f32::max);
        let softmax = |value: f32| (value - greatest).exp();
        let all: f32 = values().map(|(_, value)| softmax(value)).sum();
        let [width_px, height_px] = mapping.camera_px();
        for (class, value) in values() {
            let score = if are_probabilities {
                value.clamp(0.0, 1.0)
            } else {
                softmax(value) / all
            };
            if !self.thresholds.reached(class.into(), score) {
                continue;
            }
            // Of equal scores the first class goes before.
            let place = detections
                .iter()
                .take_while(|better| better.score >= score)
                .count();
            if place >= self.top_k {
                continue;
            }
            detections.truncate(self.top_k - 1);
            let detection = Detection {
                class,
                score,
                width_px,
                height_px,
                ..Detection::default()
            };
            // There is room: `top_k` is no more than `Detections` holds.
            let _ = detections.insert(place, detection);
        }
        stats.candidates = u32::try_from(detections.len()).unwrap_or(u32::MAX);
        Ok(stats)
    }
}
