//! The contract between a source of frames and the thread that serves it.

use super::slot_memory::SlotMemory;
use crate::frame::StreamFormat;
use std::any::Any;
use std::os::fd::RawFd;
use std::sync::Arc;

/// A buffer that the source has filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dequeued {
    /// Which slot.
    pub slot: u16,
    /// The driver's sequence number.
    pub sequence: u32,
    /// When the frame was captured, CLOCK_MONOTONIC; by the driver's stamp, which may lie.
    /// [`Timestamps`](super::health::timestamps::Timestamps) checks it.
    pub capture_ns: u64,
    /// Bytes from the start of the slot to the first sample (V4L2 `data_offset`).
    pub offset_bytes: u32,
    /// Bytes that the driver filled, from the first sample on.
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
    /// There are no more frames, and there will be none: the end of a file, or of standard input. A
    /// camera never says this.
    Ended,
}

/// How the capture thread waits for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// poll(2) for POLLIN on this descriptor. POLLERR and POLLHUP are reasons to dequeue as well: the
    /// dequeue then names the error.
    Fd(RawFd),
    /// The next frame is due at this time, CLOCK_MONOTONIC. `u64::MAX` is "not running".
    At(u64),
}

/// One operation on a source failed. `Copy`, and never allocates: this is the hot path's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} failed: {}", nix::errno::Errno::from_raw(*.errno))]
pub struct SourceError {
    /// The operation, as V4L2 or POSIX names it.
    pub operation: &'static str,
    /// errno, or 0.
    pub errno: i32,
}

impl SourceError {
    /// `operation` failed with `errno`.
    #[must_use]
    pub const fn new(operation: &'static str, errno: i32) -> Self {
        Self { operation, errno }
    }
}

/// Whose memory a source's frames arrive in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotHome {
    /// The caller's: it brings the memory of every slot when it arms the source (V4L2 USERPTR, and every
    /// source that is no driver).
    Caller,
    /// The source's: it maps its own buffers when it is armed (V4L2 MMAP), and they are the slots.
    Source,
}

/// The slots that a source is armed with.
#[derive(Clone, Copy, Debug)]
pub enum Slots<'a> {
    /// For [`SlotHome::Caller`]: one range for each slot, each at least
    /// [`StreamFormat::size_bytes`] long.
    Caller(&'a [SlotMemory]),
    /// For [`SlotHome::Source`]: how many slots are wanted.
    Source(usize),
}

/// Why a source was not armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// The number of slots is out of range.
    #[error("found {found} slots, expected 1 to {most}")]
    Count {
        /// Slots that were offered or asked for.
        found: usize,
        /// Most that this source takes.
        most: usize,
    },
    /// A slot is shorter than a frame.
    #[error("slot {slot} has {found_bytes} bytes, expected at least {expected_bytes}")]
    Short {
        /// Which slot.
        slot: usize,
        /// Its length.
        found_bytes: usize,
        /// The least length.
        expected_bytes: usize,
    },
    /// [`Slots`] is not of the kind that [`UnarmedSource::slot_home`] asks for.
    #[error("{}", match .expected {
        SlotHome::Caller => "the slots must be brought",
        SlotHome::Source => "the slots are the driver's",
    })]
    Home {
        /// The kind that it asks for.
        expected: SlotHome,
    },
    /// The kernel refused.
    #[error("{0}")]
    Kernel(SourceError),
}

/// Arming failed, and gives the source back: it may now ask for another [`SlotHome`].
pub struct NotArmed {
    /// The source as it was, or fallen back to another way of exchanging buffers where it was free to choose.
    pub source: Box<dyn UnarmedSource>,
    /// Why.
    pub error: ArmError,
}

impl std::fmt::Debug for NotArmed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotArmed")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// What a source knows of the camera behind it that helps to find out why its stream is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Traits {
    /// It is plugged into a USB port, which can be reset ([`FrameSource::reset_port`]).
    pub on_usb: bool,
    /// It is set to expose longer where light is dim, at the cost of frames.
    pub slows_in_dim_light: bool,
}

/// A source whose format is agreed, and that has no memory yet.
pub trait UnarmedSource: Send {
    /// The negotiated format. It does not change when the source is armed.
    fn format(&self) -> StreamFormat;

    /// Whose memory it wants to be armed with.
    fn slot_home(&self) -> SlotHome;

    /// Bytes that the source holds beside its slots, for the budget table.
    fn own_bytes(&self) -> u64;

    /// How buffers are exchanged, and why so, in a few words for the log.
    fn io(&self) -> String;

    /// Takes the slots.
    ///
    /// # Errors
    /// The reason, with the source. Where `io` has changed by this, arming again, with the memory that
    /// `slot_home` now asks for, is worth a try.
    fn arm(self: Box<Self>, slots: Slots<'_>) -> Result<Box<dyn FrameSource>, NotArmed>;
}

/// Keeps the memory of a source's slots mapped for as long as it lives, whatever becomes of the source.
pub type MemoryKeeper = Arc<dyn Any + Send + Sync>;

/// A camera, or something that behaves like one. After arming no method allocates.
///
/// The source holds the slots that were queued and not yet dequeued. `stop` gives all of them back:
/// afterwards it holds none. The states are stopped (as armed) and streaming; slots may be queued in
/// both.
pub trait FrameSource: Send {
    /// The negotiated format. Constant for the life of the source.
    fn format(&self) -> StreamFormat;

