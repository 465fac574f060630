//! A run from ready to its proof: the gate opened, the threads joined, the books closed.

use super::arm::Shared;
use super::exit::{Exit, Failure};
use super::fitting::Fitted;
use super::gate::{Gate, Phase};
use super::housekeeping::Counters;
use super::proof::{self, Proof};
use super::signals::Signal;
use super::station::INFERENCE_TAP;
use super::stop::Stop;
use super::threads::{CaptureEnd, Quiet, WorkerEnd};
use crate::board::OnShortage;
use crate::capture::SourceError;
use crate::latency::{
    AgeOfKnowledge, Cause, Histogram, Stage, StageHistograms, StageSummary, tail,
};
use crate::ledger::{LedgerView, Outcome};
use crate::ring::{Doorbell, LaneView};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::sys::arena::Arena;
use crate::sys::clock::{now_ns, process_start_ns};
use crate::sys::heap;
use crate::sys::memory::{exempt_from_collapse, lock_all, locked_bytes};
use crate::sys::thread::{Spawned, ThreadPlaced};
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

/// One camera's books.
pub(super) struct CameraAccount {
    pub(super) name: String,
    pub(super) io: String,
    pub(super) format: String,
    pub(super) ledger: LedgerView,
    pub(super) lane: LaneView,
}

type CaptureStarted = Receiver<Result<(), (u16, SourceError)>>;

/// A run with its threads.
pub(super) struct Running {
    pub(super) fitted: Fitted,
    pub(super) cameras: Vec<CameraAccount>,
    pub(super) workers: Vec<Spawned<Option<WorkerEnd>>>,
    pub(super) capture: Vec<(Spawned<Option<CaptureEnd>>, CaptureStarted)>,
    pub(super) housekeeping: Option<Spawned<()>>,
    pub(super) finish: Arc<AtomicBool>,
    pub(super) counters: Arc<Counters>,
    arenas: BTreeMap<usize, Arena>,
    warnings: Vec<String>,
    stop: Arc<Stop>,
    gate: Arc<Gate>,
    house: Arc<Doorbell>,
    ready_ns: u64,
    locked_bytes: u64,
    /// While it is held, heap calls are counted.
    guard: Option<heap::Guard>,
}

impl Running {
    pub(super) fn new(
        fitted: Fitted,
        arenas: BTreeMap<usize, Arena>,
        warnings: Vec<String>,
        shared: &Shared,
    ) -> Self {
        Self {
            fitted,
            cameras: Vec::new(),
            workers: Vec::new(),
            capture: Vec::new(),
            housekeeping: None,
            finish: Arc::new(AtomicBool::new(false)),
            counters: Arc::new(Counters::default()),
            arenas,
            warnings,
            stop: Arc::clone(&shared.stop),
            gate: Arc::clone(&shared.gate),
            house: Arc::clone(&shared.house),
            ready_ns: 0,
            locked_bytes: 0,
            guard: None,
        }
    }

    /// Locks all memory, starts the streams, turns the heap guard on, and begins the watch.
    pub(super) fn open_gate(&mut self) -> Result<(), Failure> {
        // All regions are there, with whatever large pages they could have.
        if let Err(errno) = exempt_from_collapse() {
            log::warn!(
                "prctl(PR_SET_THP_DISABLE) failed: {errno}; khugepaged may delay hot threads"
            );
        }
        if let Err(error) = lock_all() {
            if self.fitted.board.memory.on_shortage == OnShortage::Refuse {
                return Err(Failure::new(Exit::Machine, error));
            }
            log::warn!("{error}");
            self.warnings.push(error.to_string());
        }
        self.locked_bytes = locked_bytes().unwrap_or(0);
        self.gate.advance(Phase::Stream);
        for (_, started) in &self.capture {
            let outcome = started
                .recv()
                .map_err(|_| Failure::new(Exit::Internal, "a capture thread died"))?;
            if let Err((camera, error)) = outcome {
                let name = self
                    .cameras
                    .get(usize::from(camera))
                    .map_or("?", |c| c.name.as_str());
                return Err(Failure::new(
                    Exit::Camera,
                    format!("camera {name}: {error}"),
                ));
            }
        }
        self.ready_ns = now_ns();
        log::info!("ready after {} ms", self.ready_after_ns() / 1_000_000);
        self.guard = Some(heap::guard_on());
        self.gate.advance(Phase::Watch);
        Ok(())
    }

