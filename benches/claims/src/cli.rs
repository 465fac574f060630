//! The command line: one subcommand for each claim, its outcome to an exit code.

use crate::error::BenchError;
use crate::report::Report;
use crate::{channel, header, leak, numa, preprocess, queue, sharing, stages};
use clap::{Parser, Subcommand};
use pinsight::appliance::Exit;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

const EXIT_CODES: &str = "\
Exit codes:
  0  done as asked
  1  internal: a thread died
  2  usage: the arguments
  4  machine: cores, nodes, memory
  7  storage: a file to be written or read

Figures of a debug build mean nothing.";

/// Measures the claims of Pinsight's design on this machine, each beside what it replaces.
#[derive(Debug, Parser)]
#[command(name = "pinsight-bench", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    claim: Claim,
    /// Write the figures as JSON, to standard output in the table's place where no FILE or - is given
    #[arg(long, value_name = "FILE", global = true, num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Write a plot
    #[arg(long, value_name = "FILE", global = true)]
    svg: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Claim {
    /// How old is a result when cameras are faster than the model? Channels, a queue and the ring
    Queue(queue::Arguments),
    /// What does a channel's capacity cost in time, sleeps and context switches?
    Channel(channel::Settings),
    /// What does it cost when two cores write to one cache line?
    Sharing(sharing::Settings),
    /// What do headers and slots save, beside copies and heap blocks?
    Header(header::Settings),
    /// What do frames that are never given back do to the heap, and to us?
    Leak(leak::Settings),
    /// What does memory of another node cost?
    Numa(numa::Settings),
    /// Where do three stages in a row wait, pinned and unpinned?
    Stages(stages::Settings),
    /// What does a tensor cost, from camera buffer to the last element, beside moving its bytes?
    Preprocess(preprocess::Settings),
}

/// Parses the arguments, measures, and gives the exit code.
pub(crate) fn run() -> Exit {
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
    match arguments.run() {
        Ok(()) => Exit::Ok,
        Err(error) => {
            // A full disk behind standard error must not end the program, as `eprintln!` would.
            let _ = writeln!(io::stderr().lock(), "pinsight-bench: {error}");
            error.exit()
        }
    }
}

impl Arguments {
    fn run(&self) -> Result<(), BenchError> {
        for path in self.json_file().into_iter().chain(self.svg.as_deref()) {
            // A file that cannot be written is known before minutes of measuring.
            std::fs::File::create(path).map_err(|error| BenchError::file(path, error))?;
        }
        let report = self.claim.measure(progress)?;
        let json = || format!("{:#}\n", report.json());
        match (&self.json, self.json_file()) {
            (Some(_), None) => print(&json())?,
            (_, Some(path)) => {
                print(&report)?;
                std::fs::write(path, json()).map_err(|error| BenchError::file(path, error))?;
            }
            (None, None) => print(&report)?,
        }
        self.svg
            .as_deref()
            .map_or(Ok(()), |path| report.write_svg(path))
    }

    /// The file of figures, if they go to one.
    fn json_file(&self) -> Option<&Path> {
        self.json.as_deref().filter(|path| path.as_os_str() != "-")
    }
}

impl Claim {
    fn measure(&self, progress: impl FnMut(&str) + Send) -> Result<Report, BenchError> {
        match self {
            Self::Queue(arguments) => queue::run(&arguments.settings()?, progress),
            Self::Channel(settings) => channel::run(settings, progress),
            Self::Sharing(settings) => sharing::run(settings, progress),
            Self::Header(settings) => header::run(settings, progress),
            Self::Leak(settings) => leak::run(settings, progress),
            Self::Numa(settings) => numa::run(settings, progress),
            Self::Stages(settings) => stages::run(settings, progress),
            Self::Preprocess(settings) => preprocess::run(settings, progress),
        }
    }
}

fn progress(what: &str) {
    let mut terminal = io::stderr().lock();
    if terminal.is_terminal() {
        let _ = writeln!(terminal, "measuring {what}");
    }
}

/// Writes to standard output. A reader that went away (`| head`) is not a failure.
fn print(text: &impl Display) -> Result<(), BenchError> {
    match write!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(BenchError::file(Path::new("standard output"), error))
        }
        _ => Ok(()),
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
