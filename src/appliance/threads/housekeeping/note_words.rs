//! The lines of the log: the words of each note, and how often they come.

use crate::appliance::shared::invoke_deadline::Overdue;
use crate::appliance::shared::messages::{Inference, InferenceError, Note, Times};
use crate::appliance::shared::names::Names;
use crate::limits::{MAX_CAMERAS, MAX_THEN, MAX_WORKERS};
use crate::units::NS_PER_MS;
use log::Level;
use std::fmt;

/// Logs that a model runs past its deadline.
pub(crate) fn log_overdue(names: &Names, overdue: Overdue) {
    log::error!(
        "worker {}, model {}: it has run for {} ms on a frame of camera {}, and invoke-deadline-ms is {}; {}, \
         and the worker is waited for",
        names.worker(overdue.worker),
        names.model_at(overdue.worker, overdue.step),
        overdue.ran_ns / NS_PER_MS,
        names.camera(overdue.camera),
        overdue.deadline_ns / NS_PER_MS,
        if overdue.step == 0 {
            "the frame counts as refused"
        } else {
            "it gives no result of that frame"
        }
    );
}

/// Logs a note.
pub(crate) fn log_note(names: &Names, note: Note, times: Times) {
    log::log!(level(&note), "{}", NoteLine { names, note, times });
}

const fn level(note: &Note) -> Level {
    match note {
        Note::CameraBack { .. }
        | Note::CameraEnded {
            broke_off: false, ..
        } => Level::Info,
        Note::CameraTrouble { .. }
        | Note::CameraEnded { .. }
        | Note::CameraSlow { .. }
        | Note::FrameSpoilt { .. }
        | Note::WorkerBack { .. }
        | Note::OutputRefused { .. } => Level::Warn,
        Note::HeaderTorn { .. } | Note::NoResult { .. } => Level::Error,
    }
}

/// A note in words, written where it goes: nothing is allocated.
struct NoteLine<'a> {
    names: &'a Names,
    note: Note,
    times: Times,
}

impl fmt::Display for NoteLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { names, times, .. } = self;
        match self.note {
            Note::CameraTrouble { camera, .. }
            | Note::CameraBack { camera }
            | Note::CameraSlow { camera, .. }
            | Note::CameraEnded { camera, .. }
            | Note::HeaderTorn { camera, .. }
            | Note::FrameSpoilt { camera, .. } => write!(f, "camera {}: ", names.camera(camera))?,
            Note::NoResult { of, .. }
            | Note::WorkerBack { of }
            | Note::OutputRefused { of, .. } => write!(
                f,
                "worker {}, model {}, camera {}: ",
                names.worker(of.worker),
                names.model_at(of.worker, of.step),
                names.camera(of.camera)
            )?,
        }
        match self.note {
            Note::CameraTrouble { trouble, .. } => write!(f, "{trouble}; trying until it is back"),
            Note::CameraBack { .. } => f.write_str("frames arrive again"),
            Note::CameraSlow { slow, .. } => write!(f, "{slow}"),
            Note::CameraEnded { broke_off, .. } => f.write_str(if broke_off {
                "its stream broke off: within a frame, or with what is no frame"
            } else {
                "its stream has ended"
            }),
            Note::HeaderTorn { sequence, .. } => write!(
                f,
                "header of frame {sequence} does not match its CRC; the frame counts as damaged{times}"
            ),
            Note::FrameSpoilt { damage, .. } => write!(f, "a corrupt frame: {damage}{times}"),
            Note::NoResult { of, error } if of.step == 0 => {
                write!(f, "{error}; the frame counts as failed{times}")
            }
            Note::NoResult { error, .. } => {
                write!(f, "{error}; it gives no result of that frame{times}")
            }
            Note::WorkerBack { .. } => {
                f.write_str("it has returned, and the worker infers frames again")
            }
            Note::OutputRefused { values, .. } => write!(
                f,
                "{values} values or boxes that cannot be (NaN, infinite, no area in the picture) were left out{times}"
            ),
        }
    }
}

/// Kinds of notes that may come with every frame.
const FREQUENT: usize = 7;
/// Models of one worker.
const MODELS: usize = 1 + MAX_THEN;
const _: () = assert!(MAX_WORKERS * MODELS <= MAX_CAMERAS);

