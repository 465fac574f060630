//! The lines of the log about cameras in trouble: when it begins, ever more rarely while it lasts, with what was tried,
//! when it ends; a camera that comes and goes is summed up.

use crate::appliance::shared::camera_state::{CameraStates, Tried};
use crate::appliance::shared::names::Names;
use crate::capture::health::supervisor::Trouble;
use crate::health::{Episode, Report};
use crate::limits::MAX_CAMERAS;
use crate::units::{HowOften, NS_PER_MS, Span};
use log::Level;
use std::fmt::{self, Display, Formatter};

/// One camera's.
#[derive(Clone, Copy, Default)]
struct Camera {
    episode: Episode,
    /// The one that it is in, or was in last.
    trouble: Option<Trouble>,
    is_in_trouble: bool,
}

/// Every camera's trouble, as far as notes have told.
pub(crate) struct CameraTroubles(Box<[Camera]>);

impl CameraTroubles {
    /// None is in trouble.
    pub(crate) fn new() -> Self {
        Self([Camera::default(); MAX_CAMERAS].into())
    }

    /// A camera is in this trouble, or well again.
    pub(crate) fn note(&mut self, names: &Names, now_ns: u64, camera: u16, now: Option<Trouble>) {
        let Some(state) = self.0.get_mut(usize::from(camera)) else {
            return;
        };
        state.is_in_trouble = now.is_some();
        state.trouble = now.or(state.trouble);
        state.look(names.camera(camera), now_ns, Tried::default());
    }

    /// Looks at every camera: a trouble that lasts comes back.
    pub(crate) fn tick(&mut self, names: &Names, now_ns: u64, cameras: &CameraStates) {
        let cameras = self.0.iter_mut().zip(&names.cameras).zip(cameras.iter());
        for ((state, name), camera) in cameras {
            let tried = camera.tried();
            // A note that found no room is not needed for this.
            state.is_in_trouble &= tried.trouble.is_some();
            state.look(name, now_ns, tried);
        }
    }

    /// The watch is over: what had no line of its own is summed up.
    pub(crate) fn end(&mut self, names: &Names, now_ns: u64, cameras: &CameraStates) {
        let cameras = self.0.iter_mut().zip(&names.cameras).zip(cameras.iter());
        for ((state, name), camera) in cameras {
            if let Some(report) = state.episode.end(now_ns) {
                state.say(name, report, camera.tried());
            }
        }
    }
}

impl Camera {
    fn look(&mut self, name: &str, now_ns: u64, tried: Tried) {
        if let Some(report) = self.episode.look(now_ns, self.is_in_trouble) {
            self.say(name, report, tried);
        }
    }

    fn say(&self, name: &str, report: Report, tried: Tried) {
        let level = match report {
            Report::Ended { .. } => Level::Info,
            _ => Level::Warn,
        };
        let line = Line {
            name,
            report,
            trouble: self.trouble,
            tried,
        };
        log::log!(level, "{line}");
    }
}

struct Line<'a> {
    name: &'a str,
    report: Report,
    trouble: Option<Trouble>,
    tried: Tried,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "camera {}: ", self.name)?;
        let trouble = |f: &mut Formatter<'_>| match self.trouble {
            Some(trouble) => trouble.fmt(f),
            None => f.write_str("it gives no frames"),
        };
        match self.report {
            Report::Begins => {
                trouble(f)?;
                f.write_str("; trying until it is back")
            }
            Report::Lasts { for_ns } => {
                trouble(f)?;
                write!(f, "; for {} now{}", Span(for_ns), self.tried)
            }
            Report::Ended { after_ns } => {
                f.write_str("frames arrive again")?;
                match after_ns {
                    // The two notes came together.
                    0..NS_PER_MS => Ok(()),
                    _ => write!(f, ", {} later", Span(after_ns)),
                }
            }
            Report::Recurred {
                times,
                sum_ns,
                within_ns,
            } => {
                write!(
                    f,
                    "in trouble {} within {}, {} in all; the last time: ",
                    HowOften(times),
                    Span(within_ns),
                    Span(sum_ns)
                )?;
                trouble(f)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NS_PER_S;

    #[test]
    fn a_line_says_what_was_tried_and_a_camera_that_flaps_is_summed_up() {
        let line = |report| {
            let tried = Tried {
                restarts: 3,
                reopens: 12,
                resets: 2,
                failed_attempts: 9,
                trouble: None,
            };
            let trouble = Some(Trouble::Gone);
            let name = "front";
            Line {
                name,
                report,
                trouble,
                tried,
            }
            .to_string()
        };
        let gone = "camera front: the device is gone: a loose cable, or it restarted itself";
        assert_eq!(
            line(Report::Begins),
            format!("{gone}; trying until it is back")
        );
        assert_eq!(
            line(Report::Lasts {
                for_ns: 3_600 * NS_PER_S
            }),
            format!(
                "{gone}; for 60 min now; so far 3 restarts, 12 reopenings, 2 port resets, 9 attempts that failed"
            )
        );
        let recurred = Report::Recurred {
            times: 41,
            sum_ns: 12 * NS_PER_S,
            within_ns: 60 * NS_PER_S,
        };
        let line = line(recurred);
        assert!(
            line.starts_with("camera front: in trouble 41 times within 60 s, 12 s in all;"),
            "{line}"
        );
    }
}
