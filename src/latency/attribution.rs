//! Why a result was late: which stage took longer than it usually does, and what happened meanwhile.
//!
//! A cause is named when it was seen in the slow stage and could have made it slow: a wait that was
//! measured, as that for the core after an involuntary switch, must account for a quarter of the excess at
//! least; an event without a length (a fault, a migration) counts by having happened. Whatever else was
//! seen on the frame's way stands beside, as seen, and blames nothing. What is then left without a cause
//! says so.
//!
//! What cannot be seen from here: an interrupt that the kernel served on our core, a core that the machine
//! below gave to another guest, memory or caches that were busy, a clock that slowed down, and what
//! happens to threads that the library started. These are `unexplained` while the thread was on its core,
//! and `blocked` where it waited for such a thread.

use super::arrivals::Remarks;
use super::cause::{Cause, Causes};
use super::thread_counters::{Disturbance, ThreadCounters};
use super::{RunningQuantile, Stage, Stamps, late};

/// How a worker came to a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wakeup {
    /// It had done with the frame before, and looked for the next one.
    pub free_ns: u64,
    /// When its last wait at the bell ended, for any frame or for a better one; `None` if it did not wait.
    pub awake_ns: Option<u64>,
    /// When the camera's bell was last rung, as seen before the frame was claimed.
    pub rung_ns: u64,
}

/// All that is known of one result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Index of the camera in the profile.
    pub camera: u16,
    /// Frame number since the program started.
    pub sequence: u64,
    /// Its way.
    pub stamps: Stamps,
    /// What the capture thread noticed.
    pub remarks: Remarks,
    /// How the worker came to it.
    pub wakeup: Wakeup,
    /// What happened to the worker from the frame before until it claimed this one.
    pub waiting: Disturbance,
    /// What happened to the worker while it inferred the frame.
    pub working: StageCounters,
}

/// A worker's looks at its own counters while it infers one frame: at the lease, after each stage that took
/// longer than it usually does, and at the end. A stage without a look of its own is answered for by the
/// next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCounters {
    last: ThreadCounters,
    stages: [Option<Disturbance>; WORK.len()],
    rest: Disturbance,
}

/// The stages that a worker goes through.
const WORK: [Stage; 3] = [Stage::Preprocess, Stage::Invoke, Stage::Postprocess];

impl StageCounters {
    /// The frame was claimed.
    #[must_use]
    pub fn leased(counters: ThreadCounters) -> Self {
        Self {
            last: counters,
            ..Self::default()
        }
    }

    /// `stage` took long, and has just ended.
    pub fn slow(&mut self, stage: Stage, counters: ThreadCounters) {
        if let Some(place) = WORK.iter().position(|work| *work == stage) {
            self.stages[place] = Some(self.last.until(&counters));
            self.last = counters;
        }
    }

    /// The result was made.
    pub fn done(&mut self, counters: ThreadCounters) {
        self.rest = self.last.until(&counters);
        self.last = counters;
    }

    /// Counters at the last look.
    #[must_use]
    pub const fn last(&self) -> &ThreadCounters {
        &self.last
    }

    /// What happened in `stage`, or from the last look before it to the next one after it.
    fn of(&self, stage: Stage) -> Disturbance {
        let place = WORK.iter().position(|work| *work == stage).unwrap_or(0);
        let next = self.stages[place..].iter().flatten().next();
        next.copied().unwrap_or(self.rest)
    }

    /// Everything that was seen.
    fn all(&self) -> impl Iterator<Item = &Disturbance> {
        self.stages.iter().flatten().chain([&self.rest])
    }
}

/// Why a result was late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The stage that exceeded its usual time by most.
    pub stage: Stage,
    /// What it took.
    pub stage_ns: u64,
    /// Its median so far.
    pub typical_ns: u64,
    /// What made it slow: at least one.
    pub causes: Causes,
    /// What was seen besides.
    pub also: Causes,
    /// Time that the worker waited in the run queue meanwhile, where that was looked at and the slow
    /// stage is a worker's. At most what the stage took: the look before it may have been earlier.
    pub queued_ns: Option<u64>,
}

