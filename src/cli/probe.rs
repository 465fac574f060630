//! `pinsight probe`: what this machine has.

use crate::appliance::{Exit, Failure};
use crate::sys::topology;
use crate::sys::v4l2::{Camera, OfferedFormat, OfferedSize, cameras, fourcc_text};
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
                show_formats(text, &answer.formats, all);
            }
        }
    }
}

/// Formats that a line holds.
const FORMATS_A_LINE: usize = 14;

/// Formats with their sizes, largest first. Neighbours with the same sizes share them.
fn show_formats(text: &mut String, formats: &[OfferedFormat], all: bool) {
    for alike in formats.chunk_by(|a, b| a.sizes == b.sizes) {
        let names: Vec<String> = alike
            .iter()
            .map(|format| fourcc_text(format.fourcc))
            .collect();
        for line in names.chunks(FORMATS_A_LINE) {
            let _ = writeln!(text, "           {}", line.join(" "));
        }
        let mut sizes: Vec<&OfferedSize> = alike
            .first()
            .map_or(vec![], |one| one.sizes.iter().collect());
        sizes.sort_by_key(|size| std::cmp::Reverse(size.most_px));
        let most = if all { usize::MAX } else { 3 };
        let shown: Vec<String> = sizes
            .iter()
            .take(most)
            .map(|size| match size.rates_hz.first() {
                Some(rate) => format!("{size} at {rate:.0} Hz"),
                None => size.to_string(),
            })
            .collect();
        let more = match sizes.len() - shown.len() {
            0 => String::new(),
            more => format!(", {more} more (--formats)"),
        };
        let _ = writeln!(text, "             {}{more}", shown.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::show_formats;
    use crate::sys::v4l2::{OfferedFormat, OfferedSize};

    #[test]
    fn formats_that_have_the_same_sizes_share_them_and_the_largest_come_first() {
        let size = |width, height| OfferedSize {
            least_px: (width, height),
            most_px: (width, height),
            rates_hz: vec![30.0, 15.0],
        };
        let offered = |fourcc: &[u8; 4], sizes: &[OfferedSize]| OfferedFormat {
            fourcc: *fourcc,
            description: String::new(),
            sizes: sizes.to_vec(),
        };
        let several = [
            size(320, 180),
            size(640, 360),
            size(1280, 720),
            size(1920, 1080),
        ];
        let formats = [
            offered(b"NV12", &several),
            offered(b"Y16\xa0", &several),
            offered(b"MJPG", &several[..1]),
        ];
        let mut text = String::new();
        show_formats(&mut text, &formats, false);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let sizes = "1920x1080 at 30 Hz, 1280x720 at 30 Hz, 640x360 at 30 Hz, 1 more (--formats)";
        assert_eq!(lines, ["NV12 Y16-BE", sizes, "MJPG", "320x180 at 30 Hz"]);
    }
}
