//! Frame to tensor, in one pass.
//!
//! Answers for: what value each element of the input tensor has, given the camera's bytes; and where a
//! point of the tensor lies in the camera's picture. Does not answer for: which frame it is (`infer`), or
//! what the model makes of it.
//!
//! Everything that depends on the geometry, the colours and the tensor is worked out before a frame is read:
//! once, at arming, by [`Plan::prepared`]; of a plan that can be moved ([`Plan::movable`]) for each part of the
//! picture by [`Plan::aim`], in the memory that arming gave it. [`Plan::run`] then reads the camera's buffer, and for each line of the picture mixes
//! the samples of the rows and columns that each element is made of, converts the mixture to colours, clamps
//! them to the gamut and writes them: no intermediate picture, no allocation, no panic.
//!
//! Samples are mixed as they come from the camera, before they are converted. As the conversion is affine,
//! that is the same as converting first, but for colours outside the gamut: what is clamped is the mixture,
//! once.
//!
//! A raw Bayer frame becomes the picture of its squares of 2 x 2 pixels, half as wide and high: red and
//! blue as they are, green the mean of both. What the sensor measured is taken as it is: no black level,
//! white balance or gamma is applied.
//!
//! # Source
//! - Matrices and ranges: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance).
//! - Bilinear: half-pixel centres and clamped edges, without a prefilter, as
//!   `tf.image.resize(method="bilinear", antialias=False)` does.
//! - Area: each pixel by its share of the element's area, as OpenCV's `INTER_AREA` when it makes pictures
//!   smaller; the same when it makes them larger.

mod colour;
mod fault;
mod geometry;
mod mapping;
mod plan;
mod room;
mod sampling;
mod scalar;
mod strip;
mod taps;
#[cfg(test)]
mod tests;

pub use fault::{AimError, PlanError, RunError};
pub use mapping::Mapping;
pub use plan::{Kernel, Plan, Preparation};
