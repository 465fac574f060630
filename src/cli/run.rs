//! `pinsight run`: arm, watch, prove.

use crate::appliance::{self, Exit, Failure, Options};
use crate::board::Feed;
use crate::capture::faults::FaultPlan;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `pinsight run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Board profile (TOML); boards/README.md explains every key
    #[arg(long, value_name = "FILE")]
    board: PathBuf,
    /// Stop after N seconds of watching
    #[arg(long, value_name = "N", conflicts_with = "frames", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    seconds: Option<u64>,
    /// Stop after N judged frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Write the proof as JSON
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Append one JSON line for each result with detections; - is standard output
    #[arg(long, value_name = "FILE|-")]
    events: Option<PathBuf>,
    /// Keep the newest results in a preallocated file, for `pinsight events`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Watch a Y4M stream in the place of the board's only camera: a file, or - for standard input.
    /// Its size and rate are taken as they come
    #[arg(long, value_name = "FILE|-", value_parser = feed)]
    camera: Option<Feed>,
    /// Let every camera fail as planned, to see what becomes of it: seed=N, then chances of 0 to 1 for
    /// drop, damage, short, delay, stall, loss, jump and error, as in seed=7,drop=0.01,loss=0.001; times
    /// by delay-ms, stall-ms, loss-ms and jump-ms
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
    let events_on_stdout = arguments.events.as_deref() == Some(std::path::Path::new("-"));
    let proof_file = arguments.proof;
    let proof = appliance::run(&Options {
        board: arguments.board,
        seconds: arguments.seconds,
        frames: arguments.frames,
        events: arguments.events,
        record: arguments.record,
        camera: arguments.camera,
        faults: arguments.faults,
        // Nothing is half-done at the end: a proof that cannot be written is known before the start.
        writable: proof_file.iter().cloned().collect(),
    })?;
    if let Some(path) = proof_file {
        let json = serde_json::to_vec_pretty(&proof)
            .map_err(|error| Failure::new(Exit::Internal, format!("proof: {error}")))?;
        std::fs::write(&path, json).map_err(|error| {
            Failure::new(Exit::Storage, format!("proof {}: {error}", path.display()))
        })?;
    }
    if events_on_stdout {
        eprint!("{proof}");
    } else {
        super::print(&proof)?;
    }
    if proof.identity_holds() {
        Ok(())
    } else {
        Err(Failure::new(
            Exit::Internal,
            "the ledger does not close: the proof shows which camera; please report it with the proof",
        ))
    }
}
