//! The command line: arguments to one command, its outcome to an exit code. One file per command, and no
//! logic of the pipeline.

mod board_file;
mod check;
mod output;
mod print;
mod probe;
mod recorded;
mod results;
mod run;
mod schema;
mod snapshot;
mod whole;

use crate::appliance::{Exit, Failure};
use crate::shown::ShownLines;
use crate::sys::service::termination::{exit_now, log_panics};
use crate::sys::tflite::library_version;
use clap::{CommandFactory as _, Parser, Subcommand};
use print::{complain, complain_of_run, print};
use std::process::ExitCode;
use std::sync::OnceLock;

const EXIT_CODES: &str = "\
Exit codes:
  0  done as asked
  1  internal: the ledger does not close, or a thread died or hangs
  2  usage: the arguments
  3  profile: the board file
  4  machine: cores, nodes, memory, rights, devices of outputs
  5  camera
  6  model
  7  storage: a file to be written or read back
  8  promise: watched, and not as the profile's [promises] demand; the proof says which
  9  hang: a thread stood still for hang-exit-ms

No command opens a network connection.";

/// Watches cameras on a board: newest frame first, nothing allocated once ready, every frame accounted for.
#[derive(Debug, Parser)]
#[command(name = "pinsight", version, long_version = long_version(), after_help = EXIT_CODES, max_term_width = 80)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Arm the board, watch, and end with the proof
    Run(Box<run::Arguments>),
    /// Fit a profile to this machine, show its budget, start nothing
    Check(check::Arguments),
    /// Try an output of the board once: switch the GPIO line, send a serial line
    Output(output::Arguments),
    /// Show what this machine has: cores, nodes, hugepages, rights, cameras, GPIO chips, serial devices
    Probe(probe::Arguments),
    /// Take one picture with a camera of the board, in the colours that the models get
    Snapshot(snapshot::Arguments),
    /// Read the results of a recording back, validated record by record
    Results(results::Arguments),
    /// Print the JSON Schema of what is written
    Schema(schema::Arguments),
}

/// What `--version` says: the build, and the library that is loaded.
fn long_version() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        format!(
            "{}\ncommit: {}\ntarget: {}\nfeatures: {}\nTensorFlow Lite: {}",
            env!("CARGO_PKG_VERSION"),
            env!("PINSIGHT_COMMIT"),
            env!("PINSIGHT_TARGET"),
            env!("PINSIGHT_FEATURES"),
            library_version()
        )
    })
}

/// The arguments of the program, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the program and gives its exit code.
pub fn main() -> ExitCode {
    // Before the first thread: one heap for all of them.
    crate::sys::malloc_guard::limit_glibc_arenas();
    crate::sys::service::logger::init(log::LevelFilter::Info);
    log_panics();
    // A panic of this thread is a failure like others; those of other threads end there.
    let code = std::panic::catch_unwind(run_command).unwrap_or(Exit::Internal);
    if code != Exit::Ok {
        // A thread that hangs may be left, in a library whose destructors are then better not run.
        exit_now(code as u8);
    }
    code.into()
}

fn run_command() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, and are not failures.
            if error.use_stderr() {
                complain(&error.render());
                return Exit::Usage;
            }
            let _ = print(&error.render());
            return Exit::Ok;
        }
    };
    let is_run = matches!(arguments.command, Command::Run(_));
    let outcome = match arguments.command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Output(arguments) => output::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Snapshot(arguments) => snapshot::run(&arguments),
        Command::Results(arguments) => results::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
    };
    match outcome {
        Ok(()) => Exit::Ok,
        Err(Failure { exit, message }) => {
            // What a file, a driver or a model says of itself may be among it.
            let text = format!("pinsight: {}\n", ShownLines(message));
            if is_run {
                complain_of_run(&text);
            } else {
                complain(&text);
            }
            exit
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_argument_table_is_consistent() {
        super::command().debug_assert();
    }
}
