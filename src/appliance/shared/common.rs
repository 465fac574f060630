//! What all threads of a run have in common.

use super::camera_state::CameraStates;
use super::doorbells::Doorbells;
use super::drain::DrainBell;
use super::invoke_deadline::InvokeDeadlines;
use super::names::Names;
use super::start_gate::StartGate;
use super::stop::Stop;
use super::worker_state::WorkerStates;
use crate::profile::{Board, Worker};
use crate::sync::Arc;

/// Handed to every thread.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) names: Arc<Names>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) gate: Arc<StartGate>,
    /// Where workers wait for frames.
    pub(crate) bells: Arc<Doorbells>,
    /// Where housekeeping waits for results and notes.
    pub(crate) housekeeping: Arc<DrainBell>,
    /// By camera.
    pub(crate) cameras: CameraStates,
    /// By worker.
    pub(crate) deadlines: InvokeDeadlines,
    /// By worker.
    pub(crate) workers: WorkerStates,
}

impl Common {
    /// Of a run of this board, which ends by itself after so many results.
    ///
    /// # Errors
    /// errno of eventfd(2).
    pub(crate) fn new(board: &Board, names: Arc<Names>, results: Option<u64>) -> nix::Result<Self> {
        let workers = board.workers.iter();
        let bells = Doorbells::new(workers.map(|worker| camera_bits(board, worker)));
        let bells = Arc::new(bells);
        Ok(Self {
            names,
            stop: Arc::new(Stop::new(Arc::clone(&bells), results, board.cameras.len())?),
            gate: Arc::new(StartGate::new()),
            bells,
            housekeeping: Arc::new(DrainBell::new()),
            cameras: board.cameras.iter().map(|_| Default::default()).collect(),
            deadlines: board.workers.iter().map(|_| Default::default()).collect(),
            workers: board.workers.iter().map(|_| Default::default()).collect(),
        })
    }
}

/// The cameras whose frames a worker infers, one bit each.
pub(crate) fn camera_bits(board: &Board, worker: &Worker) -> u64 {
    let cameras = board.cameras.iter().enumerate();
    cameras
        .filter(|(_, camera)| worker.processes(&camera.name))
        .fold(0, |bits, (index, _)| bits | 1 << index)
}
