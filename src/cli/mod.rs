//! The command line: arguments to one command, its outcome to an exit code. One file per command, and no
//! logic of the pipeline.

mod check;
mod output;
mod print;
mod probe;
mod results;
mod run;
mod snapshot;
mod try_model;

use crate::appliance::{Exit, Failure};
use crate::sys::service::termination::{exit_now, log_panics};
use clap::{Parser, Subcommand};
use print::complain;
use std::process::ExitCode;

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

No command opens a network connection.";

/// Watches cameras on a board: newest frame first, nothing allocated once ready, every frame accounted for.
#[derive(Debug, Parser)]
#[command(name = "pinsight", version, after_help = EXIT_CODES, max_term_width = 100)]
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
    /// Make one model, as `check` and `run` ask for it
    #[command(hide = true)]
    TryModel,
}

/// Runs the program and gives its exit code.
pub fn main() -> ExitCode {
    // Before the first thread: one heap for all of them.
    crate::sys::malloc_guard::limit_glibc_arenas();
    crate::sys::service::logger::init(log::LevelFilter::Info);
    log_panics();
    // A panic of this thread is a failure like others; those of other threads end there.
    let code = std::panic::catch_unwind(command).unwrap_or(Exit::Internal);
    if code != Exit::Ok {
        // A thread that hangs may be left, in a library whose destructors are then better not run.
        exit_now(code as u8);
    }
    code.into()
}

fn command() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, and are not failures.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
        }
    };
    let outcome = crate::appliance::check_heap().and_then(|()| match arguments.command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Output(arguments) => output::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Snapshot(arguments) => snapshot::run(&arguments),
        Command::Results(arguments) => results::run(&arguments),
        Command::TryModel => try_model::run(),
    });
    match outcome {
        Ok(()) => Exit::Ok,
        Err(Failure { exit, message }) => {
            complain(&format_args!("pinsight: {message}\n"));
            exit
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_argument_table_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
