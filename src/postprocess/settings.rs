//! What the profile says about reading a model's outputs.

use crate::profile;

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
    /// Detections kept of one frame, at most [`MAX_DETECTIONS`](crate::limits::MAX_DETECTIONS).
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
