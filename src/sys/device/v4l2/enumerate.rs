//! The cameras of this machine, with what they offer: for `probe`, and for error messages.

use super::controls::{OfferedControl, controls};
use super::error::{CameraError, CameraErrorKind};
use super::ioctl::{
    enumerate_format, enumerate_interval, enumerate_size, text, v4l2_fmtdesc, v4l2_frmivalenum,
    v4l2_frmsizeenum, zeroed,
};
use super::node::{Node, Queue, c_path};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::{FrameInterval, FrameSize};

/// Entries asked of one enumeration at most: a driver that never says "no more" is not followed forever.
const MOST: u32 = 256;

/// A V4L2 node.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// Its path, e.g. `/dev/video0`.
    pub node: PathBuf,
    /// Names that stay the same: links below `/dev/v4l/by-id` and `/dev/v4l/by-path`.
    pub links: Vec<PathBuf>,
    /// What it answered, or why it did not.
    pub answer: Result<Answer, crate::capture::SourceError>,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Name of the product.
    pub card: String,
    /// Name of the driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
    /// Capabilities, as V4L2 names them.
    pub capabilities: String,
    /// Streams video to memory.
    pub captures: bool,
    /// Through the multi-planar queue.
    pub multi_planar: bool,
    /// Controls that can be set.
    pub controls: Vec<OfferedControl>,
    /// Formats offered; empty for a node that does not capture.
    pub formats: Vec<OfferedFormat>,
}

/// A format that a camera offers.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedFormat {
    /// Four-character code.
    pub fourcc: [u8; 4],
    /// The driver's description.
    pub description: String,
    /// Sizes; empty where the driver does not say.
    pub sizes: Vec<OfferedSize>,
}

/// One size, or a range of sizes, of a format.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedSize {
    /// Smallest width and height.
    pub least_px: (u32, u32),
    /// Largest width and height; the same for a single size.
    pub most_px: (u32, u32),
    /// Frame rates in hertz, descending, at the largest size; a range of rates is given by its ends.
    pub rates_hz: Vec<f64>,
}

impl Camera {
    /// It answered, and it streams video to memory.
    #[must_use]
    pub fn captures(&self) -> bool {
        self.answer.as_ref().is_ok_and(|answer| answer.captures)
    }
}

impl fmt::Display for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.node.display())?;
        match &self.answer {
            Ok(answer) => write!(f, " ({}, {})", answer.card, answer.bus),
            Err(error) => write!(f, " ({error})"),
        }
    }
}

impl fmt::Display for OfferedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.least_px.0, self.least_px.1)?;
        if self.most_px != self.least_px {
            write!(f, " to {}x{}", self.most_px.0, self.most_px.1)?;
        }
        Ok(())
    }
}

/// Every V4L2 video node, by number. Opens each one, and asks it; a node in use answers as well.
#[must_use]
pub fn cameras() -> Vec<Camera> {
    let links: Vec<PathBuf> = ["/dev/v4l/by-id", "/dev/v4l/by-path"]
        .into_iter()
        .flat_map(entries)
        .collect();
    let mut numbered: Vec<(u32, PathBuf)> = entries("/dev")
        .filter_map(|path| {
            let number = path
                .file_name()?
                .to_str()?
                .strip_prefix("video")?
                .parse()
                .ok()?;
            Some((number, path))
        })
        .collect();
    numbered.sort_unstable();
    numbered
        .into_iter()
        .map(|(_, node)| describe(node, &links))
        .collect()
}

/// The error with the cameras of this machine, where another one may have been meant.
pub(super) fn with_cameras(mut error: CameraError) -> CameraError {
    if error.kind.is_about_another() {
        let usable = cameras().into_iter().filter(Camera::captures);
        error.cameras = usable.map(|camera| camera.to_string()).collect();
    }
    error
}

