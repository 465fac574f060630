//! Where a camera's frames come from.

use crate::limits::MAX_SCALE;
use crate::profile::reader::Table;
use crate::profile::reader::values::{
    ValueParser, choice, is_path, path, real, text, truth, whole, words,
};
use std::path::PathBuf;

/// `source` of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `source = "v4l2"`, with `device`: a V4L2 capture node.
    V4l2 {
        /// Absolute path of the node, e.g. `/dev/video0`; or `card:` or `bus:` and what the driver reports of
        /// itself there.
        device: PathBuf,
    },
    /// `source = "image"`, with `path`, `pan-px`, `scale` and `phase-ms`: an image over which the picture moves.
    Image {
        /// PNG or JPEG file.
        path: PathBuf,
        /// Pixels that the picture moves from frame to frame, 0..=1024.
        pan_px: u32,
        /// How many times wider and higher the image is made before the picture is cut out of it, 1..=16.
        scale: u32,
        /// Frames are due when CLOCK_MONOTONIC less this is a whole multiple of the frame interval; an interval after
        /// the start and so on when absent.
        phase_ns: Option<u64>,
    },
    /// `source = "pattern"`: numbered colour bars, for tests and for machines without a camera.
    Pattern,
    /// `source = "y4m"`, `"raw"` or `"mjpeg"`, with `path` and `loop`: frames from a file or a pipe, and for
    /// `"mjpeg"` also from a folder of pictures.
    Stream {
        /// What the frames are wrapped in.
        container: Container,
        /// Where they come from.
        feed: Feed,
        /// A file begins again at its end; without meaning for what is no file.
        repeat: bool,
    },
}

/// What the frames of a stream are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// YUV4MPEG2: a header line, and a line before each frame.
    Y4m,
    /// Nothing: one frame after the other, without padding.
    Raw,
    /// JPEG pictures, one after the other.
    Mjpeg,
}

/// Where a stream comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// `path = "-"`
    Stdin,
    /// A file, or a FIFO.
    File(PathBuf),
}

words! {
    /// `io` of a camera.
    pub enum Io {
        /// By trial and by measurement: USERPTR if the driver takes it, its own buffers if they are cached, a
        /// dma-heap's, or one copy.
        Auto = "auto",
        /// The driver writes straight into our hugepage slots.
        Userptr = "userptr",
        /// The driver's mapped buffer is the slot.
        Mmap = "mmap",
        /// The same, mapped through a dma-buf that the driver exports.
        Dmabuf = "dmabuf",
        /// A dma-heap's buffer is the slot, and the driver imports it.
        DmaHeap = "dma-heap",
        /// The driver's mapped buffer is copied into our hugepage slot.
        Copy = "copy",
    }
}

impl Io {
    /// Whether slots may be others than ours: then there are at most as many as a driver has buffers.
    #[must_use]
    pub const fn may_use_drivers_buffers(self) -> bool {
        !matches!(self, Self::Userptr | Self::Copy)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    V4l2,
    Image,
    Pattern,
    Stream(Container),
}

impl Source {
    /// Whether it is a V4L2 device.
    #[must_use]
    pub const fn is_v4l2(&self) -> bool {
        matches!(self, Self::V4l2 { .. })
    }

    /// Whether it gives JPEG pictures, and nothing else.
    pub(super) fn is_mjpeg(&self) -> bool {
        matches!(
            self,
            Self::Stream {
                container: Container::Mjpeg,
                ..
            }
        )
    }

    /// Whether it is standard input.
    pub(super) fn is_stdin(&self) -> bool {
        matches!(
            self,
            Self::Stream {
                feed: Feed::Stdin,
                ..
            }
        )
    }

    pub(super) fn read(t: &mut Table<'_>) -> Self {
        const KIND: &[(&str, Kind)] = &[
            ("v4l2", Kind::V4l2),
            ("image", Kind::Image),
            ("pattern", Kind::Pattern),
            ("y4m", Kind::Stream(Container::Y4m)),
            ("raw", Kind::Stream(Container::Raw)),
            ("mjpeg", Kind::Stream(Container::Mjpeg)),
        ];
        let kind = t.required("source", choice(KIND), "\"v4l2\"");
        let (image, stream) = (kind == Kind::Image, matches!(kind, Kind::Stream(_)));
        let mut of = t.only("source", &["v4l2"], kind == Kind::V4l2);
        let device = of.required("device", device(), "\"/dev/video0\"").into();
        let mut of = t.only("source", &["image", "y4m", "raw", "mjpeg"], image || stream);
        let file = of.required("path", path(), "\"photo.png\"");
        let mut of = t.only("source", &["y4m", "raw", "mjpeg"], stream);
        let repeat = of.or("loop", truth(), "false");
        let mut of = t.only("source", &["image"], image);
        let scale = of.or("scale", whole(1..=MAX_SCALE, "times"), "1");
        let pan_px = of.or("pan-px", whole(0..=1024, "pixels a frame"), "8");
        let phase_ns = of.optional("phase-ms", phase(), "an interval after the start");
        let path = t.join(&file);
        match kind {
            Kind::V4l2 => Self::V4l2 { device },
            Kind::Image => Self::Image {
                path,
                pan_px,
                scale,
                phase_ns,
            },
            Kind::Pattern => Self::Pattern,
            Kind::Stream(container) => {
                let feed = if file == "-" {
                    Feed::Stdin
                } else {
                    Feed::File(path)
                };
                Self::Stream {
                    container,
                    feed,
                    repeat,
                }
            }
        }
    }
}

/// A part of a frame interval, of at most ten seconds, as nanoseconds.
fn phase() -> ValueParser<u64> {
    // At most ten seconds, never negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let ns = |ms: f64| (ms * 1e6).round() as u64;
    real(0.0..=10_000.0, "ms, below the frame interval").map(ns)
}

/// A device, by its path or by what it reports of itself.
fn device() -> ValueParser<String> {
    text(
        "an absolute path of a device, `card:NAME` or `bus:NAME`",
        |text| {
            let name = text
                .strip_prefix("card:")
                .or_else(|| text.strip_prefix("bus:"));
            is_path(text) && name.map_or(text.starts_with('/'), |name| !name.is_empty())
        },
    )
}
