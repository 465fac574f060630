//! Arming: everything made that the board needs, its threads placed and waiting at the gate.

use crate::appliance::exit::{Exit, Failure};
use crate::appliance::prepare::cameras;
use crate::appliance::prepare::files::Files;
use crate::appliance::prepare::fit::Fitted;
use crate::appliance::prepare::jpeg;
use crate::appliance::prepare::memory::{Furnished, describe, furnish};
use crate::appliance::run::running::Running;
use crate::appliance::shared::doorbells::Bells;
use crate::appliance::shared::options::Options;
use crate::appliance::shared::start_gate::{Gate, Phase};
use crate::appliance::shared::stop::Stop;
use crate::appliance::start::spawn::{start_looking, start_threads};
use crate::appliance::start::wiring::bits;
use crate::capture::FrameSource as _;
use crate::ring::Doorbell;
use crate::sync::Arc;
use std::io::Write as _;

/// Makes everything that the board needs. Threads wait at the gate when this returns.
///
/// # Errors
/// What cannot be had. Threads that were started have then ended.
pub(crate) fn arm(mut fitted: Fitted, options: &Options) -> Result<Armed, Failure> {
    if let Some(feed) = &options.camera {
        cameras::replace_by_stream(&mut fitted.board, feed.clone())?;
    }
    if let Some(refusal) = fitted.refusal() {
        return Err(refusal);
    }
    // Before cameras and memory: a disk that is missing is known at once.
    let files = Files::open(&fitted.board, options)?;
    let mut furnished = furnish(fitted, options, Fitted::refusal)?;
    let board = &furnished.fitted.board;
    let formats = furnished.lanes.iter().map(|lane| lane.source.format());
    let names = board.cameras.iter().map(|camera| camera.name.as_str());
    jpeg::check_arena(board, names.zip(formats))?;
    // Standard error, as the log: standard output is for the events or the proof.
    // A log that is full or closed is no reason not to watch.
    let _ = writeln!(std::io::stderr(), "{}", furnished.fitted.budget);
    if let Some(plan) = &options.faults {
        let warning = format!("faults are on, as asked for: --faults {plan}");
        furnished.warnings.push(warning);
    }
    for (lane, camera) in furnished.lanes.iter().zip(&furnished.fitted.board.cameras) {
        let format = describe(&lane.source.format());
        log::info!("camera {}: {format} by {}", camera.name, lane.io);
    }
    for warning in &furnished.warnings {
        log::warn!("{warning}");
    }
    Armed::start(furnished, files, options)
}

/// A board that is armed: threads wait at the gate.
pub(crate) struct Armed {
    run: Running,
}

impl Armed {
    fn start(furnished: Furnished, files: Files, options: &Options) -> Result<Self, Failure> {
        let Furnished {
            fitted,
            lanes,
            arenas,
            warnings,
            wanted,
        } = furnished;
        let board = &fitted.board;
        let bells = Arc::new(Bells::new(
            board.workers.iter().map(|worker| bits(board, worker)),
        ));
        let stop = Stop::new(Arc::clone(&bells), options.frames, board.cameras.len())
            .map_err(|errno| Failure::new(Exit::Machine, format!("eventfd: {errno}")))?;
        let shared = Shared {
            stop: Arc::new(stop),
            gate: Arc::new(Gate::new()),
            house: Arc::new(Doorbell::new()),
            bells,
        };
        let mut run = Running::new(fitted, arenas, warnings, &shared);
        let started = start_threads(&mut run, &shared, files, lanes);
        match started.and_then(|()| start_looking(&mut run, &shared, wanted)) {
            Ok(()) => Ok(Self { run }),
            Err(failure) => {
                shared.gate.advance(Phase::Abandoned);
                shared.stop.ask();
                Err(given_up(run, failure))
            }
        }
    }

    /// Locks everything, turns the heap guard on, and lets the watch begin.
    ///
    /// # Errors
    /// A stream does not start, or the profile insists on memory that cannot be locked.
    pub(crate) fn go(mut self) -> Result<Running, Failure> {
        match self.run.open_gate() {
            Ok(()) => Ok(self.run),
            Err(failure) => Err(given_up(self.run, failure)),
        }
    }
}

/// Ends what was started. The failure stays the one that came first.
fn given_up(run: Running, failure: Failure) -> Failure {
    if let Some(further) = run.abandon() {
        log::error!("{}", further.message);
    }
    failure
}

/// What the threads of a run have in common.
pub(crate) struct Shared {
    pub(crate) stop: Arc<Stop>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) house: Arc<Doorbell>,
}
