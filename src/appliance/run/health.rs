//! The watch over a running board, from a thread that does nothing else: which thread stands still, and which camera is
//! without results for too long, and why.
//!
//! Answers for: every line of the log about it, and the account for the proof. Does not answer for: when a gap or a
//! standstill becomes a trouble (`crate::health`). Allocates nothing after [`Health::new`].

use super::health_words::{CameraLine, ThreadLine};
use crate::appliance::report::gaps::{CameraGaps, Standstills};
use crate::appliance::shared::common::Common;
use crate::appliance::shared::progress::{Activity, ThreadProgress};
use crate::appliance::start::started::Started;
use crate::appliance::threads::disk::disk::DiskCounters;
use crate::appliance::threads::housekeeping::housekeeping::Counters;
use crate::appliance::threads::output::state::OutputState;
use crate::health::{CameraView, Gap, GapCause, GapWatch, Report, ThreadWatch, gap_bound_ns};
use crate::infer::Share;
use crate::profile::{Board, Camera};
use crate::sync::Arc;
use crate::sys::cpu::core_set::CoreSet;
use crate::sys::thread::{CoreSample, CoreUse, CoreUser, ThreadPlaced};
use crate::units::{NS_PER_MS, NS_PER_S};
use log::Level;
use std::collections::BTreeMap;

/// A thread that could run and had less than this share of the time is in line for its core.
const STARVED_SHARE: u64 = 4;

/// A call that takes longer is what keeps frames from coming.
const HANGS_NS: u64 = 200 * NS_PER_MS;

/// Longest time between two looks.
pub(crate) const LOOK_NS: u64 = 50 * NS_PER_MS;
/// A look that comes so late was kept from coming by what stopped the whole program.
const SUSPENDED_NS: u64 = 500 * NS_PER_MS;

/// Whose progress it is.
enum Kind {
    Capture(Arc<ThreadProgress>),
    Worker(usize),
    Housekeeping(Arc<Counters>),
    Disk(Arc<DiskCounters>),
    Output(Arc<OutputState>),
}

/// One thread.
struct Thread {
    name: String,
    cores: CoreSet,
    kind: Kind,
    watch: ThreadWatch,
    /// One step may take so long: an inference has its deadline.
    may_take_ns: u64,
    core_use: Option<CoreUse>,
    last: Option<(u64, CoreSample)>,
    /// Steps at the last look at the cameras.
    steps: u64,
    /// It has made a step since the look before.
    has_moved: bool,
    /// It is in line for its core, where that was asked for in this look.
    starved: Option<bool>,
}

/// One camera.
struct CameraWatch {
    watch: GapWatch,
    /// Places of the threads of its workers.
    workers: Vec<usize>,
    /// Place of its capture thread.
    capture: Option<usize>,
    /// Who had the core of one of its workers when that was looked for last.
    rival: Option<CoreUser>,
}

/// The watch over one run.
pub(crate) struct Health {
    common: Common,
    threads: Vec<Thread>,
    cameras: Vec<CameraWatch>,
    hang_exit_ns: u64,
    looked_ns: u64,
    /// The thread that ends the run by standing still.
    hung: Option<String>,
}

impl Thread {
    fn new(placed: &ThreadPlaced, kind: Kind) -> Self {
        Self {
            name: placed.name.clone(),
            cores: placed.cores,
            kind,
            watch: ThreadWatch::default(),
            may_take_ns: 0,
            core_use: CoreUse::open(placed.tid).ok(),
            last: None,
            steps: 0,
            has_moved: false,
            starved: None,
        }
    }

    fn progress<'a>(&'a self, common: &'a Common) -> &'a ThreadProgress {
        match &self.kind {
            Kind::Capture(progress) => progress,
            Kind::Worker(index) => &common.workers[*index].progress,
            Kind::Housekeeping(counters) => &counters.progress,
            Kind::Disk(counters) => &counters.progress,
            Kind::Output(state) => &state.progress,
        }
    }

