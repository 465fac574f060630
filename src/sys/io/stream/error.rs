//! Why a stream cannot be read, with what was found and what was expected.

use crate::capture::SourceError;
use crate::capture::stream::y4m::{Chroma, HeaderError};
use crate::frame::PixelFormat;
use crate::profile::Feed;

/// A stream that cannot be watched: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", describe(.feed))]
pub struct StreamError {
    /// Where it comes from.
    pub feed: Feed,
    /// What is wrong.
    pub kind: StreamErrorKind,
}

/// What is wrong with a stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamErrorKind {
    /// Standard input is a terminal.
    #[error("found a terminal, expected a stream: `ffmpeg … -f yuv4mpegpipe - | pinsight run …`")]
    Terminal,
    /// It cannot be opened.
    #[error("{0}")]
    Open(std::io::Error),
    /// It cannot be read.
    #[error("{0}")]
    Read(SourceError),
    /// Nothing came.
    #[error("found nothing within {seconds} s, expected a Y4M stream")]
    Silent {
        /// For so long.
        seconds: u64,
    },
    /// Its first line is not a Y4M stream's, or not one that can be read.
    #[error("{0}")]
    Header(HeaderError),
    /// It has another size than the profile says.
    #[error(
        "found {}x{}, expected {}x{}: change `width-px` and `height-px`, or scale the stream",
        found.0, found.1, expected.0, expected.1
    )]
    OtherSize {
        /// The stream's width and height.
        found: (u32, u32),
        /// The profile's.
        expected: (u32, u32),
    },
    /// The size is odd, or out of range.
    #[error("found {}x{}, expected even sides of 16 to 8192", found.0, found.1)]
    Size {
        /// The stream's width and height.
        found: (u32, u32),
    },
    /// Its samples cannot be laid out as the profile's format.
    #[error(
        "found {found:?}, expected C420 for format = \"NV12\" or \"YU12\", C422 for \"YUYV\" or \"NV16\", Cmono for \
         \"GREY\"; the camera has \"{}\"",
        format.name()
    )]
    Chroma {
        /// The stream's sampling.
        found: Chroma,
        /// The profile's format.
        format: PixelFormat,
    },
    /// The file ends before the end of its first frame.
    #[error(
        "found the end of the file at byte {length_bytes}, expected a first frame up to byte {expected_bytes}"
    )]
    Short {
        /// Length of the file.
        length_bytes: u64,
        /// Where its first frame would end.
        expected_bytes: u64,
    },
    /// There is no JPEG picture in it.
    #[error("found no JPEG picture, expected one after the other")]
    NoPicture,
    /// Nobody says at which rate the file is to be played.
    #[error("found no frame rate (F0:0), expected one: set `rate-hz`")]
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
pub(super) fn describe(feed: &Feed) -> String {
    match feed {
        Feed::Stdin => "standard input".to_owned(),
        Feed::File(path) => path.display().to_string(),
    }
}
