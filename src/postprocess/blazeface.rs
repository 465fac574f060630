//! BlazeFace: a face's box and six key points, relative to anchors.
//!
//! | output | shape | values, for each anchor |
//! |---|---|---|
//! | regressors | [1, 896, 16] | centre x, y, width, height; then x, y of right eye, left eye, nose tip, mouth, right ear, left ear; in input pixels, centre and points relative to the anchor |
//! | classificators | [1, 896, 1] | logit of "a face" |
//!
//! # Source
//! MediaPipe, `face_detection_short_range`: two anchors in each cell of 16 x 16 and six in each of 8 x 8,
//! at the cells' centres, all of size 1. Bazarevsky et al., "BlazeFace", 2019.

use super::detection::{Detection, Detections};
use super::nms::{Candidate, Candidates};
use super::output_reader::{DecodeError, DecodeStats, DecoderError, OutputReader};
use super::settings::Settings;
use super::thresholds::Thresholds;
use super::values::{Values, View, sigmoid};
use crate::infer::{PictureShape, TensorInfo};
use crate::limits::MAX_KEYPOINTS;
use crate::preprocess::Mapping;

const NAME: &str = "blazeface-short";
/// Sides of the input, in pixels.
const SIDE: usize = 128;
/// Cells along each side, and anchors in each cell.
const GRIDS: [(usize, usize); 2] = [(16, 2), (8, 6)];
const ANCHORS: usize = 896;
#[allow(clippy::cast_possible_truncation)] // Six.
const POINTS: u16 = MAX_KEYPOINTS as u16;
/// Values of one anchor: box and key points.
const VALUES: usize = 4 + 2 * MAX_KEYPOINTS;

#[derive(Clone, Debug)]
pub(super) struct Blazeface {
    anchors: Box<[[f32; 2]]>,
    regressors: Values,
    logits: Values,
    thresholds: Thresholds,
    candidates: Candidates,
}

/// Anchors' centres in 0..=1, row by row.
fn anchors() -> Box<[[f32; 2]]> {
    let centre = |cell: usize, cells: usize| {
        let [cell, cells] = [cell, cells].map(|n| u8::try_from(n).map_or(f32::NAN, f32::from));
        (cell + 0.5) / cells
    };
    GRIDS
        .into_iter()
        .flat_map(|(cells, each)| (0..cells * cells * each).map(move |index| (cells, index / each)))
        .map(|(cells, cell)| [centre(cell % cells, cells), centre(cell / cells, cells)])
        .collect()
}

impl Blazeface {
    pub(super) fn short(
        settings: &Settings,
        input: &TensorInfo,
        outputs: &[TensorInfo],
    ) -> Result<Self, DecoderError> {
        let fits = |shape: PictureShape| {
            [shape.height_px, shape.width_px, shape.channels] == [SIDE, SIDE, 3]
        };
        if !input.picture().is_some_and(fits) {
            return Err(DecoderError::Input {
                decoder: NAME,
                found: input.clone(),
                expected: "[1, 128, 128, 3] or [1, 3, 128, 128]".into(),
            });
        }
        let find = |last: usize| {
            let index = outputs
                .iter()
                .position(|info| info.shape == [1, ANCHORS, last])?;
            Some(Values::new(index, &outputs[index]))
        };
        let (Some(regressors), Some(logits), 2) = (find(VALUES), find(1), outputs.len()) else {
            return Err(DecoderError::Outputs {
                decoder: NAME,
                found: outputs.to_vec(),
                expected: format!("[1, {ANCHORS}, {VALUES}] and [1, {ANCHORS}, 1]"),
            });
        };
        if settings.labels != 1 {
            return Err(DecoderError::Labels {
                decoder: NAME,
                found: settings.labels,
                expected: "1, as the model knows one class".into(),
            });
        }
        Ok(Self {
            anchors: anchors(),
            regressors,
            logits,
            thresholds: Thresholds::new(settings),
            candidates: Candidates::new(ANCHORS, settings.iou_threshold, settings.max_detections),
        })
    }
}

