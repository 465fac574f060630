//! The models that infer a frame after the worker's own: the whole picture, or the boxes of one before them.
//!
//! What holds, whatever they do:
//! - The frame is in its column of the ledger before the first of them begins. One that fails, or does not
//!   return in time, gives no result of that frame, and takes nothing from the others.
//! - The frame's slot is held until nobody wants a part of its picture any more, and not for one inference
//!   longer. A picture that was decoded is the worker's own, and its slot went back when it was copied.
//! - A model looks into no more boxes of a frame than its profile allows, the strongest ones; how many were
//!   left out is counted. Nothing is allocated.

use super::description::ResultOutbox;
use super::model::{Model, NoResult};
use crate::appliance::shared::in_flight::HeldSlot;
use crate::appliance::shared::invoke_deadline::InvokeDeadline;
use crate::appliance::shared::messages::{Inference, InferenceError, Note};
use crate::appliance::shared::progress::{Activity, ThreadProgress};
use crate::infer::Engine;
use crate::latency::{Histogram, Stamps};
use crate::limits::MAX_BOXES;
use crate::postprocess::{Detection, Detections, merge};
use crate::preprocess::Plan;
use crate::profile;
use crate::record::FrameResult;
use crate::sys::clock::now_ns;
use crate::sys::malloc_guard::HotThread;

/// The picture of a frame, for as long as a model may want a part of it.
pub(crate) enum HeldPicture<'frame> {
    /// Nobody wants it.
    Nothing,
    /// It lies in its slot.
    Slot(HeldSlot<'frame>),
    /// It was decoded.
    Decoded(&'frame [u8]),
}

impl HeldPicture<'_> {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Nothing => None,
            Self::Slot(slot) => Some(slot.lease.payload()),
            Self::Decoded(picture) => Some(picture),
        }
    }

    fn release(&mut self) {
        *self = Self::Nothing;
    }
}

/// The boxes that a model looks into.
#[derive(Clone, Debug)]
pub(crate) struct Boxes {
    /// Whose they are: 0 for the worker's own model, n for the n-th of the cascade.
    pub(crate) source: usize,
    /// Classes that are looked into; every one where there is none.
    pub(crate) classes: Vec<u16>,
    /// Share of a box's sides that is added at each of them.
    pub(crate) margin: f32,
    /// How many of a frame, at most [`MAX_BOXES`].
    pub(crate) most: usize,
}

impl Boxes {
    /// As the profile says, of a model that is the worker's model number `step`.
    pub(crate) fn new(within: &profile::Within, before: &[&profile::Model]) -> Option<Self> {
        let source = before.iter().position(|model| model.name == within.model)?;
        let labels = (0..).zip(&before.get(source)?.labels);
        let wanted = labels.filter(|(_, label)| within.classes.contains(label));
        Some(Self {
            source,
            classes: wanted.map(|(class, _)| class).collect(),
            margin: within.margin,
            most: within.boxes.min(MAX_BOXES),
        })
    }

    /// Those of `detections` that are looked into, each with its place among them, from 1.
    fn of<'d>(&self, detections: &'d [Detection]) -> impl Iterator<Item = (u16, &'d Detection)> {
        let looked = |class: u16| self.classes.is_empty() || self.classes.contains(&class);
        (1..)
            .zip(detections)
            .filter(move |(_, seen)| looked(seen.class))
    }

    /// The part of a picture that a box with its margin covers; `None` where that is less than two pixels.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Inside the picture.
    fn part(&self, seen: &Detection, camera_px: [f32; 2]) -> Option<[u32; 4]> {
        let along = |start: f32, length: f32, whole: f32| {
            let grow = self.margin * length;
            let from = (start - grow).clamp(0.0, whole).floor();
            let to = (start + length + grow).clamp(0.0, whole).ceil();
            (to - from >= 2.0).then_some([from as u32, (to - from) as u32])
        };
        let [x, width] = along(seen.x_px, seen.width_px, camera_px[0])?;
        let [y, height] = along(seen.y_px, seen.height_px, camera_px[1])?;
        Some([x, y, width, height])
    }
}

/// What one model of a cascade did.
#[derive(Debug, Default)]
pub(crate) struct CascadeAccount {
    /// Frames that it gave a result of.
    pub(crate) frames: u64,
    /// Frames that it gave none of.
    pub(crate) failed: u64,
    /// Boxes that it looked into.
    pub(crate) boxes: u64,
    /// Boxes beyond `within-boxes`.
    pub(crate) left_out: u64,
    /// Boxes that show nothing of what the camera's view shows.
    pub(crate) unseen: u64,
    /// Of one part of the picture to its tensor.
    pub(crate) preprocess: Histogram,
    /// Of each inference.
    pub(crate) invoke: Histogram,
    /// Of each decoding.
    pub(crate) postprocess: Histogram,
    /// From capture to this model's result of the frame.
    pub(crate) capture_to_result: Histogram,
}

