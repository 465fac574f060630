//! The inference thread: whose frame is next, claim it, have it judged.

mod claimed;
mod judge;

use super::decoding::Buffers;
use super::further::{self, Further, Round, Turn};
use super::messages::{Inference, Note, NoteSender, ResultSender};
use super::pulse::Pulses;
use super::signals::Signals;
use super::stop::Stop;
use crate::infer::{Allowance, Choice, Engine, Scheduler, Seen};
use crate::jpeg::Jpeg;
use crate::latency::{
    AgeOfKnowledge, Coming, Disturbance, Histogram, Looks, Observed, Remarks, Sight,
    StageHistograms, Tail, Usual,
};
use crate::ledger::{Outcome, WorkerLedger};
use crate::postprocess::Decoder;
use crate::preprocess::Plan;
use crate::record::FrameResult;
use crate::ring::{Doorbell, LaneTap, Waiting};
use crate::sync::Arc;
use crate::sys::clock::now_ns;
use crate::sys::heap::HotThread;
use crate::sys::thread::{RunQueue, UsageProbe, sight};
use crate::units::NS_PER_MS;
use claimed::Claimed;
use judge::{Judge, Judged};

/// Longest wait between two looks at the stop flag.
const LOOK_NS: u64 = 250 * NS_PER_MS;

/// One camera, as a worker sees it.
pub(super) struct View {
    pub(super) tap: LaneTap,
    pub(super) plan: Plan,
    /// Of the further models, in their order.
    pub(super) plans: Vec<Plan>,
    /// Where its frames are compressed.
    pub(super) jpeg: Option<Jpeg>,
    pub(super) ledger: WorkerLedger,
    pub(super) max_age_ns: u64,
    pub(super) interval_ns: u64,
    /// Other workers judge its frames as well.
    pub(super) shared: bool,
    pub(super) allowance: Allowance,
    pub(super) stages: StageHistograms,
    pub(super) age: AgeOfKnowledge,
    pub(super) inter_result: Histogram,
    pub(super) usual: Usual,
}

impl View {
    /// Bytes of what one worker measures of one camera.
    pub(super) const fn measured_bytes() -> u64 {
        StageHistograms::bytes() + AgeOfKnowledge::bytes() + Histogram::bytes() + Usual::bytes()
    }
}

/// Everything that one worker owns, made at arming on its own thread.
pub(super) struct Worker<E> {
    pub(super) index: u16,
    pub(super) engine: E,
    pub(super) decoder: Decoder,
    /// Its model's place in the profile.
    pub(super) model: u16,
    /// The models that judge a frame after that one, in their order.
    pub(super) further: Vec<Further<E>>,
    /// By camera; none for one that it does not judge.
    pub(super) views: Vec<Option<View>>,
    pub(super) buffers: Buffers,
    pub(super) scheduler: Scheduler,
    /// Workers of the same cameras and this one.
    pub(super) alike: u64,
    pub(super) signals: Signals,
    pub(super) pulses: Pulses,
    pub(super) bell: Arc<Doorbell>,
    /// Other workers wait at the same bell.
    pub(super) shared_bell: bool,
    pub(super) waiting: Waiting,
    pub(super) stop: Arc<Stop>,
    pub(super) results: ResultSender,
    pub(super) notes: NoteSender,
    pub(super) house: Arc<Doorbell>,
    pub(super) tally: Tally,
    /// What was seen while it is made.
    pub(super) work: Work,
    /// The result being made: large, and therefore made in place.
    pub(super) result: FrameResult,
}

/// What a worker leaves behind.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) tail: Tail,
    /// When the watch began and ended for this worker.
    pub(super) watched_ns: (u64, u64),
    /// Its counters after the last result.
    last: Sight,
    pub(super) results_lost: u64,
    pub(super) notes_lost: u64,
    /// Values and boxes of its own model that cannot be.
    pub(super) values_refused: u64,
}

impl<E: Engine> Worker<E> {
    /// Judges frames until the run is over.
    pub(super) fn run(&mut self, probe: &mut UsageProbe, queue: &RunQueue, hot: &HotThread) {
        let mut pending = 0;
        self.tally.watched_ns.0 = now_ns();
        self.tally.last = look(queue, self.tally.watched_ns.0);
        while !self.stop.is_asked() {
            probe.sample();
            let Some((camera, coming)) = self.next(&mut pending) else {
                continue;
            };
            pending &= !(1 << camera);
            if self.shared_bell && pending != 0 {
                self.bell.ring(pending);
                pending = 0;
            }
            self.serve(camera, coming, queue, hot);
        }
        self.tally.watched_ns.1 = now_ns();
    }