/// The kind of a note that may come with every frame, and the camera, or the model of a worker, that each is
/// counted for.
const fn frequent(note: &Note) -> Option<(usize, usize)> {
    const fn model(of: Inference) -> usize {
        of.worker as usize * MODELS + of.step as usize
    }
    match *note {
        Note::HeaderTorn { camera, .. } => Some((0, camera as usize)),
        Note::FrameSpoilt { camera, .. } => Some((1, camera as usize)),
        Note::OutputRefused { of, .. } => Some((2, model(of))),
        Note::NoResult { of, error } => Some(match error {
            InferenceError::Picture => (3, of.camera as usize),
            InferenceError::Engine(_) => (4, model(of)),
            InferenceError::Outputs => (5, model(of)),
            InferenceError::Arena => (6, model(of)),
        }),
        _ => None,
    }
}

/// How often each frequent note came: the 1st, 2nd, 4th, 8th ... is worth a line of the log.
#[derive(Debug)]
pub(crate) struct Frequency([[u64; MAX_CAMERAS]; FREQUENT]);

impl Frequency {
    pub(crate) const fn new() -> Self {
        Self([[0; MAX_CAMERAS]; FREQUENT])
    }

    /// How often this note has come, if that is worth a line.
    pub(crate) fn count(&mut self, note: &Note) -> Option<Times> {
        let Some((kind, index)) = frequent(note) else {
            return Some(Times(1));
        };
        let times = self.0[kind].get_mut(index)?;
        *times += 1;
        times.is_power_of_two().then_some(Times(*times))
    }
}

#[cfg(test)]
mod tests {
    use super::{Frequency, Inference, InferenceError, Names, Note, NoteLine, Times};
    use crate::infer::EngineError;

    fn names() -> Names {
        Names {
            cameras: vec!["front".into(), "back".into()],
            workers: vec!["detector".into(), "more".into()],
            models: vec!["person".into(), "face".into()],
            // The second worker looks for faces in persons.
            cascades: vec![vec![1], vec![0, 1]],
            ..Names::default()
        }
    }

    fn line(note: Note) -> String {
        let (names, times) = (&names(), Times(4));
        NoteLine { names, note, times }.to_string()
    }

    #[test]
    fn a_line_about_an_inference_names_worker_model_and_camera() {
        for step in 0..2 {
            let of = Inference {
                worker: 1,
                step,
                camera: 1,
            };
            let no_result = |error| Note::NoResult { of, error };
            for note in [
                no_result(InferenceError::Engine(EngineError::Invoke)),
                no_result(InferenceError::Arena),
                no_result(InferenceError::Picture),
                no_result(InferenceError::Outputs),
                Note::WorkerBack { of },
                Note::OutputRefused { of, values: 3 },
            ] {
                let model = ["person", "face"][usize::from(step)];
                let line = line(note);
                let expected = format!("worker more, model {model}, camera back: ");
                assert!(line.starts_with(&expected), "{line}");
                let once = matches!(note, Note::WorkerBack { .. });
                assert_eq!(line.ends_with(" (4 times so far)"), !once, "{line}");
                let fails = matches!(note, Note::NoResult { .. });
                let counted = line.contains("the frame counts as failed");
                assert_eq!(counted, fails && step == 0, "{line}");
            }
        }
    }

    #[test]
    fn a_line_about_a_camera_names_it_and_what_has_no_name_is_a_question_mark() {
        assert_eq!(
            line(Note::CameraBack { camera: 0 }),
            "camera front: frames arrive again"
        );
        let of = Inference {
            worker: 9,
            step: 9,
            camera: 9,
        };
        let line = line(Note::WorkerBack { of });
        assert!(line.starts_with("worker ?, model ?, camera ?: "), "{line}");
    }

    #[test]
    fn what_comes_with_every_frame_is_said_ever_more_rarely_and_for_each_camera() {
        let mut frequency = Frequency::new();
        let mut again = |camera| {
            let of = Inference {
                worker: 0,
                step: 0,
                camera,
            };
            let error = InferenceError::Picture;
            frequency.count(&Note::NoResult { of, error })
        };
        let times: Vec<_> = (0..1000)
            .filter_map(|_| again(3))
            .map(|Times(n)| n)
            .collect();
        assert_eq!(times, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(again(4), Some(Times(1)));
        assert_eq!(Times(1).to_string(), "");
        assert_eq!(Times(8).to_string(), " (8 times so far)");
        let back = Note::CameraBack { camera: 3 };
        assert!((0..10).all(|_| frequency.count(&back) == Some(Times(1))));
    }

    #[test]
    fn what_one_model_of_a_worker_fails_at_hides_nothing_of_another() {
        let mut frequency = Frequency::new();
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
                assert_eq!(frequency.count(&note(worker, step)), Some(Times(1)));
            }
        }
        assert_eq!(frequency.count(&note(15, 3)), Some(Times(2)));
        assert_eq!(frequency.count(&note(15, 3)), None);
    }
}
