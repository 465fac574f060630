//! The threads of a run, started one by one, each on its cores.

use super::started::{CaptureThread, Started};
use super::wiring::Wiring;
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::files::Files;
use crate::appliance::prepare::fit::STACK_BYTES;
use crate::appliance::prepare::late_camera::{Wanted, look_for};
use crate::appliance::prepare::memory::Lane;
use crate::appliance::threads::capture::capture_loop::CaptureLoop;
use crate::appliance::threads::capture::thread::capture_thread;
use crate::appliance::threads::disk::disk::{DiskOutbox, disk};
use crate::appliance::threads::disk::file_sink::FileSink;
use crate::appliance::threads::housekeeping::camera_trouble::CameraTroubles;
use crate::appliance::threads::housekeeping::housekeeping::Housekeeping;
use crate::appliance::threads::housekeeping::live_view::LiveView;
use crate::appliance::threads::housekeeping::note_words::Frequency;
use crate::appliance::threads::housekeeping::rules::Rules;
use crate::appliance::threads::housekeeping::wall_clock::WallClock;
use crate::appliance::threads::inference::description::Description;
use crate::appliance::threads::inference::progress::Progress;
use crate::appliance::threads::inference::thread::inference_thread;
use crate::appliance::threads::output::output::{OutputOutbox, make};
use crate::resources::budget::{DISK, LOOKER};
use crate::sync::Arc;
use crate::sys::clock::{now_ns, realtime_ns};
use crate::sys::cpu::core_set::CoreSet;
use crate::sys::thread::{Children, Policy, Spawned, ThreadSpec, spawn};
use crate::units::NS_PER_S;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Time that a worker gets for each step of arming: loading a model, and warming it up on one camera.
const STEP_NS: u64 = 60 * NS_PER_S;

/// Outputs, disk, housekeeping, workers, capture: in this order, so that whoever is sent something exists.
pub(crate) fn spawn_threads(
    run: &mut Started,
    files: Files,
    lanes: Vec<Lane>,
) -> Result<(), Failure> {
    let formats = lanes.iter().map(|lane| lane.source.format());
    let sizes_px: Vec<_> = formats
        .map(|format| (format.width_px, format.height_px))
        .collect();
    let outputs = spawn_outputs(run)?;
    let rules = Rules::new(&run.fitted.board, &sizes_px, outputs).map_err(|rule| {
        let rule = run
            .common
            .names
            .rules
            .get(rule)
            .map_or("?", |rule| &rule.name);
        let fault = format!("rule {rule} refers to what the board does not have");
        Failure::new(Exit::Internal, fault)
    })?;
    let disk = spawn_disk(run, files)?;
    let wiring = Wiring::lay(&run.fitted, &run.common, lanes)?;
    run.cameras = wiring.accounts;
    let ledgers = run.cameras.iter().map(|camera| camera.ledger.clone());
    let live = LiveView::new(&run.common, ledgers.collect(), now_ns());
    let housekeeping = Housekeeping {
        common: run.common.clone(),
        results: wiring.results,
        notes: wiring.notes,
        rules,
        disk,
        live,
        counters: Arc::clone(&run.counters),
        frequency: Frequency::new(),
        troubles: CameraTroubles::new(),
        watchdog: wiring.watchdog,
        wall_clock: WallClock::default(),
    };
    run.threads.housekeeping = Some(beside(run, "housekeeping", move || {
        housekeeping.run(now_ns, realtime_ns)
    })?);
    for description in wiring.workers {
        spawn_inference(run, description)?;
    }
    for (core, capture) in wiring.captures {
        spawn_capture(run, core, capture)?;
    }
    Ok(())
}

/// The thread that looks for cameras that are missing, where there are such.
pub(crate) fn spawn_late_cameras(run: &mut Started, wanted: Vec<Wanted>) -> Result<(), Failure> {
    if !wanted.is_empty() {
        let stop = Arc::clone(&run.common.stop);
        let body = move || look_for(wanted, &stop, now_ns);
        run.threads.late_cameras = Some(beside(run, LOOKER, body)?);
    }
    Ok(())
}

