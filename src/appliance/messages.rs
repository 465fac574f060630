//! What hot threads tell housekeeping: results and notes, by value, through fixed queues.

use crate::capture::supervisor::Trouble;
use crate::infer::EngineError;
use crate::record::FrameResult;
use heapless::spsc::{Consumer, Producer, Queue};

/// Notes that may wait for housekeeping; one more is lost and counted.
const NOTES_QUEUED: usize = 64;
/// Bytes of one queued result.
pub(super) const RESULT_BYTES: u64 = size_of::<FrameResult>() as u64;

/// The worker's end.
pub(super) type ResultSender = Producer<'static, FrameResult>;
/// Housekeeping's end.
pub(super) type ResultReceiver = Consumer<'static, FrameResult>;
/// A hot thread's end.
pub(super) type NoteSender = Producer<'static, Note>;
/// Housekeeping's end.
pub(super) type NoteReceiver = Consumer<'static, Note>;

/// Something worth a line in the log. Hot threads do not format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A camera is not being served.
    CameraTrouble { camera: u16, trouble: Trouble },
    /// A camera's stream runs again.
    CameraBack { camera: u16 },
    /// A file or a pipe has no more frames.
    CameraEnded { camera: u16 },
    /// A header's CRC did not match what was published.
    HeaderTorn { camera: u16, sequence: u64 },
    /// An inference failed.
    InferenceFailed { worker: u16, error: EngineError },
    /// The model called malloc for more than `malloc-arena-kib`.
    ArenaExhausted { worker: u16 },
    /// A frame could not be turned into a tensor.
    PreprocessFailed { worker: u16, camera: u16 },
    /// Outputs held NaN or infinities.
    OutputNotFinite { worker: u16, values: u32 },
}

/// A queue for `N - 1` values: one cell of it always stays empty. Its memory is made once, at arming, and
/// kept to the end of the process: the ends are handed to threads, and a run is the life of the process.
fn queue<T, const N: usize>() -> (Producer<'static, T>, Consumer<'static, T>) {
    Box::leak(Box::new(Queue::<T, N>::new())).split()
}

/// A queue for the results of one worker, for one of the numbers that the profile allows.
pub(super) fn result_queue(results: usize) -> (ResultSender, ResultReceiver) {
    match results {
        0..=16 => queue::<_, 17>(),
        17..=64 => queue::<_, 65>(),
        65..=256 => queue::<_, 257>(),
        _ => queue::<_, 1025>(),
    }
}

/// A queue for the notes of one hot thread.
pub(super) fn note_queue() -> (NoteSender, NoteReceiver) {
    queue::<_, { NOTES_QUEUED + 1 }>()
}