    fn ready_after_ns(&self) -> u64 {
        self.ready_ns
            .saturating_sub(process_start_ns().unwrap_or(self.ready_ns))
    }

    /// CLOCK_MONOTONIC of ready.
    pub(super) const fn ready_ns(&self) -> u64 {
        self.ready_ns
    }

    /// A thread asked for the end, or ended.
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_asked()
            || self.workers.iter().any(Spawned::is_finished)
            || self.capture.iter().any(|(thread, _)| thread.is_finished())
    }

    /// Ends the threads of an arming that failed.
    pub(super) fn abandon(mut self) {
        self.gate.advance(Phase::Abandoned);
        self.stop.ask();
        for (thread, _) in self.capture.drain(..) {
            let _ = thread.join();
        }
        for thread in self.workers.drain(..) {
            let _ = thread.join();
        }
        self.end_housekeeping();
    }

    fn end_housekeeping(&mut self) {
        // Release B: housekeeping sees everything that the joined threads sent.
        self.finish.store(true, Ordering::Release);
        self.house.ring(1);
        if let Some(thread) = self.housekeeping.take() {
            let _ = thread.join();
        }
    }

    /// Stops the streams, joins the threads, counts what was left, and closes the books.
    pub(super) fn finish(mut self) -> Result<Proof, Failure> {
        self.stop.ask();
        let others = self.stop.others();
        self.gate.advance(Phase::Over);
        let mut threads = Vec::new();
        let mut quiet = Vec::new();
        let mut captures = Vec::new();
        for (thread, _) in std::mem::take(&mut self.capture) {
            threads.push(thread.placed.clone());
            captures.push(end_of(thread)?);
        }
        let mut workers = Vec::new();
        for thread in std::mem::take(&mut self.workers) {
            threads.push(thread.placed.clone());
            workers.push(end_of(thread)?);
        }
        let run_ns = now_ns().saturating_sub(self.ready_ns);
        drop(self.guard.take());
        if let Some(thread) = &self.housekeeping {
            threads.push(thread.placed.clone());
        }
        self.end_housekeeping();
        for end in &workers {
            refuse_the_rest(end);
        }
        quiet.extend(captures.iter().map(|end| end.quiet));
        quiet.extend(workers.iter().map(|end| end.quiet));
        Ok(Proof {
            after_ready: after_ready(&quiet, &others),
            ..self.prove(&threads, &captures, &workers, run_ns)
        })
    }

    fn prove(
        &self,
        threads: &[ThreadPlaced],
        captures: &[CaptureEnd],
        workers: &[WorkerEnd],
        run_ns: u64,
    ) -> Proof {
        let cameras: Vec<Measured> = (0..self.cameras.len())
            .map(|index| measured(index, workers, self.ready_ns))
            .collect();
        let mut all = Measured::default();
        for camera in &cameras {
            all.add(camera);
        }
        let machine = &self.fitted.topology;
        #[allow(clippy::cast_precision_loss)] // for reading
        let ms = |ns: u64| ns as f64 / 1e6;
        Proof {
            board: self.fitted.board.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            machine: proof::Machine {
                cpu: machine.cpu.clone(),
                kernel: machine.kernel.clone(),
                governor: machine.governor().to_owned(),
                isolated_cores: machine.isolated.iter().collect(),
            },
            cameras: (0..)
                .zip(&cameras)
                .map(|(index, measured)| self.camera(index, captures, measured))
                .collect(),
            latency_ns: all.summary(),
            tail: self.tail(workers),
            tail_causes: tail_causes(workers),
            memory: self.memory(),
            threads: threads.iter().map(thread).collect(),
            ready_ms: ms(self.ready_after_ns()),
            run_ms: ms(run_ns),
            detections: self.counters.detections.load(Ordering::Relaxed),
            results_lost: workers.iter().map(|end| end.tally.results_lost).sum(),
            notes_lost: workers.iter().map(|end| end.tally.notes_lost).sum::<u64>()
                + captures
                    .iter()
                    .map(|end| end.station.desk.notes_lost)
                    .sum::<u64>(),
            writes_failed: self.counters.writes_failed.load(Ordering::Relaxed),
            warnings: self.warnings.clone(),
            ..Proof::default()
        }
    }

    fn camera(&self, index: usize, captures: &[CaptureEnd], measured: &Measured) -> proof::Camera {
        let account = &self.cameras[index];
        let snapshot = account
            .ledger
            .snapshot(|| account.lane.live(INFERENCE_TAP).into());
        let post = captures
            .iter()
            .flat_map(|end| &end.station.posts)
            .find(|post| usize::from(post.camera) == index);
        let latency_ns = measured.summary();
        let dropped = snapshot.dropped;
        proof::Camera {
            name: account.name.clone(),
            io: account.io.clone(),
            format: account.format.clone(),
            driver_frames: snapshot.driver_frames,
            inferred: snapshot.inferred,
            dropped: proof::Dropped {
                evicted: dropped.evicted,
                stale: dropped.stale,
                damaged: dropped.damaged,
                refused: dropped.refused,
                failed: dropped.failed,
            },
            in_flight: snapshot.in_flight,
            lost_in_driver: snapshot.lost_in_driver,
            repeated_sequence: snapshot.repeated_sequence,
            identity_holds: snapshot.identity_holds() && account.lane.illegal_changes() == 0,
            restarts: post.map_or(0, |post| post.supervisor.counts().restarts),
            reopens: post.map_or(0, |post| post.supervisor.counts().reopens),
            future_stamps: post.map_or(0, |post| post.continuity.counts().future),
            capture_to_result_ns: latency_ns.capture_to_result,
            age_of_knowledge_ns: latency_ns.age_of_knowledge,
            inter_arrival_ns: post
                .map(|post| post.arrivals.spacing().summary())
                .unwrap_or_default(),
            inter_result_ns: measured.inter_result.summary(),
            latency_ns,
        }
    }

    /// The slowest results of all workers, slowest first.
    fn tail(&self, workers: &[WorkerEnd]) -> Vec<proof::SlowResult> {
        let mut slowest: Vec<_> = workers
            .iter()
            .zip(&self.fitted.board.workers)
            .flat_map(|(end, worker)| {
                end.tally
                    .tail
                    .slowest
                    .iter()
                    .map(move |seen| (end, worker, seen))
            })
            .filter_map(|(end, worker, seen)| {
                let camera = usize::from(seen.camera);
                let verdict = end.views.get(camera)?.usual.explain(seen);
                #[allow(clippy::cast_precision_loss)] // for reading
                let at_ms = seen.stamps.result_ns.saturating_sub(self.ready_ns) as f64 / 1e6;
                Some(proof::SlowResult {
                    camera: self.cameras.get(camera)?.name.clone(),
                    worker: worker.name.clone(),
                    sequence: seen.sequence,
                    at_ms,
                    total_ns: Stage::CaptureToResult.of(&seen.stamps),
                    stage: verdict.stage.name(),
                    stage_ns: verdict.stage_ns,
                    typical_ns: verdict.typical_ns,
                    queued_ns: verdict.queued_ns,
                    causes: verdict.causes,
                    also: verdict.also,
                })
            })
            .collect();
        slowest.sort_by_key(|slow| std::cmp::Reverse(slow.total_ns));
        slowest.truncate(tail::KEPT);
        slowest
    }

    fn memory(&self) -> proof::Memory {
        let regions = || self.arenas.values().map(Arena::region);
        let mut by_node = BTreeMap::new();
        for region in regions() {
            let placement = region.placement_now();
            for node in 0..crate::limits::MAX_NODES {
                let bytes = placement.bytes_on(node);
                if bytes > 0 {
                    *by_node.entry(format!("node{node}")).or_insert(0) += bytes;
                }
            }
        }
        let mut pages: Vec<String> = regions().map(|region| region.kind().to_string()).collect();
        pages.dedup();
        proof::Memory {
            budget_bytes: self.fitted.budget.total_bytes(),
            locked_bytes: self.locked_bytes,
            hugepage_bytes: regions().map(|region| region.hugepage_bytes()).sum(),
            by_node,
            pages: pages.join(", "),
            slot_bytes: self.arenas.values().map(Arena::slot_bytes).sum(),
        }
    }
}

