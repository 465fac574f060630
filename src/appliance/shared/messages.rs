//! What hot threads send to housekeeping: results and notes, by value, through fixed queues.

use crate::capture::health::frame_rate::Slow;
use crate::capture::health::supervisor::Trouble;
use crate::event::Event;
use crate::infer::EngineError;
use crate::jpeg::Damage;
use crate::limits::queue_room;
use crate::record::FrameResult;
use heapless::spsc::{Consumer, Producer, Queue};

/// Notes that may wait for housekeeping; one more is lost and counted.
const NOTES_QUEUED: usize = 64;
/// Bytes of one queued result.
pub(crate) const RESULT_BYTES: u64 = size_of::<FrameResult>() as u64;

/// The worker's end.
pub(crate) type ResultSender = Producer<'static, FrameResult>;
/// Housekeeping's end.
pub(crate) type ResultReceiver = Consumer<'static, FrameResult>;
/// Housekeeping's end.
pub(crate) type NoteReceiver = Consumer<'static, Note>;

/// What a note about an inference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inference {
    pub(crate) worker: u16,
    /// Place of the model among the worker's: 0 its own, then those of its cascade.
    pub(crate) step: u16,
    /// The camera of the frame.
    pub(crate) camera: u16,
}

/// Why a model gave no result of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InferenceError {
    /// The engine's step that failed.
    Engine(EngineError),
    /// The frame is shorter than its format says.
    Picture,
    /// An output has not the size it had at arming.
    Outputs,
    /// The model or a decoder called malloc for more than its arena has.
    Arena,
}

impl std::fmt::Display for InferenceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Engine(error) => return error.fmt(f),
            Self::Picture => "a frame is shorter than its format says",
            Self::Outputs => "an output has another size than at arming",
            Self::Arena => {
                "the model or a decoder asked malloc for more than its arena has (raise malloc-arena-kib)"
            }
        })
    }
}

/// Something worth a line in the log. Hot threads do not format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// A camera is not being served.
    CameraTrouble { camera: u16, trouble: Trouble },
    /// A camera's stream runs again.
    CameraBack { camera: u16 },
    /// A camera delivers fewer frames than agreed on.
    CameraSlow { camera: u16, slow: Slow },
    /// A file or a pipe has no more frames.
    CameraEnded { camera: u16, broke_off: bool },
    /// A header's CRC did not match what was published.
    HeaderTorn { camera: u16, sequence: u64 },
    /// A compressed frame could not be decoded.
    FrameSpoilt { camera: u16, damage: Damage },
    /// A model gave no result of a frame.
    NoResult {
        of: Inference,
        error: InferenceError,
    },
    /// A model whose frame was given up has returned after all.
    WorkerBack { of: Inference },
    /// Outputs held NaN, infinities, or boxes that cannot be.
    OutputRefused { of: Inference, values: u32 },
}

/// Where a hot thread leaves its notes.
pub(crate) struct NoteLog {
    notes: Producer<'static, Note>,
    /// Notes that found no room.
    pub(crate) lost: u64,
}

impl NoteLog {
    /// With housekeeping's end.
    pub(crate) fn new() -> (Self, NoteReceiver) {
        let (notes, receiver) = queue::<_, { NOTES_QUEUED + 1 }>();
        (Self { notes, lost: 0 }, receiver)
    }

    /// Leaves a note. Never waits.
    pub(crate) fn note(&mut self, note: Note) {
        self.lost += u64::from(self.notes.enqueue(note).is_err());
    }
}

/// How often something has happened; nothing is shown of the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times(pub(crate) u64);

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 | 1 => Ok(()),
            times => write!(f, " ({times} times so far)"),
        }
    }
}

/// A queue for `N - 1` values: one cell of it always stays empty. Its memory is made once, at arming, and
/// kept to the end of the process: the ends are handed to threads, and a run is the life of the process.
fn queue<T, const N: usize>() -> (Producer<'static, T>, Consumer<'static, T>) {
    Box::leak(Box::new(Queue::<T, N>::new())).split()
}

/// A queue for as many values as the profile asks for, rounded up to what [`queue_room`] says.
pub(crate) fn queue_of<T>(values: usize) -> (Producer<'static, T>, Consumer<'static, T>) {
    match queue_room(values) {
        16 => queue::<T, 17>(),
        64 => queue::<T, 65>(),
        256 => queue::<T, 257>(),
        _ => queue::<T, 1025>(),
    }
}

/// An event on its way to an output or to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported {
    pub(crate) event: Event,
    /// When its frame was captured.
    pub(crate) utc_ns: u64,
}

/// Bytes of one queued event.
pub(crate) const EVENT_BYTES: u64 = size_of::<Reported>() as u64;