/// A thread on these cores, with this real-time priority; 0 is none.
fn on_cores<T: Send + 'static>(
    run: &Started,
    name: &str,
    (cores, priority, children): (&[usize], u32, Children),
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<Spawned<T>, Failure> {
    let spec = ThreadSpec {
        name: name.to_owned(),
        cores: cores.iter().copied().collect::<CoreSet>(),
        policy: match priority {
            0 => Policy::Other,
            priority => Policy::Fifo(priority),
        },
        children,
        policy_required: run.fitted.board.strict,
        stack_bytes: STACK_BYTES,
    };
    spawn(spec, move |_| body()).map_err(|error| Failure::new(Exit::Machine, error))
}

/// A thread that is not real-time, on housekeeping's core.
fn beside<T: Send + 'static>(
    run: &Started,
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<Spawned<T>, Failure> {
    let core = run.fitted.board.housekeeping.core;
    on_cores(run, name, (&[core], 0, Children::Reset), body)
}

/// One capture thread. Its streams start when the start gate says so.
fn spawn_capture(run: &mut Started, core: usize, capture: CaptureLoop) -> Result<(), Failure> {
    let (ready, started) = mpsc::sync_channel(1);
    let cameras = u32::try_from(capture.slots.len()).unwrap_or(u32::MAX);
    let progress = Arc::clone(&capture.progress);
    let place = (
        &[core][..],
        run.fitted.board.capture.fifo_priority,
        Children::Reset,
    );
    let thread = on_cores(run, &format!("capture{core}"), place, move || {
        capture_thread(capture, &ready)
    })?;
    run.threads.capture.push(CaptureThread {
        thread,
        started,
        core,
        cameras,
        progress,
    });
    Ok(())
}

/// One inference thread. Gives when it is ready.
fn spawn_inference(run: &mut Started, description: Description) -> Result<(), Failure> {
    let (progress, reports) = mpsc::channel();
    let worker = description.worker.clone();
    let place = (&*worker.cores, worker.fifo_priority, Children::Inherit);
    let thread = on_cores(run, &worker.name, place, move || {
        inference_thread(description, &progress)
    })?;
    run.threads.inference.push(thread);
    let fault = loop {
        match reports.recv_timeout(Duration::from_nanos(STEP_NS)) {
            Ok(Progress::Step) => {}
            Ok(Progress::Less(warning)) => run.warnings.push(warning),
            Ok(Progress::Ready(outcome)) => return outcome,
            Err(RecvTimeoutError::Disconnected) => break "died; please report it".to_owned(),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = STEP_NS / NS_PER_S;
                break format!(
                    "has not built its model, or warmed up on one camera, within {seconds} s"
                );
            }
        }
    };
    let fault = format!("worker {} {fault}", worker.name);
    Err(Failure::new(Exit::Internal, fault))
}

/// The outputs' devices tried, and their threads. Gives housekeeping's ends of them.
fn spawn_outputs(run: &mut Started) -> Result<Vec<OutputOutbox>, Failure> {
    let mut outboxes = Vec::new();
    for output in run.fitted.board.outputs.clone() {
        let made = make(&output, &run.common.names)?;
        run.outputs.push(Arc::clone(&made.outbox.state));
        let thread = beside(run, &output.name, made.body)?;
        run.threads.outputs.push(thread);
        outboxes.push(made.outbox);
    }
    Ok(outboxes)
}

/// The thread that writes files, where there are such. Gives housekeeping's end of it.
fn spawn_disk(run: &mut Started, files: Files) -> Result<DiskOutbox, Failure> {
    let names = Arc::clone(&run.common.names);
    let sink = FileSink { files, names };
    let open = sink.open();
    if open == [false; 3] {
        return Ok(DiskOutbox::none());
    }
    let (outbox, writer) = disk(&run.fitted.board, open, sink);
    run.disk = Some(Arc::clone(&outbox.counters));
    run.threads.disk = Some(beside(run, DISK, move || writer.run(now_ns))?);
    Ok(outbox)
}
