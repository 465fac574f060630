//! Why a camera cannot be used, with what was found, what was expected, and the setting to change.

use crate::capture::SourceError;
use crate::sys::device::holders::Holders;
use nix::errno::Errno;
use nix::libc;
use std::fmt;
use std::path::{Path, PathBuf};

/// A camera that cannot be used: which, why, and which ones are there.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {kind}{}", device.display(), usable(kind, cameras))]
pub struct CameraError {
    /// The device as the profile names it.
    pub device: PathBuf,
    /// What is wrong.
    pub kind: CameraErrorKind,
    /// The cameras of this machine in words, where another one may have been meant.
    pub cameras: Vec<String>,
}

/// What is wrong with a camera.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CameraErrorKind {
    /// There is no such file.
    #[error("found no such device, expected a camera")]
    Absent,
    /// The file is no V4L2 device.
    #[error("found something that is no V4L2 device, expected a camera")]
    NotV4l2,
    /// Several cameras have this name.
    #[error(
        "found {} cameras of this name ({}), expected one: name it by `bus:` or by a path below /dev/v4l",
        found.len(), list(found)
    )]
    Ambiguous {
        /// They.
        found: Vec<String>,
    },
    /// A V4L2 device that does not stream video to memory: an output, a codec, metadata.
    #[error(
        "found a V4L2 device with {found}, expected one that streams video (VIDEO_CAPTURE or VIDEO_CAPTURE_MPLANE, and \
         STREAMING)"
    )]
    NotCapture {
        /// Its capabilities, as V4L2 names them.
        found: String,
    },
    /// No permission.
    #[error(
        "found no permission to open it, expected read and write: add the user to the group that owns it (video, as a rule)"
    )]
    Denied,
    /// Somebody else uses it.
    #[error("found that {holders}, expected it to be free")]
    Busy {
        /// They.
        holders: Holders,
    },
    /// The pixel format is not offered.
    #[error(
        "found the formats {}, expected {}: change `format`",
        list(offered.iter().map(|code| fourcc_text(*code))), fourcc_text(*expected)
    )]
    Format {
        /// Four-character code that was asked for.
        expected: [u8; 4],
        /// Codes that the camera offers.
        offered: Vec<[u8; 4]>,
    },
    /// The size is not offered for this format.
    #[error(
        "found the size {}x{} instead of {}x{}, expected one of {}: change `width-px` and `height-px`",
        found_px.0, found_px.1, expected_px.0, expected_px.1, list(offered)
    )]
    Size {
        /// Size that was asked for.
        expected_px: (u32, u32),
        /// Size that the driver would give.
        found_px: (u32, u32),
        /// Sizes offered, in words.
        offered: Vec<String>,
    },
    /// The driver delivers fields, not frames.
    #[error(
        "found interlaced video (field order {field}), expected whole frames (V4L2_FIELD_NONE)"
    )]
    Interlaced {
        /// V4L2's number of the field order.
        field: u32,
    },
    /// The driver's strides, planes or buffer sizes do not hold such an image.
    #[error(
        "found buffers of {size_bytes} bytes in {planes} planes with {stride_bytes} bytes a row, expected one plane that \
         holds the image: the driver is at fault"
    )]
    Layout {
        /// Bytes from row to row.
        stride_bytes: u32,
        /// Bytes of a buffer.
        size_bytes: u32,
        /// Memory planes.
        planes: u32,
    },
    /// The frame rate is not offered for this format and size.
    #[error(
        "found {} frames a second instead of {}, expected one of {}: change `rate-hz`",
        hertz(*found_mhz), hertz(*expected_mhz), list(offered)
    )]
    Rate {
        /// Rate that was asked for, in thousandths of a hertz.
        expected_mhz: u64,
        /// Rate that the driver would give.
        found_mhz: u64,
        /// Rates offered, in words.
        offered: Vec<String>,
    },
    /// The camera does not show this part of its sensor. Rectangles are left, top, width, height.
    #[error("{}", crop(*expected, *found, *bounds))]
    Crop {
        /// What was asked for.
        expected: [u32; 4],
        /// What the driver would give; `None` where it refuses.
        found: Option<[u32; 4]>,
        /// What it can show at most; `None` where it cannot crop.
        bounds: Option<[u32; 4]>,
    },
    /// A control that the camera does not have, or a value that it does not take.
    #[error("controls.{name}: found {found}, expected {expected}")]
    Control {
        /// The control as the profile names it.
        name: String,
        /// What is there.
        found: String,
        /// What would do.
        expected: String,
    },
    /// The driver does not exchange buffers the way that the profile asks for.
    #[error(
        "found that the driver refuses io = \"{expected}\" ({error}), expected it to accept: change `io` to \"auto\""
    )]
    Io {
        /// The word of the profile: `userptr`, `mmap`, `dmabuf`, `dma-heap` or `copy`.
        expected: &'static str,
        /// What it said.
        error: SourceError,
    },
    /// Another call failed.
    #[error("found {} failing ({}), expected it to succeed", .0.operation, Errno::from_raw(.0.errno).desc())]
    Kernel(SourceError),
}

impl CameraError {
    /// Without the cameras of this machine: [`super::enumerate::with_cameras`] lists them.
    pub(super) fn new(device: &Path, kind: CameraErrorKind) -> Self {
        Self {
            device: device.to_owned(),
            kind,
            cameras: Vec::new(),
        }
    }

