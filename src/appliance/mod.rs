//! The appliance: the only place that names every stage. Arms a board, runs it, proves what it did.
//!
//! ```text
//! fit      profile + machine -> budget, findings
//! furnish  cameras opened, memory mapped and placed, lanes  (check opens the cameras, makes the models, and ends here)
//! arm      threads, each on its core; models built on the threads that run them
//! ready    everything locked, the heap guard on
//! run      station (capture) -> lanes -> worker (inference) -> housekeeping -> outputs, disk
//! stop     streams off, threads joined, what was left in the rings counted
//! prove    ledgers, histograms, usage -> Proof
//! ```

mod commands;
mod exit;
mod prepare;
mod report;
mod run;
mod shared;
mod start;
mod threads;

pub use commands::output_trial::{Found, check_output, try_output};
pub use commands::snapshot::{Recorded, Snapshot, clip, snapshot};
pub use exit::{Exit, Failure};
pub use prepare::cameras::open_cameras;
pub use prepare::fit::{Fitted, fit};
pub use prepare::jpeg::check_decoding;
pub use prepare::model::check_model;
pub use report::proof::Proof;
pub use run::running::Ended;
pub use shared::options::Options;

use crate::sys::clock::now_ns;
use crate::sys::malloc_guard;
use crate::sys::memory::exempt_from_balancing;
use crate::sys::service::notify::Notifier;
use crate::sys::service::signal::StopSignals;
use crate::units::{NS_PER_MS, NS_PER_S};
use start::arm::arm;
use std::path::Path;

/// Longest wait between two looks at what ends a run.
const LOOK_NS: u64 = 50 * NS_PER_MS;

/// Arms the board, watches until the time is over, enough was judged, or SIGTERM, SIGINT or SIGHUP comes, and
/// gives the proof. Threads that do not end within 10 s of the stop are named in it, and left behind.
///
/// # Errors
/// What does not fit, in words, with its exit code. Nothing is then left running but what hangs.
pub fn run(options: &Options) -> Result<Ended, Failure> {
    malloc_guard::self_test().map_err(|error| Failure::new(Exit::Internal, error))?;
    // Before the first thread, too: they inherit the policy.
    if let Err(errno) = exempt_from_balancing() {
        log::warn!(
            "set_mempolicy failed: {errno}; on a machine with several NUMA nodes, `sysctl kernel.numa_balancing=0` \
             keeps the kernel from unmapping pages for a look at who uses them"
        );
    }
    for path in &options.writable {
        try_to_write(path)?;
    }
    let notifier = Notifier::from_environment()
        .map_err(|error| log::warn!("service manager: {error}"))
        .ok();
    let fitted = fit(&options.board)?;
    // Before the first thread: every one inherits the mask, so the signals come to this one alone. Until
    // here they end the program at once, whatever file it waits for: nothing has been started.
    let signals = StopSignals::block().map_err(|error| Failure::new(Exit::Internal, error))?;
    let armed = arm(fitted, options)?;
    let running = armed.go()?;
    if let Some(notifier) = &notifier
        && let Err(error) = notifier.ready("watching")
    {
        log::warn!("service manager: {error}");
    }
    let end_ns = options
        .seconds
        .map(|s| running.ready_ns().saturating_add(s * NS_PER_S));
    loop {
        let now = now_ns();
        let left_ns = end_ns.map_or(LOOK_NS, |end| end.saturating_sub(now).min(LOOK_NS));
        if left_ns == 0 || running.is_over() {
            break;
        }
        match signals.wait(left_ns) {
            Ok(None) => {}
            Ok(Some(signal)) => {
                log::info!("{signal}: stopping");
                break;
            }
            Err(error) => {
                log::error!("{error}; stopping");
                break;
            }
        }
    }
    if let Some(notifier) = &notifier {
        let _ = notifier.stopping("stopping");
    }
    // A second signal ends a stop that a driver or a model holds up.
    signals.release();
    Ok(running.finish())
}

/// Shows that a file can be written, and leaves everything as it was.
fn try_to_write(path: &Path) -> Result<(), Failure> {
    let was_there = path.exists();
    let tried = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    if tried.is_ok() && !was_there {
        let _ = std::fs::remove_file(path);
    }
    tried.map(drop).map_err(|error| {
        let path = path.display();
        let advice = "name a file in a directory that exists and is writable";
        Failure::new(Exit::Storage, format!("{path}: {error}; {advice}"))
    })
}
