//! Which part of a picture is looked at, and how it lies in the tensor.

use super::colour::single;
use super::sampling::Sampling;
use super::taps::{Extent, Taps};
use super::{Mapping, PlanError};
use crate::frame::StreamFormat;
use crate::profile::{Fit, Resample, View};

/// Rectangle of the tensor that the picture fills, in tensor pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// What of a picture a plan shows, and how it lies in the tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Geometry {
    pub fit: Fit,
    pub resample: Resample,
    pub tensor_px: [usize; 2],
    pub camera_px: [u32; 2],
    /// Along x and y of the grid: the first pixel that may be looked at, and how many there are.
    pub seen: [[u32; 2]; 2],
    /// Picture pixels, each way, of a pixel of the grid.
    pub block_px: u32,
    pub sideways: bool,
    pub flipped: [bool; 2],
}

/// Where a part of the grid lies in the tensor.
pub(super) struct Layout {
    pub picture: Picture,
    /// Along the camera's rows, and along its columns.
    pub extents: [Extent; 2],
    pub mapping: Mapping,
}

impl Geometry {
    /// Of a part of what may be looked at: first pixel and length along x and y of the grid.
    pub(super) fn lay(&self, seen: [[u32; 2]; 2]) -> Layout {
        let &Self {
            fit,
            tensor_px,
            sideways,
            flipped,
            ..
        } = self;
        // Upright: as the tensor shows it.
        let upright = |px: [f64; 2]| if sideways { [px[1], px[0]] } else { px };
        let block = f64::from(self.block_px);
        let size = upright(seen.map(|[_, length]| f64::from(length) * block));
        let picture = place(fit, size, tensor_px);
        let shown = shown(fit, size, tensor_px);
        // What is cut off is cut off at both ends alike, so turning the picture does not change it.
        let part = upright([shown[0][0], shown[1][0]]);
        let part_size = upright([shown[0][1], shown[1][1]]);
        let counts = upright_counts(&picture, sideways);
        let extents = [0, 1].map(|axis| Extent {
            first: seen[axis][0] as usize,
            start: part[axis] / block,
            size: part_size[axis] / block,
            length: seen[axis][1],
            count: counts[axis],
            flipped: flipped[axis],
        });
        let mapping = Mapping::new(
            self.camera_px.map(exact),
            tensor_px.map(exact_side),
            [exact_side(picture.x), exact_side(picture.y)],
            [exact_side(picture.width), exact_side(picture.height)],
        );
        let mapping = mapping.of_view(
            [0, 1].map(|axis| single(f64::from(seen[axis][0]) * block + part[axis])),
            part_size.map(single),
            sideways,
            flipped,
        );
        Layout {
            picture,
            extents,
            mapping,
        }
    }

    /// Taps with room for whatever part is looked at.
    pub(super) fn room(&self) -> [Taps; 2] {
        let [width, height] = self.tensor_px;
        let counts = if self.sideways {
            [height, width]
        } else {
            [width, height]
        };
        [0, 1].map(|axis| Taps::with_room(self.seen[axis][1], counts[axis], self.resample))
    }

    /// The pixels of the grid that a part of the picture touches, of those that may be looked at; `None`
    /// where there is none.
    pub(super) fn grid_of(&self, [x, y, width, height]: [u32; 4]) -> Option<[[u32; 2]; 2]> {
        let along = |axis: usize, first: u32, length: u32| {
            let [least, count] = self.seen[axis];
            let from = (first / self.block_px).max(least);
            let to = first.checked_add(length)?.div_ceil(self.block_px);
            let to = to.min(least + count);
            (from < to).then(|| [from, to - from])
        };
        Some([along(0, x, width)?, along(1, y, height)?])
    }
}

/// Positions along the camera's rows and columns.
const fn upright_counts(picture: &Picture, sideways: bool) -> [usize; 2] {
    if sideways {
        [picture.height, picture.width]
    } else {
        [picture.width, picture.height]
    }
}

/// `round(length * scale)`, at least one and at most `limit`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to 1..=MAX_SIDE.
fn scaled(length: f64, scale: f64, limit: usize) -> usize {
    ((length * scale).round() as usize).clamp(1, limit)
}

/// Where a picture of `seen_px` lies in the tensor.
fn place(fit: Fit, seen_px: [f64; 2], tensor_px: [usize; 2]) -> Picture {
    let [width, height] = tensor_px;
    match fit {
        Fit::Stretch | Fit::Crop => Picture {
            x: 0,
            y: 0,
            width,
            height,
        },
        Fit::Letterbox => {
            let scale = (width as f64 / seen_px[0]).min(height as f64 / seen_px[1]);
            let (w, h) = (
                scaled(seen_px[0], scale, width),
                scaled(seen_px[1], scale, height),
            );
            Picture {
                x: (width - w) / 2,
                y: (height - h) / 2,
                width: w,
                height: h,
            }
        }
    }
}

/// The part of a picture of `seen_px` that the tensor shows: start and size along x, and along y.
fn shown(fit: Fit, seen_px: [f64; 2], tensor_px: [usize; 2]) -> [[f64; 2]; 2] {
    let tensor = tensor_px.map(|px| px as f64);
    let scale = match fit {
        Fit::Crop => (seen_px[0] / tensor[0]).min(seen_px[1] / tensor[1]),
        Fit::Letterbox | Fit::Stretch => return seen_px.map(|size| [0.0, size]),
    };
    [0, 1].map(|axis| {
        let size = (tensor[axis] * scale).min(seen_px[axis]);
        [(seen_px[axis] - size) / 2.0, size]
    })
}

#[allow(clippy::cast_possible_truncation)] // Sides are at most 65535, exact in f32.
const fn exact(value: u32) -> f32 {
    value as f32
}

fn exact_side(value: usize) -> f32 {
    u16::try_from(value).map_or(f32::INFINITY, f32::from)
}

/// The part of the grid that is looked at: its first pixel and its length, along x and y.
pub(super) fn seen(
    format: &StreamFormat,
    sampling: &Sampling,
    view: &View,
) -> Result<[[u32; 2]; 2], PlanError> {
    // What the grid covers: the picture, or of a Bayer picture with odd sides what is in whole squares.
    let grid = sampling.grid_px();
    let Some(found_px) = view.region_px else {
        return Ok(grid.map(|length| [0, length]));
    };
    let [x, y, width, height] = found_px.map(|px| px / sampling.block_px());
    let fits = |first: u32, length: u32, whole: u32| {
        length > 0 && first.checked_add(length).is_some_and(|end| end <= whole)
    };
    if !fits(x, width, grid[0]) || !fits(y, height, grid[1]) {
        return Err(PlanError::Region {
            found_px,
            picture_px: [format.width_px, format.height_px],
        });
    }
    Ok([[x, width], [y, height]])
}
