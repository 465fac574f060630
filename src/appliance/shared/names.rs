//! What the board calls its parts, and the lines of the log that name them.
//!
//! Answers for: the words of a [`Note`], and that each line about an inference names worker, model and
//! camera. Does not answer for: how often a line comes ([`Said`](crate::appliance::shared::messages::Said)).

use crate::appliance::shared::invoke_deadline::Overdue;
use crate::appliance::shared::messages::{Inference, Note, Times};
use crate::profile::Board;
use crate::units::NS_PER_MS;
use log::Level;
use std::fmt;

/// Names by index, as log lines show them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    cameras: Vec<String>,
    workers: Vec<String>,
    /// Models by their place in the profile.
    models: Vec<String>,
    /// Labels of each model.
    labels: Vec<Vec<String>>,
    /// Places of each worker's models: its own, then the further ones.
    chains: Vec<Vec<usize>>,
}

impl Names {
    /// Those of a board.
    pub(crate) fn of(board: &Board) -> Self {
        Self {
            cameras: board.cameras.iter().map(|c| c.name.clone()).collect(),
            workers: board.workers.iter().map(|w| w.name.clone()).collect(),
            models: board.models.iter().map(|m| m.name.clone()).collect(),
            labels: board.models.iter().map(|m| m.labels.clone()).collect(),
            chains: board
                .workers
                .iter()
                .map(|worker| board.models_of(worker).map(|(model, _)| model).collect())
                .collect(),
        }
    }

    pub(crate) fn camera(&self, index: u16) -> &str {
        named(&self.cameras, usize::from(index))
    }

    pub(crate) fn model(&self, index: u16) -> &str {
        named(&self.models, usize::from(index))
    }

    pub(crate) fn labels(&self, model: u16) -> &[String] {
        self.labels
            .get(usize::from(model))
            .map_or(&[], Vec::as_slice)
    }

    fn worker(&self, index: u16) -> &str {
        named(&self.workers, usize::from(index))
    }

    /// The model that is the `step`-th of a worker's.
    fn model_at(&self, worker: u16, step: u16) -> &str {
        let chain = self.chains.get(usize::from(worker));
        let model = chain.and_then(|chain| chain.get(usize::from(step)));
        model.map_or("?", |model| named(&self.models, *model))
    }

    /// Says that a model runs past its deadline.
    pub(crate) fn log_overdue(&self, overdue: Overdue) {
        log::error!(
            "worker {}, model {}: it has run for {} ms on a frame of camera {}, and invoke-deadline-ms is {}; {}, \
             and the worker is waited for",
            self.worker(overdue.worker),
            self.model_at(overdue.worker, overdue.step),
            overdue.ran_ns / NS_PER_MS,
            self.camera(overdue.camera),
            overdue.deadline_ns / NS_PER_MS,
            if overdue.step == 0 {
                "the frame counts as refused"
            } else {
                "it gives no result of that frame"
            }
        );
    }

    /// Says a note.
    pub(crate) fn log(&self, note: Note, times: Times) {
        let names = self;
        log::log!(level(&note), "{}", Line { names, note, times });
    }
}

fn named(names: &[String], index: usize) -> &str {
    names.get(index).map_or("?", String::as_str)
}

const fn level(note: &Note) -> Level {
    match note {
        Note::CameraBack { .. } | Note::CameraEnded { .. } => Level::Info,
        Note::CameraTrouble { .. }
        | Note::CameraSlow { .. }
        | Note::FrameSpoilt { .. }
        | Note::WorkerBack { .. }
        | Note::OutputRefused { .. } => Level::Warn,
        Note::HeaderTorn { .. }
        | Note::InferenceFailed { .. }
        | Note::FurtherFailed { .. }
        | Note::ArenaExhausted { .. }
        | Note::PreprocessFailed { .. } => Level::Error,
    }
}