    /// The memory of each slot, by slot number. Constant for the life of the source, `reopen` included.
    fn slots(&self) -> &[SlotMemory];

    /// What keeps that memory mapped, where it is the source's own. `None` where it is the caller's.
    fn keeper(&self) -> Option<MemoryKeeper> {
        None
    }

    /// Starts the stream. At least one slot has been queued before. Sequence numbers start anew.
    ///
    /// # Errors
    /// The failed operation and its errno; the stream is then not running.
    fn start(&mut self, now_ns: u64) -> Result<(), SourceError>;

    /// Lets the source write into `slot` (an index below the number of its slots).
    ///
    /// # Errors
    /// The slot stays with the caller. EINVAL: no such slot, or the source holds it already. ENOBUFS: it
    /// holds as many as it can.
    fn queue(&mut self, slot: u16, now_ns: u64) -> Result<(), SourceError>;

    /// Takes the oldest filled buffer without waiting.
    ///
    /// # Errors
    /// The failed operation and its errno; no slot has changed hands. EINVAL when not streaming.
    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError>;

    /// How to wait for the next frame.
    fn readiness(&self) -> Readiness;

    /// What is known of the camera: after each `reopen` that succeeded, of the one that is there now.
    fn traits(&self) -> Traits {
        Traits::default()
    }

    /// A stream that has ended did so within a frame, or with what is no frame.
    fn broke_off(&self) -> bool {
        false
    }

    /// Stops the stream and forgets every queued slot: they are the caller's again.
    ///
    /// # Errors
    /// The failed operation and its errno; the slots are the caller's even so.
    fn stop(&mut self) -> Result<(), SourceError>;

    /// Lets go of the device and takes it anew, with the same format. Stops first, if need be. No slot
    /// may be filled or leased meanwhile when the memory is the source's own ([`Self::keeper`]): it maps
    /// the new device's buffers in the place of the old ones.
    ///
    /// # Errors
    /// The failed operation and its errno. The source is then without a device: every call but `reopen`
    /// and `stop` fails until one succeeds.
    fn reopen(&mut self, now_ns: u64) -> Result<(), SourceError>;

    /// Stops the stream, and resets the port that the device is plugged into. It has to be reopened then.
    ///
    /// # Errors
    /// The failed operation and its errno; ENOSYS where there is no port ([`Traits::on_usb`]).
    fn reset_port(&mut self) -> Result<(), SourceError> {
        let _ = self.stop();
        Err(SourceError::new("USBDEVFS_RESET", nix::libc::ENOSYS))
    }
}

impl<S: FrameSource + ?Sized> FrameSource for Box<S> {
    fn format(&self) -> StreamFormat {
        (**self).format()
    }
    fn slots(&self) -> &[SlotMemory] {
        (**self).slots()
    }
    fn keeper(&self) -> Option<MemoryKeeper> {
        (**self).keeper()
    }
    fn start(&mut self, now_ns: u64) -> Result<(), SourceError> {
        (**self).start(now_ns)
    }
    fn queue(&mut self, slot: u16, now_ns: u64) -> Result<(), SourceError> {
        (**self).queue(slot, now_ns)
    }
    fn dequeue(&mut self, now_ns: u64) -> Result<Dequeue, SourceError> {
        (**self).dequeue(now_ns)
    }
    fn readiness(&self) -> Readiness {
        (**self).readiness()
    }
    fn traits(&self) -> Traits {
        (**self).traits()
    }
    fn broke_off(&self) -> bool {
        (**self).broke_off()
    }
    fn stop(&mut self) -> Result<(), SourceError> {
        (**self).stop()
    }
    fn reopen(&mut self, now_ns: u64) -> Result<(), SourceError> {
        (**self).reopen(now_ns)
    }
    fn reset_port(&mut self) -> Result<(), SourceError> {
        (**self).reset_port()
    }
}

/// Checks the caller's slots against a format, for sources of [`SlotHome::Caller`].
///
/// # Errors
/// What does not fit.
pub fn check_caller_slots(
    format: &StreamFormat,
    slots: Slots<'_>,
    most: usize,
) -> Result<Box<[SlotMemory]>, ArmError> {
    let Slots::Caller(memory) = slots else {
        return Err(ArmError::Home {
            expected: SlotHome::Caller,
        });
    };
    if memory.is_empty() || memory.len() > most {
        return Err(ArmError::Count {
            found: memory.len(),
            most,
        });
    }
    let expected_bytes = usize::try_from(format.size_bytes).unwrap_or(usize::MAX);
    if let Some((slot, short)) = memory
        .iter()
        .enumerate()
        .find(|(_, slot)| slot.len_bytes() < expected_bytes)
    {
        return Err(ArmError::Short {
            slot,
            found_bytes: short.len_bytes(),
            expected_bytes,
        });
    }
    Ok(memory.into())
}
