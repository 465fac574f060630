//! `pinsight snapshot`: what a camera sees, as a picture.

use crate::appliance::{self, Exit, Failure};
use clap::Args;
use image::ImageFormat;
use std::path::PathBuf;

/// Arguments of `pinsight snapshot`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Board profile (TOML)
    #[arg(long, value_name = "FILE")]
    board: PathBuf,
    /// The camera's name in the profile
    #[arg(long, value_name = "NAME")]
    camera: String,
    /// Take the N-th whole frame: a camera needs some to find its exposure
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
    /// Where the picture goes (PNG)
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let out = &arguments.out;
    let snapshot = appliance::snapshot(&arguments.board, &arguments.camera, arguments.frames)?;
    snapshot
        .picture
        .save_with_format(out, ImageFormat::Png)
        .map_err(|error| Failure::new(Exit::Storage, format!("{}: {error}", out.display())))?;
    super::print(&format!(
        "camera {}: {}; frame {} is in {}\n",
        arguments.camera,
        snapshot.format,
        snapshot.sequence,
        out.display()
    ))
}
