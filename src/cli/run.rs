//! `pinsight run`: arm, watch, prove.

use crate::appliance::{self, Ended, Exit, Failure, Options};
use crate::capture::faults::FaultPlan;
use crate::profile::Feed;
use clap::Args;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Arguments of `pinsight run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Board profile (TOML); boards/README.md explains every key
    #[arg(long, value_name = "FILE")]
    board: PathBuf,
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
    let files = [
        ("--board", Some(&arguments.board)),
        ("--proof", arguments.proof.as_ref()),
        ("--results", arguments.results.as_ref()),
        ("--events", arguments.events.as_ref()),
        ("--record", arguments.record.as_ref()),
    ];
    each_its_own(&files)?;
    let proof_file = arguments.proof;
    let Ended { proof, failure } = appliance::run(&Options {
        board: arguments.board,
        seconds: arguments.seconds,
        frames: arguments.frames,
        results: arguments.results,
        events: arguments.events,
        record: arguments.record,
        camera: arguments.camera,
        faults: arguments.faults,
        // Nothing is half-done at the end: a proof that cannot be written is known before the start.
        writable: proof_file
            .iter()
            .filter(|_| !proof_on_stdout)
            .cloned()
            .collect(),
    })?;
    // Shown whether it can be written or not, and written whether it can be shown or not.
    let mut shown = if taken {
        super::print::show(&proof);
        Ok(())
    } else {
        super::print::print(&proof)
    };
    if let Some(path) = proof_file {
        let json = serde_json::to_vec_pretty(&proof)
            .map_err(|error| Failure::new(Exit::Internal, format!("proof: {error}")))?;
        let written = if proof_on_stdout {
            super::print::print(&format_args!("{}\n", String::from_utf8_lossy(&json)))
        } else {
            std::fs::write(&path, json).map_err(|error| {
                Failure::new(Exit::Storage, format!("proof {}: {error}", path.display()))
            })
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
    if proof.identity_holds() {
        Ok(())
    } else {
        Err(Failure::new(
            Exit::Internal,
            "the ledger does not close: the proof shows which camera; please report it with the proof",
        ))
    }
}

/// No two arguments name one file: one would write over the other.
fn each_its_own(files: &[(&str, Option<&PathBuf>)]) -> Result<(), Failure> {
    let named: Vec<_> = files
        .iter()
        .filter_map(|(option, path)| path.map(|path| (*option, path)))
        .collect();
    for (index, (second, path)) in named.iter().enumerate() {
        if let Some((first, _)) = named[..index].iter().find(|(_, other)| same(other, path)) {
            let path = path.display();
            return Err(Failure::new(
                Exit::Usage,
                format!("{first} and {second} both name {path}; name a file of its own for each"),
            ));
        }
    }
    Ok(())
}

/// One regular file, or one that neither is there yet.
fn same(one: &Path, other: &Path) -> bool {
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => {
            one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
        }
        (Err(_), Err(_)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::each_its_own;
    use std::path::PathBuf;

    #[test]
    fn two_arguments_for_one_file_are_refused_and_devices_may_be_shared() {
        let dir = tempfile::tempdir().unwrap();
        let board = dir.path().join("board.toml");
        std::fs::write(&board, "").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&board, &link).unwrap();
        let absent = dir.path().join("absent");
        let null = PathBuf::from("/dev/null");
        let refused = |second| each_its_own(&[("--board", Some(&board)), second]);
        let message = refused(("--record", Some(&link))).unwrap_err().message;
        assert!(message.contains("--board and --record"), "{message}");
        assert!(refused(("--record", None)).is_ok());
        assert!(refused(("--record", Some(&absent))).is_ok());
        let twice = |path| each_its_own(&[("--proof", Some(path)), ("--results", Some(path))]);
        assert!(twice(&absent).is_err());
        assert!(twice(&null).is_ok());
    }
}
