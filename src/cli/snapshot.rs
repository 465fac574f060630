//! `pinsight snapshot`: what a camera sees, as a picture or a short clip.

use super::board_file::BoardAnd;
use super::whole::Whole;
use crate::appliance::{self, Exit, Failure};
use crate::capture::stream::clip::ClipKind;
use crate::profile::{Rotate, View};
use clap::Args;
use image::ImageFormat;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Arguments of `pinsight snapshot`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    board: BoardAnd,
    /// The camera's name in the profile
    #[arg(long, value_name = "NAME")]
    camera: String,
    /// Take the N-th whole frame: a camera needs some to find its exposure. Of a clip: its length
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
    /// The board, and where the picture goes (PNG): the whole of it as the camera has it, which is what the coordinates of
    /// detections, zones and lines refer to, with a frame around the camera's region. One wider than 4096 pixels is halved, and it is said. Or a clip, *.y4m, of a
    /// camera with format = "MJPG" *.mjpeg
    #[arg(value_names = ["FILE", "OUT"], required = true, num_args = 1..=2)]
    names: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (board, out) = arguments.board.split(&arguments.names, "OUT")?;
    let ending = out.extension().and_then(|ending| ending.to_str());
    let kind = match ending {
        Some("y4m") => Some(ClipKind::Y4m),
        Some("mjpeg") => Some(ClipKind::Mjpeg),
        Some("png") => None,
        _ => {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "{}: expected a name that ends in .png, .y4m or .mjpeg",
                    out.display()
                ),
            ));
        }
    };
    let file = Whole::open("", out)?;
    if let Some(kind) = kind {
        return clip(arguments, (board, out), kind, file);
    }
    let snapshot = appliance::snapshot(board, &arguments.camera, arguments.frames)?;
    let mut png = Cursor::new(Vec::new());
    snapshot
        .picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| Failure::new(Exit::Storage, format!("{}: {error}", out.display())))?;
    file.write(png.get_ref())?;
    super::print::print(&format!(
        "camera {}: {}; frame {} is in {}{}{}\n",
        arguments.camera,
        snapshot.format,
        snapshot.sequence,
        out.display(),
        reduced(snapshot.reduced),
        said(&snapshot.view)
    ))
}

/// By how much the picture is smaller than the camera's.
fn reduced(times: u32) -> String {
    match times {
        0 | 1 => String::new(),
        times => {
            format!(", {times} times smaller: multiply what you read from it by {times}")
        }
    }
}

/// What the models get of the picture, where that is not the whole as it is.
fn said(view: &View) -> String {
    if *view == View::default() {
        return String::new();
    }
    let part = view.region_px.map_or_else(
        || "all of it".to_owned(),
        |[left, top, width, height]| format!("the framed {width}x{height} at {left},{top}"),
    );
    let turned = match view.rotate {
        Rotate::None => "",
        Rotate::Quarter => ", turned by 90 degrees",
        Rotate::Half => ", turned by 180 degrees",
        Rotate::ThreeQuarters => ", turned by 270 degrees",
    };
    let mirrored = if view.mirror { ", mirrored" } else { "" };
    format!("; the models get {part}{turned}{mirrored}")
}

/// Frames one after the other, which `source = "y4m"` or `"mjpeg"` plays.
fn clip(
    arguments: &Arguments,
    (board, out): (&Path, &Path),
    kind: ClipKind,
    file: Whole,
) -> Result<(), Failure> {
    let clip = appliance::clip(board, &arguments.camera, arguments.frames, kind)?;
    file.write(&clip.stream)?;
    super::print::print(&format!(
        "camera {}: {}; {} frames are in {}, {} were lost between them\n",
        arguments.camera,
        clip.format,
        arguments.frames,
        out.display(),
        clip.missing
    ))
}