    /// Without it no result is made or used. A disk or an output that stands still costs its own lines.
    const fn is_needed(&self) -> bool {
        matches!(
            self.kind,
            Kind::Capture(_) | Kind::Worker(_) | Kind::Housekeeping(_)
        )
    }

    /// It has made no step for longer than any wait takes, and does not wait.
    fn hangs(&self, now_ns: u64, activity: Activity) -> bool {
        activity != Activity::Waiting && self.watch.standstill_ns(now_ns) > HANGS_NS
    }

    /// Since the last look it could run and did not.
    fn is_starved(&mut self, now_ns: u64) -> bool {
        let sample = self.core_use.as_ref().and_then(CoreUse::sample);
        let Some(sample) = sample else {
            return false;
        };
        let before = self.last.replace((now_ns, sample));
        before.is_some_and(|(before_ns, before)| {
            let ran_ns = sample.ran_ns.saturating_sub(before.ran_ns);
            sample.is_runnable && ran_ns < now_ns.saturating_sub(before_ns) / STARVED_SHARE
        })
    }
}

impl CameraWatch {
    /// The line about a gap of this camera, the `number`-th.
    fn line<'a>(
        &'a self,
        number: u16,
        gap: Gap,
        common: &'a Common,
        threads: &'a [Thread],
    ) -> CameraLine<'a> {
        let worker = self.workers.first();
        CameraLine {
            camera: common.names.camera(number),
            gap,
            bound_ns: self.watch.bound_ns(),
            worker: worker.map_or("?", |place| &threads[*place].name),
            rival: self.rival.as_ref(),
            tried: common.cameras[usize::from(number)].tried(),
        }
    }
}

impl Health {
    /// Over a board that is about to be watched.
    pub(crate) fn new(run: &Started) -> Self {
        let board = &run.fitted.board;
        let mut threads = Vec::new();
        let mut workers = Vec::new();
        for (index, spawned) in run.threads.inference.iter().enumerate() {
            let mut thread = Thread::new(&spawned.placed, Kind::Worker(index));
            let models = board.models_of(&board.workers[index]);
            let deadlines = models.map(|(_, model)| model.invoke_deadline_ms * NS_PER_MS);
            thread.may_take_ns = deadlines.max().unwrap_or(0);
            workers.push(threads.len());
            threads.push(thread);
        }
        let mut captures = BTreeMap::new();
        for capture in &run.threads.capture {
            captures.insert(capture.core, threads.len());
            let kind = Kind::Capture(Arc::clone(&capture.progress));
            threads.push(Thread::new(&capture.thread.placed, kind));
        }
        if let Some(spawned) = &run.threads.housekeeping {
            let kind = Kind::Housekeeping(Arc::clone(&run.counters));
            threads.push(Thread::new(&spawned.placed, kind));
        }
        for (spawned, state) in run.threads.outputs.iter().zip(&run.outputs) {
            let kind = Kind::Output(Arc::clone(state));
            threads.push(Thread::new(&spawned.placed, kind));
        }
        if let (Some(spawned), Some(disk)) = (&run.threads.disk, &run.disk) {
            let kind = Kind::Disk(Arc::clone(disk));
            threads.push(Thread::new(&spawned.placed, kind));
        }
        let cameras = board.cameras.iter().zip(&run.cameras);
        let cameras = cameras.map(|(camera, account)| {
            let bound_ns = bound_ns(board, &run.common, camera, account.interval_ns);
            let its = board.workers.iter().zip(&workers);
            CameraWatch {
                watch: GapWatch::new(bound_ns),
                workers: its
                    .filter(|(worker, _)| worker.processes(&camera.name))
                    .map(|(_, place)| *place)
                    .collect(),
                capture: captures.get(&camera.capture_core).copied(),
                rival: None,
            }
        });
        Self {
            common: run.common.clone(),
            cameras: cameras.collect(),
            threads,
            hang_exit_ns: board.health.hang_exit_ms * NS_PER_MS,
            looked_ns: 0,
            hung: None,
        }
    }

