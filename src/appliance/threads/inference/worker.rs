//! The inference thread's loop: whose frame is next, claim it, infer it, send what came of it.

use super::cascade::{CascadeStep, Round, run_cascade};
use super::claimed::Claimed;
use super::description::ResultOutbox;
use super::infer::Pass;
use super::inputs::Inputs;
use super::model::Model;
use super::observer::Observer;
use crate::appliance::prepare::jpeg::Buffers;
use crate::appliance::shared::common::Common;
use crate::appliance::shared::messages::{Inference, Note};
use crate::appliance::shared::progress::Activity;
use crate::infer::Engine;
use crate::latency::Wakeup;
use crate::ledger::Outcome;
use crate::record::FrameResult;
use crate::sys::clock::now_ns;
use crate::sys::malloc_guard::HotThread;
use crate::sys::thread::UsageProbe;

/// Everything that one worker owns, made at arming on its own thread.
pub(crate) struct Worker<E> {
    /// Its place in the profile.
    pub(crate) index: u16,
    pub(crate) inputs: Inputs,
    pub(crate) own: Model<E>,
    /// The models that infer a frame after that one, in their order.
    pub(crate) cascade: Vec<CascadeStep<E>>,
    pub(crate) buffers: Buffers,
    pub(crate) observer: Observer,
    pub(crate) outbox: ResultOutbox,
    pub(crate) common: Common,
    /// The result being made: large, and therefore made in place.
    pub(crate) result: FrameResult,
}

impl<E: Engine> Worker<E> {
    /// Infers frames until the run is over.
    pub(crate) fn run(&mut self, probe: &mut UsageProbe, hot: &HotThread) {
        self.inputs.began_ns = now_ns();
        self.observer.start_over(self.inputs.began_ns);
        while !self.common.stop.is_asked() {
            probe.sample();
            let progress = &self.common.workers[usize::from(self.index)].progress;
            progress.begin(Activity::Waiting, 0);
            if let Some((camera, wakeup)) = self.inputs.next(&self.common) {
                self.serve(camera, wakeup, hot);
            }
        }
        self.inputs.ended_ns = now_ns();
    }

    fn serve(&mut self, index: usize, wakeup: Wakeup, hot: &HotThread) {
        let began_ns = self.inputs.began_ns;
        let (Some(Some(camera)), Some(state)) = (
            self.inputs.cameras.get_mut(index),
            self.common.cameras.get(index),
        ) else {
            return;
        };
        let progress = &self.common.workers[usize::from(self.index)].progress;
        let arrived_ns = state.arrived_ns();
        let Some(lease) = camera.input.claim() else {
            // Another worker has it, or its camera was lost. One that came meanwhile rings.
            state.taken(arrived_ns);
            return;
        };
        let lease_ns = now_ns();
        state.serve(lease_ns, lease.header().dequeue_ns);
        if lease_ns.saturating_sub(lease.header().capture_ns) <= camera.input.max_age_ns {
            let allowance = &camera.input.allowance;
            state.next_due(allowance.next_due_ns(lease_ns, state.due_ns()));
        }
        let deadline = &self.common.deadlines[usize::from(self.index)];
        let of = Inference {
            worker: self.index,
            step: 0,
            camera: lease.header().camera,
        };
        let mut claimed = Claimed::new(&camera.input.ledger, &state.in_flight, deadline);
        let mut pass = Pass {
            of,
            camera,
            state,
            claimed: &mut claimed,
            own: &mut self.own,
            cascade: &mut self.cascade,
            observer: &mut self.observer,
            notes: &mut self.outbox.notes,
            result: &mut self.result,
            stop: &self.common.stop,
            progress,
            hot,
        };
        let inferred = pass.infer(lease, (lease_ns, wakeup), &mut self.buffers);
        let outcome = inferred
            .as_ref()
            .map_or_else(|outcome| *outcome, |_| Outcome::Inferred);
        if !claimed.end(outcome) {
            self.outbox.note(Note::WorkerBack { of });
            return;
        }
        let Ok(held) = inferred else {
            return;
        };
        camera.measured.record(state, &self.result.stamps, began_ns);
        self.observer.done(&mut camera.baseline, &self.result);
        self.outbox.send(&self.result);
        self.common.housekeeping.ring();
        if !self.cascade.is_empty() {
            let round = Round {
                first: &self.result,
                deadline,
                progress,
                hot,
            };
            let plans = camera.plans.get_mut(1..).unwrap_or_default();
            run_cascade(&mut self.cascade, plans, held, &round, &mut self.outbox);
            self.common.housekeeping.ring();
            self.observer.cascade_done();
        }
        let took_ns = now_ns().saturating_sub(lease_ns);
        self.inputs.scheduler.learn(index, took_ns);
    }
}
