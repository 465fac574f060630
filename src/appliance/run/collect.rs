//! What the threads of a run left behind becomes the proof.
//!
//! Answers for: which number of the proof comes from where, and that the frames still in the rings are
//! counted. Does not answer for: the end of the threads (`shutdown`), the proof's words (`report`).

use super::health::Health;
use crate::appliance::report::events::{Events, OutputAccount};
use crate::appliance::report::further::Further;
use crate::appliance::report::gaps::CameraGaps;
use crate::appliance::report::proof::{AfterReady, Camera, Machine, Memory, Proof, Thread};
use crate::appliance::report::tail::{SlowResult, TailCauses};
use crate::appliance::report::verdict::verdict;
use crate::appliance::start::started::Started;
use crate::appliance::threads::capture::camera_slot::CameraSlot;
use crate::appliance::threads::capture::thread::CaptureLeft;
use crate::appliance::threads::inference::measured::Measured;
use crate::appliance::threads::inference::thread::InferenceLeft;
use crate::latency::{Cause, Stage, tail};
use crate::sync::Ordering;
use crate::sys::malloc_guard::{self, HeapCounts};
use crate::sys::memory::slot_arena::SlotArena;
use crate::sys::thread::ThreadPlaced;
use std::collections::BTreeMap;

/// What the threads of a run leave behind.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) captures: Vec<CaptureLeft>,
    pub(crate) workers: Vec<InferenceLeft>,
    pub(crate) events: Option<Events>,
    /// Ready to the end.
    pub(crate) run_ns: u64,
}

impl Left {
    /// The cameras of all capture threads.
    fn slots(&self) -> impl Iterator<Item = &CameraSlot> {
        self.captures.iter().flat_map(|left| &left.capture.slots)
    }
}

/// Counts what was left in the rings, and makes the proof. `threads` are all threads, whether they have ended or
/// not; `others` the heap calls of threads that are not hot.
pub(crate) fn proof(
    run: &Started,
    left: &Left,
    health: &Health,
    threads: &[ThreadPlaced],
    others: &HeapCounts,
) -> Proof {
    let workers = &left.workers;
    for camera in workers
        .iter()
        .flat_map(|left| left.inputs.cameras.iter().flatten())
    {
        camera.input.refuse_the_rest();
    }
    let gaps = health.gaps();
    let mut all = Measured::default();
    let cameras = (0..run.cameras.len()).map(|index| {
        let measured = measured(index, run, workers);
        all.add(&measured);
        camera(index, run, left, gaps[index].clone(), &measured)
    });
    let cameras = cameras.collect();
    let machine = &run.fitted.topology;
    let files = run
        .disk
        .as_ref()
        .map_or_else(Vec::new, |disk| disk.accounts());
    let notes_lost = workers.iter().map(|left| left.outbox.notes.lost);
    let notes_lost = notes_lost.chain(left.captures.iter().map(|left| left.capture.notes.lost));
    let mut proof = Proof {
        promises: Vec::new(),
        standstills: health.standstills(),
        board: run.fitted.board.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine {
            cpu: machine.cpu.clone(),
            kernel: machine.kernel.clone(),
            governor: machine.governor().to_owned(),
            isolated_cores: machine.isolated.iter().collect(),
        },
        cameras,
        latency_ns: all.summary(),
        further: cascades(run, workers),
        tail: slowest(run, workers),
        tail_causes: tail_causes(workers),
        memory: memory(run),
        threads: threads.iter().map(thread).collect(),
        ready_ms: run.ready_after_ns().map(ms),
        run_ms: ms(left.run_ns),
        detections: run.counters.detections.load(Ordering::Relaxed),
        results_lost: workers.iter().map(|left| left.outbox.results_lost).sum(),
        notes_lost: notes_lost.sum(),
        values_refused: values_refused(run, workers),
        inferences_overdue: run.counters.overdue.load(Ordering::Relaxed),
        writes_failed: files.iter().map(|file| file.failed).sum(),
        files,
        warnings: warnings(run, left),
        shortages: run.fitted.warnings().len(),
        after_ready: after_ready(left, others),
        events: events(run, left),
    };
    proof.promises = verdict(&proof, &run.fitted.board.promises);
    proof
}

