//! Starting: every thread made and placed, everything locked, the streams on, the heap guard on.

use super::spawn::{spawn_late_cameras, spawn_threads};
use super::started::{CaptureThread, Started};
use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::board::Prepared;
use crate::appliance::shared::common::Common;
use crate::appliance::shared::start_gate::Phase;
use crate::appliance::threads::capture::thread::NotStarted;
use crate::profile::OnShortage;
use crate::sys::clock::now_ns;
use crate::sys::malloc_guard;
use crate::sys::memory::{exempt_from_collapse, lock_all, locked_bytes};
use crate::units::{NS_PER_MS, NS_PER_S};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Time that one camera gets to start its stream. Slow ones, on a bus that is reset first, take some.
const START_NS: u64 = 10 * NS_PER_S;

/// Starts a board up to where the watch can begin; it will end by itself after so many results. What was started is given even where
/// not everything could be: whoever asked ends it.
///
/// # Errors
/// Before the first thread: what a run's threads have in common cannot be had.
pub(crate) fn start(
    prepared: Prepared,
    results: Option<u64>,
) -> Result<(Started, Result<(), Failure>), Failure> {
    let Prepared {
        fitted,
        names,
        files,
        lanes,
        arenas,
        warnings,
        wanted,
    } = prepared;
    let common = Common::new(&fitted.board, names, results)
        .map_err(|errno| Failure::new(Exit::Machine, format!("eventfd: {errno}")))?;
    let mut run = Started::new(fitted, common, arenas, warnings);
    let outcome = spawn_threads(&mut run, files, lanes)
        .and_then(|()| spawn_late_cameras(&mut run, wanted))
        .and_then(|()| start_streams(&mut run));
    Ok((run, outcome))
}

/// Locks all memory, and starts the streams.
fn start_streams(run: &mut Started) -> Result<(), Failure> {
    // All regions are there, with whatever large pages they could have.
    if let Err(errno) = exempt_from_collapse() {
        log::warn!("prctl(PR_SET_THP_DISABLE) failed: {errno}; khugepaged may delay hot threads");
    }
    if let Err(error) = lock_all() {
        if run.fitted.board.memory.on_shortage == OnShortage::Refuse {
            return Err(Failure::new(Exit::Machine, error));
        }
        log::warn!("{error}");
        run.warnings.push(error.to_string());
    }
    run.locked_bytes = locked_bytes().unwrap_or(0);
    run.common.gate.advance(Phase::Stream);
    for capture in &run.threads.capture {
        wait_for_streams(run, capture)?;
    }
    Ok(())
}

/// Turns the heap guard on, and begins the watch.
pub(crate) fn begin(run: &mut Started) {
    run.ready_ns = now_ns();
    match run.ready_after_ns() {
        Some(after_ns) => log::info!("ready after {} ms", after_ns / NS_PER_MS),
        None => log::info!("ready"),
    }
    // Trials of decoders were counted before.
    run.others_before = malloc_guard::other_counts();
    run.guard = Some(malloc_guard::guard_on());
    run.common.gate.advance(Phase::Watch);
}

/// Waits until a capture thread has started its streams.
fn wait_for_streams(run: &Started, capture: &CaptureThread) -> Result<(), Failure> {
    let name = &capture.thread.placed.name;
    let wait_ns = START_NS * u64::from(capture.cameras.max(1));
    let started = capture.started.recv_timeout(Duration::from_nanos(wait_ns));
    let (exit, message) = match started {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(NotStarted::Thread(failure))) => {
            (failure.exit, format!("thread {name}: {}", failure.message))
        }
        Ok(Err(NotStarted::Camera(camera, error))) => {
            let camera = run.common.names.camera(camera);
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
