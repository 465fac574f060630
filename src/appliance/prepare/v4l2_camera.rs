//! A V4L2 camera as the profile asks for it.

use crate::profile::Camera;
use crate::sys::device::v4l2::{CameraError, CameraRequest, UnarmedCamera};
use crate::units::NS_PER_S;
use std::path::Path;

/// Opens it.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn open_v4l2(device: &Path, camera: &Camera) -> Result<Box<UnarmedCamera>, CameraError> {
    let request = CameraRequest {
        pixel: camera.format,
        width_px: camera.width_px,
        height_px: camera.height_px,
        rate_hz: camera.rate_hz,
        crop: camera.crop,
    };
    let mut source = UnarmedCamera::open(device, &request, camera.io)?;
    source.set_copied_buffers(camera.driver_slots as usize);
    source.set_controls(&camera.controls)?;
    Ok(Box::new(source))
}

/// Time between frames at a rate that the profile allows (0.1 to 1000 Hz).
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
pub(crate) fn interval_ns(rate_hz: f64) -> u64 {
    (NS_PER_S as f64 / rate_hz).round() as u64
}