impl CascadeAccount {
    /// Bytes of what is measured of one model.
    pub(crate) const fn bytes() -> u64 {
        4 * Histogram::bytes()
    }
}

/// A model that infers a frame after the worker's own.
pub(crate) struct CascadeStep<E> {
    pub(crate) model: Model<E>,
    /// Where it looks; at the whole picture where there are none.
    pub(crate) boxes: Option<Boxes>,
    /// Its detections have places in the picture; those of a classifier have not.
    pub(crate) has_places: bool,
    /// Overlap above which of two boxes of one class, found in two boxes, the weaker is suppressed.
    pub(crate) iou_threshold: f32,
    pub(crate) account: CascadeAccount,
    /// What was found in one box.
    pub(crate) found: Detections,
    /// The result being made: large, and therefore made in place.
    pub(crate) result: FrameResult,
}

/// What all models of a cascade need of one frame.
pub(crate) struct Round<'a> {
    /// What the worker's own model made of the frame.
    pub(crate) first: &'a FrameResult,
    pub(crate) deadline: &'a InvokeDeadline,
    pub(crate) progress: &'a ThreadProgress,
    pub(crate) hot: &'a HotThread,
}

/// Times of one model, summed up over its boxes.
#[derive(Clone, Copy, Default)]
struct Spent {
    preprocess_ns: u64,
    invoke_ns: u64,
}

/// Runs each model of the cascade on a frame. `plans` are those of the frame's camera; models that see the whole
/// picture have their tensors already.
pub(crate) fn run_cascade<E: Engine>(
    steps: &mut [CascadeStep<E>],
    plans: &mut [Plan],
    mut held: HeldPicture<'_>,
    round: &Round<'_>,
    outbox: &mut ResultOutbox,
) {
    for (index, plan) in plans.iter_mut().enumerate() {
        let Some((before, [own, later @ ..])) = steps.split_at_mut_checked(index) else {
            return;
        };
        let found = |source: usize| {
            let step = source.checked_sub(1).and_then(|step| before.get(step));
            step.map_or(&round.first.detections, |step| &step.result.detections)
        };
        // Whether a later one wants a part of the picture, or may want one once this one has found something.
        let mut wanted = later.iter().filter_map(|later| later.boxes.as_ref());
        let is_wanted = wanted
            .any(|boxes| boxes.source > index || boxes.of(found(boxes.source)).next().is_some());
        let theirs = own.boxes.as_ref().map(|boxes| found(boxes.source));
        let number = u16::try_from(index + 1).unwrap_or(u16::MAX);
        own.run(plan, (number, theirs, is_wanted), &mut held, round, outbox);
    }
}

impl<E: Engine> CascadeStep<E> {
    /// One frame, and what comes of it. `theirs` are the detections into whose boxes this model looks.
    fn run(
        &mut self,
        plan: &mut Plan,
        (step, theirs, is_wanted): (u16, Option<&Detections>, bool),
        held: &mut HeldPicture<'_>,
        round: &Round<'_>,
        outbox: &mut ResultOutbox,
    ) {
        let first = round.first;
        let of = Inference {
            worker: first.worker,
            step,
            camera: first.camera,
        };
        let began_ns = now_ns();
        let result = &mut self.result;
        result.camera = first.camera;
        result.worker = first.worker;
        result.model = self.model.place;
        result.step = step;
        result.sequence = first.sequence;
        result.driver_sequence = first.driver_sequence;
        result.detections.clear();
        result.summaries.clear();
        let spent = match (self.boxes.is_some(), theirs) {
            (true, Some(theirs)) => {
                self.look_into(theirs, plan, (of, is_wanted), held, round, outbox)
            }
            _ => self.look_at_whole(plan, (of, is_wanted), held, round, outbox),
        };
        match spent {
            Ok(spent) => {
                let preprocessed_ns = began_ns + spent.preprocess_ns;
                self.result.stamps = Stamps {
                    lease_ns: began_ns,
                    preprocessed_ns,
                    invoked_ns: preprocessed_ns + spent.invoke_ns,
                    result_ns: now_ns(),
                    ..first.stamps
                };
                self.account.frames += 1;
                let stamps = &self.result.stamps;
                self.account
                    .capture_to_result
                    .record(stamps.result_ns.saturating_sub(stamps.capture_ns));
                outbox.send(&self.result);
            }
            Err(why) => {
                // Nobody looks into its boxes.
                self.result.detections.clear();
                self.account.failed += 1;
                outbox.note(match why {
                    NoResult::Failed(error) => Note::NoResult { of, error },
                    NoResult::GivenUp => Note::WorkerBack { of },
                });
            }
        }
    }

