//! One frame: from its slot to the tensors, through the worker's own model, to detections.

use super::cascade::{CascadeStep, HeldPicture};
use super::claimed::Claimed;
use super::inputs::Camera;
use super::model::{Model, NoResult};
use super::observer::Observer;
use crate::appliance::prepare::jpeg::Buffers;
use crate::appliance::shared::camera_state::CameraState;
use crate::appliance::shared::in_flight::HeldSlot;
use crate::appliance::shared::messages::{Inference, InferenceError, Note, NoteLog};
use crate::appliance::shared::progress::{Activity, ThreadProgress};
use crate::appliance::shared::stop::Stop;
use crate::infer::Engine;
use crate::jpeg::Damage;
use crate::latency::{Stage, Stamps, Wakeup};
use crate::ledger::Outcome;
use crate::record::FrameResult;
use crate::ring::Lease;
use crate::sys::clock::now_ns;
use crate::sys::malloc_guard::HotThread;

/// Why a frame did not become a tensor.
enum NoTensor {
    /// Its bytes are not a picture.
    Corrupt(Damage),
    /// The picture is shorter than was planned for.
    Short,
}

/// What inferring one frame needs of a worker, beside the lease.
pub(crate) struct Pass<'worker, 'run, E> {
    pub(crate) of: Inference,
    pub(crate) camera: &'worker Camera,
    pub(crate) state: &'worker CameraState,
    pub(crate) claimed: &'worker mut Claimed<'run>,
    pub(crate) own: &'worker mut Model<E>,
    pub(crate) cascade: &'worker mut [CascadeStep<E>],
    pub(crate) observer: &'worker mut Observer,
    pub(crate) notes: &'worker mut NoteLog,
    pub(crate) result: &'worker mut FrameResult,
    pub(crate) stop: &'worker Stop,
    pub(crate) progress: &'worker ThreadProgress,
    pub(crate) hot: &'worker HotThread,
}

impl<'run, E: Engine> Pass<'_, 'run, E> {
    /// Infers a frame, and gives what is left of it for the models of the cascade; or where it is counted.
    pub(crate) fn infer<'frame>(
        &mut self,
        lease: Lease<'frame>,
        (lease_ns, wakeup): (u64, Wakeup),
        buffers: &'frame mut Buffers,
    ) -> Result<HeldPicture<'frame>, Outcome>
    where
        'run: 'frame,
    {
        let of = self.of;
        let slot = self.claimed.in_flight.hold(lease);
        let header = slot.lease.header();
        if slot.lease.verify().is_err() {
            self.notes.note(Note::HeaderTorn {
                camera: of.camera,
                sequence: slot.lease.sequence(),
            });
            slot.discard();
            return Err(Outcome::Damaged);
        }
        if lease_ns.saturating_sub(header.capture_ns) > self.camera.input.max_age_ns {
            slot.discard();
            return Err(Outcome::Stale);
        }
        let mut stamps = Stamps {
            capture_ns: header.capture_ns,
            dequeue_ns: header.dequeue_ns,
            lease_ns,
            ..Stamps::default()
        };
        self.result.camera = of.camera;
        self.result.worker = of.worker;
        self.result.model = self.own.place;
        self.result.sequence = header.sequence;
        self.result.driver_sequence = header.driver_sequence;
        self.observer.claimed(header.stamp, lease_ns, wakeup);
        let before = self.hot.counts();
        self.progress.begin(Activity::Preprocess, of.camera);
        let made = self.tensors(slot, buffers);
        stamps.preprocessed_ns = now_ns();
        self.observe(Stage::Preprocess, &stamps, stamps.preprocessed_ns);
        let held = made.map_err(|fault| match fault {
            NoTensor::Corrupt(damage) => {
                self.state.spoil();
                let camera = of.camera;
                self.notes.note(Note::FrameSpoilt { camera, damage });
                Outcome::Damaged
            }
            NoTensor::Short => self.failed(InferenceError::Picture),
        })?;
        self.state.sound();
        let deadline = self.claimed.deadline;
        self.progress.begin(Activity::Invoke, of.camera);
        let invoked = self
            .own
            .invoke(of, deadline, self.hot, &before, stamps.preprocessed_ns);
        stamps.invoked_ns = invoked.map_err(|fault| match fault {
            NoResult::Failed(error) => self.failed(error),
            NoResult::GivenUp => {
                self.claimed.given_up();
                Outcome::Refused
            }
        })?;
        self.observe(Stage::Invoke, &stamps, stamps.invoked_ns);
        self.progress.begin(Activity::Postprocess, of.camera);
        let plan = &self.camera.plans[0];
        let decoded = self.own.decode(plan, &mut self.result.detections);
        let summaries = self.own.decoder.summaries();
        self.result.summaries.clone_from(summaries);
        stamps.result_ns = now_ns();
        self.observe(Stage::Postprocess, &stamps, stamps.result_ns);
        self.result.stamps = stamps;
        let values = decoded.map_err(|error| self.failed(error))?;
        if values > 0 {
            self.notes.note(Note::OutputRefused { of, values });
        }
        if self.stop.count_result() {
            Ok(held)
        } else {
            // Enough results were given.
            Err(Outcome::Refused)
        }
    }

    fn failed(&mut self, error: InferenceError) -> Outcome {
        self.notes.note(Note::NoResult { of: self.of, error });
        Outcome::Failed
    }

    fn observe(&mut self, stage: Stage, stamps: &Stamps, now: u64) {
        self.observer
            .stage(&self.camera.baseline, stage, stamps, now);
    }

    /// Makes the inputs of all models that see the whole picture. The slot goes back as soon as its bytes are not
    /// needed: before the first model runs, unless one of the cascade looks into boxes of the picture that lies
    /// in it. Gives what that one reads.
    fn tensors<'frame>(
        &mut self,
        slot: HeldSlot<'frame>,
        buffers: &'frame mut Buffers,
    ) -> Result<HeldPicture<'frame>, NoTensor> {
        let Some(jpeg) = &self.camera.jpeg else {
            self.run_plans(slot.lease.payload())?;
            return Ok(self.if_wanted(HeldPicture::Slot(slot)));
        };
        let taken = match buffers.take(jpeg, slot.lease.payload()) {
            Ok(taken) => taken,
            Err(damage) => {
                slot.discard();
                return Err(NoTensor::Corrupt(damage));
            }
        };
        drop(slot);
        let picture = buffers.decode(jpeg, taken).map_err(NoTensor::Corrupt)?;
        self.run_plans(picture)?;
        Ok(self.if_wanted(HeldPicture::Decoded(picture)))
    }

    /// The picture, if a model of the cascade looks into boxes of it.
    fn if_wanted<'frame>(&self, picture: HeldPicture<'frame>) -> HeldPicture<'frame> {
        if self.cascade.iter().any(|step| step.boxes.is_some()) {
            picture
        } else {
            HeldPicture::Nothing
        }
    }

    /// The tensors of the models that see the whole picture.
    fn run_plans(&mut self, picture: &[u8]) -> Result<(), NoTensor> {
        let steps = self.cascade.iter_mut();
        let whole = steps.map(|step| step.boxes.is_none().then_some(&mut step.model.engine));
        let engines = std::iter::once(Some(&mut self.own.engine)).chain(whole);
        for (engine, plan) in engines.zip(&self.camera.plans) {
            if let Some(engine) = engine {
                let made = plan.run(picture, engine.input_bytes());
                made.map_err(|_| NoTensor::Short)?;
            }
        }
        Ok(())
    }
}
