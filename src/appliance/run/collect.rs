//! The books of a run that is over, closed: what its threads left behind becomes the proof.
//!
//! Answers for: which number of the proof comes from where, and that the frames still in the rings are
//! counted. Does not answer for: the end of the threads (`running`), the proof's words (`proof`).

use crate::appliance::report::proof::{self, Proof};
use crate::appliance::run::running::Running;
use crate::appliance::shared::camera_state::Signal;
use crate::appliance::threads::bodies::{CaptureEnd, Quiet, WorkerEnd};
use crate::latency::{
    AgeOfKnowledge, Cause, Histogram, Stage, StageHistograms, StageSummary, tail,
};
use crate::ledger::Outcome;
use crate::profile::Worker;
use crate::sync::Ordering;
use crate::sys::malloc_guard;
use crate::sys::memory::arena::Arena;
use crate::sys::thread::ThreadPlaced;
use std::collections::BTreeMap;

/// What the threads of a run leave behind.
pub(crate) struct Left<'a> {
    /// All threads, whether they have come or not.
    pub(crate) threads: &'a [ThreadPlaced],
    pub(crate) captures: &'a [CaptureEnd],
    pub(crate) workers: &'a [WorkerEnd],
    pub(crate) events: proof::Events,
    /// Heap calls of the other threads after ready.
    pub(crate) others: malloc_guard::HeapCounts,
    /// Ready to the end.
    pub(crate) run_ns: u64,
}

impl Running {
    /// Counts what was left in the rings, and closes the books.
    pub(crate) fn prove(&self, left: Left<'_>) -> Proof {
        let Left {
            threads,
            captures,
            workers,
            events,
            others,
            run_ns,
        } = left;
        for end in workers {
            refuse_the_rest(end);
        }
        let captured = captures.iter().map(|end| end.quiet);
        let quiet: Vec<Quiet> = captured
            .chain(workers.iter().map(|end| end.quiet))
            .collect();
        let cameras: Vec<Measured> = (0..self.cameras.len())
            .map(|index| measured(index, workers, self.ready_ns))
            .collect();
        let mut all = Measured::default();
        for camera in &cameras {
            all.add(camera);
        }
        let machine = &self.fitted.topology;
        let files = match &self.disk {
            Some(disk) => disk.ledge.accounts(),
            None => Vec::new(),
        };
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
            values_refused: self.values_refused(workers),
            inferences_overdue: self.counters.overdue.load(Ordering::Relaxed),
            writes_failed: files.iter().map(|file| file.failed).sum(),
            files,
            warnings: self.warnings(captures),
            after_ready: after_ready(&quiet, &others),
            events,
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

    /// By model, over all workers: the first of a worker's models is its own.
    fn values_refused(&self, workers: &[WorkerEnd]) -> BTreeMap<String, u64> {
        let board = &self.fitted.board;
        let mut sums = BTreeMap::new();
        for end in workers {
            let worker = board.workers.get(usize::from(end.index));
            let names = worker.into_iter().flat_map(Worker::models);
            let further = end
                .further
                .iter()
                .map(|(_, account)| account.values_refused);
            for (name, values) in names.zip([end.tally.values_refused].into_iter().chain(further)) {
                *sums.entry(name.to_owned()).or_insert(0) += values;
            }
        }
        sums
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

fn after_ready(quiet: &[Quiet], others: &malloc_guard::HeapCounts) -> proof::AfterReady {
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
    sum.arena_high_water_bytes = malloc_guard::arena_reports()
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
