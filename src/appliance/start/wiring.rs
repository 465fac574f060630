//! What every thread of a run is given: the two ends of each queue, each camera's lane, ledger and bell, each
//! worker's share of them.
//!
//! Answers for: who holds which end. Does not answer for: the threads themselves (`spawn`).

use super::started::CameraAccount;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::fit::Fitted;
use crate::appliance::prepare::format::{describe, word};
use crate::appliance::prepare::jpeg::{Buffers, beside_worker};
use crate::appliance::prepare::memory::Lane;
use crate::appliance::shared::common::{Common, camera_bits};
use crate::appliance::shared::invoke_deadline::Watchdog;
use crate::appliance::shared::messages::{NoteLog, NoteReceiver, ResultReceiver};
use crate::appliance::threads::capture::camera_slot::CameraSlot;
use crate::appliance::threads::capture::capture_loop::CaptureLoop;
use crate::appliance::threads::inference::description::{
    Bell, CameraDescription, CameraInput, Description, ResultOutbox,
};
use crate::capture::health::supervisor::Limits;
use crate::infer::Allowance;
use crate::ledger::ledger;
use crate::profile::{AbsentCamera, Board, Camera};
use crate::sync::Arc;
use crate::sys::malloc_guard;
use crate::units::{KIB, NS_PER_MS};
use std::collections::BTreeMap;

/// What the threads of a board are given.
pub(crate) struct Wiring {
    pub(crate) workers: Vec<Description>,
    /// The capture threads by their core.
    pub(crate) captures: Vec<(usize, CaptureLoop)>,
    /// Housekeeping's ends.
    pub(crate) results: Vec<ResultReceiver>,
    pub(crate) notes: Vec<NoteReceiver>,
    pub(crate) watchdog: Watchdog,
    /// By camera, for the proof.
    pub(crate) accounts: Vec<CameraAccount>,
}

impl Wiring {
    /// Lays the wires, and leaves every thread's share ready to be taken.
    ///
    /// # Errors
    /// A worker's memory cannot be had, or a picture is too large.
    pub(crate) fn lay(fitted: &Fitted, common: &Common, lanes: Vec<Lane>) -> Result<Self, Failure> {
        let board = &fitted.board;
        let mut wiring = Self {
            workers: Vec::new(),
            captures: Vec::new(),
            results: Vec::new(),
            notes: Vec::new(),
            watchdog: Watchdog {
                deadlines: Arc::clone(&common.deadlines),
                cameras: Arc::clone(&common.cameras),
                ..Watchdog::default()
            },
            accounts: Vec::new(),
        };
        let mut inputs: Vec<Vec<_>> = board.workers.iter().map(|_| Vec::new()).collect();
        let mut slots: BTreeMap<usize, Vec<CameraSlot>> = BTreeMap::new();
        for (lane, camera) in lanes.into_iter().zip(&board.cameras) {
            let slot = wiring.camera(board, common, camera, lane, &mut inputs)?;
            slots.entry(camera.capture_core).or_default().push(slot);
        }
        for (index, cameras) in inputs.into_iter().enumerate() {
            wiring.worker(fitted, common, index, cameras)?;
        }
        for (core, slots) in slots {
            let (notes, receiver) = NoteLog::new();
            wiring.notes.push(receiver);
            let capture = CaptureLoop::new(slots, common.clone(), notes);
            wiring.captures.push((core, capture));
        }
        Ok(wiring)
    }

