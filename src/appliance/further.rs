//! The models that judge a frame after the worker's own: the whole picture, or the boxes of one before them.
//!
//! What holds, whatever they do:
//! - The frame is in its column of the ledger before the first of them begins. One that fails, or does not
//!   return in time, gives no result of that frame, and takes nothing from the others.
//! - The frame's slot is held until nobody wants a part of its picture any more, and not for one inference
//!   longer. A picture that was decoded is the worker's own, and its slot has gone back long since.
//! - A model looks into no more boxes of a frame than its profile allows, the strongest ones; how many were
//!   left out is counted. Nothing is allocated.

use super::pulse::Pulse;
use super::signals::Signal;
use crate::board;
use crate::infer::{Engine, EngineError, outputs_of};
use crate::latency::{Histogram, Stamps};
use crate::limits::MAX_BOXES;
use crate::postprocess::{Decoder, Detection, Detections, merge};
use crate::preprocess::Plan;
use crate::record::FrameResult;
use crate::ring::Lease;
use crate::sys::clock::now_ns;
use crate::sys::heap::HotThread;

/// A frame's slot that goes back when this is dropped, and is then counted as judged without one.
pub(super) struct KeptSlot<'frame> {
    lease: Option<Lease<'frame>>,
    signal: &'frame Signal,
}

impl<'frame> KeptSlot<'frame> {
    pub(super) const fn new(lease: Lease<'frame>, signal: &'frame Signal) -> Self {
        Self {
            lease: Some(lease),
            signal,
        }
    }
}

impl Drop for KeptSlot<'_> {
    fn drop(&mut self) {
        drop(self.lease.take());
        self.signal.judging();
    }
}

/// The picture of a frame, for as long as a model may want a part of it.
pub(super) enum Held<'frame> {
    /// Nobody wants it.
    Nothing,
    /// It lies in its slot.
    Slot(KeptSlot<'frame>),
    /// It was decoded.
    Decoded(&'frame [u8]),
}

impl Held<'_> {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Nothing => None,
            Self::Slot(slot) => slot.lease.as_ref().map(Lease::payload),
            Self::Decoded(picture) => Some(picture),
        }
    }

    fn release(&mut self) {
        *self = Self::Nothing;
    }
}

/// Why a further model gave no result of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FurtherError {
    /// The engine's step that failed.
    Engine(EngineError),
    /// The frame is shorter than its format says.
    Picture,
    /// An output has not the size it had at arming.
    Outputs,
    /// The model called malloc for more than its arena has.
    Arena,
}

impl std::fmt::Display for FurtherError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Picture => f.write_str("a frame is shorter than its format says"),
            Self::Outputs => f.write_str("an output has another size than at arming"),
            Self::Arena => f.write_str("it asked malloc for more than malloc-arena-kib"),
        }
    }
}

/// The boxes that a model looks into.
#[derive(Clone, Debug)]
pub(super) struct Boxes {
    /// Whose they are: 0 for the worker's own model, n for the n-th further one.
    pub(super) source: usize,
    /// Classes that are looked into; every one where there is none.
    pub(super) classes: Vec<u16>,
    /// Share of a box's sides that is added at each of them.
    pub(super) margin: f32,
    /// How many of a frame, at most [`MAX_BOXES`].
    pub(super) most: usize,
}

