//! One frame: tensor, model, detections.

use super::claimed::Claimed;
use super::{Work, look};
use crate::appliance::decoding::Buffers;
use crate::appliance::further::{Further, Held};
use crate::appliance::messages::{Inference, Note, NoteSender};
use crate::appliance::stop::Stop;
use crate::infer::{Engine, outputs_of};
use crate::jpeg::{Damage, Jpeg};
use crate::latency::{Coming, Looks, Remarks, Sight, Stage, Stamps, Usual};
use crate::postprocess::Decoder;
use crate::preprocess::Plan;
use crate::record::FrameResult;
use crate::ring::Lease;
use crate::sys::clock::now_ns;
use crate::sys::heap::HotThread;
use crate::sys::thread::{RunQueue, sight};
use crate::units::NS_PER_US;

/// A worker that has its frame so soon after the bell was not kept from it by another thread for longer.
const PROMPT_NS: u64 = 100 * NS_PER_US;

/// How one claimed frame ended.
pub(super) enum Judged {
    Inferred,
    Stale,
    Damaged,
    Failed,
    /// Enough results were given.
    Refused,
}

/// Why a frame did not become a tensor.
enum Untensored {
    /// Its bytes are not a picture.
    Damaged(Damage),
    /// The picture is not what was planned for.
    Failed,
}

/// What judging one frame needs of a worker, beside the lease.
pub(super) struct Judge<'worker, 'view, E> {
    pub claimed: &'worker mut Claimed<'view>,
    pub index: u16,
    pub model: u16,
    pub engine: &'worker mut E,
    pub decoder: &'worker mut Decoder,
    pub further: &'worker mut [Further<E>],
    pub plan: &'worker Plan,
    /// Of the further models.
    pub plans: &'worker [Plan],
    pub jpeg: Option<&'worker Jpeg>,
    pub usual: &'worker Usual,
    pub stop: &'worker Stop,
    pub hot: &'worker HotThread,
    pub queue: &'worker RunQueue,
    pub notes: &'worker mut NoteSender,
    pub notes_lost: &'worker mut u64,
    pub values_refused: &'worker mut u64,
    pub coming: Coming,
    /// This thread's counters after the last result.
    pub last: &'worker Sight,
    pub work: &'worker mut Work,
    pub result: &'worker mut FrameResult,
}

impl<'view, E: Engine> Judge<'_, 'view, E> {
    /// Judges a frame, and gives what is left of it for the further models.
    pub(super) fn judge<'frame>(
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
        let of = Inference {
            worker: self.index,
            step: 0,
            camera,
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
                self.note(Note::PreprocessFailed { of });
                return Judged::Failed;
            }
        }
        self.claimed.model_begins(camera, stamps.preprocessed_ns);
        if let Err(error) = self.engine.invoke() {
            self.note(Note::InferenceFailed { of, error });
            return Judged::Failed;
        }
        stamps.invoked_ns = now_ns();
        self.look(Stage::Invoke, &stamps, stamps.invoked_ns);
        let drawn = self.hot.counts().since(&before);
        if drawn.arena_overdrawn + drawn.arena_refused > 0 {
            // The reserve let the model end: this inference had more than its share.
            self.note(Note::ArenaExhausted { of });
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
                let values = stats.refused;
                *self.values_refused += u64::from(values);
                self.note(Note::OutputRefused { of, values });
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
