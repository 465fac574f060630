//! A run from ready to its proof: the gate opened, the threads joined, the books closed.

use super::arm::Shared;
use super::exit::{Exit, Failure};
use super::fitting::Fitted;
use super::gate::{Gate, Phase};
use super::housekeeping::Counters;
use super::muster::Muster;
use super::outputs::Desk;
use super::proof::{self, Proof};
use super::signals::{Signal, Signals};
use super::station::INFERENCE_TAP;
use super::stop::Stop;
use super::threads::{CaptureEnd, NotStarted, Quiet, WorkerEnd};
use crate::board::{OnShortage, Worker};
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
use crate::units::{NS_PER_MS, NS_PER_S};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// One camera's books.
pub(super) struct CameraAccount {
    pub(super) name: String,
    pub(super) io: String,
    pub(super) format: String,
    pub(super) ledger: LedgerView,
    pub(super) lane: LaneView,
    pub(super) signals: Signals,
}

impl CameraAccount {
    /// Frames that have not ended: in the ring, leased, or in a model that has given the slot back.
    fn in_flight(&self) -> u64 {
        let signal = self.signals.get(usize::from(self.lane.camera()));
        let live = u64::from(self.lane.live(INFERENCE_TAP));
        live.saturating_add_signed(signal.map_or(0, Signal::being_judged))
    }
}

/// Time that one camera gets to start its stream. Slow ones, on a bus that is reset first, take some.
const START_NS: u64 = 10 * NS_PER_S;

/// A capture thread, and what it says when its streams have started.
pub(super) struct CaptureThread {
    pub(super) thread: Spawned<Option<CaptureEnd>>,
    pub(super) started: Receiver<Result<(), NotStarted>>,
    /// Cameras that it serves.
    pub(super) cameras: u32,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// What it did, as far as it can be told.
    pub proof: Proof,
    /// A thread died or did not end: the proof lacks what it measured.
    pub failure: Option<Failure>,
}

/// One output, and its thread until that has ended.
pub(super) struct OutputAccount {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) desk: Arc<Desk>,
    pub(super) thread: Option<Spawned<()>>,
}