/// What the workers measured of one camera, or of all.
#[derive(Default)]
struct Measured {
    stages: StageHistograms,
    age: AgeOfKnowledge,
    inter_result: Histogram,
}

impl Measured {
    fn add(&mut self, other: &Self) {
        self.stages.add(&other.stages);
        self.age.add(&other.age);
        self.inter_result.add(&other.inter_result);
    }

    fn summary(&self) -> StageSummary {
        StageSummary {
            age_of_knowledge: self.age.summary(),
            ..self.stages.summary()
        }
    }
}

/// What all workers measured of one camera. The watch began at `ready_ns`.
fn measured(camera: usize, workers: &[WorkerEnd], ready_ns: u64) -> Measured {
    let mut sum = Measured::default();
    for view in workers.iter().filter_map(|end| end.views.get(camera)) {
        sum.stages.add(&view.stages);
        sum.age.add(&view.age);
        sum.inter_result.add(&view.inter_result);
    }
    let signal = workers.first().and_then(|end| end.signals.get(camera));
    let known_ns = signal.map_or(0, Signal::known_ns).max(ready_ns);
    let ended_ns = workers.iter().map(|end| end.tally.watched_ns.1).max();
    sum.age.began();
    sum.age.ended(known_ns, ended_ns.unwrap_or(known_ns));
    sum
}

