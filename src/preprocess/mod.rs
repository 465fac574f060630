//! Frame to tensor, in one pass.
//!
//! Answers for: what value each element of the input tensor has, given the camera's bytes; and where a
//! point of the tensor lies in the camera's image. Does not answer for: which frame it is (`infer`), or
//! what the model makes of it.
//!
//! Everything that depends on the geometry, the colours and the tensor is worked out before a frame is read:
//! once, at arming, by [`Plan::prepared`]; of a plan that can be moved ([`Plan::movable`]) for each region of the
//! image by [`Plan::set_region`], in the memory that arming gave it. [`Plan::run`] then reads the camera's buffer, and
//! for each line of the image adds up the samples of the rows and columns that each output pixel is made of, by their
//! filter weights, converts the sums to colours, clamps them to the gamut and writes them: no intermediate image, no
//! allocation, no panic.
//!
//! Samples are filtered as they come from the camera, before they are converted. As the conversion is affine,
//! that is the same as converting first, but for colours outside the gamut: what is clamped is the sum, once.
//!
//! A raw Bayer frame becomes the image of its squares of 2 x 2 pixels, half as wide and high: red and
//! blue as they are, green the mean of both. What the sensor measured is taken as it is: no black level,
//! white balance or gamma is applied.
//!
//! # Source
//! - Matrices and ranges: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance).
//! - Bilinear: half-pixel centres and clamped edges, without a prefilter, as
//!   `tf.image.resize(method="bilinear", antialias=False)` does.
//! - Area: each pixel by its share of the element's area, as OpenCV's `INTER_AREA` when it makes images
//!   smaller; the same when it makes them larger.

mod bounded_vec;
mod colour;
mod fault;
mod filter_weights;
mod geometry;
mod kernels;
mod layout;
mod mapping;
mod plan;
mod sampling;
mod scalar;
#[cfg(test)]
mod tests;

pub use fault::{PlanError, RegionError, RunError};
pub use kernels::Kernel;
pub use mapping::Mapping;
pub use plan::{Plan, Preparation};
