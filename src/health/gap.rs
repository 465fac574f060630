//! The gap between results of one camera: its age of information (AoI) against a bound, with the cause of the gap. Pure.
//!
//! A ring that keeps the newest frame is blind to a stall: the frames of those seconds are evicted, and the first result
//! after it is young. So the age of what is known is looked at while time passes, and not when a result comes.

use super::episode::{Episode, Report};

/// Why results of a camera do not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// The whole program did not run: it was stopped, or the machine was.
    Suspended,
    /// The camera's capture thread stands still.
    CaptureStuck,
    /// The camera's capture thread is runnable and does not get its core.
    CaptureStarved,
    /// The camera is missing or delivers no frame.
    CameraSilent,
    /// Its stream is over, as a file's is.
    StreamEnded,
    /// The profile's `max-rate-hz` or `duty-cycle-ms` lets no frame through.
    Allowance,
    /// A worker has a frame, and its model runs.
    Model,
    /// Frames wait, and the worker's thread is runnable and does not get its core.
    Starved,
    /// Frames wait, and the worker's thread stands still.
    Stuck,
    /// Frames wait, the worker infers other cameras.
    OtherCameras,
    /// Frames come and end in another column than inferred.
    FramesLost,
    /// None of these.
    Unknown,
}

impl GapCause {
    /// As the proof's JSON names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::CaptureStuck => "capture_stuck",
            Self::CaptureStarved => "capture_starved",
            Self::CameraSilent => "camera_silent",
            Self::StreamEnded => "stream_ended",
            Self::Allowance => "allowance",
            Self::Model => "model",
            Self::Starved => "starved",
            Self::Stuck => "stuck",
            Self::OtherCameras => "other_cameras",
            Self::FramesLost => "frames_lost",
            Self::Unknown => "unknown",
        }
    }

    /// In words, for the log and the proof.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Suspended => "the whole program did not run: it was stopped, or the machine was",
            Self::CaptureStuck => "its capture thread stands still",
            Self::CaptureStarved => "its capture thread does not get its core",
            Self::CameraSilent => "the camera delivers no sound frames",
            Self::StreamEnded => "its stream has ended",
            Self::Allowance => "max-rate-hz or duty-cycle-ms",
            Self::Model => "the model runs",
            Self::Starved => "the worker does not get its core",
            Self::Stuck => "the worker stands still",
            Self::OtherCameras => "the worker infers other cameras",
            Self::FramesLost => "its frames are corrupt, stale, or have no buffer",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of a camera and of those who infer it, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct CameraView {
    /// When its newest inferred frame was captured; 0 for none.
    pub known_ns: u64,
    /// When its newest frame was captured; 0 for none.
    pub newest_ns: u64,
    /// Its stream is over.
    pub has_ended: bool,
    /// Its allowance lets no frame through before this time; 0 without an allowance.
    pub due_ns: u64,
    /// Looks that were missed since the last one, because the whole program did not run.
    pub missed_looks: u32,
    /// Its capture thread stands still.
    pub is_capture_stuck: bool,
    /// Its capture thread is runnable and not running.
    pub is_capture_starved: bool,
    /// One of its workers runs a model on one of its frames.
    pub is_inferred: bool,
    /// One of its workers is runnable and not running.
    pub is_starved: bool,
    /// One of its workers stands still.
    pub is_stuck: bool,
    /// One of its workers has given a result of another camera since the last look.
    pub serves_others: bool,
}

impl CameraView {
    fn cause(&self, now_ns: u64, bound_ns: u64) -> GapCause {
        let newest_age_ns = now_ns.saturating_sub(self.newest_ns);
        // Nothing newer than what is known has come, or nothing young.
        let is_silent = self.newest_ns <= self.known_ns || newest_age_ns > bound_ns;
        if self.has_ended {
            GapCause::StreamEnded
        } else if is_silent && self.is_capture_starved {
            GapCause::CaptureStarved
        } else if is_silent && self.is_capture_stuck {
            GapCause::CaptureStuck
        } else if is_silent {
            GapCause::CameraSilent
        } else if self.due_ns > now_ns {
            GapCause::Allowance
        } else if self.is_starved {
            GapCause::Starved
        } else if self.is_inferred {
            GapCause::Model
        } else if self.is_stuck {
            GapCause::Stuck
        } else if self.serves_others {
            GapCause::OtherCameras
        } else if self.newest_ns > self.known_ns {
            GapCause::FramesLost
        } else {
            GapCause::Unknown
        }
    }
}