/// What is usual for one camera and one worker. Takes constant time for each result; all memory is taken
/// when it is made.
#[derive(Clone, Debug)]
pub struct Baseline {
    stages: [RunningQuantile; PARTS],
    /// Median and 99th percentile of the whole way.
    whole: [RunningQuantile; 2],
}

/// Stages that together make up the whole way.
const PARTS: usize = Stage::ALL.len() - 1;
/// Results before it is known what is usual.
const LEARNING: u64 = 32;

impl Default for Baseline {
    fn default() -> Self {
        Self::new()
    }
}

impl Baseline {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stages: std::array::from_fn(|_| RunningQuantile::median()),
            whole: [RunningQuantile::median(), RunningQuantile::new(990)],
        }
    }

    /// Bytes that one holds.
    #[must_use]
    pub const fn bytes() -> u64 {
        (PARTS as u64 + 2) * RunningQuantile::bytes()
    }

    /// Takes one result into account.
    pub fn record(&mut self, stamps: &Stamps) {
        for (baseline, stage) in self.stages.iter_mut().zip(Stage::ALL) {
            baseline.record(stage.of(stamps));
        }
        for baseline in &mut self.whole {
            baseline.record(Stage::CaptureToResult.of(stamps));
        }
    }

    /// Whether a result is slow: beyond the 99th percentile so far, or beyond twice the median so far, so
    /// that trouble which comes often is not what trouble is measured by. The first results are not slow.
    #[must_use]
    pub fn is_slow(&self, stamps: &Stamps) -> bool {
        let [median, percentile] = &self.whole;
        let bound_ns = percentile.upper_ns().min(2 * median.value_ns());
        median.count() >= LEARNING && Stage::CaptureToResult.of(stamps) > bound_ns
    }

    /// Whether `stage` took so long that it is worth a look at what happened.
    #[must_use]
    pub fn is_long(&self, stage: Stage, ns: u64) -> bool {
        self.stages
            .get(stage as usize)
            .is_none_or(|baseline| late(ns, baseline.value_ns()))
    }

    /// Median so far of `stage`; 0 for the whole way.
    #[must_use]
    pub fn typical_ns(&self, stage: Stage) -> u64 {
        self.stages
            .get(stage as usize)
            .map_or(0, RunningQuantile::value_ns)
    }

    /// Why this result took as long as it did.
    #[must_use]
    pub fn explain(&self, seen: &Observed) -> Verdict {
        let mut slow = (Stage::CaptureToDequeue, 0, 0, 0);
        let mut whole_ns = 0;
        for stage in Stage::ALL.into_iter().take(PARTS) {
            let (ns, typical_ns) = (stage.of(&seen.stamps), self.typical_ns(stage));
            let excess_ns = ns.saturating_sub(typical_ns);
            whole_ns += typical_ns;
            if excess_ns > slow.3 {
                slow = (stage, ns, typical_ns, excess_ns);
            }
        }
        let (stage, stage_ns, typical_ns, excess_ns) = slow;
        let mut causes = match stage {
            Stage::CaptureToDequeue => taking(seen),
            Stage::DequeueToLease => claiming(seen, excess_ns),
            _ => working(&seen.working.of(stage), excess_ns),
        };
        let also = everything(seen, excess_ns).without(causes);
        if causes.is_empty() {
            causes.add(if excess_ns > whole_ns / 4 {
                Cause::Unexplained
            } else {
                Cause::UsualSpread
            });
        }
        Verdict {
            stage,
            stage_ns,
            typical_ns,
            causes,
            also,
            queued_ns: match stage {
                Stage::CaptureToDequeue => None,
                Stage::DequeueToLease => seen.waiting.queued_ns,
                _ => seen.working.of(stage).queued_ns,
            }
            .map(|ns| ns.min(stage_ns)),
        }
    }
}