/// What a profile names a camera by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CameraName<'a> {
    /// The path of its node, or a link to it.
    Path(&'a Path),
    /// Its product's name, wherever it is plugged in.
    Card(&'a str),
    /// Where it is plugged in.
    Bus(&'a str),
}

impl<'a> CameraName<'a> {
    pub(super) fn of(device: &'a Path) -> Self {
        let text = device.to_str().unwrap_or_default();
        if let Some(card) = text.strip_prefix("card:") {
            Self::Card(card)
        } else if let Some(bus) = text.strip_prefix("bus:") {
            Self::Bus(bus)
        } else {
            Self::Path(device)
        }
    }

    /// The camera of this name among `cameras`: its node.
    pub(super) fn find(self, cameras: &[Camera]) -> Result<PathBuf, CameraErrorKind> {
        let is_it = |answer: &Answer| match self {
            Self::Path(_) => false,
            Self::Card(card) => answer.card == card,
            Self::Bus(bus) => answer.bus == bus,
        };
        if let Self::Path(path) = self {
            return Ok(path.to_owned());
        }
        let found: Vec<&Camera> = cameras
            .iter()
            .filter(|camera| camera.captures() && camera.answer.as_ref().is_ok_and(is_it))
            .collect();
        match &*found {
            [] => Err(CameraErrorKind::Absent),
            [camera] => Ok(camera.node.clone()),
            several => Err(CameraErrorKind::Ambiguous {
                found: several.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

fn entries(folder: &str) -> impl Iterator<Item = PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort_unstable();
    paths.into_iter()
}

fn describe(node: PathBuf, links: &[PathBuf]) -> Camera {
    let target = std::fs::canonicalize(&node).ok();
    let leads_here = |link: &&PathBuf| std::fs::canonicalize(link).ok() == target;
    let links = links.iter().filter(leads_here).cloned().collect();
    let answer = ask(&node);
    Camera {
        node,
        links,
        answer,
    }
}

fn ask(path: &Path) -> Result<Answer, crate::capture::SourceError> {
    let absent = crate::capture::SourceError::new("open", nix::libc::ENOENT);
    let node = Node::open(&c_path(path).ok_or(absent)?)?;
    let queue = node.queue();
    Ok(Answer {
        card: text(&node.identity.card),
        driver: text(&node.identity.driver),
        bus: text(&node.identity.bus),
        capabilities: format!("{:?}", node.capabilities),
        captures: queue.is_some(),
        multi_planar: queue == Some(Queue::Multi),
        controls: controls(&node.fd),
        formats: queue
            .map(|queue| formats(&node.fd, queue))
            .unwrap_or_default(),
    })
}

/// Formats, with sizes and rates.
pub(super) fn formats(fd: &OwnedFd, queue: Queue) -> Vec<OfferedFormat> {
    (0..MOST)
        .map_while(|index| {
            let mut raw = v4l2_fmtdesc {
                index,
                type_: queue.kind(),
                ..zeroed()
            };
            enumerate_format(fd, &mut raw).ok()?;
            Some(OfferedFormat {
                fourcc: raw.pixelformat.to_le_bytes(),
                description: text(&raw.description),
                sizes: sizes(fd, raw.pixelformat),
            })
        })
        .collect()
}

/// Sizes of a format, with rates.
pub(super) fn sizes(fd: &OwnedFd, pixel_format: u32) -> Vec<OfferedSize> {
    (0..MOST)
        .map_while(|index| {
            let mut raw = v4l2_frmsizeenum {
                index,
                pixel_format,
                ..zeroed()
            };
            enumerate_size(fd, &mut raw).ok()?;
            FrameSize::try_from(raw).ok()
        })
        .map(|size| {
            let (least_px, most_px) = match size.size {
                FrameSizeEnum::Discrete(size) => {
                    ((size.width, size.height), (size.width, size.height))
                }
                FrameSizeEnum::Stepwise(range) => (
                    (range.min_width, range.min_height),
                    (range.max_width, range.max_height),
                ),
            };
            OfferedSize {
                least_px,
                most_px,
                rates_hz: rates_hz(fd, pixel_format, most_px),
            }
        })
        .collect()
}

/// Frame rates of a format and size, descending.
pub(super) fn rates_hz(fd: &OwnedFd, pixel_format: u32, (width, height): (u32, u32)) -> Vec<f64> {
    let mut rates: Vec<f64> = (0..MOST)
        .map_while(|index| {
            let mut raw = v4l2_frmivalenum {
                index,
                pixel_format,
                width,
                height,
                ..zeroed()
            };
            enumerate_interval(fd, &mut raw).ok()?;
            FrameInterval::try_from(raw).ok()
        })
        .flat_map(|interval| match interval.interval {
            FrameIntervalEnum::Discrete(interval) => vec![interval],
            FrameIntervalEnum::Stepwise(range) => vec![range.min, range.max],
        })
        .filter(|interval| interval.numerator != 0)
        .map(|interval| f64::from(interval.denominator) / f64::from(interval.numerator))
        .collect();
    rates.sort_unstable_by(|a, b| b.total_cmp(a));
    rates.dedup();
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cameras_is_given_on_a_machine_with_or_without_any() {
        for camera in cameras() {
            assert!(camera.node.starts_with("/dev"), "{camera}");
        }
    }

    #[test]
    fn a_camera_is_found_by_its_card_or_bus_if_only_one_has_it() {
        let camera = |node: &str, card: &str, bus: &str, captures| Camera {
            node: node.into(),
            links: vec![],
            answer: Ok(Answer {
                card: card.to_owned(),
                driver: "uvcvideo".to_owned(),
                bus: bus.to_owned(),
                capabilities: String::new(),
                captures,
                multi_planar: false,
                controls: vec![],
                formats: vec![],
            }),
        };
        let cameras = [
            camera("/dev/video0", "C920", "usb-1", true),
            camera("/dev/video1", "C920", "usb-1", false),
            camera("/dev/video2", "Brio", "usb-2", true),
            camera("/dev/video4", "Brio", "usb-3", true),
        ];
        let find = |device: &str| CameraName::of(Path::new(device)).find(&cameras);
        assert_eq!(find("/dev/video9"), Ok("/dev/video9".into()));
        assert_eq!(find("card:C920"), Ok("/dev/video0".into()));
        assert_eq!(find("bus:usb-3"), Ok("/dev/video4".into()));
        assert_eq!(find("card:c920"), Err(CameraErrorKind::Absent));
        assert_eq!(find("bus:usb-9"), Err(CameraErrorKind::Absent));
        let found = vec![
            "/dev/video2 (Brio, usb-2)".to_owned(),
            "/dev/video4 (Brio, usb-3)".to_owned(),
        ];
        assert_eq!(find("card:Brio"), Err(CameraErrorKind::Ambiguous { found }));
    }

    #[test]
    fn sizes_read_as_one_or_as_a_range() {
        let one = OfferedSize {
            least_px: (640, 480),
            most_px: (640, 480),
            rates_hz: vec![],
        };
        assert_eq!(one.to_string(), "640x480");
        let range = OfferedSize {
            most_px: (1920, 1080),
            ..one
        };
        assert_eq!(range.to_string(), "640x480 to 1920x1080");
    }
}
