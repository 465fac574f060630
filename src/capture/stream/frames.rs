//! Frames out of a stream of bytes, whatever they are wrapped in.
//!
//! ```text
//! room() ── where the next bytes go ──► read(2) ──► fed(n) ── More | Frame | Broken
//!                                       rest() ──► what had been read beyond a frame's end
//! ```

use crate::frame::StreamFormat;

/// Bytes that go through a buffer at once: what a pipe holds by default.
pub(super) const STAGED_BYTES: usize = 64 * 1024;

/// What bytes that were read have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// More belong to this frame.
    More,
    /// The frame is whole.
    Frame,
    /// A frame should begin here, and does not.
    Broken,
}

/// A frame that has come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastFrame {
    /// Bytes of it in the slot.
    pub bytes: usize,
    /// It was longer than the slot: the rest is missing.
    pub cut: bool,
}

/// One frame after the other, each from its first byte to its last. After it is made nothing allocates.
pub trait Frames: Send + std::fmt::Debug {
    /// What the slots will hold.
    fn format(&self) -> StreamFormat;

    /// Bytes that it holds beside the slots.
    fn own_bytes(&self) -> u64 {
        STAGED_BYTES as u64
    }

    /// Bytes of a frame in the stream: the most, where they are not of one length.
    fn frame_bytes(&self) -> u64;

    /// Every frame has [`Self::frame_bytes`].
    fn are_of_one_length(&self) -> bool;

    /// Forgets all that was read: the next byte is the first of a frame.
    fn begin_anew(&mut self);

    /// Nothing of the next frame has been looked at.
    fn is_between(&self) -> bool;

    /// Bytes of this frame that have come.
    fn done_bytes(&self) -> usize;

    /// The frame that was whole last.
    fn last(&self) -> LastFrame;

    /// Bytes that a file's reader may pass over for the rest of this frame, where that is known.
    fn missing_bytes(&self) -> Option<usize> {
        None
    }

    /// `count` bytes of a frame that nobody wants were passed over, at most those that are missing.
    fn passed_over(&mut self, count: usize) -> Fed {
        let _ = count;
        Fed::More
    }

    /// Bytes were read that have not been looked at.
    fn has_rest(&self) -> bool {
        false
    }

    /// Looks at them.
    fn rest(&mut self, slot: Option<&mut [u8]>) -> Fed {
        let _ = slot;
        Fed::More
    }

    /// Where the next bytes go; never empty. `slot` has at least the format's `size_bytes`, or is `None` for a
    /// frame that nobody wants. Only while there is no rest.
    fn room<'a>(&'a mut self, slot: Option<&'a mut [u8]>) -> &'a mut [u8];

    /// `count` bytes, at least 1, have been read into the room that was given for the same slot.
    fn fed(&mut self, slot: Option<&mut [u8]>, count: usize) -> Fed;
}
