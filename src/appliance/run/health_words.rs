//! The words of the log for what the watch finds. Nothing is allocated.

use crate::appliance::shared::camera_state::Tried;
use crate::appliance::shared::progress::Activity;
use crate::health::{Gap, GapCause, Report};
use crate::sys::thread::CoreUser;
use crate::units::{HowOften, Span};
use std::fmt::{self, Display, Formatter};

/// A thread that stands still, or did.
pub(crate) struct ThreadLine<'a> {
    pub(crate) thread: &'a str,
    pub(crate) report: Report,
    /// Since its last step.
    pub(crate) for_ns: u64,
    pub(crate) activity: Activity,
    pub(crate) camera: Option<&'a str>,
}

impl Display for ThreadLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "thread {}: ", self.thread)?;
        match self.report {
            Report::Begins | Report::Lasts { .. } => {
                let still = if self.report == Report::Begins {
                    "it stands still"
                } else {
                    "it still stands still"
                };
                write!(
                    f,
                    "{still}, for {} now: {}",
                    Span(self.for_ns),
                    self.activity.words()
                )?;
                self.camera
                    .map_or(Ok(()), |camera| write!(f, ", camera {camera}"))
            }
            Report::Ended { after_ns } => write!(f, "it goes on, {} later", Span(after_ns)),
            Report::Recurred {
                times,
                sum_ns,
                within_ns,
            } => write!(
                f,
                "it stood still {} within {}, {} in all",
                HowOften(times),
                Span(within_ns),
                Span(sum_ns)
            ),
        }
    }
}

/// A camera whose results do not come, or come again.
pub(crate) struct CameraLine<'a> {
    pub(crate) camera: &'a str,
    pub(crate) gap: Gap,
    pub(crate) bound_ns: u64,
    pub(crate) worker: &'a str,
    pub(crate) rival: Option<&'a CoreUser>,
    pub(crate) tried: Tried,
}

impl Display for CameraLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (age, bound) = (Span(self.gap.age_ns), Span(self.bound_ns));
        write!(f, "camera {}: ", self.camera)?;
        match self.gap.report {
            Report::Begins => write!(
                f,
                "no new result for {age}, more than its bound of {bound}: "
            )?,
            Report::Lasts { .. } => write!(f, "still no new result, for {age}: ")?,
            Report::Ended { .. } => write!(f, "results come again; the gap was {age}: ")?,
            Report::Recurred {
                times,
                sum_ns,
                within_ns,
            } => write!(
                f,
                "without results for more than {bound} {} within {}, {} beyond it in all; the last time: ",
                HowOften(times),
                Span(within_ns),
                Span(sum_ns)
            )?,
        }
        let worker = self.worker;
        match (self.gap.cause, self.rival) {
            (GapCause::Starved, Some(rival)) => {
                write!(f, "worker {worker} does not get its core, {rival}")
            }
            (GapCause::CaptureStarved, Some(rival)) => {
                write!(f, "{}, {rival}", GapCause::CaptureStarved.words())
            }
            (GapCause::Starved, None) => write!(f, "worker {worker} does not get its core"),
            (GapCause::Model, _) => write!(f, "the model of worker {worker} runs"),
            (GapCause::Stuck, _) => write!(f, "worker {worker} stands still"),
            (GapCause::OtherCameras, _) => write!(f, "worker {worker} infers other cameras"),
            (GapCause::CameraSilent, _) => {
                f.write_str(GapCause::CameraSilent.words())?;
                write!(f, "{}", self.tried)
            }
            (cause, _) => f.write_str(cause.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{NS_PER_MS, NS_PER_S};

    #[test]
    fn a_line_names_camera_cause_and_who_had_the_core() {
        let rival = CoreUser {
            pid: 4711,
            name: heapless::String::try_from("hog").unwrap(),
            priority: 50,
            core: 3,
        };
        let line = |report, cause| {
            CameraLine {
                camera: "front",
                gap: Gap {
                    report,
                    age_ns: 4_015 * NS_PER_MS,
                    cause,
                },
                bound_ns: 500 * NS_PER_MS,
                worker: "detector",
                rival: Some(&rival),
                tried: Tried {
                    restarts: 3,
                    ..Tried::default()
                },
            }
            .to_string()
        };
        assert_eq!(
            line(Report::Begins, GapCause::Starved),
            "camera front: no new result for 4015 ms, more than its bound of 500 ms: worker detector does not get its \
             core, hog (pid 4711, real-time priority 50) has core 3"
        );
        let silent = line(Report::Ended { after_ns: 0 }, GapCause::CameraSilent);
        assert_eq!(
            silent,
            "camera front: results come again; the gap was 4015 ms: the camera delivers no sound frames; so far 3 restarts, \
             0 reopenings, 0 port resets, 0 attempts that failed"
        );
    }

    #[test]
    fn a_thread_s_line_names_what_it_was_doing() {
        let line = ThreadLine {
            thread: "capture1",
            report: Report::Begins,
            for_ns: 3 * NS_PER_S,
            activity: Activity::DequeueBuffer,
            camera: Some("front"),
        };
        assert_eq!(
            line.to_string(),
            "thread capture1: it stands still, for 3000 ms now: taking a buffer from the driver, camera front"
        );
    }
}