    /// There is no such camera.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.kind == CameraErrorKind::Absent
    }

    /// The error of opening or asking a node.
    pub(super) fn of_open(device: &Path, error: SourceError) -> Self {
        let kind = match (error.operation, error.errno) {
            ("open", libc::ENOENT | libc::ENXIO | libc::ENODEV | libc::ENOTDIR | libc::ELOOP) => {
                CameraErrorKind::Absent
            }
            ("open", libc::EACCES | libc::EPERM) => CameraErrorKind::Denied,
            ("open", libc::EISDIR) | (_, libc::ENOTTY) => CameraErrorKind::NotV4l2,
            (_, libc::EBUSY) => CameraErrorKind::Busy {
                holders: Holders::of(device),
            },
            _ => CameraErrorKind::Kernel(error),
        };
        Self::new(device, kind)
    }
}

impl CameraErrorKind {
    /// Another camera may have been meant.
    pub(super) const fn is_about_another(&self) -> bool {
        matches!(self, Self::Absent | Self::NotV4l2 | Self::NotCapture { .. })
    }
}

fn usable(kind: &CameraErrorKind, cameras: &[String]) -> String {
    if kind.is_about_another() {
        format!("; cameras here: {}", list(cameras))
    } else {
        String::new()
    }
}

fn crop(expected: [u32; 4], found: Option<[u32; 4]>, bounds: Option<[u32; 4]>) -> String {
    let Some(bounds) = bounds else {
        return "found a camera that cannot crop (VIDIOC_S_SELECTION), expected one that can: leave `crop` out".to_owned();
    };
    let found = match found {
        Some(found) => format!("that the driver makes {found:?} of it"),
        None => "that the driver refuses it".to_owned(),
    };
    format!("crop = {expected:?}: found {found}, expected a part of {bounds:?}: change `crop`")
}

/// A four-character code as text. The highest bit stands for big-endian samples.
#[must_use]
pub fn fourcc_text(mut code: [u8; 4]) -> String {
    let big_endian = code[3] & 0x80 != 0;
    code[3] &= 0x7f;
    let mut text = String::from_utf8_lossy(&code).trim_end().to_owned();
    if big_endian {
        text.push_str("-BE");
    }
    text
}

/// `a, b, c`, or `nothing`.
fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "nothing".to_owned()
    } else {
        items.join(", ")
    }
}

/// Thousandths of a hertz as hertz.
fn hertz(mhz: u64) -> String {
    if mhz.is_multiple_of(1000) {
        (mhz / 1000).to_string()
    } else {
        format!("{}.{:03}", mhz / 1000, mhz % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_device_what_was_found_and_what_was_expected() {
        let kinds = [
            CameraErrorKind::Absent,
            CameraErrorKind::NotV4l2,
            CameraErrorKind::Ambiguous {
                found: vec!["/dev/video0 (Cam, usb-1)".to_owned()],
            },
            CameraErrorKind::NotCapture {
                found: "META_CAPTURE | STREAMING".to_owned(),
            },
            CameraErrorKind::Denied,
            CameraErrorKind::Busy {
                holders: Holders::default(),
            },
            CameraErrorKind::Busy {
                holders: Holders::from_iter(["v4l2-ctl (process 4711)"]),
            },
            CameraErrorKind::Format {
                expected: *b"NV12",
                offered: vec![*b"MJPG", *b"Y10 "],
            },
            CameraErrorKind::Size {
                expected_px: (100, 100),
                found_px: (320, 180),
                offered: vec!["320x180".to_owned()],
            },
            CameraErrorKind::Interlaced { field: 4 },
            CameraErrorKind::Layout {
                stride_bytes: 1,
                size_bytes: 2,
                planes: 3,
            },
            CameraErrorKind::Rate {
                expected_mhz: 30_000,
                found_mhz: 7_500,
                offered: vec!["15".to_owned()],
            },
            CameraErrorKind::Io {
                expected: "userptr",
                error: SourceError::new("VIDIOC_REQBUFS", libc::EINVAL),
            },
            CameraErrorKind::Crop {
                expected: [0, 0, 16, 16],
                found: None,
                bounds: None,
            },
            CameraErrorKind::Kernel(SourceError::new("VIDIOC_S_FMT", libc::EIO)),
        ];
        for kind in kinds {
            let error = CameraError::new(Path::new("/dev/video77"), kind);
            let text = error.to_string();
            assert!(text.starts_with("/dev/video77: found "), "{text}");
            assert!(text.contains("expected"), "{text}");
            assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn rates_read_as_hertz() {
        assert_eq!(hertz(30_000), "30");
        assert_eq!(hertz(29_970), "29.970");
        assert_eq!(hertz(500), "0.500");
    }

    #[test]
    fn the_kind_follows_from_what_failed() {
        let path = Path::new("/dev/no-such-camera");
        let kind =
            |operation, errno| CameraError::of_open(path, SourceError::new(operation, errno)).kind;
        assert_eq!(kind("open", libc::ENOENT), CameraErrorKind::Absent);
        assert_eq!(kind("open", libc::EACCES), CameraErrorKind::Denied);
        assert_eq!(
            kind("VIDIOC_QUERYCAP", libc::ENOTTY),
            CameraErrorKind::NotV4l2
        );
        assert_eq!(
            kind("VIDIOC_S_FMT", libc::EBUSY),
            CameraErrorKind::Busy {
                holders: Holders::default()
            }
        );
        let other = SourceError::new("VIDIOC_S_FMT", libc::EIO);
        assert_eq!(
            kind("VIDIOC_S_FMT", libc::EIO),
            CameraErrorKind::Kernel(other)
        );
    }
}