#[allow(clippy::cast_precision_loss)] // for reading
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// What was granted less than asked for, at arming and later.
fn warnings(run: &Started, left: &Left) -> Vec<String> {
    let slow = left.slots().filter_map(|slot| {
        let name = run.common.names.camera(slot.camera);
        Some(format!("camera {name}: {}", slot.pace.found()?))
    });
    run.warnings.iter().cloned().chain(slow).collect()
}

fn camera(
    index: usize,
    run: &Started,
    left: &Left,
    gaps: CameraGaps,
    measured: &Measured,
) -> Camera {
    let account = &run.cameras[index];
    let ledger = run.ledger(index);
    let slot = left.slots().find(|slot| usize::from(slot.camera) == index);
    let supervised = slot
        .map(|slot| *slot.supervisor.counts())
        .unwrap_or_default();
    let latency_ns = measured.summary();
    Camera {
        name: run.common.names.cameras[index].clone(),
        may_be_absent: slot.is_some_and(|slot| slot.may_be_absent),
        stream_broke_off: slot.is_some_and(|slot| slot.broke_off),
        gaps: gaps.with_greatest_age(latency_ns.age_of_knowledge.max),
        io: account.io.clone(),
        format: account.format.clone(),
        driver_frames: ledger.driver_frames,
        inferred: ledger.inferred,
        dropped: ledger.dropped,
        in_flight: ledger.in_flight,
        lost_in_driver: ledger.lost_in_driver,
        repeated_sequence: ledger.repeated_sequence,
        identity_holds: ledger.identity_holds() && account.lane.illegal_changes() == 0,
        restarts: supervised.restarts,
        reopens: supervised.reopens,
        port_resets: supervised.resets,
        future_stamps: slot.map_or(0, |slot| slot.continuity.counts().future),
        capture_to_result_ns: latency_ns.capture_to_result,
        age_of_knowledge_ns: latency_ns.age_of_knowledge,
        inter_arrival_ns: slot
            .map(|slot| slot.arrivals.spacing().summary())
            .unwrap_or_default(),
        inter_result_ns: measured.inter_result.summary(),
        latency_ns,
    }
}

/// What all workers measured of one camera.
fn measured(camera: usize, run: &Started, workers: &[InferenceLeft]) -> Measured {
    let mut sum = Measured::default();
    for left in workers {
        if let Some(Some(camera)) = left.inputs.cameras.get(camera) {
            sum.add(&camera.measured);
        }
    }
    let known_ns = run.common.cameras[camera].known_ns().max(run.ready_ns);
    let ended_ns = workers.iter().map(|left| left.inputs.ended_ns).max();
    sum.age.began();
    sum.age.ended(known_ns, ended_ns.unwrap_or(known_ns));
    sum
}

