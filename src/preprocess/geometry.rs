//! Which region of the image is shown, and how it lies in the tensor.

use super::colour::single;
use super::fault::PlanError;
use super::filter_weights::{Extent, FilterWeights};
use super::layout::ImageRect;
use super::mapping::Mapping;
use super::sampling::Sampling;
use crate::frame::StreamFormat;
use crate::profile::{Fit, Resample, View};

/// What of the image a plan shows, and how it lies in the tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Geometry {
    pub fit: Fit,
    pub resample: Resample,
    pub tensor_px: [usize; 2],
    pub camera_px: [u32; 2],
    /// Along x and y of the grid: the first pixel that may be shown, and how many there are.
    pub shown: [[u32; 2]; 2],
    /// Image pixels, each way, of a pixel of the grid.
    pub block_px: u32,
    pub is_transposed: bool,
    pub flipped: [bool; 2],
}

/// Where a part of the grid lies in the tensor.
pub(super) struct Placement {
    pub image: ImageRect,
    /// Along the camera's rows, and along its columns.
    pub extents: [Extent; 2],
    pub mapping: Mapping,
}

impl Geometry {
    /// Of a part of what may be shown: first pixel and length along x and y of the grid.
    pub(super) fn place(&self, shown: [[u32; 2]; 2]) -> Placement {
        let &Self {
            fit,
            tensor_px,
            is_transposed,
            flipped,
            ..
        } = self;
        // Upright: as the tensor shows it.
        let upright = |px: [f64; 2]| {
            if is_transposed { [px[1], px[0]] } else { px }
        };
        let block = f64::from(self.block_px);
        let size = upright(shown.map(|[_, length]| f64::from(length) * block));
        let image = image_rect(fit, size, tensor_px);
        let visible = visible(fit, size, tensor_px);
        // What is cut off is cut off at both ends alike, so turning the image does not change it.
        let part = upright([visible[0][0], visible[1][0]]);
        let part_size = upright([visible[0][1], visible[1][1]]);
        let counts = upright_counts(&image, is_transposed);
        let extents = [0, 1].map(|axis| Extent {
            first: shown[axis][0] as usize,
            start: part[axis] / block,
            size: part_size[axis] / block,
            length: shown[axis][1],
            count: counts[axis],
            flipped: flipped[axis],
        });
        let mapping = Mapping::new(
            self.camera_px.map(exact),
            tensor_px.map(exact_side),
            [exact_side(image.x), exact_side(image.y)],
            [exact_side(image.width), exact_side(image.height)],
        );
        let mapping = mapping.of_view(
            [0, 1].map(|axis| single(f64::from(shown[axis][0]) * block + part[axis])),
            part_size.map(single),
            is_transposed,
            flipped,
        );
        Placement {
            image,
            extents,
            mapping,
        }
    }

    /// No weights, with the capacity for whatever region is shown.
    pub(super) fn weights_with_capacity(&self) -> [FilterWeights; 2] {
        let [width, height] = self.tensor_px;
        let counts = if self.is_transposed {
            [height, width]
        } else {
            [width, height]
        };
        [0, 1].map(|axis| {
            FilterWeights::with_capacity(self.shown[axis][1], counts[axis], self.resample)
        })
    }

    /// The pixels of the grid that a region of the image touches, of those that may be shown; `None`
    /// where there is none.
    pub(super) fn grid_of(&self, [x, y, width, height]: [u32; 4]) -> Option<[[u32; 2]; 2]> {
        let along = |axis: usize, first: u32, length: u32| {
            let [least, count] = self.shown[axis];
            let from = (first / self.block_px).max(least);
            let to = first.checked_add(length)?.div_ceil(self.block_px);
            let to = to.min(least + count);
            (from < to).then(|| [from, to - from])
        };
        Some([along(0, x, width)?, along(1, y, height)?])
    }
}

/// Output pixels along the camera's rows and columns.
const fn upright_counts(image: &ImageRect, is_transposed: bool) -> [usize; 2] {
    if is_transposed {
        [image.height, image.width]
    } else {
        [image.width, image.height]
    }
}

/// `round(length * scale)`, at least one and at most `limit`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to 1..=MAX_SIDE.
fn scaled(length: f64, scale: f64, limit: usize) -> usize {
    ((length * scale).round() as usize).clamp(1, limit)
}

/// Where an image of `size_px` lies in the tensor.
fn image_rect(fit: Fit, size_px: [f64; 2], tensor_px: [usize; 2]) -> ImageRect {
    let [width, height] = tensor_px;
    match fit {
        Fit::Stretch | Fit::Crop => ImageRect {
            x: 0,
            y: 0,
            width,
            height,
        },
        Fit::Letterbox => {
            let scale = (width as f64 / size_px[0]).min(height as f64 / size_px[1]);
            let (w, h) = (
                scaled(size_px[0], scale, width),
                scaled(size_px[1], scale, height),
            );
            ImageRect {
                x: (width - w) / 2,
                y: (height - h) / 2,
                width: w,
                height: h,
            }
        }
    }
}

/// The part of an image of `size_px` that the tensor shows: start and size along x, and along y.
fn visible(fit: Fit, size_px: [f64; 2], tensor_px: [usize; 2]) -> [[f64; 2]; 2] {
    let tensor = tensor_px.map(|px| px as f64);
    let scale = match fit {
        Fit::Crop => (size_px[0] / tensor[0]).min(size_px[1] / tensor[1]),
        Fit::Letterbox | Fit::Stretch => return size_px.map(|size| [0.0, size]),
    };
    [0, 1].map(|axis| {
        let size = (tensor[axis] * scale).min(size_px[axis]);
        [(size_px[axis] - size) / 2.0, size]
    })
}

#[allow(clippy::cast_possible_truncation)] // Sides are at most 65535, exact in f32.
const fn exact(value: u32) -> f32 {
    value as f32
}

fn exact_side(value: usize) -> f32 {
    u16::try_from(value).map_or(f32::INFINITY, f32::from)
}

/// The part of the grid that may be shown: its first pixel and its length, along x and y.
pub(super) fn shown(
    format: &StreamFormat,
    sampling: &Sampling,
    view: &View,
) -> Result<[[u32; 2]; 2], PlanError> {
    // What the grid covers: the image, or of a Bayer image with odd sides what is in whole squares.
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
