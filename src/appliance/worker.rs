//! The inference thread: whose frame is next, claim it, tensor, model, detections.

use super::decoding::Buffers;
use super::further::{self, Further, Held, KeptSlot, Round, Turn};
use super::messages::{Note, NoteSender, ResultSender};
use super::pulse::{Pulse, Pulses};
use super::signals::{Signal, Signals};
use super::stop::Stop;
use crate::decode::{Damage, Jpeg};
use crate::infer::{Allowance, Choice, Engine, Scheduler, Seen, outputs_of};
use crate::latency::{
    AgeOfKnowledge, Coming, Disturbance, Histogram, Looks, Observed, Remarks, Sight, Stage,
    StageHistograms, Stamps, Tail, Usual,
};
use crate::ledger::{Outcome, WorkerLedger};
use crate::postprocess::Decoder;
use crate::preprocess::Plan;
use crate::record::FrameResult;
use crate::ring::{Doorbell, LaneTap, Lease, Waiting};
use crate::sync::Arc;
use crate::sys::clock::now_ns;
use crate::sys::heap::HotThread;
use crate::sys::thread::{RunQueue, UsageProbe, sight};
use crate::units::{NS_PER_MS, NS_PER_US};

/// Longest wait between two looks at the stop flag.
const LOOK_NS: u64 = 250 * NS_PER_MS;
/// A worker that has its frame so soon after the bell was not kept from it by another thread for longer.
const PROMPT_NS: u64 = 100 * NS_PER_US;

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
}

/// How one claimed frame ended.
enum Judged {
    Inferred,
    Stale,
    Damaged,
    Failed,
    /// Enough results were given.
    Refused,
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
        if !own {
            let worker = self.index;
            if self.notes.enqueue(Note::WorkerBack { worker }).is_err() {
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
                    let (worker, tally) = (self.index, &mut self.tally);
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
                                let failed = Note::FurtherFailed {
                                    worker,
                                    step,
                                    error,
                                };
                                note(failed, lost);
                            }
                            Turn::Back => note(Note::WorkerBack { worker }, lost),
                            Turn::NotFinite(values) => {
                                note(Note::OutputNotFinite { worker, values }, lost);
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

/// A claimed frame. It ends in one column, as a failed one if judging it panics; a frame whose model does
/// not return in time is refused by housekeeping (`pulse`).
struct Claimed<'view> {
    ledger: &'view WorkerLedger,
    signal: &'view Signal,
    pulse: &'view Pulse,
    given_back: bool,
    begun: bool,
    settled: bool,
}

impl<'view> Claimed<'view> {
    const fn new(ledger: &'view WorkerLedger, signal: &'view Signal, pulse: &'view Pulse) -> Self {
        Self {
            ledger,
            signal,
            pulse,
            given_back: false,
            begun: false,
            settled: false,
        }
    }

    fn slot_given_back(&mut self) {
        self.given_back = true;
        self.signal.judging();
    }

    /// The slot goes back when what is given is dropped, at the latest when the frame's further models are done.
    fn slot_goes_back<'frame>(&mut self, lease: Lease<'frame>) -> KeptSlot<'frame>
    where
        'view: 'frame,
    {
        self.given_back = true;
        KeptSlot::new(lease, self.signal)
    }

    /// The model begins.
    fn model_begins(&mut self, camera: u16, now_ns: u64) {
        self.begun = true;
        self.pulse.begin(camera, now_ns);
    }

    /// Counts the frame; `false` when it was given up while its model ran, and counted then.
    fn ends(mut self, outcome: Outcome) -> bool {
        self.settle(outcome)
    }

    fn settle(&mut self, outcome: Outcome) -> bool {
        self.settled = true;
        if self.begun && !self.pulse.end() {
            return false;
        }
        self.ledger.count(outcome, 1);
        if self.given_back {
            self.signal.judged();
        }
        true
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Outcome::Failed);
        }
    }
}