/// What each worker's cascade did.
fn cascades(run: &Started, workers: &[InferenceLeft]) -> Vec<Further> {
    let names = &run.common.names;
    let models = workers
        .iter()
        .flat_map(|left| left.models.iter().map(move |model| (left.index, model)));
    let accounts = models.filter_map(|(worker, model)| {
        let account = model.cascade.as_ref()?;
        Some(Further {
            model: names.model(model.place).to_owned(),
            worker: names.worker(worker).to_owned(),
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
    accounts.collect()
}

/// By model, over all workers.
fn values_refused(run: &Started, workers: &[InferenceLeft]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for model in workers.iter().flat_map(|left| &left.models) {
        let name = run.common.names.model(model.place).to_owned();
        *sums.entry(name).or_insert(0) += model.values_refused;
    }
    sums
}

/// The slowest results of all workers, slowest first.
fn slowest(run: &Started, workers: &[InferenceLeft]) -> Vec<SlowResult> {
    let names = &run.common.names;
    let kept = workers
        .iter()
        .flat_map(|left| left.tail.slowest.iter().map(move |seen| (left, seen)));
    let explained = kept.filter_map(|(left, seen)| {
        let camera = left
            .inputs
            .cameras
            .get(usize::from(seen.camera))?
            .as_ref()?;
        let verdict = camera.baseline.explain(seen);
        Some(SlowResult {
            camera: names.camera(seen.camera).to_owned(),
            worker: names.worker(left.index).to_owned(),
            sequence: seen.sequence,
            at_ms: ms(seen.stamps.result_ns.saturating_sub(run.ready_ns)),
            total_ns: Stage::CaptureToResult.of(&seen.stamps),
            stage: verdict.stage.name(),
            stage_ns: verdict.stage_ns,
            typical_ns: verdict.typical_ns,
            queued_ns: verdict.queued_ns,
            causes: verdict.causes,
            also: verdict.also,
        })
    });
    let mut slowest: Vec<_> = explained.collect();
    slowest.sort_by_key(|slow| std::cmp::Reverse(slow.total_ns));
    slowest.truncate(tail::KEPT);
    slowest
}

fn tail_causes(workers: &[InferenceLeft]) -> TailCauses {
    let mut counts = tail::CauseCounts::default();
    for left in workers {
        counts.add(&left.tail.counts);
    }
    TailCauses {
        results: counts.results,
        slow: counts.slow,
        by_cause: Cause::ALL
            .map(|cause| (cause.name(), counts.of(cause)))
            .into(),
    }
}

/// What housekeeping reported, and what outputs and the disk made of it, as far as they have come.
fn events(run: &Started, left: &Left) -> Events {
    let Some(mut events) = left.events.clone() else {
        return Events::default();
    };
    for (output, state) in run.fitted.board.outputs.iter().zip(&run.outputs) {
        let mut account = OutputAccount {
            name: output.name.clone(),
            kind: output.delivery.name(),
            failures: state.failures.load(Ordering::Relaxed),
            opened: state.opened.load(Ordering::Relaxed),
            ..OutputAccount::default()
        };
        for (index, rule) in events.rules.iter_mut().enumerate() {
            let (sent, lost) = state.account_of(index);
            account.sent += sent;
            account.lost += lost;
            rule.lost += lost;
        }
        events.outputs.push(account);
    }
    if let Some(disk) = &run.disk {
        for (index, rule) in events.rules.iter_mut().enumerate() {
            rule.lost += disk.lost_of(index);
        }
    }
    events
}

fn memory(run: &Started) -> Memory {
    let regions = || run.arenas.values().map(SlotArena::region);
    let arenas = run.arenas.iter();
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
    Memory {
        budget_bytes: run.fitted.budget.total_bytes(),
        locked_bytes: run.locked_bytes,
        hugepage_bytes: regions().map(|region| region.hugepage_bytes()).sum(),
        misplaced_bytes: arenas
            .map(|(node, arena)| {
                let region = arena.region();
                let there = region.placement_now().bytes_on(*node);
                (region.len_bytes() as u64).saturating_sub(there)
            })
            .sum(),
        by_node,
        pages: pages.join(", "),
        slot_bytes: run.arenas.values().map(SlotArena::slot_bytes).sum(),
    }
}

fn after_ready(left: &Left, others: &HeapCounts) -> AfterReady {
    let mut sum = AfterReady::default();
    let captures = left.captures.iter().map(|left| &left.usage);
    for usage in captures.chain(left.workers.iter().map(|left| &left.usage)) {
        sum.heap_calls += usage.heap.heap_calls();
        sum.arena_served += usage.heap.arena_served;
        sum.arena_exhausted += usage.heap.arena_overdrawn + usage.heap.arena_refused;
        sum.heap_growth_bytes += usage.heap.growth_bytes();
        sum.minor_faults += usage.thread.minor_faults;
        sum.major_faults += usage.thread.major_faults;
        sum.migrations += usage.thread.migrations;
        sum.voluntary_switches += usage.thread.voluntary_switches;
        sum.involuntary_switches += usage.thread.involuntary_switches;
    }
    sum.arena_high_water_bytes = malloc_guard::arena_reports()
        .map(|arena| arena.high_water_bytes)
        .max()
        .unwrap_or(0);
    sum.heap_calls_other_threads = others.heap_calls();
    sum.heap_growth_bytes_other_threads = others.growth_bytes();
    sum
}

fn thread(placed: &ThreadPlaced) -> Thread {
    Thread {
        name: placed.name.clone(),
        core: placed.core,
        policy: placed.policy.name(),
        priority: placed.priority(),
        mask_verified: placed.mask_verified,
    }
}
