//! YOLO's head, joined to one output by its export.
//!
//! | family | values of one box | boxes |
//! |---|---|---|
//! | v5, v7 | centre x, y, width, height, objectness, a score for each class | three in each cell |
//! | v8, v11 | centre x, y, width, height, a score for each class | one in each cell |
//!
//! The cells are those of three grids, 8, 16 and 32 pixels wide, or of four with 64 as well. Number of values
//! and number of boxes tell the family, and which of the output's two dimensions is which. What the shapes
//! do not tell, the profile says: whether boxes are measured in the input's sides or in pixels. Where it says
//! the wrong one, boxes come out beyond the picture or smaller than half a pixel, and are refused.
//!
//! # Source
//! ultralytics/yolov5 `export.py`, ultralytics `Detect` head: scores are probabilities already; TFLite exports
//! divide boxes by the input's sides.

use super::detection::Detections;
use super::nms::{Candidate, Candidates};
use super::output_reader::{DecodeError, DecodeStats, DecoderError, OutputReader};
use super::settings::Settings;
use super::thresholds::Thresholds;
use super::values::{Values, View};
use crate::infer::{PictureShape, TensorInfo};
use crate::preprocess::Mapping;
use crate::profile::BoxUnit;

const NAME: &str = "yolo";
/// Sides of the cells that the input must be a multiple of, and the cells' sides.
const STRIDES: [usize; 4] = [8, 16, 32, 64];
/// Values of a box before its scores.
const BOX: usize = 4;
/// Most boxes that are read.
const MAX_BOXES: usize = 1 << 17;
/// A narrower box is of another unit, or nonsense.
const NARROWEST_PX: f32 = 0.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// With objectness.
    V5,
    V8,
}

impl Family {
    const fn values_before_classes(self) -> usize {
        match self {
            Self::V5 => BOX + 1,
            Self::V8 => BOX,
        }
    }

    const fn boxes_per_cell(self) -> usize {
        match self {
            Self::V5 => 3,
            Self::V8 => 1,
        }
    }
}

#[derive(Debug)]
pub(super) struct Yolo {
    family: Family,
    /// Boxes stand side by side, and their values one below the other.
    transposed: bool,
    boxes: usize,
    columns: usize,
    values: Values,
    unit: BoxUnit,
    /// What makes shares of the input's width and height of a box's values.
    scale: [f32; 2],
    /// Smallest width and height of a box, in shares.
    least: [f32; 2],
    thresholds: Thresholds,
    candidates: Candidates,
}

impl Yolo {
    pub(super) fn new(
        settings: &Settings,
        input: &TensorInfo,
        outputs: &[TensorInfo],
    ) -> Result<Self, DecoderError> {
        let (height, width) = match input.picture() {
            Some(PictureShape {
                height_px,
                width_px,
                ..
            }) if sides_fit(height_px) && sides_fit(width_px) => (height_px, width_px),
            _ => {
                return Err(DecoderError::Input {
                    decoder: NAME,
                    found: input.clone(),
                    expected: "sides that are multiples of 32, to 2048 pixels".into(),
                });
            }
        };
        let possible = possible(settings.labels, [height, width]);
        let wrong = || {
            let shapes: Vec<String> = possible
                .iter()
                .map(|(family, boxes, values)| format!("[1, {boxes}, {values}] ({family:?})"))
                .collect();
            DecoderError::Outputs {
                decoder: NAME,
                found: outputs.to_vec(),
                expected: format!(
                    "one output {}, or with its last two dimensions swapped, for {} labels and this input",
                    shapes.join(" or "),
                    settings.labels
                ),
            }
        };
        let [output] = outputs else {
            return Err(wrong());
        };
        let found = possible.iter().find_map(|&(family, boxes, values)| {
            let transposed = match output.shape[..] {
                [1, first, second] if (first, second) == (boxes, values) => false,
                [1, first, second] if (first, second) == (values, boxes) => true,
                _ => return None,
            };
            Some((family, boxes, values, transposed))
        });
        let (family, boxes, columns, transposed) = found
            .filter(|(_, boxes, ..)| *boxes <= MAX_BOXES)
            .ok_or_else(wrong)?;
        let values = Values::new(0, output);
        let sides = [width, height].map(|side| u16::try_from(side).map_or(f32::NAN, f32::from));
        if settings.box_unit == BoxUnit::Pixel && values.range().1 < sides[0] / 2.0 {
            return Err(DecoderError::Outputs {
                decoder: NAME,
                found: outputs.to_vec(),
                expected: "an output that can hold the input's pixels: set box-unit = \"input\""
                    .into(),
            });
        }
        Ok(Self {
            family,
            transposed,
            boxes,
            columns,
            values,
            unit: settings.box_unit,
            scale: sides.map(|side| match settings.box_unit {
                BoxUnit::Input => 1.0,
                BoxUnit::Pixel => 1.0 / side,
            }),
            least: sides.map(|side| NARROWEST_PX / side),
            thresholds: Thresholds::new(settings),
            candidates: Candidates::new(boxes, settings.iou_threshold, settings.max_detections),
        })
    }

