//! Frames from somewhere into slots: the edge that every camera implements.
//!
//! Answers for: the contract between a source of frames and the thread that serves it. Does not answer
//! for: V4L2 itself (`sys::v4l2`), rings (`ring`), or when to give up (`supervisor`).

use crate::frame::StreamFormat;
use std::os::fd::RawFd;

/// A buffer that the source has filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dequeued {
    /// Which slot.
    pub slot: u16,
    /// The driver's sequence number.
    pub sequence: u32,
    /// When the frame was captured, CLOCK_MONOTONIC; by the driver's stamp.
    pub capture_ns: u64,
    /// Bytes that the driver filled.
    pub bytes_used: u32,
    /// What the stamp marks.
    pub stamp: StampKind,
    /// The driver marked the buffer as damaged (V4L2_BUF_FLAG_ERROR).
    pub damaged: bool,
}

/// What a driver's timestamp marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StampKind {
    /// No usable stamp from the driver: the dequeue time stands in.
    Dequeue = 0,
    /// Monotonic clock, end of frame.
    EndOfFrame = 1,
    /// Monotonic clock, start of exposure.
    StartOfExposure = 2,
}

/// What a dequeue brought. Nothing ready is an outcome, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dequeue {
    /// A buffer.
    Frame(Dequeued),
    /// No buffer is filled yet.
    NotReady,
}

/// How the capture thread waits for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// poll(2) for POLLIN on this descriptor.
    Fd(RawFd),
    /// The next frame is due at this time, CLOCK_MONOTONIC.
    At(u64),
}

/// One operation on a source failed. `Copy`, and never allocates: this is the hot path's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// The operation, as V4L2 or POSIX names it.
    pub operation: &'static str,
    /// errno, or 0.
    pub errno: i32,
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} failed: {}", self.operation, nix::errno::Errno::from_raw(self.errno))
    }
}

impl std::error::Error for SourceError {}

/// A camera, or something that behaves like one. After arming no method allocates.
///
/// The source holds the slots that were queued and not yet dequeued. `stop` gives all of them back:
/// afterwards it holds none.
pub trait FrameSource: Send {
    /// The negotiated format. Constant while streaming.
    fn format(&self) -> StreamFormat;

    /// Starts the stream. At least one slot has been queued before.
    ///
    /// # Errors
    /// The failed operation and its errno; the stream is then not running.
    fn start(&mut self, now_ns: u64) -> Result<(), SourceError>;

    /// Lets the source write into `slot` (an index below the count it was armed with).
    ///
    /// # Errors
    /// The slot stays with the caller.
    fn queue(&mut self, slot: u16) -> Result<(), SourceError>;

    /// Takes the oldest filled buffer without waiting.
    ///
    /// # Errors
    /// The failed operation and its errno; no slot has changed hands.
    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError>;

    /// How to wait for the next frame.
    fn readiness(&self) -> Readiness;

    /// Stops the stream and forgets every queued slot: they are the caller's again.
    ///
    /// # Errors
    /// The failed operation and its errno; the slots are the caller's even so.
    fn stop(&mut self) -> Result<(), SourceError>;
}
