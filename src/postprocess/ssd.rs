//! Single-shot detector: boxes relative to anchors with a score for each class, or the finished boxes of the
//! operator `TFLite_Detection_PostProcess`.
//!
//! | form | output | shape | values |
//! |---|---|---|---|
//! | anchored | boxes | [1, anchors, 4] | centre y, centre x (tenths of the anchor's size, off its centre), log of height and width (fifths) |
//! | anchored | scores | [1, anchors, classes] | logit or probability of each class; one more than there are labels: the first is the background |
//! | finished | boxes | [1, rows, 4] | upper, left, lower, right edge, 0..=1 |
//! | finished | classes, scores | [1, rows] | class from 0, without background; probability |
//! | finished | count | [1] | rows that are used |
//!
//! # Source
//! TensorFlow Object Detection API: `faster_rcnn_box_coder` (scales 10, 10, 5, 5),
//! `export_tflite_ssd_graph`; `tensorflow/lite/kernels/detection_postprocess.cc`.

mod anchors;

use super::detection::Detections;
use super::nms::{Candidate, Candidates};
use super::output_reader::{DecodeError, DecodeStats, DecoderError, OutputReader};
use super::settings::Settings;
use super::thresholds::Thresholds;
use super::values::{Values, View, sigmoid};
use crate::infer::{PictureShape, TensorInfo};
use crate::preprocess::Mapping;
use crate::profile::Scores;
use anchors::Anchor;

const NAME: &str = "ssd";
/// Divisors of a box's centre and of the logarithm of its size.
const CENTRE_SCALE: f32 = 10.0;
const SIZE_SCALE: f32 = 5.0;
/// How far below a threshold's logit a value is still looked at: more than rounding.
const SLACK: f32 = 1e-2;
/// The greatest probability whose logit single precision tells from its neighbours'.
const ALMOST_CERTAIN: f32 = 0.9999;
/// Rows of finished boxes that are read at most.
const MAX_ROWS: usize = 4096;

#[derive(Debug)]
pub(super) struct Ssd {
    form: Form,
    thresholds: Thresholds,
    candidates: Candidates,
}

#[derive(Debug)]
enum Form {
    Anchored {
        anchors: Box<[Anchor]>,
        boxes: Values,
        scores: Values,
        /// 1 where the first class is the background, else 0.
        background: usize,
        logits: bool,
        /// What is below reaches no threshold.
        floor: f32,
    },
    Finished {
        boxes: Values,
        classes: Values,
        scores: Values,
        count: Values,
        rows: u32,
    },
}

impl Ssd {
    pub(super) fn new(
        settings: &Settings,
        input: &TensorInfo,
        outputs: &[TensorInfo],
    ) -> Result<Self, DecoderError> {
        let (form, most) = match outputs {
            [_, _, _, _] => finished(outputs)?,
            _ => anchored(settings, input, outputs)?,
        };
        Ok(Self {
            form,
            thresholds: Thresholds::new(settings),
            candidates: Candidates::new(most, settings.iou_threshold, settings.max_detections),
        })
    }
}

fn wrong(outputs: &[TensorInfo], anchors: Option<usize>) -> DecoderError {
    let count = anchors.map_or("anchors".into(), |count| count.to_string());
    DecoderError::Outputs {
        decoder: NAME,
        found: outputs.to_vec(),
        expected: format!(
            "[1, {count}, 4] and [1, {count}, classes], or the four outputs of \
             TFLite_Detection_PostProcess: [1, rows, 4], [1, rows], [1, rows] and [1]"
        ),
    }
}