    /// The class of the greatest score that reaches its threshold, and the score.
    fn best(&self, view: &View<'_>, row: usize, stats: &mut DecodeStats) -> Option<(u16, f32)> {
        let objectness = match self.family {
            Family::V5 => view.at(self.place(row, BOX)),
            Family::V8 => 1.0,
        };
        if !objectness.is_finite() {
            stats.refused += 1;
            return None;
        }
        // A product of probabilities is no greater than any of them.
        if objectness < self.thresholds.lowest() {
            return None;
        }
        let first = self.family.values_before_classes();
        let mut best: Option<(u16, f32)> = None;
        for class in 0..self.thresholds.classes() {
            let value = view.at(self.place(row, first + class));
            if !value.is_finite() {
                stats.refused += 1;
                continue;
            }
            let score = (objectness * value).clamp(0.0, 1.0);
            if best.is_none_or(|(_, best)| score > best) && self.thresholds.reached(class, score) {
                best = u16::try_from(class).ok().map(|class| (class, score));
            }
        }
        best
    }

    /// Where value `column` of box `row` stands.
    const fn place(&self, row: usize, column: usize) -> usize {
        if self.transposed {
            column * self.boxes + row
        } else {
            row * self.columns + column
        }
    }

    /// The box's edges in shares of the input, if it is not too narrow to be one.
    fn edges(&self, view: &View<'_>, row: usize) -> Option<[f32; 4]> {
        let value = |column: usize| view.at(self.place(row, column)) * self.scale[column % 2];
        let ([x, y], [width, height]) = ([value(0), value(1)], [value(2), value(3)]);
        let wide_enough = width >= self.least[0] && height >= self.least[1];
        wide_enough.then_some([
            x - width / 2.0,
            y - height / 2.0,
            x + width / 2.0,
            y + height / 2.0,
        ])
    }
}

fn sides_fit(side: usize) -> bool {
    side.is_multiple_of(STRIDES[2]) && (STRIDES[2]..=2048).contains(&side)
}

/// Family, boxes and values of each box: what a head for this input and these classes can have.
fn possible(classes: usize, sides: [usize; 2]) -> Vec<(Family, usize, usize)> {
    let mut out = Vec::new();
    for grids in [&STRIDES[..3], &STRIDES] {
        if sides
            .iter()
            .any(|side| !side.is_multiple_of(grids[grids.len() - 1]))
        {
            continue;
        }
        let cells: usize = grids
            .iter()
            .map(|stride| (sides[0] / stride) * (sides[1] / stride))
            .sum();
        for family in [Family::V8, Family::V5] {
            let boxes = cells * family.boxes_per_cell();
            out.push((family, boxes, family.values_before_classes() + classes));
        }
    }
    out
}

impl OutputReader for Yolo {
    fn layout(&self) -> String {
        let family = match self.family {
            Family::V5 => "v5, with objectness",
            Family::V8 => "v8 or v11, without objectness",
        };
        let order = if self.transposed {
            "values before boxes"
        } else {
            "boxes before values"
        };
        let unit = match self.unit {
            BoxUnit::Input => "shares of the input",
            BoxUnit::Pixel => "the input's pixels",
        };
        let (boxes, columns) = (self.boxes, self.columns);
        format!("{family}: {boxes} boxes of {columns} values, {order}, in {unit}")
    }

    fn decode(
        &mut self,
        outputs: &[&[u8]],
        mapping: &Mapping,
        detections: &mut Detections,
    ) -> Result<DecodeStats, DecodeError> {
        let view = self.values.of(outputs)?;
        let mut stats = DecodeStats::default();
        self.candidates.clear();
        for (index, row) in (0_u32..).zip(0..self.boxes) {
            let Some((class, score)) = self.best(&view, row, &mut stats) else {
                continue;
            };
            let candidate = self.edges(&view, row).map(|edges| Candidate {
                score,
                class,
                index,
                edges,
            });
            match candidate.filter(Candidate::can_be) {
                Some(candidate) => self.candidates.push(candidate),
                None => stats.refused += 1,
            }
        }
        self.candidates.detect(&mut stats, mapping, detections);
        Ok(stats)
    }
}
