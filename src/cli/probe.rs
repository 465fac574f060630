//! `pinsight probe`: what this machine has.

mod outputs;
mod profile;

use crate::appliance::{Exit, Failure};
use crate::columns::wrap;
use crate::shown::ShownLines;
use crate::sys::cpu::topology::{self, Topology};
use crate::sys::device::gpio;
use crate::sys::device::serial;
use crate::sys::device::v4l2::{
    Camera, OfferedFormat, OfferedSize, TriedIo, cameras, fourcc_text, try_every_io,
};
use clap::Args;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The demo's detector.
const DEMO_MODEL: &str = "face_detection_short_range.tflite";
/// Where `make setup` puts it.
const CACHE: &str = ".cache/models";

/// Arguments of `pinsight probe`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show every format with all its sizes and rates
    #[arg(long)]
    formats: bool,
    /// Write a commented profile for this machine and its cameras
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Write it over a file that is there
    #[arg(long, requires = "write")]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let topology =
        topology::read(Path::new("/")).map_err(|error| Failure::new(Exit::Machine, error))?;
    let cameras = cameras();
    if let Some(path) = &arguments.write {
        return write(path, arguments.force, &topology, &cameras);
    }
    let mut text = topology.to_string();
    show_cameras(&mut text, &cameras, arguments.formats);
    outputs::show_chips(&mut text, &gpio::chips());
    outputs::show_serial(&mut text, &serial::devices());
    let mut lines = String::new();
    for line in text.lines() {
        // A String takes everything.
        let _ = wrap(&mut lines, 0, 13, line);
    }
    super::print::print(&ShownLines(lines))
}

/// Writes a profile, and says what is in it.
fn write(path: &Path, force: bool, topology: &Topology, cameras: &[Camera]) -> Result<(), Failure> {
    let shown = path.display();
    let refuse = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Storage, format!("--write {shown}: {error}"))
    };
    let name = board_name(path);
    let (model, there) = if path.with_file_name(DEMO_MODEL).is_file() {
        (PathBuf::from(DEMO_MODEL), true)
    } else {
        // A whole path: the profile may be anywhere.
        std::fs::canonicalize(Path::new(CACHE).join(DEMO_MODEL))
            .map_or((PathBuf::from(DEMO_MODEL), false), |model| (model, true))
    };
    let (text, count) = profile::profile(&profile::Facts {
        name: &name,
        machine: &topology.machine,
        cameras,
        model: (&model, there),
    });
    let mut options = std::fs::File::options();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => refuse(&"found a file, expected none: --force replaces it"),
        _ => refuse(&error),
    })?;
    let cameras = match count {
        0 => "no camera was found that can be read: moving colour bars stand for one".to_owned(),
        1 => "one camera".to_owned(),
        several => format!("{several} cameras"),
    };
    let model = if there {
        "the demo's face detector"
    } else {
        "a place for a model: its file is not here, put it beside the profile"
    };
    super::print::print(&format!(
        "{shown}: {cameras}, {model}\nnext: pinsight check {shown}\n"
    ))
}

/// The file's name, as far as it makes a board's.
fn board_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
            _ => '-',
        })
        .take(crate::limits::MAX_NAME)
        .collect();
    if name.is_empty() {
        "board".to_owned()
    } else {
        name
    }
}

/// The ways of exchanging buffers that a camera's driver takes, and how fast they are read.
fn show_io(text: &mut String, node: &Path) {
    match try_every_io(node) {
        Ok(all) => {
            for tried in &all {
                let _ = writeln!(text, "           io {tried}");
            }
            let taken = all.iter().any(|tried: &TriedIo| tried.outcome.is_ok());
            if !taken {
                let _ = writeln!(text, "           io: no way of exchanging buffers works");
            }
        }
        Err(error) => {
            let _ = writeln!(text, "           io not tried: {}", error.kind);
        }
    }
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
                if answer.captures {
                    show_io(text, &camera.node);
                } else {
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
    use super::{board_name, show_formats};
    use crate::sys::device::v4l2::{OfferedFormat, OfferedSize};

    #[test]
    fn a_board_is_called_as_its_file_as_far_as_that_is_a_name() {
        let name = |path: &str| board_name(path.as_ref());
        assert_eq!(name("boards/front-door.toml"), "front-door");
        assert_eq!(name("/tmp/my board \u{fc}.toml"), "my-board--");
        assert_eq!(name("/"), "board");
        assert_eq!(name(&"x".repeat(300)).len(), crate::limits::MAX_NAME);
    }

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
