//! The bodies of the hot threads: prepare, wait at the gate, watch, and leave a report.

mod build;

use super::decoding::Buffers;
use super::exit::{Exit, Failure};
use super::further::Account;
use super::gate::{Gate, Phase};
use super::messages::{NoteSender, ResultSender};
use super::pulse::Pulses;
use super::signals::Signals;
use super::station::Station;
use super::stop::Stop;
use super::worker::{Tally, View};
use crate::capture::SourceError;
use crate::frame::StreamFormat;
use crate::infer::Allowance;
use crate::ledger::WorkerLedger;
use crate::profile;
use crate::ring::{Doorbell, LaneTap};
use crate::sync::Arc;
use crate::sys::malloc_guard::{self, HeapCounts, HotThread};
use crate::sys::thread::{RunQueue, ThreadUsage, UsageProbe};
use build::build;
use std::sync::mpsc::{Sender, SyncSender};

/// What one hot thread did between ready and the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quiet {
    pub(super) usage: ThreadUsage,
    pub(super) heap: HeapCounts,
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
pub(super) struct ViewSeed {
    pub(super) name: String,
    pub(super) tap: LaneTap,
    pub(super) format: StreamFormat,
    pub(super) view: profile::View,
    pub(super) ledger: WorkerLedger,
    pub(super) max_age_ns: u64,
    pub(super) priority: u8,
    pub(super) allowance: Allowance,
    pub(super) interval_ns: u64,
    /// Other workers judge its frames as well.
    pub(super) shared: bool,
}

/// A worker that is to be made on its own thread.
pub(super) struct WorkerSeed {
    pub(super) index: u16,
    pub(super) worker: profile::Worker,
    /// Its models with their places in the profile: its own, then the further ones.
    pub(super) models: Vec<(u16, profile::Model)>,
    /// Workers that judge the same cameras, this one among them: they wait at one bell.
    pub(super) alike: usize,
    /// Serves the library's calls to malloc after ready, where the profile asks for it.
    pub(super) arena: Option<&'static malloc_guard::Arena>,
    /// Where it decodes compressed frames.
    pub(super) buffers: Buffers,
    /// By camera; none for one that it does not judge.
    pub(super) views: Vec<Option<ViewSeed>>,
    pub(super) signals: Signals,
    pub(super) pulses: Pulses,
    pub(super) bell: Arc<Doorbell>,
    pub(super) stop: Arc<Stop>,
    pub(super) results: ResultSender,
    pub(super) notes: NoteSender,
    pub(super) house: Arc<Doorbell>,
}

/// What a worker tells whoever arms it.
pub(super) enum Armed {
    /// One more step is done: its model is built, or it is warm for one camera.
    Step,
    /// It got less than was asked for, in words.
    Less(String),
    /// It is ready, or cannot be.
    Ready(Result<(), Failure>),
}

/// Why the streams of a capture thread did not start.
pub(super) enum NotStarted {
    /// The thread could not prepare itself.
    Thread(Failure),
    /// This camera's stream does not start.
    Camera(u16, SourceError),
}

/// What a worker's thread leaves behind.
pub(super) struct WorkerEnd {
    /// Its place in the profile.
    pub(super) index: u16,
    pub(super) quiet: Quiet,
    pub(super) tally: Tally,
    /// What its further models did, with their places in the profile.
    pub(super) further: Vec<(u16, Account)>,
    /// By camera; none for one that it did not judge.
    pub(super) views: Vec<Option<View>>,
    pub(super) signals: Signals,
}

/// The inference thread. Builds its interpreter here, so that the library's own threads inherit its
/// cores.
pub(super) fn worker_thread(
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
pub(super) struct CaptureEnd {
    pub(super) quiet: Quiet,
    pub(super) station: Station,
}

/// The capture thread: starts its streams when all memory is locked, and watches when all is ready.
pub(super) fn capture_thread(
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