/// What is to be reported of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Begins, lasts, recurred or ended.
    pub report: Report,
    /// The age of information now, or at its greatest where the gap has ended.
    pub age_ns: u64,
    /// What caused most of it so far.
    pub cause: GapCause,
}

/// The watch over one camera's gaps.
#[derive(Clone, Debug)]
pub struct GapWatch {
    bound_ns: u64,
    began_ns: u64,
    episode: Episode,
    known_ns: u64,
    age_ns: u64,
    /// Looks by cause since the age began to grow.
    causes: [u32; CAUSES.len()],
    is_above: bool,
    /// Of the last gap that is over.
    last_cause: GapCause,
    /// Gaps by cause.
    by_cause: [u64; CAUSES.len()],
    /// Greatest age of the whole run, and its cause.
    worst: (u64, GapCause),
}

const CAUSES: [GapCause; 12] = [
    GapCause::Suspended,
    GapCause::CaptureStuck,
    GapCause::CaptureStarved,
    GapCause::CameraSilent,
    GapCause::StreamEnded,
    GapCause::Allowance,
    GapCause::Model,
    GapCause::Starved,
    GapCause::Stuck,
    GapCause::OtherCameras,
    GapCause::FramesLost,
    GapCause::Unknown,
];

impl GapWatch {
    /// A watch that has not begun; an age above `bound_ns` is a gap.
    #[must_use]
    pub const fn new(bound_ns: u64) -> Self {
        Self {
            bound_ns,
            began_ns: 0,
            episode: Episode::new(),
            known_ns: 0,
            age_ns: 0,
            causes: [0; CAUSES.len()],
            is_above: false,
            last_cause: GapCause::Unknown,
            by_cause: [0; CAUSES.len()],
            worst: (0, GapCause::Unknown),
        }
    }

    /// The watch begins: nothing was known before.
    pub const fn begin(&mut self, now_ns: u64) {
        self.began_ns = now_ns;
    }

    /// Looks at the camera at `now_ns`.
    pub fn look(&mut self, now_ns: u64, camera: &CameraView) -> Option<Gap> {
        let age_ns = self.age_ns(now_ns, camera.known_ns);
        // `Suspended` is the first one.
        self.causes[0] += camera.missed_looks;
        if camera.known_ns != self.known_ns {
            // A result came. What follows is another gap, unless its frame is as old as one.
            let report = self.report(now_ns, age_ns);
            self.known_ns = camera.known_ns;
            if !self.is_above {
                self.age_ns = age_ns;
                self.causes = [0; CAUSES.len()];
            }
            return report;
        }
        self.age_ns = age_ns;
        let cause = camera.cause(now_ns, self.bound_ns);
        let place = CAUSES.iter().position(|each| *each == cause);
        self.causes[place.unwrap_or(CAUSES.len() - 1)] += 1;
        if age_ns > self.worst.0 {
            self.worst = (age_ns, self.cause());
        }
        self.report(now_ns, age_ns)
    }

    /// The age of information now, of a camera whose newest inferred frame was captured at `known_ns`.
    #[must_use]
    pub fn age_ns(&self, now_ns: u64, known_ns: u64) -> u64 {
        now_ns.saturating_sub(known_ns.max(self.began_ns))
    }

    /// The watch is over: what was not reported yet.
    pub fn end(&mut self, now_ns: u64) -> Option<Gap> {
        Some(Gap {
            report: self.episode.end(now_ns)?,
            age_ns: self.worst.0,
            cause: self.last_cause,
        })
    }

    /// An age above this is a gap.
    #[must_use]
    pub const fn bound_ns(&self) -> u64 {
        self.bound_ns
    }

    /// Greatest age that was seen, and what caused most of it.
    #[must_use]
    pub const fn worst(&self) -> (u64, GapCause) {
        self.worst
    }

    /// How many gaps there were.
    #[must_use]
    pub const fn times(&self) -> u64 {
        self.episode.times()
    }

    /// A gap lasts.
    #[must_use]
    pub const fn is_above(&self) -> bool {
        self.is_above
    }