impl OutputReader for Blazeface {
    fn layout(&self) -> String {
        format!("faces of {ANCHORS} anchors, {POINTS} key points each")
    }

    fn decode(
        &mut self,
        outputs: &[&[u8]],
        mapping: &Mapping,
        detections: &mut Detections,
    ) -> Result<DecodeStats, DecodeError> {
        let regressors = self.regressors.of(outputs)?;
        let logits = self.logits.of(outputs)?;
        let mut stats = DecodeStats::default();
        self.candidates.clear();
        for (index, &anchor) in (0_u32..).zip(&self.anchors) {
            let logit = logits.at(index as usize);
            if !logit.is_finite() {
                stats.refused += 1;
                continue;
            }
            let score = sigmoid(logit);
            if !self.thresholds.reached(0, score) {
                continue;
            }
            let Face {
                centre: [x, y],
                size: [w, h],
                ..
            } = face(&regressors, index as usize, anchor);
            let candidate = Candidate {
                score,
                class: 0,
                index,
                edges: [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0],
            };
            if candidate.can_be() {
                self.candidates.push(candidate);
            } else {
                stats.refused += 1;
            }
        }
        for kept in &self.candidates.suppress(&mut stats) {
            let index = kept.index as usize;
            let Some(&anchor) = self.anchors.get(index) else {
                continue;
            };
            let Face { points, .. } = face(&regressors, index, anchor);
            let keypoints = points.map(|[x, y]| mapping.to_camera(x, y));
            // A face whose points are no numbers is a face still.
            let usable = keypoints.iter().flatten().all(|value| value.is_finite());
            stats.refused += u32::from(!usable);
            let detection = Detection {
                keypoint_count: if usable { POINTS } else { 0 },
                keypoints: if usable {
                    keypoints
                } else {
                    Default::default()
                },
                ..kept.detection(mapping)
            };
            // `Kept` holds no more than `Detections` does.
            let _ = detections.push(detection);
        }
        Ok(stats)
    }
}

/// One anchor's values, 0..=1 along each side of the tensor.
struct Face {
    centre: [f32; 2],
    size: [f32; 2],
    points: [[f32; 2]; MAX_KEYPOINTS],
}

fn face(regressors: &View<'_>, index: usize, anchor: [f32; 2]) -> Face {
    const SCALE: f32 = 1.0 / SIDE as f32;
    let pair = |at: usize| [0, 1].map(|axis| regressors.at(index * VALUES + at + axis) * SCALE);
    let point = |at: usize| {
        let [x, y] = pair(at);
        [x + anchor[0], y + anchor[1]]
    };
    Face {
        centre: point(0),
        size: pair(2),
        points: std::array::from_fn(|k| point(4 + 2 * k)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_stand_at_the_centres_of_their_cells() {
        let anchors = anchors();
        assert_eq!(anchors.len(), ANCHORS);
        assert_eq!(anchors[0], [0.5 / 16.0, 0.5 / 16.0]);
        assert_eq!(anchors[1], anchors[0], "two in each cell of the fine grid");
        assert_eq!(anchors[2], [1.5 / 16.0, 0.5 / 16.0]);
        assert_eq!(anchors[32], [0.5 / 16.0, 1.5 / 16.0]);
        assert_eq!(anchors[511], [15.5 / 16.0, 15.5 / 16.0]);
        assert_eq!(anchors[512], [0.5 / 8.0, 0.5 / 8.0]);
        assert_eq!(
            anchors[517], anchors[512],
            "six in each cell of the coarse grid"
        );
        assert_eq!(anchors[518], [1.5 / 8.0, 0.5 / 8.0]);
        assert_eq!(anchors[895], [7.5 / 8.0, 7.5 / 8.0]);
    }
}
