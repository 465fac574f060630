//! The frames of a stream, whatever they are wrapped in.

use crate::capture::stream::jpeg_frames::JpegFrames;
use crate::capture::stream::raw_frames::{Fed, RawFrames};
use crate::frame::StreamFormat;

/// A frame that has come to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) bytes: usize,
    pub(super) damaged: bool,
}

/// Frames of one length with planes, or JPEG pictures of any length.
#[derive(Debug)]
pub(super) enum Frames {
    Planes(Box<RawFrames>),
    Jpegs(Box<JpegFrames>),
}

impl Frames {
    pub(super) fn format(&self) -> StreamFormat {
        match self {
            Self::Planes(assembly) => assembly.layout().format(),
            Self::Jpegs(gathering) => gathering.format(),
        }
    }

    pub(super) fn own_bytes(&self) -> u64 {
        match self {
            Self::Planes(assembly) => assembly.own_bytes(),
            Self::Jpegs(gathering) => gathering.own_bytes(),
        }
    }

    /// Bytes of a frame in the stream: of pictures, the most.
    pub(super) fn frame_bytes(&self) -> u64 {
        match self {
            Self::Planes(assembly) => assembly.layout().frame_bytes(),
            Self::Jpegs(gathering) => gathering.format().size_bytes as u64,
        }
    }

    /// Every frame has [`Self::frame_bytes`].
    pub(super) const fn are_of_one_length(&self) -> bool {
        matches!(self, Self::Planes(_))
    }

    pub(super) fn begin_anew(&mut self) {
        match self {
            Self::Planes(assembly) => assembly.begin_anew(),
            Self::Jpegs(gathering) => gathering.begin_anew(),
        }
    }

    pub(super) fn is_between(&self) -> bool {
        match self {
            Self::Planes(assembly) => assembly.is_between(),
            Self::Jpegs(gathering) => gathering.is_between(),
        }
    }

    pub(super) fn done_bytes(&self) -> usize {
        match self {
            Self::Planes(assembly) => assembly.done_bytes(),
            Self::Jpegs(gathering) => gathering.done_bytes(),
        }
    }

    /// The frame that was whole last.
    pub(super) fn ended(&self) -> Ended {
        match self {
            Self::Planes(assembly) => Ended {
                bytes: assembly.layout().format().size_bytes as usize,
                damaged: false,
            },
            Self::Jpegs(gathering) => Ended {
                bytes: gathering.last().bytes,
                damaged: gathering.last().cut,
            },
        }
    }

    /// Bytes that a file's reader may pass over for the rest of this frame, where that is known.
    pub(super) fn missing_bytes(&self) -> Option<usize> {
        match self {
            Self::Planes(assembly) => assembly.missing_bytes(),
            Self::Jpegs(_) => None,
        }
    }

    pub(super) fn passed_over(&mut self, count: usize) {
        if let Self::Planes(assembly) = self {
            assembly.passed_over(count);
        }
    }

    /// Bytes were read that have not been looked at.
    pub(super) fn has_rest(&self) -> bool {
        matches!(self, Self::Jpegs(gathering) if gathering.has_rest())
    }

    /// Looks at them.
    pub(super) fn rest(&mut self, slot: Option<&mut [u8]>) -> Fed {
        match self {
            Self::Planes(_) => Fed::More,
            Self::Jpegs(gathering) => gathering.rest(slot),
        }
    }

    pub(super) fn room<'a>(&'a mut self, slot: Option<&'a mut [u8]>) -> &'a mut [u8] {
        match self {
            Self::Planes(assembly) => assembly.room(slot),
            Self::Jpegs(gathering) => gathering.room(),
        }
    }

    pub(super) fn fed(&mut self, slot: Option<&mut [u8]>, count: usize) -> Fed {
        match self {
            Self::Planes(assembly) => assembly.fed(slot, count),
            Self::Jpegs(gathering) => gathering.fed(slot, count),
        }
    }
}
