//! A worker's cameras: whose frame is next.

use super::description::{Bell, CameraInput};
use super::measured::Measured;
use crate::appliance::shared::camera_state::CameraState;
use crate::appliance::shared::common::Common;
use crate::infer::{Choice, Scheduler, Seen};
use crate::jpeg::Jpeg;
use crate::latency::{Baseline, Wakeup};
use crate::preprocess::Plan;
use crate::ring::Waiting;
use crate::sys::clock::now_ns;
use crate::units::NS_PER_MS;

/// Longest wait between two looks at the stop flag.
const LOOK_NS: u64 = 250 * NS_PER_MS;

/// One camera, as a worker sees it.
pub(crate) struct Camera {
    pub(crate) input: CameraInput,
    /// Of the worker's models, in their order.
    pub(crate) plans: Vec<Plan>,
    /// Where its frames are compressed.
    pub(crate) jpeg: Option<Jpeg>,
    pub(crate) measured: Measured,
    pub(crate) baseline: Baseline,
}

/// The cameras of one worker, and where it waits for their frames.
pub(crate) struct Inputs {
    /// By camera; none for one whose frames it does not infer.
    pub(crate) cameras: Vec<Option<Camera>>,
    pub(crate) scheduler: Scheduler,
    pub(crate) bell: Bell,
    pub(crate) waiting: Waiting,
    /// Cameras that rang and were not served yet, a bit each.
    pub(crate) pending: u64,
    /// When the watch began and ended for this worker.
    pub(crate) began_ns: u64,
    pub(crate) ended_ns: u64,
}

impl Inputs {
    /// The camera whose frame is next, of those that have one or ring while the worker waits for it; `None` after
    /// some time without.
    pub(crate) fn next(&mut self, common: &Common) -> Option<(usize, Wakeup)> {
        let free_ns = now_ns();
        let mut awake_ns = None;
        let mut until_ns = (self.pending == 0).then(|| free_ns.saturating_add(LOOK_NS));
        loop {
            if let Some(until_ns) = until_ns {
                self.bell.bell.wait(self.waiting, until_ns, now_ns);
                awake_ns = Some(now_ns());
            }
            self.pending |= self.bell.bell.take();
            if self.bell.workers > 1 {
                // Others may have taken frames of these cameras, or wait with the bits of frames that they have not.
                self.pending = self.untaken(&common.cameras);
            }
            let now = awake_ns.unwrap_or(free_ns);
            self.pending = self.allowed(&common.cameras, now);
            let seen = |camera| self.seen(camera, &common.cameras);
            match self.scheduler.next(self.pending, now, seen) {
                Some(Choice::Take(camera)) => {
                    let wakeup = Wakeup {
                        free_ns,
                        awake_ns,
                        // Before the claim: a frame that is claimed is not older than this stamp's.
                        rung_ns: common.cameras[camera].rung_ns(),
                    };
                    self.take(camera);
                    return Some((camera, wakeup));
                }
                Some(Choice::WaitUntil(wait_ns)) if !common.stop.is_asked() => {
                    until_ns = Some(wait_ns);
                }
                Some(Choice::WaitUntil(_)) | None => {
                    self.pending = 0;
                    return None;
                }
            }
        }
    }

    /// This worker serves the camera. Where others wait at the same bell, the rest is theirs.
    fn take(&mut self, camera: usize) {
        self.pending &= !(1 << camera);
        if self.bell.workers > 1 && self.pending != 0 {
            self.bell.bell.ring(self.pending);
            self.pending = 0;
        }
    }

    /// The cameras of which a frame came that no worker has taken.
    fn untaken(&self, states: &[CameraState]) -> u64 {
        let cameras = self.cameras.iter().zip(states).enumerate();
        cameras.fold(0, |bits, (index, (camera, state))| {
            let is_untaken = camera.is_some() && state.arrived_ns() > state.taken_ns();
            bits | u64::from(is_untaken) << index
        })
    }

    /// What the scheduler knows of a camera's frames.
    fn seen(&self, camera: usize, states: &[CameraState]) -> Seen {
        let (Some(state), Some(Some(Camera { input, .. }))) =
            (states.get(camera), self.cameras.get(camera))
        else {
            return Seen::default();
        };
        let expected_ns = state.expected_ns();
        let may_be_taken = input.allowance.allows(expected_ns, state.due_ns());
        Seen {
            arrived_ns: state.arrived_ns(),
            expected_ns: if may_be_taken { expected_ns } else { 0 },
            // Before the first one, nobody has waited yet.
            known_ns: state.taken_ns().max(self.began_ns),
            served_ns: state.served_ns().max(self.began_ns),
        }
    }

    /// The pending cameras whose frames may be inferred now. Another one's frame waits in its ring: the next
    /// one that comes evicts it and rings again.
    fn allowed(&self, states: &[CameraState], now: u64) -> u64 {
        let mut allowed = self.pending;
        for (index, (camera, state)) in self.cameras.iter().zip(states).enumerate() {
            // The bit of a camera that this worker does not have never comes: its bell is not rung for it.
            let Some(Camera { input, .. }) = camera else {
                continue;
            };
            // What is too old takes no time, and its slot may be waited for.
            let is_stale = now.saturating_sub(state.newest_ns()) > input.max_age_ns;
            if !is_stale && !input.allowance.allows(now, state.due_ns()) {
                allowed &= !(1 << index);
            }
        }
        allowed
    }
}
