//! Frame to tensor, in one pass.
//!
//! Answers for: what value each element of the input tensor has, given the camera's bytes; and where a
//! point of the tensor lies in the camera's picture. Does not answer for: which frame it is (`infer`), or
//! what the model makes of it.
//!
//! Everything that depends on the geometry, the colours and the tensor is worked out once, at arming, by
//! [`Plan::new`]. [`Plan::run`] then reads each needed sample of the camera's buffer once, converts it,
//! resamples it, and writes the tensor: no intermediate picture, no allocation, no panic.
//!
//! A raw Bayer frame becomes the picture of its squares of 2 x 2 pixels, half as wide and high: red and
//! blue as they are, green the mean of both. What the sensor measured is taken as it is: no black level,
//! white balance or gamma is applied.
//!
//! # Source
//! - Matrices and ranges: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance).
//! - Resampling, where `nearest` is not asked for: bilinear with half-pixel centres and clamped edges, without a prefilter, as
//!   `tf.image.resize(method="bilinear", antialias=False)` does.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod colour;
mod fault;
mod mapping;
mod plan;
mod sampling;
mod scalar;
#[cfg(test)]
mod tests;

pub use fault::{PlanError, RunError};
pub use mapping::Mapping;
pub use plan::{Kernel, Plan};