    /// How many gaps each cause had; one that lasts counts for its cause so far.
    pub fn by_cause(&self) -> impl Iterator<Item = (GapCause, u64)> {
        let lasting = self.is_above.then(|| self.cause());
        let counts = CAUSES.into_iter().zip(self.by_cause);
        counts
            .map(move |(cause, count)| (cause, count + u64::from(lasting == Some(cause))))
            .filter(|(_, count)| *count > 0)
    }

    fn report(&mut self, now_ns: u64, age_ns: u64) -> Option<Gap> {
        let is_above = age_ns > self.bound_ns;
        if self.is_above && !is_above {
            let cause = self.cause();
            self.last_cause = cause;
            if let Some(place) = CAUSES.iter().position(|each| *each == cause) {
                self.by_cause[place] += 1;
            }
        }
        self.is_above = is_above;
        let report = self.episode.look(now_ns, is_above)?;
        let sums_up = matches!(report, Report::Recurred { .. });
        Some(Gap {
            report,
            age_ns: self.age_ns.max(age_ns),
            cause: if sums_up && !is_above {
                self.last_cause
            } else {
                self.cause()
            },
        })
    }

    /// What was seen most often since the age began to grow; the earlier of `CAUSES` where two are equal.
    fn cause(&self) -> GapCause {
        let most = self.causes.iter().copied().max().unwrap_or(0);
        let place = self
            .causes
            .iter()
            .position(|looks| *looks == most && most > 0);
        place.map_or(GapCause::Unknown, |place| CAUSES[place])
    }
}