/// Two outputs, relative to the anchors of the input's size.
fn anchored(
    settings: &Settings,
    input: &TensorInfo,
    outputs: &[TensorInfo],
) -> Result<(Form, usize), DecoderError> {
    let Some(PictureShape {
        height_px: height,
        width_px: width,
        ..
    }) = input.picture()
    else {
        return Err(wrong(outputs, None));
    };
    if height != width || !anchors::SIDES.contains(&width) {
        let (least, most) = (anchors::SIDES.start(), anchors::SIDES.end());
        return Err(DecoderError::Input {
            decoder: NAME,
            found: input.clone(),
            expected: format!(
                "a square of {least}..={most} pixels, which the anchors are made for"
            ),
        });
    }
    let anchors = anchors::of(width);
    let count = anchors.len();
    let wrong = || wrong(outputs, Some(count));
    // [1, anchors, 1, 4] is how some exports leave the boxes.
    let last = |info: &TensorInfo| match info.shape[..] {
        [1, rows, last] | [1, rows, 1, last] if rows == count => Some(last),
        _ => None,
    };
    let [first, second] = outputs else {
        return Err(wrong());
    };
    // Of two that could be the boxes the first is.
    let (boxes, scores, classes) = match (last(first), last(second)) {
        (Some(4), Some(classes)) => (0, 1, classes),
        (Some(classes), Some(4)) => (1, 0, classes),
        _ => return Err(wrong()),
    };
    let background = match classes.checked_sub(settings.labels) {
        Some(more @ (0 | 1)) => more,
        _ => {
            return Err(DecoderError::Labels {
                decoder: NAME,
                found: settings.labels,
                expected: format!(
                    "{}, or {classes} where the model has no class for the background",
                    classes.saturating_sub(1)
                ),
            });
        }
    };
    let logits = settings.scores == Scores::Logits;
    let lowest = Thresholds::new(settings).lowest();
    let form = Form::Anchored {
        anchors,
        boxes: Values::new(boxes, &outputs[boxes]),
        scores: Values::new(scores, &outputs[scores]),
        background,
        logits,
        floor: if logits { logit(lowest) } else { lowest } - SLACK,
    };
    Ok((form, count))
}

/// The operator's four outputs, in its order or in TensorFlow 2's.
fn finished(outputs: &[TensorInfo]) -> Result<(Form, usize), DecoderError> {
    let wrong = || wrong(outputs, None);
    let place = |fits: &dyn Fn(&[usize]) -> bool| {
        let mut fitting = outputs.iter().enumerate();
        fitting
            .find(|(_, info)| fits(&info.shape))
            .map(|(index, _)| index)
    };
    let boxes = place(&|shape| matches!(shape, [1, _, 4])).ok_or_else(wrong)?;
    let rows = outputs[boxes].shape[1];
    let count = place(&|shape| matches!(shape, [1] | [])).ok_or_else(wrong)?;
    let mut pair = (0..outputs.len()).filter(|index| outputs[*index].shape[..] == [1, rows]);
    let (Some(first), Some(second), None) = (pair.next(), pair.next(), pair.next()) else {
        return Err(wrong());
    };
    // The operator's own order is boxes, classes, scores, count. TensorFlow 2's exports shuffle it, and call
    // the scores `StatefulPartitionedCall:1` and the classes `StatefulPartitionedCall:2`.
    let renumbered = |index: usize, end: &str| {
        let name = &outputs[index].name;
        name.starts_with("StatefulPartitionedCall") && name.ends_with(end)
    };
    let swapped = renumbered(first, ":1") || renumbered(second, ":2");
    let (classes, scores) = if swapped {
        (second, first)
    } else {
        (first, second)
    };
    let rows = u32::try_from(rows)
        .ok()
        .filter(|_| (1..=MAX_ROWS).contains(&rows));
    let rows = rows.ok_or_else(wrong)?;
    let values = |index: usize| Values::new(index, &outputs[index]);
    let form = Form::Finished {
        boxes: values(boxes),
        classes: values(classes),
        scores: values(scores),
        count: values(count),
        rows,
    };
    Ok((form, rows as usize))
}

impl OutputReader for Ssd {
    fn layout(&self) -> String {
        match &self.form {
            Form::Anchored {
                anchors,
                background,
                logits,
                ..
            } => format!(
                "{} anchors, {} classes{}, {}",
                anchors.len(),
                self.thresholds.classes(),
                if *background == 1 {
                    " and the background"
                } else {
                    ""
                },
                if *logits { "logits" } else { "probabilities" },
            ),
            Form::Finished { rows, .. } => format!("at most {rows} finished boxes"),
        }
    }

