//! From a camera's table in the profile to a source that has agreed on its format.

use super::exit::{Exit, Failure};
use crate::board::{Board, Camera, Source};
use crate::capture::UnarmedSource;
use crate::capture::faults::{FaultPlan, UnarmedFaults};
use crate::capture::image::{ImageConfig, UnarmedImage};
use crate::capture::pattern::{Level, PatternConfig, UnarmedPattern};
use crate::sys::v4l2::{CameraRequest, UnarmedCamera};
use crate::units::NS_PER_S;

/// Opens every camera of the board; with a plan, each one behind its own faults.
///
/// # Errors
/// The first one that cannot be had, with its name.
pub(super) fn open_all(
    board: &Board,
    faults: Option<FaultPlan>,
) -> Result<Vec<Box<dyn UnarmedSource>>, Failure> {
    let mut sources = Vec::new();
    for (index, camera) in board.cameras.iter().enumerate() {
        let source = open(camera)?;
        sources.push(match faults {
            None => source,
            Some(plan) => Box::new(UnarmedFaults::new(source, plan.of_camera(index))),
        });
    }
    Ok(sources)
}

fn open(camera: &Camera) -> Result<Box<dyn UnarmedSource>, Failure> {
    let refuse = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Camera, format!("camera {}: {error}", camera.name))
    };
    let interval_ns = interval_ns(camera.rate_hz);
    match &camera.source {
        Source::Image {
            path,
            pan_px,
            scale,
        } => {
            let config = ImageConfig {
                path: path.clone(),
                scale: *scale,
                pan_px: *pan_px,
                pixel: camera.format,
                width_px: camera.width_px,
                height_px: camera.height_px,
                interval_ns,
            };
            match UnarmedImage::open(&config) {
                Ok(source) => Ok(Box::new(source)),
                Err(error) => Err(refuse(&error)),
            }
        }
        Source::Pattern => {
            let config = PatternConfig {
                pixel: camera.format,
                width_px: camera.width_px,
                height_px: camera.height_px,
                interval_ns,
                level: Level::Percent75,
            };
            match UnarmedPattern::new(config) {
                Ok(source) => Ok(Box::new(source)),
                Err(error) => Err(refuse(&error)),
            }
        }
        Source::V4l2 { device } => {
            let request = CameraRequest {
                pixel: camera.format,
                width_px: camera.width_px,
                height_px: camera.height_px,
                rate_hz: camera.rate_hz,
            };
            match UnarmedCamera::open(device, &request, camera.io) {
                Ok(source) => Ok(Box::new(source)),
                Err(error) => Err(refuse(&error)),
            }
        }
    }
}

/// Time between frames at a rate that the profile allows (0.1 to 1000 Hz).
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn interval_ns(rate_hz: f64) -> u64 {
    (NS_PER_S as f64 / rate_hz).round() as u64
}

/// Opens every camera of the board, closes it again, and says what it agreed to.
///
/// # Errors
/// The first one that cannot be had, with its name.
pub fn open_cameras(board: &Board) -> Result<Vec<String>, Failure> {
    let sources = open_all(board, None)?;
    Ok(sources
        .iter()
        .map(|source| {
            format!(
                "{} by {}",
                super::arm::describe(&source.format()),
                source.io()
            )
        })
        .collect())
}