/// The bound where the profile has none: three times what a fair scheduler needs, and at least half a second. A fair turn
/// is the time in which one worker serves its cameras by their shares, or a frame interval where that is longer. From one
/// result to the next it takes a turn and an interval at most, and a result is at most about a turn old when it comes.
#[must_use]
pub fn gap_bound_ns(interval_ns: u64, services_ns: u64) -> u64 {
    let turn_ns = services_ns.max(interval_ns);
    let fair_ns = turn_ns.saturating_mul(2).saturating_add(interval_ns);
    fair_ns.saturating_mul(3).max(500_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A camera whose frames come each 33 ms; results follow except while `stalled(ms)`.
    fn run(
        until_ms: u64,
        cause: impl Fn(u64, &mut CameraView),
        stalled: impl Fn(u64) -> bool,
    ) -> (Vec<Gap>, GapWatch) {
        let mut watch = GapWatch::new(500 * MS);
        let mut camera = CameraView::default();
        let mut gaps = Vec::new();
        for ms in (0..until_ms).step_by(50) {
            camera.newest_ns = ms * MS;
            if !stalled(ms) {
                camera.known_ns = ms.saturating_sub(10) * MS;
            }
            cause(ms, &mut camera);
            gaps.extend(watch.look(ms * MS, &camera));
        }
        (gaps, watch)
    }

    #[test]
    fn a_worker_that_is_starved_for_four_seconds_is_reported_when_it_begins_and_when_it_ends() {
        let stalled = |ms| (1000..5000).contains(&ms);
        let (gaps, watch) = run(
            10_000,
            |ms, camera| camera.is_starved = stalled(ms),
            stalled,
        );
        assert_eq!(gaps.len(), 2, "{gaps:?}");
        assert_eq!(
            (gaps[0].report, gaps[0].cause),
            (Report::Begins, GapCause::Starved)
        );
        assert!(matches!(gaps[1].report, Report::Ended { .. }), "{gaps:?}");
        assert_eq!(gaps[1].cause, GapCause::Starved);
        assert_eq!(gaps[1].age_ns, 4010 * MS);
        assert_eq!(watch.worst(), (4010 * MS, GapCause::Starved));
        assert_eq!(
            watch.by_cause().collect::<Vec<_>>(),
            [(GapCause::Starved, 1)]
        );
    }

    #[test]
    fn a_sum_of_gaps_names_the_cause_of_the_last_one() {
        // A gap each two seconds, and none any more at the end.
        let stalled = |ms: u64| ms < 60_000 && ms % 2000 >= 1000;
        let (gaps, _) = run(
            90_000,
            |ms, camera| camera.is_starved = stalled(ms),
            stalled,
        );
        let sums = gaps
            .iter()
            .filter(|gap| matches!(gap.report, Report::Recurred { .. }));
        let causes: Vec<_> = sums.map(|gap| gap.cause).collect();
        assert!(!causes.is_empty());
        assert!(
            causes.iter().all(|cause| *cause == GapCause::Starved),
            "{causes:?}"
        );
    }

    #[test]
    fn a_program_that_was_stopped_blames_no_camera() {
        let (gaps, _) = run(
            10_000,
            |ms, camera| {
                if ms == 5000 {
                    camera.missed_looks = 60;
                } else {
                    camera.missed_looks = 0;
                }
            },
            |ms| (2000..5500).contains(&ms) && !(2000..4950).contains(&ms),
        );
        assert!(
            gaps.iter().all(|gap| gap.cause == GapCause::Suspended),
            "{gaps:?}"
        );
        assert!(!gaps.is_empty());
    }

    #[test]
    fn an_old_frame_s_result_does_not_end_a_gap_nor_hide_its_cause() {
        let mut watch = GapWatch::new(500 * MS);
        let at = |newest: u64, known: u64, is_starved| CameraView {
            newest_ns: newest * MS,
            known_ns: known * MS,
            is_starved,
            ..CameraView::default()
        };
        assert!(watch.look(1000 * MS, &at(990, 980, false)).is_none());
        assert!(watch.look(4000 * MS, &at(3990, 980, true)).is_some());
        // The frame that was held while nothing ran, then a new one.
        assert!(watch.look(4050 * MS, &at(3990, 1010, false)).is_none());
        let gap = watch.look(4100 * MS, &at(4090, 4080, false)).unwrap();
        assert_eq!(gap.cause, GapCause::Starved);
        assert_eq!(
            watch.by_cause().collect::<Vec<_>>(),
            [(GapCause::Starved, 1)]
        );
    }

    #[test]
    fn results_that_come_are_no_gap() {
        let (gaps, watch) = run(60_000, |_, _| {}, |_| false);
        assert_eq!((gaps, watch.times()), (Vec::new(), 0));
    }

    #[test]
    fn each_cause_is_told_from_the_others() {
        let sound = CameraView {
            known_ns: 1,
            newest_ns: 1000 * MS,
            ..CameraView::default()
        };
        let cause = |change: fn(&mut CameraView)| {
            let mut camera = sound;
            change(&mut camera);
            camera.cause(1000 * MS, 500 * MS)
        };
        type Change = fn(&mut CameraView);
        let causes: [(Change, GapCause); 13] = [
            (|camera| camera.newest_ns = 0, GapCause::CameraSilent),
            (
                |camera| camera.known_ns = camera.newest_ns,
                GapCause::CameraSilent,
            ),
            (
                |camera| (camera.newest_ns, camera.is_starved) = (400 * MS, true),
                GapCause::CameraSilent,
            ),
            (
                |camera| (camera.newest_ns, camera.is_capture_stuck) = (0, true),
                GapCause::CaptureStuck,
            ),
            (
                |camera| (camera.newest_ns, camera.is_capture_starved) = (0, true),
                GapCause::CaptureStarved,
            ),
            (
                |camera| (camera.newest_ns, camera.has_ended) = (0, true),
                GapCause::StreamEnded,
            ),
            (|camera| camera.due_ns = 1001 * MS, GapCause::Allowance),
            (|camera| camera.is_inferred = true, GapCause::Model),
            (
                |camera| (camera.is_inferred, camera.is_starved) = (true, true),
                GapCause::Starved,
            ),
            (|camera| camera.is_stuck = true, GapCause::Stuck),
            (|camera| camera.serves_others = true, GapCause::OtherCameras),
            // A capture thread that waits in vain for its core is no matter where frames have come.
            (
                |camera| camera.is_capture_starved = true,
                GapCause::FramesLost,
            ),
            (|_| {}, GapCause::FramesLost),
        ];
        for (index, (change, expected)) in causes.into_iter().enumerate() {
            assert_eq!(cause(change), expected, "{index}");
        }
    }

    #[test]
    fn the_derived_bound_grows_with_services_and_intervals() {
        assert_eq!(gap_bound_ns(33 * MS, 2 * MS), 500 * MS);
        assert_eq!(gap_bound_ns(33 * MS, 400 * MS), 3 * 833 * MS);
        assert_eq!(gap_bound_ns(1000 * MS, 400 * MS), 9000 * MS);
    }
}
