//! Why a stream cannot be watched, said so that it can be mended.

use crate::capture::SourceError;
use crate::capture::stream::y4m::{Chroma, HeaderError};
use crate::frame::PixelFormat;
use crate::profile::Feed;
use std::fmt;

/// A stream that cannot be watched: which, and why.
#[derive(Debug)]
pub struct StreamError {
    /// Where it comes from.
    pub feed: Feed,
    /// What is wrong.
    pub kind: StreamErrorKind,
}

/// What is wrong with a stream.
#[derive(Debug)]
pub enum StreamErrorKind {
    /// Standard input is a terminal.
    Terminal,
    /// It cannot be opened.
    Open(std::io::Error),
    /// It cannot be read.
    Read(SourceError),
    /// Nothing came.
    Silent {
        /// For so long.
        seconds: u64,
    },
    /// Its first line is not a Y4M stream's, or not one that can be read.
    Header(HeaderError),
    /// It has another size than the profile says.
    OtherSize {
        /// The stream's width and height.
        found: (u32, u32),
        /// The profile's.
        expected: (u32, u32),
    },
    /// The size is odd, or out of range.
    Size {
        /// The stream's width and height.
        found: (u32, u32),
    },
    /// Its samples cannot be laid out as the profile's format.
    Chroma {
        /// The stream's sampling.
        found: Chroma,
        /// The profile's format.
        format: PixelFormat,
    },
    /// The file ends before the end of its first frame.
    Short {
        /// Length of the file.
        length_bytes: u64,
        /// Where its first frame would end.
        expected_bytes: u64,
    },
    /// There is no JPEG picture in it.
    NoPicture,
    /// Nobody says at which rate the file is to be played.
    NoRate,
}

impl StreamError {
    pub(super) fn new(feed: &Feed, kind: StreamErrorKind) -> Self {
        Self {
            feed: feed.clone(),
            kind,
        }
    }
}

/// Where a stream comes from, in words.
pub(super) fn said(feed: &Feed) -> String {
    match feed {
        Feed::Stdin => "standard input".to_owned(),
        Feed::File(path) => path.display().to_string(),
    }
}

impl fmt::Display for StreamErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminal => f.write_str(
                "found a terminal, expected a stream: `ffmpeg … -f yuv4mpegpipe - | pinsight run …`",
            ),
            Self::Open(error) => write!(f, "{error}"),
            Self::Read(error) => error.fmt(f),
            Self::Silent { seconds } => {
                write!(f, "found nothing within {seconds} s, expected a Y4M stream")
            }
            Self::Header(error) => error.fmt(f),
            Self::OtherSize { found, expected } => write!(
                f,
                "found {}x{}, expected {}x{}: change `width-px` and `height-px`, or scale the stream",
                found.0, found.1, expected.0, expected.1
            ),
            Self::Size { found } => write!(
                f,
                "found {}x{}, expected even sides of 16 to 8192",
                found.0, found.1
            ),
            Self::Chroma { found, format } => write!(
                f,
                "found {found:?}, expected C420 for format = \"NV12\" or \"YU12\", C422 for \"YUYV\" or \
                 \"NV16\", Cmono for \"GREY\"; the camera has \"{}\"",
                format.name()
            ),
            Self::Short {
                length_bytes,
                expected_bytes,
            } => write!(
                f,
                "found the end of the file at byte {length_bytes}, expected a first frame up to byte \
                 {expected_bytes}"
            ),
            Self::NoPicture => {
                f.write_str("found no JPEG picture, expected one after the other")
            }
            Self::NoRate => f.write_str("found no frame rate (F0:0), expected one: set `rate-hz`"),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", said(&self.feed), self.kind)
    }
}

impl std::error::Error for StreamError {}