    /// The camera whose frame is next, of those that have one in `pending` or ring while the worker waits for
    /// it; `None` after some time without.
    fn next(&mut self, pending: &mut u64) -> Option<(usize, Coming)> {
        let free_ns = now_ns();
        let mut awake_ns = None;
        let mut until_ns = (*pending == 0).then(|| free_ns.saturating_add(LOOK_NS));
        loop {
            if let Some(until_ns) = until_ns {
                self.bell.wait(self.waiting, until_ns, now_ns);
                awake_ns = Some(now_ns());
            }
            *pending |= self.bell.take();
            let now = awake_ns.unwrap_or(free_ns);
            *pending = self.allowed(*pending, now);
            match self
                .scheduler
                .next(*pending, now, |camera| self.seen(camera))
            {
                Some(Choice::Take(camera)) => {
                    let coming = Coming {
                        free_ns,
                        awake_ns,
                        // Before the claim: a frame that is claimed is not older than this stamp's.
                        rung_ns: self.signals[camera].rung_ns(),
                    };
                    return Some((camera, coming));
                }
                Some(Choice::WaitUntil(wait_ns)) if !self.stop.is_asked() => {
                    until_ns = Some(wait_ns);
                }
                Some(Choice::WaitUntil(_)) | None => {
                    *pending = 0;
                    return None;
                }
            }
        }
    }

    /// What the scheduler knows of a camera's frames. Where several workers judge them, those that come are
    /// another's as likely, and none is waited for.
    fn seen(&self, camera: usize) -> Seen {
        let (Some(signal), Some(Some(view))) = (self.signals.get(camera), self.views.get(camera))
        else {
            return Seen::default();
        };
        let expected_ns = match signal.rung_ns() {
            0 => 0,
            _ if view.shared => 0,
            rung_ns => rung_ns.saturating_add(view.interval_ns),
        };
        let may_be_taken = view.allowance.allows(expected_ns, signal.due_ns());
        Seen {
            newest_ns: signal.newest_ns(),
            expected_ns: if may_be_taken { expected_ns } else { 0 },
            // Before the first one, nobody has waited yet.
            served_ns: signal.served_ns().max(self.tally.watched_ns.0),
        }
    }

    /// The cameras of `pending` whose frames may be judged now. Another one's frame waits in its ring: the
    /// next one that comes pushes it out and rings again.
    fn allowed(&self, pending: u64, now: u64) -> u64 {
        let mut allowed = pending;
        for (camera, (view, signal)) in self.views.iter().zip(&*self.signals).enumerate() {
            // The bit of a camera without a view never comes: this bell is not rung for it.
            let Some(view) = view else {
                continue;
            };
            // What is too old takes no time, and its slot may be waited for.
            let stale = now.saturating_sub(signal.newest_ns()) > view.max_age_ns;
            if !stale && !view.allowance.allows(now, signal.due_ns()) {
                allowed &= !(1 << camera);
            }
        }
        allowed
    }

