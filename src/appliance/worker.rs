//! The inference thread: whose frame is next, claim it, tensor, model, detections.

use super::messages::{Note, NoteSender, ResultSender};
use super::stop::Stop;
use crate::infer::{Engine, Scheduler, outputs_of};
use crate::latency::{Histogram, Stage, StageHistograms, Stamps};
use crate::ledger::{Outcome, WorkerLedger};
use crate::postprocess::Decoder;
use crate::preprocess::Plan;
use crate::record::FrameResult;
use crate::ring::{Doorbell, LaneTap, Lease, Waiting};
use crate::sync::{Arc, AtomicU64, Ordering, Padded};
use crate::sys::clock::now_ns;
use crate::sys::heap::HotThread;
use crate::sys::thread::UsageProbe;
use crate::units::NS_PER_MS;

/// Longest wait between two looks at the stop flag.
const LOOK_NS: u64 = 250 * NS_PER_MS;

/// When each camera's newest frame was captured. A hint for the scheduler: it orders nothing.
pub(super) type Newest = Arc<[Padded<AtomicU64>]>;

/// One camera, as a worker sees it.
pub(super) struct View {
    pub(super) tap: LaneTap,
    pub(super) plan: Plan,
    pub(super) ledger: WorkerLedger,
    pub(super) max_age_ns: u64,
    pub(super) last_result_ns: u64,
    pub(super) capture_to_result: Histogram,
    pub(super) inter_result: Histogram,
}

/// Everything that one worker owns, made at arming on its own thread.
pub(super) struct Worker<E> {
    pub(super) index: u16,
    pub(super) engine: E,
    pub(super) decoder: Decoder,
    pub(super) views: Vec<View>,
    pub(super) scheduler: Scheduler,
    pub(super) newest: Newest,
    pub(super) bell: Arc<Doorbell>,
    /// Other workers wait at the same bell.
    pub(super) shared_bell: bool,
    pub(super) waiting: Waiting,
    pub(super) stop: Arc<Stop>,
    pub(super) results: ResultSender,
    pub(super) notes: NoteSender,
    pub(super) house: Arc<Doorbell>,
    pub(super) tally: Tally,
    /// The result being made: large, and therefore made in place.
    pub(super) result: FrameResult,
}

/// What a worker leaves behind.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) stages: StageHistograms,
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
    pub(super) fn run(&mut self, probe: &mut UsageProbe, hot: &HotThread) {
        let mut pending = 0;
        while !self.stop.is_asked() {
            probe.sample();
            if pending == 0 {
                self.bell
                    .wait(self.waiting, now_ns().saturating_add(LOOK_NS), now_ns);
            }
            pending |= self.bell.take();
            let newest = |camera: usize| self.newest[camera].load(Ordering::Relaxed);
            let Some(camera) = self.scheduler.next(pending, now_ns(), newest) else {
                pending = 0;
                continue;
            };
            pending &= !(1 << camera);
            if self.shared_bell && pending != 0 {
                self.bell.ring(pending);
                pending = 0;
            }
            self.serve(camera, hot);
        }
    }

    fn serve(&mut self, camera: usize, hot: &HotThread) {
        let Some(view) = self.views.get_mut(camera) else {
            return;
        };
        let ledger = &view.ledger;
        // This reader never keeps a lease across calls, so the lease it may have is free.
        let Ok(Some(lease)) = view.tap.claim_newest(|_| ledger.count(Outcome::Stale, 1)) else {
            return;
        };
        let lease_ns = now_ns();
        self.scheduler.served(camera, lease_ns);
        let judge = Judge {
            index: self.index,
            engine: &mut self.engine,
            decoder: &mut self.decoder,
            plan: &view.plan,
            stop: &self.stop,
            hot,
            notes: &mut self.notes,
            notes_lost: &mut self.tally.notes_lost,
            result: &mut self.result,
        };
        match judge.judge(lease, lease_ns, view.max_age_ns) {
            Judged::Inferred => {
                view.ledger.count(Outcome::Inferred, 1);
                let stamps = &self.result.stamps;
                self.tally.stages.record(stamps);
                view.capture_to_result
                    .record(Stage::CaptureToResult.of(stamps));
                if view.last_result_ns != 0 {
                    view.inter_result
                        .record(stamps.result_ns - view.last_result_ns);
                }
                view.last_result_ns = stamps.result_ns;
                if self.results.enqueue(self.result.clone()).is_err() {
                    self.tally.results_lost += 1;
                }
                self.house.ring(1);
            }
            Judged::Stale => view.ledger.count(Outcome::Stale, 1),
            Judged::Damaged => view.ledger.count(Outcome::Damaged, 1),
            Judged::Failed => view.ledger.count(Outcome::Failed, 1),
            Judged::Refused => view.ledger.count(Outcome::Refused, 1),
        }
    }
}

/// What judging one frame needs of a worker, beside the lease.
struct Judge<'worker, E> {
    index: u16,
    engine: &'worker mut E,
    decoder: &'worker mut Decoder,
    plan: &'worker Plan,
    stop: &'worker Stop,
    hot: &'worker HotThread,
    notes: &'worker mut NoteSender,
    notes_lost: &'worker mut u64,
    result: &'worker mut FrameResult,
}

impl<E: Engine> Judge<'_, E> {
    fn judge(mut self, lease: Lease<'_>, lease_ns: u64, max_age_ns: u64) -> Judged {
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
        self.result.sequence = header.sequence;
        self.result.driver_sequence = header.driver_sequence;
        let tensor = self.plan.run(lease.payload(), self.engine.input_bytes());
        // The slot goes back before the model runs: a slow model holds no frame memory.
        drop(lease);
        stamps.preprocessed_ns = now_ns();
        if tensor.is_err() {
            self.note(Note::PreprocessFailed {
                worker: self.index,
                camera,
            });
            return Judged::Failed;
        }
        let before = self.hot.counts();
        if let Err(error) = self.engine.invoke() {
            self.note(Note::InferenceFailed {
                worker: self.index,
                error,
            });
            return Judged::Failed;
        }
        stamps.invoked_ns = now_ns();
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
        stamps.result_ns = now_ns();
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
        if self.stop.count_result() {
            Judged::Inferred
        } else {
            Judged::Refused
        }
    }

    fn note(&mut self, note: Note) {
        if self.notes.enqueue(note).is_err() {
            *self.notes_lost += 1;
        }
    }
}
