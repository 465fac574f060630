//! The appliance: the only place that names every stage. Prepares a board, runs it, proves what it did.
//!
//! ```text
//! prepare  profile + machine -> budget, findings; files and cameras opened, memory mapped and placed, lanes
//! start    threads, each on its core; models loaded on the threads that run them; everything locked, the heap
//!          guard on: ready
//! threads  capture -> lanes -> inference -> housekeeping -> outputs, disk
//! run      the end awaited, the threads joined, what was left in the rings counted
//! report   ledgers, histograms, usage: the proof
//! ```
//!
//! `check` (`commands`) fits the profile to the machine and opens cameras, outputs and models one by one; it maps no
//! memory and starts no thread.
//!
//! Arrows point one way, and a test holds them there: `report shared <- prepare <- threads <- start <- run`, and
//! `commands` beside `run`. `report` is plain data that threads and `run` fill in.

mod commands;
mod exit;
mod prepare;
mod report;
mod run;
mod shared;
mod start;
mod threads;

pub use commands::check::{Found, check_model, check_output};
pub use commands::output_trial::try_output;
pub use commands::schema::{Document, schema, schema_of};
pub use commands::snapshot::{Recorded, Snapshot, clip, snapshot};
pub use exit::{Exit, Failure};
pub use prepare::cameras::open_cameras;
pub use prepare::fit::Fitted;
pub use prepare::jpeg::check_decoding;
pub use prepare::trial::try_one as try_model;
pub use report::proof::Proof;
pub use run::shutdown::Ended;
pub use shared::options::Options;

use crate::sys::clock::now_ns;
use crate::sys::malloc_guard::{self, HeapError};
use crate::sys::memory::exempt_from_balancing;
use crate::sys::service::notify::{Notifier, NotifyState};
use crate::sys::service::signal::{StopSignals, ignore_size_limit};
use prepare::board::prepare;
use prepare::own_files::each_its_own;
use run::health::Health;
use run::shutdown::{abandon, finish};
use run::wait::wait_for_end;
use start::start::{begin, start};
use std::path::Path;

/// Shows that the heap is the C library's, and counted here, before a library is entered that uses it.
///
/// # Errors
/// Another library answers for it, or calls pass this program by.
pub fn check_heap() -> Result<(), Failure> {
    malloc_guard::self_test().map_err(|error| {
        let exit = match error {
            HeapError::Foreign { .. } => Exit::Machine,
            _ => Exit::Internal,
        };
        Failure::new(exit, error)
    })
}

/// Reads the profile and holds it against this machine, with each model made once in a process of its own. Starts no
/// thread, opens no camera.
///
/// # Errors
/// The profile's faults, all of them, or what the machine does not tell; a model that ends that process.
pub fn fit(board: &Path) -> Result<Fitted, Failure> {
    prepare::fit::fit(board, threads::sizes::fixed)?.with_models()
}

/// Starts the board, watches until the time is over, enough results were given, or SIGTERM, SIGINT or SIGHUP comes,
/// and gives the proof. Threads that do not end within 10 s of being told to are named in it, and left behind.
///
/// # Errors
/// What does not fit, in words, with its exit code. Nothing is then left running but what hangs.
pub fn run(options: &Options) -> Result<Ended, Failure> {
    check_heap()?;
    // Before the first thread, too: they inherit the policy.
    if let Err(errno) = exempt_from_balancing() {
        log::warn!(
            "set_mempolicy failed: {errno}; on a machine with several NUMA nodes, `sysctl kernel.numa_balancing=0` \
             keeps the kernel from unmapping pages for a look at who uses them"
        );
    }
    ignore_size_limit().map_err(|error| Failure::new(Exit::Internal, error))?;
    each_its_own(options, None)?;
    let notifier = Notifier::from_environment()
        .map_err(|error| log::warn!("service manager: {error}"))
        .ok();
    let fitted = fit(&options.board)?;
    let prepared = prepare(fitted, options)?;
    let (mut run, started) = start(prepared, options.frames)?;
    if let Err(failure) = started {
        return Err(abandon(run, failure));
    }
    // Until here they end the program at once, whatever file, device or model it waits for: nothing is watched yet.
    // No other thread has them (`sys::thread::spawn`).
    let signals = StopSignals::block().map_err(|error| Failure::new(Exit::Internal, error))?;
    let mut health = Health::new(&run);
    begin(&mut run);
    health.begin(run.ready_ns);
    if let Some(notifier) = &notifier
        && let Err(error) = notifier.send(&[NotifyState::Ready, NotifyState::Status("watching")])
    {
        log::warn!("service manager: {error}");
    }
    wait_for_end(
        &run,
        &mut health,
        &signals,
        notifier.as_ref(),
        options.seconds,
    );
    health.end(now_ns());
    if let Some(notifier) = &notifier {
        let _ = notifier.send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }
    // More signals end a stop that a driver or a model holds up.
    signals.release();
    Ok(finish(run, &health))
}