    /// The watch begins.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.looked_ns = now_ns;
        for camera in &mut self.cameras {
            camera.watch.begin(now_ns);
        }
    }

    /// Looks at every thread and every camera.
    pub(crate) fn look(&mut self, now_ns: u64) {
        let since_ns = now_ns.saturating_sub(std::mem::replace(&mut self.looked_ns, now_ns));
        // This thread waits for nothing but time.
        let missed = if since_ns > SUSPENDED_NS {
            u32::try_from(since_ns / LOOK_NS).unwrap_or(u32::MAX)
        } else {
            0
        };
        self.look_at_threads(now_ns);
        self.look_at_cameras(now_ns, missed);
    }

    /// The watch is over: what was not said yet is summed up.
    pub(crate) fn end(&mut self, now_ns: u64) {
        for (camera, state) in (0_u16..).zip(&mut self.cameras) {
            let Some(gap) = state.watch.end(now_ns) else {
                continue;
            };
            let line = state.line(camera, gap, &self.common, &self.threads);
            log::warn!("{line}");
        }
    }

    /// A thread that no result comes without stands still: the service manager is not told that all is well.
    pub(crate) fn is_troubled(&self) -> bool {
        let mut needed = self.threads.iter().filter(|thread| thread.is_needed());
        needed.any(|thread| thread.watch.is_troubled())
    }

    /// The thread that has stood still for `hang-exit-ms`.
    pub(crate) fn hung(&self) -> Option<&str> {
        self.hung.as_deref()
    }

    fn look_at_threads(&mut self, now_ns: u64) {
        for thread in &mut self.threads {
            let (steps, activity, camera) = thread.progress(&self.common).seen();
            let line = |report, for_ns| ThreadLine {
                thread: &thread.name,
                report,
                for_ns,
                activity,
                camera: activity
                    .is_of_a_camera()
                    .then(|| self.common.names.camera(camera)),
            };
            if let Some(seen) = thread.watch.look(now_ns, steps, thread.may_take_ns) {
                log::log!(
                    level(seen.report, Level::Error),
                    "{}",
                    line(seen.report, seen.for_ns)
                );
            }
            let for_ns = thread.watch.standstill_ns(now_ns);
            let hang_ns = self.hang_exit_ns.max(thread.may_take_ns);
            if self.hang_exit_ns > 0
                && self.hung.is_none()
                && thread.is_needed()
                && thread.watch.is_troubled()
                && for_ns >= hang_ns
            {
                log::error!(
                    "{}: that is hang-exit-ms = {}; ending, so that the service manager starts the program anew",
                    line(Report::Lasts { for_ns }, for_ns),
                    self.hang_exit_ns / NS_PER_MS
                );
                self.hung = Some(thread.name.clone());
            }
        }
    }

    fn look_at_cameras(&mut self, now_ns: u64, missed_looks: u32) {
        for thread in &mut self.threads {
            let (steps, ..) = thread.progress(&self.common).seen();
            thread.has_moved = steps != thread.steps;
            thread.steps = steps;
            thread.starved = None;
        }
        for (index, camera) in self.cameras.iter_mut().enumerate() {
            let state = &self.common.cameras[index];
            let known_ns = state.known_ns();
            let number = u16::try_from(index).unwrap_or(u16::MAX);
            let mut view = CameraView {
                known_ns,
                newest_ns: state.newest_ns(),
                has_ended: state.has_ended(),
                due_ns: state.due_ns(),
                missed_looks,
                ..CameraView::default()
            };
            // Where all is well nothing more is asked of the kernel.
            let is_near = camera.watch.age_ns(now_ns, known_ns) > camera.watch.bound_ns() / 2;
            let its = camera.workers.iter().chain(&camera.capture);
            for place in its.filter(|_| is_near) {
                let thread = &mut self.threads[*place];
                // Each is asked for its core once, whatever cameras it has.
                let known = thread.starved;
                let is_starved = known.unwrap_or_else(|| thread.is_starved(now_ns));
                thread.starved = Some(is_starved);
                let (_, activity, of) = thread.progress(&self.common).seen();
                if Some(*place) == camera.capture {
                    view.is_capture_starved = is_starved;
                    view.is_capture_stuck = thread.hangs(now_ns, activity);
                    continue;
                }
                let infers = matches!(
                    activity,
                    Activity::Preprocess | Activity::Invoke | Activity::Postprocess
                );
                view.is_starved |= is_starved;
                view.is_inferred |= infers && of == number;
                view.is_stuck |= !infers && thread.hangs(now_ns, activity);
                view.serves_others |= thread.has_moved && infers && of != number;
            }
            let Some(gap) = camera.watch.look(now_ns, &view) else {
                continue;
            };
            let waits = match gap.cause {
                GapCause::Starved => camera
                    .workers
                    .iter()
                    .find(|place| self.threads[**place].starved == Some(true)),
                GapCause::CaptureStarved => camera.capture.as_ref(),
                _ => None,
            };
            if let Some(place) = waits {
                let thread = &self.threads[*place];
                let of_it = thread.core_use.as_ref();
                camera.rival = of_it.and_then(|of_it| of_it.rival(&thread.cores));
            }
            // Housekeeping says what was tried for as long as it lasts.
            if matches!(gap.report, Report::Lasts { .. })
                && gap.cause == GapCause::CameraSilent
                && state.tried().trouble.is_some()
            {
                continue;
            }
            let line = camera.line(number, gap, &self.common, &self.threads);
            log::log!(level(gap.report, Level::Warn), "{line}");
        }
    }

    /// The gaps of each camera, up to now.
    pub(crate) fn gaps(&self) -> Vec<CameraGaps> {
        let gaps = self.cameras.iter().map(|camera| {
            let (longest_ns, cause) = camera.watch.worst();
            CameraGaps {
                bound_ns: camera.watch.bound_ns(),
                count: camera.watch.times(),
                longest_ns,
                longest_cause: (camera.watch.times() > 0).then_some(cause.name()),
                by_cause: camera
                    .watch
                    .by_cause()
                    .map(|(cause, count)| (cause.name(), count))
                    .collect(),
            }
        });
        gaps.collect()
    }

    /// Which threads stood still, and how often.
    pub(crate) fn standstills(&self) -> Vec<Standstills> {
        let stood = self
            .threads
            .iter()
            .filter(|thread| thread.watch.times() > 0);
        stood
            .map(|thread| Standstills {
                thread: thread.name.clone(),
                times: thread.watch.times(),
                longest_ns: thread.watch.longest_ns(),
            })
            .collect()
    }
}