impl Boxes {
    /// As the profile says, of a model that is the worker's model number `step`.
    pub(super) fn new(within: &board::Within, before: &[&board::Model]) -> Option<Self> {
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

/// What one further model did.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Frames that it gave a result of.
    pub(super) frames: u64,
    /// Frames that it gave none of.
    pub(super) failed: u64,
    /// Boxes that it looked into.
    pub(super) boxes: u64,
    /// Boxes beyond `within-boxes`.
    pub(super) left_out: u64,
    /// Boxes that show nothing of what the camera's view shows.
    pub(super) unseen: u64,
    /// Values and boxes that cannot be.
    pub(super) values_refused: u64,
    /// Of one part of the picture to its tensor.
    pub(super) preprocess: Histogram,
    /// Of each inference.
    pub(super) invoke: Histogram,
    /// Of each decoding.
    pub(super) postprocess: Histogram,
    /// From capture to this model's result of the frame.
    pub(super) capture_to_result: Histogram,
}

impl Account {
    /// Bytes of what is measured of one further model.
    pub(super) const fn bytes() -> u64 {
        4 * Histogram::bytes()
    }
}

/// A model that judges a frame after the worker's own.
pub(super) struct Further<E> {
    /// Its place in the profile.
    pub(super) model: u16,
    pub(super) engine: E,
    pub(super) decoder: Decoder,
    /// Where it looks; at the whole picture where there are none.
    pub(super) boxes: Option<Boxes>,
    /// It tells where in the picture something is.
    pub(super) has_places: bool,
    /// Overlap above which of two boxes of one class, found in two boxes, the weaker is suppressed.
    pub(super) iou_threshold: f32,
    pub(super) account: Account,
    /// What was found in one box.
    pub(super) found: Detections,
    /// The result being made: large, and therefore made in place.
    pub(super) result: FrameResult,
}

/// What comes of a further model's turn.
pub(super) enum Turn<'a> {
    /// Its result.
    Gave(&'a FrameResult),
    /// None.
    Failed { step: u16, error: FurtherError },
    /// It has returned after it was given up: none either.
    Back { step: u16 },
    /// So many output values were not finite.
    Refused { step: u16, values: u32 },
}

/// What all turns of one frame need.
pub(super) struct Round<'a> {
    /// What the worker's own model made of the frame.
    pub(super) first: &'a FrameResult,
    pub(super) pulse: &'a Pulse,
    pub(super) hot: &'a HotThread,
}

/// Times of one turn, summed up over its boxes.
#[derive(Clone, Copy, Default)]
struct Spent {
    preprocess_ns: u64,
    invoke_ns: u64,
}

/// Why a turn ended early.
enum Ended {
    Failed(FurtherError),
    GivenUp,
}

impl From<FurtherError> for Ended {
    fn from(error: FurtherError) -> Self {
        Self::Failed(error)
    }
}