/// A run with its threads.
pub(super) struct Running {
    pub(super) fitted: Fitted,
    pub(super) cameras: Vec<CameraAccount>,
    pub(super) workers: Vec<Spawned<Option<WorkerEnd>>>,
    pub(super) capture: Vec<CaptureThread>,
    pub(super) housekeeping: Option<Spawned<proof::Events>>,
    /// Looks for cameras that are not there.
    pub(super) looking: Option<Spawned<()>>,
    pub(super) outputs: Vec<OutputAccount>,
    pub(super) finish: Arc<AtomicBool>,
    pub(super) counters: Arc<Counters>,
    arenas: BTreeMap<usize, Arena>,
    pub(super) warnings: Vec<String>,
    stop: Arc<Stop>,
    gate: Arc<Gate>,
    house: Arc<Doorbell>,
    ready_ns: u64,
    locked_bytes: u64,
    /// Heap calls of the other threads before ready.
    others_before: heap::HeapCounts,
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
            looking: None,
            outputs: Vec::new(),
            finish: Arc::new(AtomicBool::new(false)),
            counters: Arc::new(Counters::default()),
            arenas,
            warnings,
            stop: Arc::clone(&shared.stop),
            gate: Arc::clone(&shared.gate),
            house: Arc::clone(&shared.house),
            ready_ns: 0,
            locked_bytes: 0,
            others_before: heap::HeapCounts::default(),
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
        for capture in &self.capture {
            self.started(capture)?;
        }
        self.ready_ns = now_ns();
        match self.ready_after_ns() {
            Some(after_ns) => log::info!("ready after {} ms", after_ns / NS_PER_MS),
            None => log::info!("ready"),
        }
        // Trials of decoders were counted before.
        self.others_before = heap::other_counts();
        self.guard = Some(heap::guard_on());
        self.gate.advance(Phase::Watch);
        Ok(())
    }

    /// Waits until a capture thread has started its streams.
    fn started(&self, capture: &CaptureThread) -> Result<(), Failure> {
        let name = &capture.thread.placed.name;
        let wait_ns = START_NS * u64::from(capture.cameras.max(1));
        let told = capture.started.recv_timeout(Duration::from_nanos(wait_ns));
        let (exit, message) = match told {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(NotStarted::Thread(failure))) => {
                (failure.exit, format!("thread {name}: {}", failure.message))
            }
            Ok(Err(NotStarted::Camera(camera, error))) => {
                let camera = self.cameras.get(usize::from(camera));
                let camera = camera.map_or("?", |camera| &camera.name);
                (Exit::Camera, format!("camera {camera}: {error}"))
            }
            Err(RecvTimeoutError::Disconnected) => (
                Exit::Internal,
                format!("thread {name} died; please report it"),
            ),
            Err(RecvTimeoutError::Timeout) => (
                Exit::Internal,
                format!(
                    "thread {name}: its cameras' streams did not start within {} s: a driver holds it up",
                    wait_ns / NS_PER_S
                ),
            ),
        };
        Err(Failure::new(exit, message))
    }

    /// Process start to ready; `None` where the kernel does not say when the process started.
    fn ready_after_ns(&self) -> Option<u64> {
        Some(self.ready_ns.saturating_sub(process_start_ns()?))
    }

    /// CLOCK_MONOTONIC of ready.
    pub(super) const fn ready_ns(&self) -> u64 {
        self.ready_ns
    }

    /// A thread asked for the end, or ended.
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_asked()
            || self.workers.iter().any(Spawned::is_finished)
            || self.capture.iter().any(|c| c.thread.is_finished())
    }

    /// Ends the threads of an arming that failed. Gives the failure of those that do not end.
    pub(super) fn abandon(mut self) -> Option<Failure> {
        self.gate.advance(Phase::Abandoned);
        self.stop.ask();
        let mut muster = Muster::new(now_ns());
        if let Some(thread) = self.looking.take() {
            muster.see_off(thread);
        }
        for capture in self.capture.drain(..) {
            muster.see_off(capture.thread);
        }
        for thread in self.workers.drain(..) {
            muster.see_off(thread);
        }
        self.end_housekeeping(&mut muster);
        self.let_go(&muster);
        muster.failure()
    }

    fn end_housekeeping(&mut self, muster: &mut Muster) -> Option<proof::Events> {
        // Release B: housekeeping sees everything that the joined threads sent.
        self.finish.store(true, Ordering::Release);
        self.house.ring(1);
        muster.anew(now_ns());
        let mut events = self.housekeeping.take().and_then(|t| muster.see_off(t));
        // What housekeeping told is in the outputs' queues now.
        for output in &self.outputs {
            output.desk.finish();
        }
        // Whatever housekeeping took is not theirs to make up for.
        muster.anew(now_ns());
        for output in &mut self.outputs {
            if let Some(thread) = output.thread.take() {
                muster.see_off(thread);
            }
        }
        if let Some(events) = &mut events {
            self.add_outputs(events);
        }
        events
    }

    /// What the outputs did, as far as their threads have come.
    fn add_outputs(&self, events: &mut proof::Events) {
        for output in &self.outputs {
            let (failures, opened) = output.desk.troubles();
            let mut account = proof::OutputAccount {
                name: output.name.clone(),
                kind: output.kind,
                failures,
                opened,
                ..proof::OutputAccount::default()
            };
            for (index, rule) in events.rules.iter_mut().enumerate() {
                let (sent, lost) = output.desk.account_of(index);
                account.sent += sent;
                account.lost += lost;
                rule.lost += lost;
            }
            events.outputs.push(account);
        }
    }

    /// Gives memory back, unless a thread is left that may touch it.
    fn let_go(self, muster: &Muster) {
        if muster.is_stuck() {
            std::mem::forget(self);
        }
    }

    /// Stops the streams, joins the threads, counts what was left, and closes the books. A thread that
    /// died or does not end costs what it measured, and nothing else.
    pub(super) fn finish(mut self) -> Ended {
        self.stop.ask();
        let others = self.stop.others().since(&self.others_before);
        self.gate.advance(Phase::Over);
        let mut muster = Muster::new(now_ns());
        let mut threads = Vec::new();
        if let Some(thread) = self.looking.take() {
            threads.push(thread.placed.clone());
            muster.see_off(thread);
        }
        let mut captures = Vec::new();
        for capture in std::mem::take(&mut self.capture) {
            threads.push(capture.thread.placed.clone());
            captures.extend(muster.end_of(capture.thread));
        }
        let mut workers = Vec::new();
        for thread in std::mem::take(&mut self.workers) {
            threads.push(thread.placed.clone());
            workers.extend(muster.end_of(thread));
        }
        let run_ns = now_ns().saturating_sub(self.ready_ns);
        drop(self.guard.take());
        if let Some(thread) = &self.housekeeping {
            threads.push(thread.placed.clone());
        }
        let outputs = self.outputs.iter().filter_map(|o| o.thread.as_ref());
        threads.extend(outputs.map(|thread| thread.placed.clone()));
        let events = self.end_housekeeping(&mut muster);
        for end in &workers {
            refuse_the_rest(end);
        }
        let captured = captures.iter().map(|end| end.quiet);
        let quiet: Vec<Quiet> = captured
            .chain(workers.iter().map(|end| end.quiet))
            .collect();
        let proof = Proof {
            after_ready: after_ready(&quiet, &others),
            events: events.unwrap_or_default(),
            ..self.prove(&threads, &captures, &workers, run_ns)
        };
        // Sources before the memory that they wrote to.
        drop((captures, workers));
        self.let_go(&muster);
        Ended {
            proof,
            failure: muster.failure(),
        }
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
            further: self.further(workers),
            tail: self.tail(workers),
            tail_causes: tail_causes(workers),
            memory: self.memory(),
            threads: threads.iter().map(thread).collect(),
            ready_ms: self.ready_after_ns().map(ms),
            run_ms: ms(run_ns),
            detections: self.counters.detections.load(Ordering::Relaxed),
            results_lost: workers.iter().map(|end| end.tally.results_lost).sum(),
            notes_lost: workers.iter().map(|end| end.tally.notes_lost).sum::<u64>()
                + captures
                    .iter()
                    .map(|end| end.station.desk.notes_lost)
                    .sum::<u64>(),
            inferences_overdue: self.counters.overdue.load(Ordering::Relaxed),
            writes_failed: self
                .counters
                .writes_failed
                .iter()
                .map(|failed| failed.load(Ordering::Relaxed))
                .sum(),
            warnings: self.warnings(captures),
            ..Proof::default()
        }
    }

    /// What was granted less than asked for, at arming and later.
    fn warnings(&self, captures: &[CaptureEnd]) -> Vec<String> {
        let posts = captures.iter().flat_map(|end| &end.station.posts);
        let slow = posts.filter_map(|post| {
            let name = &self.cameras.get(usize::from(post.camera))?.name;
            Some(format!("camera {name}: {}", post.pace.found()?))
        });
        self.warnings.iter().cloned().chain(slow).collect()
    }

    fn camera(&self, index: usize, captures: &[CaptureEnd], measured: &Measured) -> proof::Camera {
        let account = &self.cameras[index];
        let snapshot = account.ledger.snapshot(|| account.in_flight());
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
            port_resets: post.map_or(0, |post| post.supervisor.counts().resets),
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

    /// What each worker's further models did.
    fn further(&self, workers: &[WorkerEnd]) -> Vec<proof::Further> {
        let board = &self.fitted.board;
        let of_worker = |(end, worker): (&WorkerEnd, &Worker)| {
            let accounts = end.further.iter().filter_map(|(model, account)| {
                Some(proof::Further {
                    model: board.models.get(usize::from(*model))?.name.clone(),
                    worker: worker.name.clone(),
                    frames: account.frames,
                    failed: account.failed,
                    boxes: account.boxes,
                    boxes_left_out: account.left_out,
                    boxes_unseen: account.unseen,
                    preprocess_ns: account.preprocess.summary(),
                    invoke_ns: account.invoke.summary(),
                    postprocess_ns: account.postprocess.summary(),
                    capture_to_result_ns: account.capture_to_result.summary(),
                })
            });
            accounts.collect::<Vec<_>>()
        };
        let ends = workers
            .iter()
            .filter_map(|end| Some((end, board.workers.get(usize::from(end.index))?)));
        ends.flat_map(of_worker).collect()
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
                let verdict = end.views.get(camera)?.as_ref()?.usual.explain(seen);
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
    let views = workers.iter().filter_map(|end| end.views.get(camera));
    for view in views.flatten() {
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

/// Frames that wait in the rings when the workers have ended had nowhere to go.
fn refuse_the_rest(end: &WorkerEnd) {
    for view in end.views.iter().flatten() {
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