/// Whether a wait of `ns` can have made a stage slow.
const fn explains(ns: u64, excess_ns: u64) -> bool {
    ns > 0 && ns.saturating_mul(4) >= excess_ns
}

/// Why the frame was taken late.
fn taking(seen: &Observed) -> Causes {
    let noted = |remark, cause| seen.remarks.has(remark).then_some(cause);
    let busy = seen.remarks.has(Remarks::BUSY);
    let late = seen.remarks.has(Remarks::LATE) && !busy;
    trouble_of_capture(seen)
        .iter()
        .chain(noted(Remarks::DRIVER_GAP, Cause::DriverGap))
        .chain(noted(Remarks::BUSY, Cause::CaptureBusy))
        .chain(late.then_some(Cause::LateDequeue))
        .collect()
}

/// What happened to the capture thread while a late frame was due.
fn trouble_of_capture(seen: &Observed) -> Causes {
    [
        (Remarks::PAGE_FAULT, Cause::PageFault),
        (Remarks::MIGRATION, Cause::Migration),
        (Remarks::INVOLUNTARY_SWITCH, Cause::InvoluntarySwitch),
    ]
    .into_iter()
    .filter(|(remark, _)| seen.remarks.has(*remark))
    .map(|(_, cause)| cause)
    .collect()
}

/// Why the frame was claimed late.
fn claiming(seen: &Observed, excess_ns: u64) -> Causes {
    let Wakeup {
        free_ns,
        awake_ns,
        rung_ns,
    } = seen.wakeup;
    let (dequeue_ns, lease_ns) = (seen.stamps.dequeue_ns, seen.stamps.lease_ns);
    let mut causes = Causes::default();
    if explains(free_ns.saturating_sub(dequeue_ns), excess_ns) {
        causes.add(Cause::WorkerBusy);
    }
    let mut begun_ns = free_ns.max(dequeue_ns);
    // Rung for this frame, while the worker stood at the bell.
    if (dequeue_ns.max(free_ns)..=lease_ns).contains(&rung_ns) {
        if explains(rung_ns - dequeue_ns, excess_ns) {
            causes.add(Cause::LateBell);
        }
        begun_ns = rung_ns;
        if awake_ns.is_some_and(|awake_ns| explains(awake_ns.saturating_sub(rung_ns), excess_ns)) {
            causes.add(Cause::LateWakeUp);
        }
    }
    // Between the bell, or the end of its other work, and the lease the worker was on its own: what befell
    // it then made it late. What befell it before that did not.
    if explains(lease_ns.saturating_sub(begun_ns), excess_ns) {
        causes = causes.with(events(&seen.waiting));
    }
    causes
}

/// Why a stage of the worker took long.
fn working(seen: &Disturbance, excess_ns: u64) -> Causes {
    let mut causes = events(seen);
    if seen.queued_ns.is_some_and(|ns| !explains(ns, excess_ns)) {
        // It was pushed off, and was back before that mattered.
        causes = causes.without([Cause::InvoluntarySwitch].into_iter().collect());
    }
    if causes.is_empty() && seen.voluntary_switches > 0 {
        // For how long is not known: it is blamed if nothing else is.
        causes.add(Cause::Blocked);
    }
    causes
}

/// What befell a thread, whatever it came to.
fn events(seen: &Disturbance) -> Causes {
    [
        (seen.page_faults > 0, Cause::PageFault),
        (seen.migrated, Cause::Migration),
        (seen.involuntary_switches > 0, Cause::InvoluntarySwitch),
    ]
    .into_iter()
    .filter(|(happened, _)| *happened)
    .map(|(_, cause)| cause)
    .collect()
}

/// Whatever was seen on the frame's way, in any stage.
fn everything(seen: &Observed, excess_ns: u64) -> Causes {
    let work = seen.working.all().chain([&seen.waiting]);
    work.map(events)
        .fold(taking(seen).with(claiming(seen, excess_ns)), Causes::with)
}

#[cfg(test)]
mod tests;