    fn decode(
        &mut self,
        outputs: &[&[u8]],
        mapping: &Mapping,
        detections: &mut Detections,
    ) -> Result<DecodeStats, DecodeError> {
        let mut stats = DecodeStats::default();
        self.candidates.clear();
        let Self {
            form,
            thresholds,
            candidates,
        } = self;
        match form {
            Form::Anchored {
                anchors,
                boxes,
                scores,
                background,
                logits,
                floor,
            } => {
                let (boxes, scores) = (boxes.of(outputs)?, scores.of(outputs)?);
                let columns = thresholds.classes() + *background;
                for (index, anchor) in (0_u32..).zip(&*anchors) {
                    let row = index as usize * columns;
                    let mut best: Option<(u16, f32)> = None;
                    for class in 0..thresholds.classes() {
                        let value = scores.at(row + *background + class);
                        if !value.is_finite() {
                            stats.refused += 1;
                            continue;
                        }
                        // The sigmoid keeps the order, and most values are far below.
                        if value > best.map_or(*floor, |(_, best)| best)
                            && thresholds.reached(class, score(value, *logits))
                        {
                            best = u16::try_from(class).ok().map(|class| (class, value));
                        }
                    }
                    let Some((class, value)) = best else {
                        continue;
                    };
                    let candidate = Candidate {
                        score: score(value, *logits),
                        class,
                        index,
                        edges: edges(&boxes, index as usize, anchor),
                    };
                    if candidate.can_be() {
                        candidates.push(candidate);
                    } else {
                        stats.refused += 1;
                    }
                }
            }
            Form::Finished {
                boxes,
                classes,
                scores,
                count,
                rows,
            } => {
                let (boxes, classes) = (boxes.of(outputs)?, classes.of(outputs)?);
                let (scores, count) = (scores.of(outputs)?, count.of(outputs)?);
                let used = whole(count.at(0)).filter(|used| used <= rows);
                stats.refused += u32::from(used.is_none());
                for index in 0..used.unwrap_or(0) {
                    let at = index as usize;
                    let score = scores.at(at);
                    if score < thresholds.lowest() {
                        continue;
                    }
                    let class = whole(classes.at(at)).and_then(|class| u16::try_from(class).ok());
                    let class = class.filter(|class| usize::from(*class) < thresholds.classes());
                    let (Some(class), true) = (class, score.is_finite() && score <= 1.0) else {
                        stats.refused += 1;
                        continue;
                    };
                    if !thresholds.reached(class.into(), score) {
                        continue;
                    }
                    let edge = |side: usize| boxes.at(4 * at + side);
                    let candidate = Candidate {
                        score,
                        class,
                        index,
                        edges: [edge(1), edge(0), edge(3), edge(2)],
                    };
                    if candidate.can_be() {
                        candidates.push(candidate);
                    } else {
                        stats.refused += 1;
                    }
                }
            }
        }
        candidates.detect(&mut stats, mapping, detections);
        Ok(stats)
    }
}

/// The logit of a probability.
fn logit(probability: f32) -> f32 {
    let probability = probability.min(ALMOST_CERTAIN);
    (probability / (1.0 - probability)).ln()
}

fn score(value: f32, logits: bool) -> f32 {
    if logits {
        sigmoid(value)
    } else {
        value.clamp(0.0, 1.0)
    }
}

/// Left, upper, right and lower edge of an anchor's box, 0..=1.
fn edges(boxes: &View<'_>, index: usize, anchor: &Anchor) -> [f32; 4] {
    let value = |at: usize| boxes.at(4 * index + at);
    let y = value(0) / CENTRE_SCALE * anchor.height + anchor.y;
    let x = value(1) / CENTRE_SCALE * anchor.width + anchor.x;
    let height = (value(2) / SIZE_SCALE).exp() * anchor.height;
    let width = (value(3) / SIZE_SCALE).exp() * anchor.width;
    [
        x - width / 2.0,
        y - height / 2.0,
        x + width / 2.0,
        y + height / 2.0,
    ]
}

/// A number that stands for a class or a count: whole, and not negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Checked before.
fn whole(value: f32) -> Option<u32> {
    let rounded = value.round();
    ((0.0..=65535.0).contains(&rounded) && (value - rounded).abs() < 0.01).then_some(rounded as u32)
}
