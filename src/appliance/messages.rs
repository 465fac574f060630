//! What hot threads tell housekeeping: results and notes, by value, through fixed queues.

use super::further::FurtherError;
use crate::capture::pace::Slow;
use crate::capture::supervisor::Trouble;
use crate::event::Event;
use crate::infer::EngineError;
use crate::jpeg::Damage;
use crate::limits::{MAX_CAMERAS, MAX_THEN, MAX_WORKERS, queue_room};
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

/// What a note about an inference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inference {
    pub(super) worker: u16,
    /// Place of the model among the worker's: 0 its own, then the further ones.
    pub(super) step: u16,
    /// The camera of the frame.
    pub(super) camera: u16,
}

/// Something worth a line in the log. Hot threads do not format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A camera is not being served.
    CameraTrouble { camera: u16, trouble: Trouble },
    /// A camera's stream runs again.
    CameraBack { camera: u16 },
    /// A camera delivers fewer frames than agreed on.
    CameraSlow { camera: u16, slow: Slow },
    /// A file or a pipe has no more frames.
    CameraEnded { camera: u16 },
    /// A header's CRC did not match what was published.
    HeaderTorn { camera: u16, sequence: u64 },
    /// An inference of the worker's own model failed.
    InferenceFailed { of: Inference, error: EngineError },
    /// A model that judges a frame after the worker's own gave no result.
    FurtherFailed { of: Inference, error: FurtherError },
    /// The model or a decoder called malloc for more than `malloc-arena-kib`.
    ArenaExhausted { of: Inference },
    /// A compressed frame could not be decoded.
    FrameSpoilt { camera: u16, damage: Damage },
    /// A frame could not be turned into a tensor.
    PreprocessFailed { of: Inference },
    /// A model that was given up has returned after all.
    WorkerBack { of: Inference },
    /// Outputs held NaN, infinities, or boxes that cannot be.
    OutputRefused { of: Inference, values: u32 },
}

/// Kinds of notes that may come with every frame.
const FREQUENT: usize = 7;

impl Note {
    /// The kind of a note that may come with every frame, and the camera, or the model of a worker, that
    /// each is counted for.
    const fn frequent(&self) -> Option<(usize, usize)> {
        match *self {
            Self::HeaderTorn { camera, .. } => Some((0, camera as usize)),
            Self::PreprocessFailed { of } => Some((1, of.camera as usize)),
            Self::InferenceFailed { of, .. } => Some((2, of.model())),
            Self::ArenaExhausted { of } => Some((3, of.model())),
            Self::OutputRefused { of, .. } => Some((4, of.model())),
            Self::FrameSpoilt { camera, .. } => Some((5, camera as usize)),
            Self::FurtherFailed { of, .. } => Some((6, of.model())),
            _ => None,
        }
    }
}

/// Models of one worker.
const MODELS: usize = 1 + MAX_THEN;

impl Inference {
    /// A number of its own for each model of each worker.
    const fn model(self) -> usize {
        self.worker as usize * MODELS + self.step as usize
    }
}

/// How often each frequent note came: the 1st, 2nd, 4th, 8th ... is worth a line of the log.
#[derive(Debug)]
pub(super) struct Said([[u64; MAX_CAMERAS]; FREQUENT]);

const _: () = assert!(MAX_WORKERS * MODELS <= MAX_CAMERAS);

impl Said {
    pub(super) const fn new() -> Self {
        Self([[0; MAX_CAMERAS]; FREQUENT])
    }

    /// How often this note has come, if that is worth a line.
    pub(super) fn again(&mut self, note: &Note) -> Option<Times> {
        let Some((kind, index)) = note.frequent() else {
            return Some(Times(1));
        };
        let times = self.0[kind].get_mut(index)?;
        *times += 1;
        times.is_power_of_two().then_some(Times(*times))
    }
}

/// How often something has happened; nothing is shown of the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times(pub(super) u64);

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
pub(super) fn queue_of<T>(values: usize) -> (Producer<'static, T>, Consumer<'static, T>) {
    match queue_room(values) {
        16 => queue::<T, 17>(),
        64 => queue::<T, 65>(),
        256 => queue::<T, 257>(),
        _ => queue::<T, 1025>(),
    }
}

/// An event on its way to an output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) event: Event,
    /// When it was told.
    pub(super) utc_ns: u64,
}

/// Bytes of one queued event.
pub(super) const EVENT_BYTES: u64 = size_of::<Told>() as u64;
/// Housekeeping's end.
pub(super) type EventSender = Producer<'static, Told>;
/// The output's end.
pub(super) type EventReceiver = Consumer<'static, Told>;

/// A queue for the notes of one hot thread.
pub(super) fn note_queue() -> (NoteSender, NoteReceiver) {
    queue::<_, { NOTES_QUEUED + 1 }>()
}

#[cfg(test)]
mod tests {
    use super::{Inference, Note, Said, Times};

    #[test]
    fn what_comes_with_every_frame_is_said_ever_more_rarely_and_for_each_camera() {
        let mut said = Said::new();
        let of = |camera| Inference {
            worker: 0,
            step: 0,
            camera,
        };
        let mut again = |camera| said.again(&Note::PreprocessFailed { of: of(camera) });
        let times: Vec<_> = (0..1000)
            .filter_map(|_| again(3))
            .map(|Times(n)| n)
            .collect();
        assert_eq!(times, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(again(4), Some(Times(1)));
        assert_eq!(Times(1).to_string(), "");
        assert_eq!(Times(8).to_string(), " (8 times so far)");
        let back = Note::CameraBack { camera: 3 };
        assert!((0..10).all(|_| said.again(&back) == Some(Times(1))));
    }

    #[test]
    fn what_one_model_of_a_worker_fails_at_hides_nothing_of_another() {
        let mut said = Said::new();
        let note = |worker, step| Note::OutputRefused {
            of: Inference {
                worker,
                step,
                camera: 0,
            },
            values: 1,
        };
        for worker in 0..16 {
            for step in 0..4 {
                assert_eq!(said.again(&note(worker, step)), Some(Times(1)));
            }
        }
        assert_eq!(said.again(&note(15, 3)), Some(Times(2)));
        assert_eq!(said.again(&note(15, 3)), None);
    }
}
