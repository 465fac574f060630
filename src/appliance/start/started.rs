//! What was started: the threads, and what a run keeps of everything it was prepared with.

use crate::appliance::prepare::fit::Fitted;
use crate::appliance::prepare::memory::Arenas;
use crate::appliance::report::events::Events;
use crate::appliance::shared::common::Common;
use crate::appliance::shared::in_flight::INFERENCE_TAP;
use crate::appliance::shared::progress::ThreadProgress;
use crate::appliance::threads::capture::thread::{CaptureLeft, NotStarted};
use crate::appliance::threads::disk::disk::DiskCounters;
use crate::appliance::threads::housekeeping::housekeeping::Counters;
use crate::appliance::threads::inference::thread::InferenceLeft;
use crate::appliance::threads::output::state::OutputState;
use crate::ledger::{LedgerSnapshot, LedgerView};
use crate::ring::LaneView;
use crate::sync::Arc;
use crate::sys::clock::process_start_ns;
use crate::sys::malloc_guard::{Guard, HeapCounts};
use crate::sys::thread::Spawned;
use std::sync::mpsc::Receiver;

/// One camera, as the proof describes it.
pub(crate) struct CameraAccount {
    pub(crate) io: String,
    pub(crate) format: String,
    /// Time between two of its frames; 0 where that is not known.
    pub(crate) interval_ns: u64,
    pub(crate) ledger: LedgerView,
    pub(crate) lane: LaneView,
}

/// A capture thread, and what it says when its streams have started.
pub(crate) struct CaptureThread {
    pub(crate) thread: Spawned<Option<CaptureLeft>>,
    pub(crate) started: Receiver<Result<(), NotStarted>>,
    /// As the profile numbers it.
    pub(crate) core: usize,
    /// Cameras that it serves.
    pub(crate) cameras: u32,
    /// What it is doing.
    pub(crate) progress: Arc<ThreadProgress>,
}

/// The threads of a run that have not been joined.
#[derive(Default)]
pub(crate) struct Threads {
    /// Looks for cameras that are missing.
    pub(crate) late_cameras: Option<Spawned<()>>,
    pub(crate) capture: Vec<CaptureThread>,
    pub(crate) inference: Vec<Spawned<Option<InferenceLeft>>>,
    pub(crate) housekeeping: Option<Spawned<Events>>,
    pub(crate) outputs: Vec<Spawned<()>>,
    pub(crate) disk: Option<Spawned<()>>,
}

/// A run with its threads.
pub(crate) struct Started {
    pub(crate) fitted: Fitted,
    pub(crate) common: Common,
    pub(crate) threads: Threads,
    /// By camera.
    pub(crate) cameras: Vec<CameraAccount>,
    /// By output.
    pub(crate) outputs: Vec<Arc<OutputState>>,
    /// Where a file is written.
    pub(crate) disk: Option<Arc<DiskCounters>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) arenas: Arenas,
    pub(crate) warnings: Vec<String>,
    pub(crate) ready_ns: u64,
    pub(crate) locked_bytes: u64,
    /// Heap calls of the other threads before ready.
    pub(crate) others_before: HeapCounts,
    /// While it is held, heap calls are counted.
    pub(crate) guard: Option<Guard>,
}

impl Started {
    /// Nothing yet.
    pub(crate) fn new(
        fitted: Fitted,
        common: Common,
        arenas: Arenas,
        warnings: Vec<String>,
    ) -> Self {
        Self {
            fitted,
            common,
            threads: Threads::default(),
            cameras: Vec::new(),
            outputs: Vec::new(),
            disk: None,
            counters: Arc::default(),
            arenas,
            warnings,
            ready_ns: 0,
            locked_bytes: 0,
            others_before: HeapCounts::default(),
            guard: None,
        }
    }

    /// Process start to ready; `None` where the kernel does not say when the process started.
    pub(crate) fn ready_after_ns(&self) -> Option<u64> {
        Some(self.ready_ns.saturating_sub(process_start_ns()?))
    }

    /// A camera's ledger, with the frames that have not ended: in the ring, leased, or in a model that has given the
    /// slot back.
    pub(crate) fn ledger(&self, camera: usize) -> LedgerSnapshot {
        let CameraAccount { ledger, lane, .. } = &self.cameras[camera];
        let in_flight = &self.common.cameras[camera].in_flight;
        ledger.snapshot(|| in_flight.of(lane.live(INFERENCE_TAP).into()))
    }
}