    /// Shares a camera's lane and ledger out: to the capture loop, and to the workers that infer its frames.
    fn camera(
        &mut self,
        board: &Board,
        common: &Common,
        camera: &Camera,
        lane: Lane,
        inputs: &mut [Vec<Option<CameraDescription>>],
    ) -> Result<CameraSlot, Failure> {
        let format = lane.source.format();
        let (capture_ledger, worker_ledger, ledger_view) = ledger();
        self.accounts.push(CameraAccount {
            io: word(&lane.io),
            format: describe(&format),
            interval_ns: format.interval_ns,
            ledger: ledger_view,
            lane: lane.producer.view(),
        });
        self.watchdog.ledgers.push(worker_ledger.clone());
        let mut taps = lane.taps.into_iter();
        for (of_worker, worker) in inputs.iter_mut().zip(&board.workers) {
            let tap = worker
                .processes(&camera.name)
                .then(|| taps.next())
                .flatten();
            of_worker.push(tap.map(|tap| CameraDescription {
                name: camera.name.clone(),
                view: camera.view,
                format,
                input: CameraInput {
                    tap,
                    ledger: worker_ledger.clone(),
                    max_age_ns: camera.max_age_ms * NS_PER_MS,
                    interval_ns: format.interval_ns,
                    priority: camera.priority,
                    allowance: allowance(camera, format.interval_ns),
                },
            }));
        }
        let limits = Limits::new(camera.time_out_ms * NS_PER_MS);
        let states = Arc::clone(&common.cameras);
        let slot = CameraSlot::new(lane.source, lane.producer, capture_ledger, states, limits);
        let mut slot = slot.ok_or_else(|| {
            let fault = format!("camera {}: a picture too large", camera.name);
            Failure::new(Exit::Camera, fault)
        })?;
        slot.may_be_absent = camera.absent == AbsentCamera::Wait;
        Ok(slot)
    }

    /// A worker's memory, its queues, and its bell.
    fn worker(
        &mut self,
        fitted: &Fitted,
        common: &Common,
        index: usize,
        cameras: Vec<Option<CameraDescription>>,
    ) -> Result<(), Failure> {
        let board = &fitted.board;
        let worker = &board.workers[index];
        let small = |index| u16::try_from(index).unwrap_or(u16::MAX);
        let models = board.models_of(worker);
        let models: Vec<_> = models
            .map(|(place, model)| (small(place), model.clone()))
            .collect();
        if models.len() != worker.models().count() {
            return Err(Failure::new(Exit::Internal, "a worker without its model"));
        }
        let (bell, workers) = common
            .bells
            .of(camera_bits(board, worker))
            .ok_or_else(|| Failure::new(Exit::Internal, "a worker without a bell"))?;
        let deadlines = models
            .iter()
            .map(|(_, model)| model.invoke_deadline_ms * NS_PER_MS);
        self.watchdog.limits_ns.push(deadlines.collect());
        let (outbox, results, notes) = ResultOutbox::new(board.housekeeping.queue_results);
        self.results.push(results);
        self.notes.push(notes);
        let decoding = fitted.decoding.get(index).copied().unwrap_or_default();
        self.workers.push(Description {
            index: small(index),
            worker: worker.clone(),
            models,
            cameras,
            bell: Bell { bell, workers },
            arena: malloc_arena(fitted, &worker.cores)?,
            buffers: Buffers::map(fitted, &worker.cores, decoding)?,
            outbox,
            common: common.clone(),
        });
        Ok(())
    }
}

/// How often, and when, the profile has frames of a camera inferred.
fn allowance(camera: &Camera, interval_ns: u64) -> Allowance {
    let [on_ms, period_ms] = camera.duty_cycle_ms.unwrap_or_default();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // At most 100 s.
    let gap_ns = camera
        .max_rate_hz
        .map_or(0, |rate| (1e9 / rate).round() as u64);
    Allowance {
        gap_ns,
        slack_ns: interval_ns / 2,
        on_ns: on_ms * NS_PER_MS,
        period_ns: period_ms * NS_PER_MS,
    }
}

/// The fixed arena of one worker's calls to malloc, on the worker's node.
fn malloc_arena(
    fitted: &Fitted,
    cores: &[usize],
) -> Result<Option<&'static malloc_guard::Arena>, Failure> {
    let kib = fitted.board.memory.malloc_arena_kib;
    if kib == 0 {
        return Ok(None);
    }
    let region = beside_worker(fitted, cores, kib * KIB)?;
    malloc_guard::Arena::new(region)
        .map(Some)
        .map_err(|error| Failure::new(Exit::Machine, error))
}
