//! A run with its threads: the gate opened, the end awaited, the threads joined. What they leave behind
//! becomes the proof in [`books`].

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::fit::Fitted;
use crate::appliance::report::proof::{self, Proof};
use crate::appliance::run::collect::Left;
use crate::appliance::run::join::Muster;
use crate::appliance::shared::camera_state::{Signal, Signals};
use crate::appliance::shared::start_gate::{Gate, Phase};
use crate::appliance::shared::stop::Stop;
use crate::appliance::start::arm::Shared;
use crate::appliance::threads::bodies::{CaptureEnd, NotStarted, WorkerEnd};
use crate::appliance::threads::capture::capture_loop::INFERENCE_TAP;
use crate::appliance::threads::disk::disk::Ledge;
use crate::appliance::threads::housekeeping::housekeeping::Counters;
use crate::appliance::threads::output::output::Desk;
use crate::ledger::LedgerView;
use crate::profile::OnShortage;
use crate::ring::{Doorbell, LaneView};
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::sys::clock::{now_ns, process_start_ns};
use crate::sys::malloc_guard;
use crate::sys::memory::arena::Arena;
use crate::sys::memory::{exempt_from_collapse, lock_all, locked_bytes};
use crate::sys::thread::Spawned;
use crate::units::{NS_PER_MS, NS_PER_S};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// One camera's books.
pub(crate) struct CameraAccount {
    pub(crate) name: String,
    pub(crate) io: String,
    pub(crate) format: String,
    pub(crate) ledger: LedgerView,
    pub(crate) lane: LaneView,
    pub(crate) signals: Signals,
}

impl CameraAccount {
    /// Frames that have not ended: in the ring, leased, or in a model that has given the slot back.
    pub(crate) fn in_flight(&self) -> u64 {
        let signal = self.signals.get(usize::from(self.lane.camera()));
        let live = u64::from(self.lane.live(INFERENCE_TAP));
        live.saturating_add_signed(signal.map_or(0, Signal::being_judged))
    }
}

/// Time that one camera gets to start its stream. Slow ones, on a bus that is reset first, take some.
const START_NS: u64 = 10 * NS_PER_S;

/// A capture thread, and what it says when its streams have started.
pub(crate) struct CaptureThread {
    pub(crate) thread: Spawned<Option<CaptureEnd>>,
    pub(crate) started: Receiver<Result<(), NotStarted>>,
    /// Cameras that it serves.
    pub(crate) cameras: u32,
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
pub(crate) struct OutputAccount {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) desk: Arc<Desk>,
    pub(crate) thread: Option<Spawned<()>>,
}

/// The disk, and its thread until that has ended.
pub(crate) struct DiskAccount {
    pub(crate) ledge: Arc<Ledge>,
    pub(crate) thread: Option<Spawned<()>>,
}

/// A run with its threads.
pub(crate) struct Running {
    pub(crate) fitted: Fitted,
    pub(crate) cameras: Vec<CameraAccount>,
    pub(crate) workers: Vec<Spawned<Option<WorkerEnd>>>,
    pub(crate) capture: Vec<CaptureThread>,
    pub(crate) housekeeping: Option<Spawned<proof::Events>>,
    /// Looks for cameras that are not there.
    pub(crate) looking: Option<Spawned<()>>,
    pub(crate) outputs: Vec<OutputAccount>,
    /// Where a file is written.
    pub(crate) disk: Option<DiskAccount>,
    pub(crate) finish: Arc<AtomicBool>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) arenas: BTreeMap<usize, Arena>,
    pub(crate) warnings: Vec<String>,
    stop: Arc<Stop>,
    gate: Arc<Gate>,
    house: Arc<Doorbell>,
    pub(crate) ready_ns: u64,
    pub(crate) locked_bytes: u64,
    /// Heap calls of the other threads before ready.
    others_before: malloc_guard::HeapCounts,
    /// While it is held, heap calls are counted.
    guard: Option<malloc_guard::Guard>,
}

impl Running {
    pub(crate) fn new(
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
            disk: None,
            finish: Arc::new(AtomicBool::new(false)),
            counters: Arc::new(Counters::default()),
            arenas,
            warnings,
            stop: Arc::clone(&shared.stop),
            gate: Arc::clone(&shared.gate),
            house: Arc::clone(&shared.house),
            ready_ns: 0,
            locked_bytes: 0,
            others_before: malloc_guard::HeapCounts::default(),
            guard: None,
        }
    }

    /// Locks all memory, starts the streams, turns the heap guard on, and begins the watch.
    pub(crate) fn open_gate(&mut self) -> Result<(), Failure> {
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
        self.others_before = malloc_guard::other_counts();
        self.guard = Some(malloc_guard::guard_on());
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
    pub(crate) fn ready_after_ns(&self) -> Option<u64> {
        Some(self.ready_ns.saturating_sub(process_start_ns()?))
    }

    /// CLOCK_MONOTONIC of ready.
    pub(crate) const fn ready_ns(&self) -> u64 {
        self.ready_ns
    }

    /// A thread asked for the end, or ended.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.is_asked()
            || self.workers.iter().any(Spawned::is_finished)
            || self.capture.iter().any(|c| c.thread.is_finished())
    }

    /// Ends the threads of an arming that failed. Gives the failure of those that do not end.
    pub(crate) fn abandon(mut self) -> Option<Failure> {
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
        // What housekeeping told is in the outputs' queues now, and in the disk's.
        for output in &self.outputs {
            output.desk.finish();
        }
        if let Some(disk) = &self.disk {
            disk.ledge.finish();
        }
        // Whatever housekeeping took is not theirs to make up for.
        muster.anew(now_ns());
        for output in &mut self.outputs {
            if let Some(thread) = output.thread.take() {
                muster.see_off(thread);
            }
        }
        // A disk that stands still is waited for as long as an output is, and then left behind.
        muster.anew(now_ns());
        if let Some(thread) = self.disk.as_mut().and_then(|disk| disk.thread.take()) {
            muster.see_off(thread);
        }
        if let Some(events) = &mut events {
            self.add_outputs(events);
            self.add_disk(events);
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

    /// Events that the file does not have.
    fn add_disk(&self, events: &mut proof::Events) {
        if let Some(disk) = &self.disk {
            for (index, rule) in events.rules.iter_mut().enumerate() {
                rule.lost += disk.ledge.lost_of(index);
            }
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
    pub(crate) fn finish(mut self) -> Ended {
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
        let disk = self.disk.as_ref().and_then(|disk| disk.thread.as_ref());
        threads.extend(disk.map(|thread| thread.placed.clone()));
        let outputs = self.outputs.iter().filter_map(|o| o.thread.as_ref());
        threads.extend(outputs.map(|thread| thread.placed.clone()));
        let events = self.end_housekeeping(&mut muster);
        let left = Left {
            threads: &threads,
            captures: &captures,
            workers: &workers,
            events: events.unwrap_or_default(),
            others,
            run_ns,
        };
        let proof = self.prove(left);
        // Sources before the memory that they wrote to.
        drop((captures, workers));
        self.let_go(&muster);
        Ended {
            proof,
            failure: muster.failure(),
        }
    }
}
