//! `pinsight probe`: what this machine has.

use crate::appliance::{Exit, Failure};
use crate::sys::topology;
use crate::sys::v4l2::{Camera, cameras};
use clap::Args;
use std::fmt::Write as _;
use std::path::Path;

/// Arguments of `pinsight probe`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show every format with all its sizes and rates
    #[arg(long)]
    formats: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let topology =
        topology::read(Path::new("/")).map_err(|error| Failure::new(Exit::Machine, error))?;
    let mut text = topology.to_string();
    show_cameras(&mut text, &cameras(), arguments.formats);
    super::print(&text)
}

fn show_cameras(text: &mut String, cameras: &[Camera], all: bool) {
    if cameras.is_empty() {
        let _ = writeln!(text, "cameras    none (no /dev/video*)");
    }
    for camera in cameras {
        let _ = writeln!(text, "camera     {}", camera.node.display());
        for link in &camera.links {
            let _ = writeln!(text, "           {}", link.display());
        }
        match &camera.answer {
            Err(error) => {
                let _ = writeln!(text, "           does not answer: {error}");
            }
            Ok(answer) => {
                let planes = if answer.multi_planar {
                    ", multi-planar"
                } else {
                    ""
                };
                let _ = writeln!(
                    text,
                    "           {} ({}), {}{planes}",
                    answer.card, answer.driver, answer.bus
                );
                if !answer.captures {
                    let _ = writeln!(
                        text,
                        "           does not capture video: {}",
                        answer.capabilities
                    );
                }
                for control in &answer.controls {
                    let _ = writeln!(text, "           control {control}");
                }
                for format in &answer.formats {
                    let sizes: Vec<String> = format
                        .sizes
                        .iter()
                        .take(if all { usize::MAX } else { 3 })
                        .map(|size| match size.rates_hz.first() {
                            Some(rate) => format!("{size} at {rate:.0} Hz"),
                            None => size.to_string(),
                        })
                        .collect();
                    let more = format.sizes.len() - sizes.len();
                    let more = if more > 0 {
                        format!(", {more} more (--formats)")
                    } else {
                        String::new()
                    };
                    let _ = writeln!(
                        text,
                        "           {} {}{more}",
                        format.fourcc.escape_ascii(),
                        sizes.join(", ")
                    );
                }
            }
        }
    }
}