fn tail_causes(workers: &[WorkerEnd]) -> proof::TailCauses {
    let mut counts = tail::CauseCounts::default();
    for end in workers {
        counts.add(&end.tally.tail.counts);
    }
    proof::TailCauses {
        results: counts.results,
        slow: counts.slow,
        by_cause: Cause::ALL
            .map(|cause| (cause.name(), counts.of(cause)))
            .into(),
    }
}

fn end_of<T>(thread: Spawned<Option<T>>) -> Result<T, Failure> {
    let name = thread.placed.name.clone();
    match thread.join() {
        Ok(Some(end)) => Ok(end),
        Ok(None) | Err(_) => Err(Failure::new(
            Exit::Internal,
            format!("thread {name} died; please report it"),
        )),
    }
}

/// Frames that wait in the rings when the workers have ended had nowhere to go.
fn refuse_the_rest(end: &WorkerEnd) {
    for view in &end.views {
        while let Ok(Some(lease)) = view.tap.claim_oldest() {
            lease.discard();
            view.ledger.count(Outcome::Refused, 1);
        }
    }
}

fn after_ready(quiet: &[Quiet], others: &heap::HeapCounts) -> proof::AfterReady {
    let mut sum = proof::AfterReady::default();
    for quiet in quiet {
        sum.heap_calls += quiet.heap.heap_calls();
        sum.arena_served += quiet.heap.arena_served;
        sum.arena_exhausted += quiet.heap.arena_overdrawn + quiet.heap.arena_refused;
        sum.heap_growth_bytes += quiet.heap.growth_bytes();
        sum.minor_faults += quiet.usage.minor_faults;
        sum.major_faults += quiet.usage.major_faults;
        sum.migrations += quiet.usage.migrations;
        sum.voluntary_switches += quiet.usage.voluntary_switches;
        sum.involuntary_switches += quiet.usage.involuntary_switches;
    }
    sum.arena_high_water_bytes = heap::arena_reports()
        .map(|arena| arena.high_water_bytes)
        .max()
        .unwrap_or(0);
    sum.heap_calls_other_threads = others.heap_calls();
    sum.heap_growth_bytes_other_threads = others.growth_bytes();
    sum
}

fn thread(placed: &ThreadPlaced) -> proof::Thread {
    proof::Thread {
        name: placed.name.clone(),
        core: placed.core,
        policy: placed.policy.name(),
        priority: placed.priority(),
        mask_verified: placed.mask_verified,
    }
}