/// What begins, lasts or recurs is a trouble; its end is good news.
const fn level(report: Report, trouble: Level) -> Level {
    match report {
        Report::Ended { .. } => Level::Info,
        _ => trouble,
    }
}

/// The profile's bound for a camera's age of information, or one that follows from rates and service times.
fn bound_ns(board: &Board, common: &Common, camera: &Camera, interval_ns: u64) -> u64 {
    if let Some(ms) = camera.max_gap_ms {
        return ms * NS_PER_MS;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // At least 0.01 Hz: 100 s.
    let period_ns = |rate_hz: f64| (NS_PER_S as f64 / rate_hz) as u64;
    let frame_ns = match interval_ns {
        0 => period_ns(camera.rate_hz),
        known => known,
    };
    let allowed_ns = camera.max_rate_hz.map_or(0, period_ns);
    let off_ns = camera
        .duty_cycle_ms
        .map_or(0, |[on_ms, period_ms]| (period_ms - on_ms) * NS_PER_MS);
    let share = |camera: &Camera| Share::weight_of(camera.priority);
    let turns = board.workers.iter().zip(&*common.workers);
    let turns = turns
        .filter(|(worker, _)| worker.processes(&camera.name))
        .map(|(worker, state)| {
            let cameras = board.cameras.iter();
            let its = cameras.filter(|camera| worker.processes(&camera.name));
            let shares: u64 = its.map(share).sum();
            state.service_ns() * shares / share(camera)
        });
    gap_bound_ns(frame_ns.max(allowed_ns), turns.max().unwrap_or(0)).saturating_add(off_ns)
}