    fn look_at_whole(
        &mut self,
        plan: &Plan,
        (of, is_wanted): (Inference, bool),
        held: &mut HeldPicture<'_>,
        round: &Round<'_>,
        outbox: &mut ResultOutbox,
    ) -> Result<Spent, NoResult> {
        if !is_wanted {
            held.release();
        }
        let invoke_ns = self.infer(plan, of, round, outbox)?;
        std::mem::swap(&mut self.result.detections, &mut self.found);
        let summaries = self.model.decoder.summaries();
        self.result.summaries.clone_from(summaries);
        Ok(Spent {
            preprocess_ns: 0,
            invoke_ns,
        })
    }

    fn look_into(
        &mut self,
        theirs: &Detections,
        plan: &mut Plan,
        (of, is_wanted): (Inference, bool),
        held: &mut HeldPicture<'_>,
        round: &Round<'_>,
        outbox: &mut ResultOutbox,
    ) -> Result<Spent, NoResult> {
        let mut spent = Spent::default();
        let parts = self.parts(theirs, plan.mapping().camera_px());
        let last = parts.len().wrapping_sub(1);
        if parts.is_empty() && !is_wanted {
            held.release();
        }
        for (index, (number, part)) in parts.iter().enumerate() {
            let began_ns = now_ns();
            let aimed = plan.set_region(*part);
            let picture = held.bytes().ok_or(InferenceError::Picture)?;
            if aimed.is_ok() {
                plan.run(picture, self.model.engine.input_bytes())
                    .map_err(|_| InferenceError::Picture)?;
            }
            if index == last && !is_wanted {
                held.release();
            }
            if aimed.is_err() {
                // Its box lies beside the region that the camera's view shows.
                self.account.unseen += 1;
                continue;
            }
            let took_ns = now_ns().saturating_sub(began_ns);
            spent.preprocess_ns += took_ns;
            self.account.preprocess.record(took_ns);
            self.account.boxes += 1;
            spent.invoke_ns += self.infer(plan, of, round, outbox)?;
            for seen in &mut self.found {
                seen.within = *number;
                if !self.has_places {
                    place(seen, *part);
                }
            }
            merge(&mut self.result.detections, &self.found, self.iou_threshold);
        }
        Ok(spent)
    }

    /// The parts of the picture that this model looks into, each with the number of its box.
    fn parts(&mut self, theirs: &Detections, camera_px: [f32; 2]) -> Parts {
        let mut parts = Parts::new();
        let Some(boxes) = &self.boxes else {
            return parts;
        };
        for (number, seen) in boxes.of(theirs) {
            let Some(part) = boxes.part(seen, camera_px) else {
                self.account.unseen += 1;
                continue;
            };
            if parts.len() >= boxes.most || parts.push((number, part)).is_err() {
                self.account.left_out += 1;
            }
        }
        parts
    }

    /// One inference on the tensor that is there, and what it found. Gives how long the model ran.
    fn infer(
        &mut self,
        plan: &Plan,
        of: Inference,
        round: &Round<'_>,
        outbox: &mut ResultOutbox,
    ) -> Result<u64, NoResult> {
        let (before, began_ns) = (round.hot.counts(), now_ns());
        round.progress.begin(Activity::Invoke, of.camera);
        let invoked_ns = self
            .model
            .invoke(of, round.deadline, round.hot, &before, began_ns)?;
        let took_ns = invoked_ns.saturating_sub(began_ns);
        self.account.invoke.record(took_ns);
        let decoded = self.model.decode(plan, &mut self.found);
        self.account
            .postprocess
            .record(now_ns().saturating_sub(invoked_ns));
        let values = decoded?;
        if values > 0 {
            outbox.note(Note::OutputRefused { of, values });
        }
        Ok(took_ns)
    }
}

/// Boxes by their number, with the part of the picture that each covers.
type Parts = heapless::Vec<(u16, [u32; 4]), MAX_BOXES>;

/// A detection without a place of its own is where its part of the picture is.
#[allow(clippy::cast_precision_loss)] // Sides of pictures are exact in single precision.
const fn place(seen: &mut Detection, [x, y, width, height]: [u32; 4]) {
    seen.x_px = x as f32;
    seen.y_px = y as f32;
    seen.width_px = width as f32;
    seen.height_px = height as f32;
}

#[cfg(test)]
mod tests;