/// Lets each further model have its turn on a frame. `plans` are those of the frame's camera; models that see the
/// whole picture have their tensors already.
pub(super) fn take_turns<E: Engine>(
    all: &mut [Further<E>],
    plans: &mut [Plan],
    mut held: Held<'_>,
    round: &Round<'_>,
    mut tell: impl FnMut(Turn<'_>),
) {
    for (index, plan) in plans.iter_mut().enumerate() {
        let Some((before, rest)) = all.split_at_mut_checked(index) else {
            return;
        };
        let Some((own, later)) = rest.split_first_mut() else {
            return;
        };
        let found = |source: usize| match source.checked_sub(1) {
            None => &round.first.detections,
            Some(further) => before
                .get(further)
                .map_or(&round.first.detections, |of| &of.result.detections),
        };
        // Whether a later one wants a part of the picture, or may want one once this one has found something.
        let wanted = later.iter().filter_map(|later| later.boxes.as_ref());
        let wanted = wanted
            .filter(|boxes| boxes.source > index || boxes.of(found(boxes.source)).next().is_some())
            .count()
            > 0;
        let step = u16::try_from(index + 1).unwrap_or(u16::MAX);
        let theirs = own.boxes.as_ref().map(|boxes| found(boxes.source));
        own.begin(round.first, step);
        let began_ns = own.result.stamps.lease_ns;
        let spent = own.turn(plan, theirs, wanted, &mut held, round, &mut tell);
        own.end(began_ns, spent, &mut tell);
    }
}

impl<E: Engine> Further<E> {
    fn begin(&mut self, first: &FrameResult, step: u16) {
        let result = &mut self.result;
        result.camera = first.camera;
        result.worker = first.worker;
        result.model = self.model;
        result.step = step;
        result.sequence = first.sequence;
        result.driver_sequence = first.driver_sequence;
        result.stamps = Stamps {
            capture_ns: first.stamps.capture_ns,
            dequeue_ns: first.stamps.dequeue_ns,
            lease_ns: now_ns(),
            ..Stamps::default()
        };
        result.detections.clear();
        result.summaries.clear();
    }

    /// One frame. `theirs` are the detections into whose boxes it looks.
    fn turn(
        &mut self,
        plan: &mut Plan,
        theirs: Option<&Detections>,
        wanted: bool,
        held: &mut Held<'_>,
        round: &Round<'_>,
        tell: &mut impl FnMut(Turn<'_>),
    ) -> Result<Spent, Ended> {
        let mut spent = Spent::default();
        let (Some(boxes), Some(theirs)) = (&self.boxes, theirs) else {
            if !wanted {
                held.release();
            }
            self.infer(plan, round, &mut spent, tell)?;
            std::mem::swap(&mut self.result.detections, &mut self.found);
            self.result.summaries.clone_from(self.decoder.summaries());
            return Ok(spent);
        };
        let camera_px = plan.mapping().camera_px();
        let mut parts: heapless::Vec<(u16, [u32; 4]), MAX_BOXES> = heapless::Vec::new();
        for (number, seen) in boxes.of(theirs) {
            let Some(part) = boxes.part(seen, camera_px) else {
                self.account.unseen += 1;
                continue;
            };
            if parts.len() >= boxes.most || parts.push((number, part)).is_err() {
                self.account.left_out += 1;
            }
        }
        let last = parts.len().wrapping_sub(1);
        if parts.is_empty() && !wanted {
            held.release();
        }
        for (index, (number, part)) in parts.iter().enumerate() {
            let began_ns = now_ns();
            let aimed = plan.set_region(*part);
            let picture = held.bytes().ok_or(FurtherError::Picture)?;
            if aimed.is_ok() {
                plan.run(picture, self.engine.input_bytes())
                    .map_err(|_| FurtherError::Picture)?;
            }
            if index == last && !wanted {
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
            self.infer(plan, round, &mut spent, tell)?;
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

    /// One inference on the tensor that is there, and what it found.
    fn infer(
        &mut self,
        plan: &Plan,
        round: &Round<'_>,
        spent: &mut Spent,
        tell: &mut impl FnMut(Turn<'_>),
    ) -> Result<(), Ended> {
        let before = round.hot.counts();
        let (camera, step) = (self.result.camera, self.result.step);
        let began_ns = now_ns();
        round.pulse.begin_step(camera, step, began_ns);
        let invoked = self.engine.invoke();
        let invoked_ns = now_ns();
        if !round.pulse.end() {
            return Err(Ended::GivenUp);
        }
        invoked.map_err(FurtherError::Engine)?;
        let took_ns = invoked_ns.saturating_sub(began_ns);
        spent.invoke_ns += took_ns;
        self.account.invoke.record(took_ns);
        let drawn = round.hot.counts().since(&before);
        if drawn.arena_overdrawn + drawn.arena_refused > 0 {
            return Err(FurtherError::Arena.into());
        }
        let outputs = outputs_of(&self.engine);
        let decoded = self
            .decoder
            .decode(&outputs, plan.mapping(), &mut self.found);
        drop(outputs);
        self.account
            .postprocess
            .record(now_ns().saturating_sub(invoked_ns));
        let stats = decoded.map_err(|_| FurtherError::Outputs)?;
        if stats.refused > 0 {
            let values = stats.refused;
            self.account.values_refused += u64::from(values);
            tell(Turn::Refused { step, values });
        }
        Ok(())
    }

    fn end(&mut self, began_ns: u64, turn: Result<Spent, Ended>, tell: &mut impl FnMut(Turn<'_>)) {
        let step = self.result.step;
        match turn {
            Ok(spent) => {
                let stamps = &mut self.result.stamps;
                stamps.preprocessed_ns = began_ns + spent.preprocess_ns;
                stamps.invoked_ns = stamps.preprocessed_ns + spent.invoke_ns;
                stamps.result_ns = now_ns();
                self.account.frames += 1;
                self.account
                    .capture_to_result
                    .record(stamps.result_ns.saturating_sub(stamps.capture_ns));
                tell(Turn::Gave(&self.result));
            }
            Err(ended) => {
                // Nobody looks into its boxes.
                self.result.detections.clear();
                self.account.failed += 1;
                tell(match ended {
                    Ended::Failed(error) => Turn::Failed { step, error },
                    Ended::GivenUp => Turn::Back { step },
                });
            }
        }
    }
}

/// What has no place in the picture is where its part is.
#[allow(clippy::cast_precision_loss)] // Sides of pictures are exact in single precision.
const fn place(seen: &mut Detection, [x, y, width, height]: [u32; 4]) {
    seen.x_px = x as f32;
    seen.y_px = y as f32;
    seen.width_px = width as f32;
    seen.height_px = height as f32;
}

#[cfg(test)]
mod tests;
