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

mod absent;
mod alerts;
mod arm;
mod bells;
mod built;
mod cameras;
mod decoding;
mod disk;
mod exit;
mod files;
mod fitting;
mod furnish;
mod further;
mod gate;
mod housekeeping;
mod lines;
mod messages;
mod muster;
mod names;
mod outputs;
mod proof;
mod pulse;
mod running;
mod signals;
mod snapshot;
mod station;
mod stop;
mod threads;
mod worker;

pub use built::check_model;
pub use cameras::open_cameras;
pub use decoding::check_decoding;
pub use exit::{Exit, Failure};
pub use fitting::{Fitted, fit};
pub use outputs::{Found, check_output, try_output};
pub use proof::Proof;
pub use running::Ended;
pub use snapshot::{Recorded, Snapshot, clip, snapshot};

use crate::capture::faults::FaultPlan;
use crate::profile::Feed;
use crate::sys::clock::now_ns;
use crate::sys::malloc_guard;
use crate::sys::memory::exempt_from_balancing;
use crate::sys::service::notify::{Notifier, NotifyState};
use crate::sys::service::signal::StopSignals;
use crate::units::{NS_PER_MS, NS_PER_S};
use std::path::{Path, PathBuf};

/// Longest wait between two looks at what ends a run.
const LOOK_NS: u64 = 50 * NS_PER_MS;

/// What one run is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The profile.
    pub board: PathBuf,
    /// End after so many seconds of watching.
    pub seconds: Option<u64>,
    /// End after so many results.
    pub frames: Option<u64>,
    /// Where results go, a JSON line each; `-` is standard output.
    pub results: Option<PathBuf>,
    /// Where the events of rules go, a JSON line each; `-` is standard output.
    pub events: Option<PathBuf>,
    /// Where the recording goes.
    pub record: Option<PathBuf>,
    /// A Y4M or JPEG stream in the place of the only camera.
    pub camera: Option<Feed>,
    /// Faults that every camera is wrapped in.
    pub faults: Option<FaultPlan>,
    /// Files that will be written at the end: tried before anything starts.
    pub writable: Vec<PathBuf>,
}

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
    let armed = arm::arm(fitted, options)?;
    let running = armed.go()?;
    if let Some(notifier) = &notifier
        && let Err(error) = notifier.send(&[NotifyState::Ready, NotifyState::Status("watching")])
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
        let _ = notifier.send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
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