/// A note in words, written where it goes: nothing is allocated.
struct Line<'a> {
    names: &'a Names,
    note: Note,
    times: Times,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { names, times, .. } = self;
        match self.note {
            Note::CameraTrouble { camera, .. }
            | Note::CameraBack { camera }
            | Note::CameraSlow { camera, .. }
            | Note::CameraEnded { camera }
            | Note::HeaderTorn { camera, .. }
            | Note::FrameSpoilt { camera, .. } => write!(f, "camera {}: ", names.camera(camera))?,
            Note::InferenceFailed { of, .. }
            | Note::FurtherFailed { of, .. }
            | Note::ArenaExhausted { of }
            | Note::PreprocessFailed { of }
            | Note::WorkerBack { of }
            | Note::OutputRefused { of, .. } => {
                let Inference {
                    worker,
                    step,
                    camera,
                } = of;
                let (model, camera) = (names.model_at(worker, step), names.camera(camera));
                write!(
                    f,
                    "worker {}, model {model}, camera {camera}: ",
                    names.worker(worker)
                )?;
            }
        }
        match self.note {
            Note::CameraTrouble { trouble, .. } => write!(f, "{trouble}; trying until it is back"),
            Note::CameraBack { .. } => f.write_str("frames arrive again"),
            Note::CameraSlow { slow, .. } => write!(f, "{slow}"),
            Note::CameraEnded { .. } => f.write_str("its stream has ended"),
            Note::HeaderTorn { sequence, .. } => write!(
                f,
                "header of frame {sequence} does not match its CRC; the frame counts as damaged{times}"
            ),
            Note::FrameSpoilt { damage, .. } => write!(f, "a damaged frame: {damage}{times}"),
            Note::InferenceFailed { error, .. } => {
                write!(f, "{error}; the frame counts as failed{times}")
            }
            Note::FurtherFailed { error, .. } => {
                write!(f, "{error}; it gives no result of that frame{times}")
            }
            Note::ArenaExhausted { .. } => write!(
                f,
                "the model or a decoder asked malloc for more than its arena has; raise malloc-arena-kib{times}"
            ),
            Note::PreprocessFailed { .. } => {
                write!(f, "a frame is shorter than its format says{times}")
            }
            Note::WorkerBack { .. } => {
                f.write_str("it has returned, and the worker judges frames again")
            }
            Note::OutputRefused { values, .. } => write!(
                f,
                "{values} values or boxes that cannot be (NaN, infinite, no area in the picture) were left out{times}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Names};
    use crate::appliance::shared::messages::{Inference, Note, Times};
    use crate::appliance::threads::inference::cascade::FurtherError;
    use crate::infer::EngineError;

    fn names() -> Names {
        Names {
            cameras: vec!["front".into(), "back".into()],
            workers: vec!["eyes".into(), "more".into()],
            models: vec!["person".into(), "face".into()],
            labels: Vec::new(),
            // The second worker looks for faces in persons.
            chains: vec![vec![1], vec![0, 1]],
        }
    }

    fn line(note: Note) -> String {
        let (names, times) = (&names(), Times(4));
        Line { names, note, times }.to_string()
    }

    #[test]
    fn a_line_about_an_inference_names_worker_model_and_camera() {
        let of = Inference {
            worker: 1,
            step: 0,
            camera: 1,
        };
        let further = Inference { step: 1, ..of };
        let error = EngineError::Invoke;
        let further_error = FurtherError::Arena;
        for (note, step) in [
            (Note::InferenceFailed { of, error }, 0),
            (Note::ArenaExhausted { of }, 0),
            (Note::PreprocessFailed { of }, 0),
            (Note::WorkerBack { of }, 0),
            (Note::WorkerBack { of: further }, 1),
            (Note::OutputRefused { of, values: 3 }, 0),
            (
                Note::OutputRefused {
                    of: further,
                    values: 3,
                },
                1,
            ),
            (
                Note::FurtherFailed {
                    of: further,
                    error: further_error,
                },
                1,
            ),
        ] {
            let model = ["person", "face"][step];
            let line = line(note);
            let expected = format!("worker more, model {model}, camera back: ");
            assert!(line.starts_with(&expected), "{line}");
            let once = matches!(note, Note::WorkerBack { .. });
            assert_eq!(line.ends_with(" (4 times so far)"), !once, "{line}");
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
}
