//! `pinsight run`: arm, watch, prove.

use super::board_file::BoardFile;
use super::whole::Whole;
use crate::appliance::{self, Ended, Exit, Failure, Options};
use crate::capture::faults::FaultPlan;
use crate::profile::Feed;
use crate::shown::ShownLines;
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `pinsight run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    board: BoardFile,
    /// Stop after N seconds of watching
    #[arg(long, value_name = "N", conflicts_with = "frames", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    seconds: Option<u64>,
    /// Stop after N results
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Write the proof as JSON; - is standard output, and the table then goes to standard error
    #[arg(long, value_name = "FILE|-")]
    proof: Option<PathBuf>,
    /// Append one JSON line for each result that shows something; - is standard output
    #[arg(long, value_name = "FILE|-")]
    results: Option<PathBuf>,
    /// Append one JSON line for each event of the board's rules; - is standard output
    #[arg(long, value_name = "FILE|-")]
    events: Option<PathBuf>,
    /// Keep the newest results in a preallocated file, for `pinsight results`. One of this board is continued;
    /// one of another board is moved to FILE.old
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Watch a stream in the place of the board's only camera: Y4M, whose size and rate are taken as they
    /// come, or JPEG pictures where the camera's format is "MJPG"; a file, or - for standard input
    #[arg(long, value_name = "FILE|-", value_parser = feed)]
    camera: Option<Feed>,
    /// Let every camera fail as planned, to see what becomes of it: seed=N, then chances of 0 to 1 for
    /// drop, damage, short, delay, stall, loss, jump, hang, die and error, as in
    /// seed=7,drop=0.01,loss=0.001; times by delay-ms, stall-ms, loss-ms, jump-ms and hang-ms
    #[arg(long, value_name = "PLAN")]
    faults: Option<FaultPlan>,
}

#[allow(clippy::unnecessary_wraps)] // the form that clap asks for
fn feed(text: &str) -> Result<Feed, std::convert::Infallible> {
    Ok(match text {
        "-" => Feed::Stdin,
        path => Feed::File(path.into()),
    })
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let is_stdout = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
    let proof_on_stdout = is_stdout(&arguments.proof);
    let taken = proof_on_stdout || is_stdout(&arguments.results) || is_stdout(&arguments.events);
    // Nothing is half-done at the end: a proof that cannot be written is known before the start.
    let proof_file = arguments.proof.as_deref().filter(|_| !proof_on_stdout);
    let proof_file = proof_file
        .map(|path| Whole::open("proof ", path))
        .transpose()?;
    let Ended { proof, failure } = appliance::run(&Options {
        board: arguments.board.path().to_owned(),
        proof: arguments.proof.clone(),
        seconds: arguments.seconds,
        frames: arguments.frames,
        results: arguments.results,
        events: arguments.events,
        record: arguments.record,
        camera: arguments.camera,
        faults: arguments.faults,
    })?;
    // Shown whether it can be written or not, and written whether it can be shown or not.
    let mut shown = if taken {
        super::print::show(&ShownLines(&proof));
        Ok(())
    } else {
        super::print::print(&ShownLines(&proof))
    };
    if arguments.proof.is_some() {
        let json = serde_json::to_vec_pretty(&proof)
            .map_err(|error| Failure::new(Exit::Internal, format!("proof: {error}")))?;
        let written = match proof_file {
            Some(file) => file.write(&json),
            None => super::print::print(&format_args!("{}\n", String::from_utf8_lossy(&json))),
        };
        shown = shown.and(written);
    }
    if let Some(failure) = failure {
        if let Err(beside) = shown {
            super::print::complain_of_run(&format!("pinsight: {}\n", beside.message));
        }
        return Err(failure);
    }
    shown?;
    if !proof.identity_holds() {
        return Err(Failure::new(
            Exit::Internal,
            "the ledger does not close: the proof shows which camera; please report it with the proof",
        ));
    }
    let broken: Vec<_> = proof.broken().collect();
    if broken.is_empty() {
        return Ok(());
    }
    let broken = broken.iter().map(|promise| {
        let mend = promise.mend.as_deref().unwrap_or_default();
        format!("{}: {} ({mend})", promise.name, promise.found)
    });
    let broken: Vec<_> = broken.collect();
    let message = format!("watched, and not as promised: {}", broken.join("; "));
    Err(Failure::new(Exit::Promise, message))
}