/// Why a frame did not become a tensor.
enum Untensored {
    /// Its bytes are not a picture.
    Damaged(Damage),
    /// The picture is not what was planned for.
    Failed,
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

/// What judging one frame needs of a worker, beside the lease.
struct Judge<'worker, 'view, E> {
    claimed: &'worker mut Claimed<'view>,
    index: u16,
    model: u16,
    engine: &'worker mut E,
    decoder: &'worker mut Decoder,
    further: &'worker mut [Further<E>],
    plan: &'worker Plan,
    /// Of the further models.
    plans: &'worker [Plan],
    jpeg: Option<&'worker Jpeg>,
    usual: &'worker Usual,
    stop: &'worker Stop,
    hot: &'worker HotThread,
    queue: &'worker RunQueue,
    notes: &'worker mut NoteSender,
    notes_lost: &'worker mut u64,
    coming: Coming,
    /// This thread's counters after the last result.
    last: &'worker Sight,
    work: &'worker mut Work,
    result: &'worker mut FrameResult,
}

impl<'view, E: Engine> Judge<'_, 'view, E> {
    /// Judges a frame, and gives what is left of it for the further models.
    fn judge<'frame>(
        mut self,
        lease: Lease<'frame>,
        lease_ns: u64,
        max_age_ns: u64,
        buffers: &'frame mut Buffers,
    ) -> (Judged, Held<'frame>)
    where
        'view: 'frame,
    {
        let mut held = Held::Nothing;
        let judged = self.column(lease, lease_ns, max_age_ns, buffers, &mut held);
        (judged, held)
    }

    fn column<'frame>(
        &mut self,
        lease: Lease<'frame>,
        lease_ns: u64,
        max_age_ns: u64,
        buffers: &'frame mut Buffers,
        held: &mut Held<'frame>,
    ) -> Judged
    where
        'view: 'frame,
    {
        let header = lease.header();
        let camera = header.camera;
        if lease.verify().is_err() {
            self.note(Note::HeaderTorn {
                camera,
                sequence: lease.sequence(),
            });
            lease.discard();
            return Judged::Damaged;
        }
        if lease_ns.saturating_sub(header.capture_ns) > max_age_ns {
            lease.discard();
            return Judged::Stale;
        }
        let mut stamps = Stamps {
            capture_ns: header.capture_ns,
            dequeue_ns: header.dequeue_ns,
            lease_ns,
            ..Stamps::default()
        };
        self.result.camera = camera;
        self.result.worker = self.index;
        self.result.model = self.model;
        self.result.sequence = header.sequence;
        self.result.driver_sequence = header.driver_sequence;
        let leased = self.leased(lease_ns);
        *self.work = Work {
            remarks: Remarks::of(header.stamp),
            waiting: self.last.until(&leased),
            looks: Looks::leased(leased),
        };
        let before = self.hot.counts();
        let tensor = self.tensor(lease, buffers, held);
        stamps.preprocessed_ns = now_ns();
        self.look(Stage::Preprocess, &stamps, stamps.preprocessed_ns);
        match tensor {
            Ok(()) => self.claimed.signal.sound(),
            Err(Untensored::Damaged(damage)) => {
                self.claimed.signal.spoil();
                self.note(Note::FrameSpoilt { camera, damage });
                return Judged::Damaged;
            }
            Err(Untensored::Failed) => {
                self.note(Note::PreprocessFailed {
                    worker: self.index,
                    camera,
                });
                return Judged::Failed;
            }
        }
        self.claimed.model_begins(camera, stamps.preprocessed_ns);
        if let Err(error) = self.engine.invoke() {
            self.note(Note::InferenceFailed {
                worker: self.index,
                error,
            });
            return Judged::Failed;
        }
        stamps.invoked_ns = now_ns();
        self.look(Stage::Invoke, &stamps, stamps.invoked_ns);
        let drawn = self.hot.counts().since(&before);
        if drawn.arena_overdrawn + drawn.arena_refused > 0 {
            // The reserve let the model end: this inference had more than its share.
            self.note(Note::ArenaExhausted { worker: self.index });
            return Judged::Failed;
        }
        let outputs = outputs_of(self.engine);
        let decoded =
            self.decoder
                .decode(&outputs, self.plan.mapping(), &mut self.result.detections);
        drop(outputs);
        self.result.summaries.clone_from(self.decoder.summaries());
        stamps.result_ns = now_ns();
        self.look(Stage::Postprocess, &stamps, stamps.result_ns);
        self.result.stamps = stamps;
        match decoded {
            Ok(stats) if stats.refused > 0 => {
                self.note(Note::OutputNotFinite {
                    worker: self.index,
                    values: stats.refused,
                });
            }
            Ok(_) => {}
            Err(_) => return Judged::Failed,
        }
        // A frame that was given up is refused already, and no result of the run.
        if self.claimed.pulse.is_given_up() {
            return Judged::Refused;
        }
        if self.stop.count_result() {
            Judged::Inferred
        } else {
            Judged::Refused
        }
    }

    /// Makes the inputs of all models that see the whole picture. The slot goes back as soon as its bytes are not
    /// needed: before the first model runs, unless a further one looks into boxes of the picture that lies
    /// in it. `held` is what that one reads.
    fn tensor<'frame>(
        &mut self,
        lease: Lease<'frame>,
        buffers: &'frame mut Buffers,
        held: &mut Held<'frame>,
    ) -> Result<(), Untensored>
    where
        'view: 'frame,
    {
        let Some(jpeg) = self.jpeg else {
            let made = self.run_plans(lease.payload());
            let kept = self.claimed.slot_goes_back(lease);
            if made.is_ok() && self.looks_into_boxes() {
                *held = Held::Slot(kept);
            }
            return made;
        };
        let taken = match buffers.take(jpeg, lease.payload()) {
            Ok(taken) => taken,
            Err(damage) => {
                lease.discard();
                self.claimed.slot_given_back();
                return Err(Untensored::Damaged(damage));
            }
        };
        drop(self.claimed.slot_goes_back(lease));
        let picture = buffers.decode(jpeg, taken).map_err(Untensored::Damaged)?;
        self.run_plans(picture)?;
        if self.looks_into_boxes() {
            *held = Held::Decoded(picture);
        }
        Ok(())
    }

    fn looks_into_boxes(&self) -> bool {
        self.further.iter().any(|model| model.boxes.is_some())
    }

    /// The tensors of the models that see the whole picture.
    fn run_plans(&mut self, picture: &[u8]) -> Result<(), Untensored> {
        self.plan
            .run(picture, self.engine.input_bytes())
            .map_err(|_| Untensored::Failed)?;
        for (model, plan) in self.further.iter_mut().zip(self.plans) {
            if model.boxes.is_none() {
                plan.run(picture, model.engine.input_bytes())
                    .map_err(|_| Untensored::Failed)?;
            }
        }
        Ok(())
    }

    /// This thread's counters at the lease. Its time in line for the core is read only if there can have
    /// been some: else it is that of the last look.
    fn leased(&self, lease_ns: u64) -> Sight {
        let mut leased = sight(lease_ns);
        let called_ns = self.coming.rung_ns.max(self.coming.free_ns);
        let undisturbed = leased.involuntary_switches == self.last.involuntary_switches
            && lease_ns.saturating_sub(called_ns) < PROMPT_NS;
        leased.queued_ns = if undisturbed {
            self.last.queued_ns
        } else {
            self.queue.waited_ns()
        };
        leased
    }

    /// Looks at what happened if `stage`, which has just ended at `now`, took longer than it usually does.
    fn look(&mut self, stage: Stage, stamps: &Stamps, now: u64) {
        if self.usual.is_long(stage, stage.of(stamps)) {
            self.work.looks.slow(stage, look(self.queue, now));
        }
    }

    fn note(&mut self, note: Note) {
        if self.notes.enqueue(note).is_err() {
            *self.notes_lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claimed, Outcome, Pulse, Signal};
    use crate::ledger::ledger;

    #[test]
    fn a_claimed_frame_ends_in_one_column_even_if_its_model_panics_and_is_in_flight_if_it_hangs() {
        let (mut capture, worker, view) = ledger();
        let (signal, pulse) = (Signal::default(), Pulse::default());
        for number in 0..3 {
            capture.frame(number);
        }
        assert!(Claimed::new(&worker, &signal, &pulse).ends(Outcome::Inferred));
        let dies = std::panic::catch_unwind(|| {
            let mut claimed = Claimed::new(&worker, &signal, &pulse);
            claimed.slot_given_back();
            panic!("in the model");
        });
        assert!(dies.is_err());
        let mut hangs = Claimed::new(&worker, &signal, &pulse);
        hangs.slot_given_back();
        let snapshot = view.snapshot(|| u64::try_from(signal.being_judged()).unwrap());
        assert_eq!((snapshot.inferred, snapshot.dropped.failed), (1, 1));
        assert_eq!(snapshot.in_flight, 1);
        assert!(snapshot.identity_holds(), "{snapshot:?}");
        assert!(hangs.ends(Outcome::Stale));
        let snapshot = view.snapshot(|| u64::try_from(signal.being_judged()).unwrap());
        assert_eq!((snapshot.dropped.stale, snapshot.in_flight), (1, 0));
        assert!(snapshot.identity_holds(), "{snapshot:?}");
    }
}
