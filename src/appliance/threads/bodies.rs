//! The bodies of the hot threads: prepare, wait at the gate, watch, and leave a report.

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::jpeg::Buffers;
use crate::appliance::shared::camera_state::Signals;
use crate::appliance::shared::invoke_deadline::Pulses;
use crate::appliance::shared::messages::{NoteSender, ResultSender};
use crate::appliance::shared::start_gate::{Gate, Phase};
use crate::appliance::shared::stop::Stop;
use crate::appliance::threads::capture::capture_loop::Station;
use crate::appliance::threads::inference::build::build;
use crate::appliance::threads::inference::cascade::Account;
use crate::appliance::threads::inference::worker::{Tally, View};
use crate::capture::SourceError;
use crate::frame::StreamFormat;
use crate::infer::Allowance;
use crate::ledger::WorkerLedger;
use crate::profile;
use crate::ring::{Doorbell, LaneTap};
use crate::sync::Arc;
use crate::sys::malloc_guard::{self, HeapCounts, HotThread};
use crate::sys::thread::{RunQueue, ThreadUsage, UsageProbe};
use std::sync::mpsc::{Sender, SyncSender};

/// What one hot thread did between ready and the end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quiet {
    pub(crate) usage: ThreadUsage,
    pub(crate) heap: HeapCounts,
}

/// Runs `watch` between two readings of this thread's usage.
fn measured(
    probe: &mut UsageProbe,
    hot: &HotThread,
    watch: impl FnOnce(&mut UsageProbe, &HotThread),
) -> Quiet {
    let usage = probe.read();
    let heap = hot.counts();
    watch(probe, hot);
    Quiet {
        usage: probe.read().since(&usage),
        heap: hot.counts().since(&heap),
    }
}

fn hot() -> Result<HotThread, Failure> {
    malloc_guard::register_hot().map_err(|error| Failure::new(Exit::Internal, error))
}

/// One camera for a worker that is to be made.
pub(crate) struct ViewSeed {
    pub(crate) name: String,
    pub(crate) tap: LaneTap,
    pub(crate) format: StreamFormat,
    pub(crate) view: profile::View,
    pub(crate) ledger: WorkerLedger,
    pub(crate) max_age_ns: u64,
    pub(crate) priority: u8,
    pub(crate) allowance: Allowance,
    pub(crate) interval_ns: u64,
    /// Other workers judge its frames as well.
    pub(crate) shared: bool,
}

/// A worker that is to be made on its own thread.
pub(crate) struct WorkerSeed {
    pub(crate) index: u16,
    pub(crate) worker: profile::Worker,
    /// Its models with their places in the profile: its own, then the further ones.
    pub(crate) models: Vec<(u16, profile::Model)>,
    /// Workers that judge the same cameras, this one among them: they wait at one bell.
    pub(crate) alike: usize,
    /// Serves the library's calls to malloc after ready, where the profile asks for it.
    pub(crate) arena: Option<&'static malloc_guard::Arena>,
    /// Where it decodes compressed frames.
    pub(crate) buffers: Buffers,
    /// By camera; none for one that it does not judge.
    pub(crate) views: Vec<Option<ViewSeed>>,
    pub(crate) signals: Signals,
    pub(crate) pulses: Pulses,
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) results: ResultSender,
    pub(crate) notes: NoteSender,
    pub(crate) house: Arc<Doorbell>,
}

/// What a worker tells whoever arms it.
pub(crate) enum Armed {
    /// One more step is done: its model is built, or it is warm for one camera.
    Step,
    /// It got less than was asked for, in words.
    Less(String),
    /// It is ready, or cannot be.
    Ready(Result<(), Failure>),
}

/// Why the streams of a capture thread did not start.
pub(crate) enum NotStarted {
    /// The thread could not prepare itself.
    Thread(Failure),
    /// This camera's stream does not start.
    Camera(u16, SourceError),
}

/// What a worker's thread leaves behind.
pub(crate) struct WorkerEnd {
    /// Its place in the profile.
    pub(crate) index: u16,
    pub(crate) quiet: Quiet,
    pub(crate) tally: Tally,
    /// What its further models did, with their places in the profile.
    pub(crate) further: Vec<(u16, Account)>,
    /// By camera; none for one that it did not judge.
    pub(crate) views: Vec<Option<View>>,
    pub(crate) signals: Signals,
}

/// The inference thread. Builds its interpreter here, so that the library's own threads inherit its
/// cores.
pub(crate) fn worker_thread(
    seed: WorkerSeed,
    ready: &Sender<Armed>,
    gate: &Gate,
) -> Option<WorkerEnd> {
    let arena = seed.arena;
    let made = hot().and_then(|mut hot| {
        if let Some(arena) = arena {
            hot.attach(arena)
                .map_err(|error| Failure::new(Exit::Internal, error))?;
        }
        Ok((build(seed, &hot, ready)?, hot))
    });
    // Whoever arms waits for this.
    let (mut worker, hot) = match made {
        Ok(made) => made,
        Err(failure) => {
            let _ = ready.send(Armed::Ready(Err(failure)));
            return None;
        }
    };
    let mut probe = UsageProbe::open();
    let queue = RunQueue::open();
    let _ = ready.send(Armed::Ready(Ok(())));
    if !gate.wait_for(Phase::Watch) {
        return None;
    }
    let quiet = measured(&mut probe, &hot, |probe, hot| {
        worker.run(probe, &queue, hot);
    });
    gate.wait_for(Phase::Over);
    Some(WorkerEnd {
        index: worker.index,
        quiet,
        tally: worker.tally,
        further: worker
            .further
            .into_iter()
            .map(|model| (model.model, model.account))
            .collect(),
        views: worker.views,
        signals: worker.signals,
    })
}

/// What a capture thread leaves behind.
pub(crate) struct CaptureEnd {
    pub(crate) quiet: Quiet,
    pub(crate) station: Station,
}

/// The capture thread: starts its streams when all memory is locked, and watches when all is ready.
pub(crate) fn capture_thread(
    mut station: Station,
    ready: &SyncSender<Result<(), NotStarted>>,
    gate: &Gate,
) -> Option<CaptureEnd> {
    let mut probe = UsageProbe::open();
    let hot = match hot() {
        Ok(hot) => hot,
        Err(failure) => {
            let _ = ready.send(Err(NotStarted::Thread(failure)));
            return None;
        }
    };
    if !gate.wait_for(Phase::Stream) {
        return None;
    }
    let started = station.start();
    let failed = started.is_err();
    // Whoever arms waits for this.
    let _ = ready.send(started.map_err(|(camera, error)| NotStarted::Camera(camera, error)));
    if failed {
        return None;
    }
    if !gate.wait_for(Phase::Watch) {
        station.halt();
        return None;
    }
    let quiet = measured(&mut probe, &hot, |probe, _| station.run(probe));
    gate.wait_for(Phase::Over);
    Some(CaptureEnd { quiet, station })
}
