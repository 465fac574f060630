//! What can go wrong between a frame and a tensor.

use super::layout::MAX_SIDE;
use std::fmt;

/// A camera's format and a tensor that do not go together. Found while arming.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// The input tensor is none of [1, height, width, 3], [1, 3, height, width], [1, height, width, 1] and
    /// [1, 1, height, width].
    Shape {
        /// The shape found.
        found: Vec<usize>,
    },
    /// The frames have to be decoded first.
    Compressed {
        /// The stream's format.
        found: &'static str,
    },
    /// The camera's image has too few pixels to mix two each way.
    Picture {
        /// Width in pixels.
        width_px: u32,
        /// Height in pixels.
        height_px: u32,
        /// Least width and height.
        least_px: u32,
    },
    /// Rows are longer than the distance from one to the next.
    Stride {
        /// The stream's stride.
        found_bytes: u32,
        /// Bytes of one row.
        needed_bytes: u64,
    },
    /// The driver's buffer is smaller than its image.
    Buffer {
        /// The stream's buffer size.
        found_bytes: u32,
        /// Bytes up to the image's last sample.
        needed_bytes: u64,
    },
    /// The region does not lie inside the image.
    Region {
        /// Left edge, upper edge, width and height.
        found_px: [u32; 4],
        /// Width and height of the image.
        picture_px: [u32; 2],
    },
    /// Black and white of the input range are equal or not finite.
    Range {
        /// The range found.
        found: [f32; 2],
    },
    /// A range for each channel, of a tensor that has one.
    Ranges {
        /// The ranges found.
        found: [[f32; 2]; 3],
    },
    /// A quantised tensor without a usable scale.
    Scale {
        /// The scale found.
        found: f32,
    },
    /// The tensor cannot store most of the input range.
    Unstorable {
        /// The real values of black and white asked for.
        found: [f32; 2],
        /// The real values that the tensor stores.
        storable: [f64; 2],
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { found } => write!(
                f,
                "input tensor: found shape {found:?}, expected [1, height, width, channels] or [1, channels, \
                 height, width] with 1 or 3 channels and sides of 1..={MAX_SIDE}"
            ),
            Self::Compressed { found } => write!(
                f,
                "format: found {found}, expected one whose samples lie open: it is to be decoded first"
            ),
            Self::Picture {
                width_px,
                height_px,
                least_px,
            } => {
                write!(
                    f,
                    "picture: found {width_px} x {height_px} pixels, expected at least {least_px} x {least_px}"
                )
            }
            Self::Stride {
                found_bytes,
                needed_bytes,
            } => {
                write!(
                    f,
                    "stride: found {found_bytes} bytes, expected at least {needed_bytes} for one row"
                )
            }
            Self::Buffer {
                found_bytes,
                needed_bytes,
            } => {
                write!(
                    f,
                    "buffer: found {found_bytes} bytes, expected at least {needed_bytes} for the picture"
                )
            }
            Self::Region {
                found_px,
                picture_px: [width_px, height_px],
            } => write!(
                f,
                "region: found {found_px:?}, expected [x, y, width, height] inside the picture of {width_px} x \
                 {height_px} pixels"
            ),
            Self::Range { found } => {
                write!(
                    f,
                    "input-range: found {found:?}, expected two different finite numbers"
                )
            }
            Self::Ranges { found } => {
                write!(
                    f,
                    "input-range: found {found:?}, expected [black, white]: the input tensor has one channel"
                )
            }
            Self::Scale { found } => {
                write!(
                    f,
                    "input tensor: found quantisation scale {found}, expected a positive finite number"
                )
            }
            Self::Unstorable { found, storable } => write!(
                f,
                "input-range: found {found:?}, expected a range inside [{:.4}, {:.4}], which is all that the input \
                 tensor stores",
                storable[0], storable[1]
            ),
        }
    }
}

impl std::error::Error for PlanError {}

/// A region of the image that cannot be shown. Hot path: `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionError {
    /// Left edge, upper edge, width and height of the region.
    pub region_px: [u32; 4],
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "part of the picture: found {:?}, expected some of what the camera's `region` shows",
            self.region_px
        )
    }
}

impl std::error::Error for RegionError {}

/// A frame that could not be turned into a tensor. Hot path: `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The frame ends before the image does.
    FrameShort {
        /// Bytes of the frame.
        found_bytes: usize,
        /// Bytes up to the image's last sample.
        needed_bytes: usize,
    },
    /// The tensor is not the one that the plan was made for.
    TensorSize {
        /// Bytes of the tensor.
        found_bytes: usize,
        /// Bytes that the plan writes.
        needed_bytes: usize,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameShort {
                found_bytes,
                needed_bytes,
            } => {
                write!(
                    f,
                    "frame: found {found_bytes} bytes, expected at least {needed_bytes}"
                )
            }
            Self::TensorSize {
                found_bytes,
                needed_bytes,
            } => {
                write!(
                    f,
                    "input tensor: found {found_bytes} bytes, expected {needed_bytes}"
                )
            }
        }
    }
}

impl std::error::Error for RunError {}