    fn serve(&mut self, camera: usize, coming: Coming, queue: &RunQueue, hot: &HotThread) {
        let Some(Some(view)) = self.views.get_mut(camera) else {
            return;
        };
        let ledger = &view.ledger;
        // This reader never keeps a lease across calls, so the lease it may have is free.
        let Ok(Some(lease)) = view.tap.claim_newest(|_| ledger.count(Outcome::Stale, 1)) else {
            return;
        };
        let lease_ns = now_ns();
        let signal = &self.signals[camera];
        signal.serve(lease_ns);
        if lease_ns.saturating_sub(lease.header().capture_ns) <= view.max_age_ns {
            signal.next_due(view.allowance.next_due_ns(lease_ns, signal.due_ns()));
        }
        let mut claimed = Claimed::new(ledger, signal, &self.pulses[usize::from(self.index)]);
        let judge = Judge {
            claimed: &mut claimed,
            index: self.index,
            model: self.model,
            engine: &mut self.engine,
            decoder: &mut self.decoder,
            further: &mut self.further,
            plan: &view.plan,
            plans: &view.plans,
            jpeg: view.jpeg.as_ref(),
            usual: &view.usual,
            stop: &self.stop,
            hot,
            queue,
            notes: &mut self.notes,
            notes_lost: &mut self.tally.notes_lost,
            values_refused: &mut self.tally.values_refused,
            coming,
            last: &self.tally.last,
            work: &mut self.work,
            result: &mut self.result,
        };
        let (judged, held) = judge.judge(lease, lease_ns, view.max_age_ns, &mut self.buffers);
        let own = claimed.ends(match judged {
            Judged::Inferred => Outcome::Inferred,
            Judged::Stale => Outcome::Stale,
            Judged::Damaged => Outcome::Damaged,
            Judged::Failed => Outcome::Failed,
            Judged::Refused => Outcome::Refused,
        });
        let of = Inference {
            worker: self.index,
            step: 0,
            camera: self.result.camera,
        };
        if !own {
            if self.notes.enqueue(Note::WorkerBack { of }).is_err() {
                self.tally.notes_lost += 1;
            }
            return;
        }
        match judged {
            Judged::Inferred => {
                let stamps = &self.result.stamps;
                let work = &mut self.work;
                work.looks.done(look(queue, stamps.result_ns));
                view.stages.record(stamps);
                if let Some(known_ns) = signal.learn(stamps.capture_ns) {
                    // Nothing was known since the watch began.
                    let known_ns = known_ns.max(self.tally.watched_ns.0);
                    view.age
                        .learned(known_ns, stamps.capture_ns, stamps.result_ns);
                }
                if let Some(spacing_ns) = signal.since_result(stamps.result_ns) {
                    view.inter_result.record(spacing_ns);
                }
                self.tally
                    .tail
                    .record(&mut view.usual, stamps, || Observed {
                        camera: self.result.camera,
                        sequence: self.result.sequence,
                        stamps: *stamps,
                        remarks: work.remarks,
                        coming,
                        waiting: work.waiting,
                        working: work.looks,
                    });
                self.tally.last = *work.looks.last();
                if self.results.enqueue(self.result.clone()).is_err() {
                    self.tally.results_lost += 1;
                }
                self.house.ring(1);
                if !self.further.is_empty() {
                    let round = Round {
                        first: &self.result,
                        pulse: &self.pulses[usize::from(self.index)],
                        hot,
                    };
                    let tally = &mut self.tally;
                    let (notes, results) = (&mut self.notes, &mut self.results);
                    let mut note = |note: Note, lost: &mut u64| {
                        *lost += u64::from(notes.enqueue(note).is_err());
                    };
                    further::take_turns(&mut self.further, &mut view.plans, held, &round, |turn| {
                        let lost = &mut tally.notes_lost;
                        match turn {
                            Turn::Gave(result) => {
                                let sent = results.enqueue(result.clone());
                                tally.results_lost += u64::from(sent.is_err());
                            }
                            Turn::Failed { step, error } => {
                                let of = Inference { step, ..of };
                                note(Note::FurtherFailed { of, error }, lost);
                            }
                            Turn::Back { step } => {
                                let of = Inference { step, ..of };
                                note(Note::WorkerBack { of }, lost);
                            }
                            Turn::Refused { step, values } => {
                                let of = Inference { step, ..of };
                                note(Note::OutputRefused { of, values }, lost);
                            }
                        }
                    });
                    self.house.ring(1);
                    // Whatever disturbed them has not kept the next frame waiting.
                    self.tally.last = look(queue, now_ns());
                }
                let took_ns = now_ns().saturating_sub(lease_ns);
                self.scheduler.learn(took_ns / self.alike);
            }
            Judged::Stale | Judged::Damaged | Judged::Failed | Judged::Refused => {}
        }
    }
}

/// What a worker saw while it judged a frame.
#[derive(Debug, Default)]
pub(super) struct Work {
    remarks: Remarks,
    waiting: Disturbance,
    looks: Looks,
}

/// A thread's counters with its time in line for its core: some 1.3 us, so not while a frame waits that is
/// not slow already.
fn look(queue: &RunQueue, now: u64) -> Sight {
    Sight {
        queued_ns: queue.waited_ns(),
        ..sight(now)
    }
}
