//! From a camera's table in the profile to a source that has agreed on its format.

use super::format::describe;
use super::late_camera::{UnarmedLate, Wanted};
use super::v4l2_camera::{interval_ns, open_v4l2};
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::shared::options::Options;
use crate::capture::UnarmedSource;
use crate::capture::faults::UnarmedFaults;
use crate::capture::synthetic::image::{ImageConfig, Images};
use crate::capture::synthetic::image_folder::{ImageFolderConfig, UnarmedImageFolder};
use crate::capture::synthetic::pattern::{Level, PatternConfig, UnarmedPattern};
use crate::profile::{AbsentCamera, Board, Camera, Container, Feed, Source};
use crate::sys::io::stream::{StreamConfig, UnarmedStream};
use crate::units::NS_PER_S;
use std::sync::mpsc::Sender;

/// Opens every camera of the board; with a plan of faults, each one behind its own. Those that are not
/// there and may be waited for are sent to `wanted` once they have their slots.
///
/// # Errors
/// The first one that cannot be had, with its name.
pub(crate) fn open_all(
    board: &Board,
    options: &Options,
    wanted: &Sender<Wanted>,
) -> Result<Vec<Box<dyn UnarmedSource>>, Failure> {
    let mut sources = Vec::new();
    let mut images = Images::default();
    for (index, camera) in board.cameras.iter().enumerate() {
        let source = open(camera, &mut images, Some(options), Some(wanted))?;
        sources.push(match options.faults {
            None => source,
            Some(plan) => Box::new(UnarmedFaults::new(source, plan.of_camera(index))),
        });
    }
    Ok(sources)
}

/// A stream in a camera's place is taken as it comes: with the size and rate that it says. Its writer gets no more time
/// than the run.
fn open(
    camera: &Camera,
    images: &mut Images,
    options: Option<&Options>,
    wanted: Option<&Sender<Wanted>>,
) -> Result<Box<dyn UnarmedSource>, Failure> {
    let refuse = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Camera, format!("camera {}: {error}", camera.name))
    };
    let interval_ns = interval_ns(camera.rate_hz);
    match &camera.source {
        Source::Image {
            path,
            pan_px,
            scale,
            phase_ns,
        } => {
            let config = ImageConfig {
                path: path.clone(),
                scale: *scale,
                pan_px: *pan_px,
                pixel: camera.format,
                width_px: camera.width_px,
                height_px: camera.height_px,
                interval_ns,
                phase_ns: *phase_ns,
            };
            boxed(images.open(&config)).map_err(|error| refuse(&error))
        }
        Source::Pattern => {
            let config = PatternConfig {
                pixel: camera.format,
                width_px: camera.width_px,
                height_px: camera.height_px,
                interval_ns,
                level: Level::Percent75,
            };
            boxed(UnarmedPattern::new(config)).map_err(|error| refuse(&error))
        }
        Source::Stream {
            container: Container::Mjpeg,
            feed: Feed::File(path),
            repeat,
        } if path.is_dir() => {
            let config = ImageFolderConfig {
                folder: path.clone(),
                repeat: *repeat,
                size_px: (camera.width_px, camera.height_px),
                interval_ns,
            };
            boxed(UnarmedImageFolder::open(&config)).map_err(|error| refuse(&error))
        }
        Source::Stream {
            container,
            feed,
            repeat,
        } => {
            // JPEG pictures do not say their size before they come.
            let replaces = options.is_some_and(|options| options.camera.is_some());
            let as_it_comes = replaces && *container != Container::Mjpeg;
            let seconds = options.and_then(|options| options.seconds);
            let patience_ns = seconds.map(|seconds| seconds * NS_PER_S);
            let config = StreamConfig {
                feed: feed.clone(),
                container: *container,
                repeat: *repeat,
                pixel: camera.format,
                size_px: (!as_it_comes).then_some((camera.width_px, camera.height_px)),
                interval_ns: (!as_it_comes).then_some(interval_ns),
                wait_ns: patience_ns,
            };
            boxed(UnarmedStream::open(&config)).map_err(|error| refuse(&error))
        }
        Source::V4l2 { device } => match (open_v4l2(device, camera), wanted) {
            (Ok(source), _) => Ok(source),
            (Err(error), Some(wanted))
                if error.is_absent() && camera.absent == AbsentCamera::Wait =>
            {
                log::warn!(
                    "camera {}: it is not there; watching without it until it is",
                    camera.name
                );
                Ok(Box::new(UnarmedLate::new(camera, wanted.clone())))
            }
            (Err(error), _) => Err(refuse(&error)),
        },
    }
}

/// A source of whatever kind.
fn boxed<S: UnarmedSource + 'static, E>(source: Result<S, E>) -> Result<Box<dyn UnarmedSource>, E> {
    Ok(Box::new(source?))
}

/// Puts a stream in the place of the board's only camera: Y4M, or where the camera has `format = "MJPG"`
/// JPEG pictures.
///
/// # Errors
/// The board has several cameras.
pub(crate) fn replace_by_stream(board: &mut Board, feed: Feed) -> Result<(), Failure> {
    let [camera] = &mut *board.cameras else {
        let found = board.cameras.len();
        let message =
            format!("--camera: found a board with {found} cameras, expected one with one");
        return Err(Failure::new(Exit::Usage, message));
    };
    camera.source = Source::Stream {
        container: if camera.format.is_compressed() {
            Container::Mjpeg
        } else {
            Container::Y4m
        },
        feed,
        repeat: false,
    };
    Ok(())
}

/// Opens every camera of the board, closes it again, and says what it agreed to.
///
/// # Errors
/// The first one that cannot be had, with its name.
pub fn open_cameras(board: &Board) -> Result<Vec<String>, Failure> {
    let mut images = Images::default();
    let mut described = |camera: &Camera| {
        // What is read of it now would be missing when it runs.
        if let Source::Stream {
            feed: Feed::Stdin, ..
        } = camera.source
        {
            return Ok("standard input, looked at when the board runs".to_owned());
        }
        if let Source::V4l2 { device } = &camera.source
            && camera.absent == AbsentCamera::Wait
            && open_v4l2(device, camera).is_err_and(|error| error.is_absent())
        {
            return Ok("not there, and waited for when the board runs".to_owned());
        }
        let source = open(camera, &mut images, None, None)?;
        let format = describe(&source.format());
        Ok(format!("{format} by {}", source.io()))
    };
    board.cameras.iter().map(&mut described).collect()
}
