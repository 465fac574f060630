//! What a worker notices of its own thread while it makes results: the evidence for slow ones.

use crate::latency::{
    Baseline, Disturbance, Observed, Remarks, Stage, StageCounters, Stamps, Tail, ThreadCounters,
    Wakeup,
};
use crate::record::FrameResult;
use crate::sys::clock::now_ns;
use crate::sys::thread::{RunQueue, counters};
use crate::units::NS_PER_US;

/// A worker that has its frame so soon after the bell was not kept from it by another thread for longer.
const PROMPT_NS: u64 = 100 * NS_PER_US;

/// One thread's observer.
pub(crate) struct Observer {
    queue: RunQueue,
    /// This thread's counters after the last result.
    last: ThreadCounters,
    /// Of the frame that is being inferred.
    remarks: Remarks,
    waiting: Disturbance,
    stages: StageCounters,
    wakeup: Wakeup,
    pub(crate) tail: Tail,
}

impl Observer {
    /// On the calling thread.
    pub(crate) fn new() -> Self {
        Self {
            queue: RunQueue::open(),
            last: ThreadCounters::default(),
            remarks: Remarks::default(),
            waiting: Disturbance::default(),
            stages: StageCounters::default(),
            wakeup: Wakeup::default(),
            tail: Tail::default(),
        }
    }

    /// What disturbed the thread until now has nothing to do with the next frame.
    pub(crate) fn start_over(&mut self, now: u64) {
        self.last = self.counters(now);
    }

    /// A frame was claimed; `stamp` is its header's.
    pub(crate) fn claimed(&mut self, stamp: u32, lease_ns: u64, wakeup: Wakeup) {
        let mut leased = counters(lease_ns);
        let called_ns = wakeup.rung_ns.max(wakeup.free_ns);
        let is_undisturbed = leased.involuntary_switches == self.last.involuntary_switches
            && lease_ns.saturating_sub(called_ns) < PROMPT_NS;
        // The run-queue wait is read only if there can have been some.
        leased.queued_ns = if is_undisturbed {
            self.last.queued_ns
        } else {
            self.queue.waited_ns()
        };
        self.remarks = Remarks::of(stamp);
        self.waiting = self.last.until(&leased);
        self.stages = StageCounters::leased(leased);
        self.wakeup = wakeup;
    }

    /// Reads the counters if `stage`, which has just ended at `now`, took longer than it usually does.
    pub(crate) fn stage(&mut self, baseline: &Baseline, stage: Stage, stamps: &Stamps, now: u64) {
        if baseline.is_long(stage, stage.of(stamps)) {
            let counters = self.counters(now);
            self.stages.slow(stage, counters);
        }
    }

    /// The result was made.
    pub(crate) fn done(&mut self, baseline: &mut Baseline, result: &FrameResult) {
        let stamps = result.stamps;
        let counters = self.counters(stamps.result_ns);
        self.stages.done(counters);
        let Self {
            remarks,
            waiting,
            stages,
            wakeup,
            tail,
            ..
        } = self;
        tail.record(baseline, &stamps, || Observed {
            camera: result.camera,
            sequence: result.sequence,
            stamps,
            remarks: *remarks,
            wakeup: *wakeup,
            waiting: *waiting,
            working: *stages,
        });
        self.last = *self.stages.last();
    }

    /// The models of a cascade have run: whatever disturbed them has not kept the next frame waiting.
    pub(crate) fn cascade_done(&mut self) {
        self.start_over(now_ns());
    }

    /// This thread's counters with its run-queue wait: some 1.3 us, so not while a frame waits that is not slow
    /// already.
    fn counters(&self, now: u64) -> ThreadCounters {
        ThreadCounters {
            queued_ns: self.queue.waited_ns(),
            ..counters(now)
        }
    }
}
