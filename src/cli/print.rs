//! Standard output and standard error.

use crate::appliance::{Exit, Failure};
use crate::sys::service::{logger, terminal};
use log::Level;

/// Writes why a command fails to standard error.
pub(super) fn complain(text: &impl std::fmt::Display) {
    logger::say(Level::Error, false, text);
}

/// The same of a command that runs for long: with the time, where the journal does not know it.
pub(super) fn complain_of_run(text: &impl std::fmt::Display) {
    logger::say(Level::Error, true, text);
}

/// Writes what was found to standard error, where standard output is taken.
pub(super) fn show(text: &impl std::fmt::Display) {
    logger::say(Level::Info, false, text);
}

/// Writes to standard output. A reader that went away (`| head`) is not a failure.
pub(super) fn print(text: &impl std::fmt::Display) -> Result<(), Failure> {
    use std::io::Write as _;
    terminal::close();
    match write!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Storage,
            format!("standard output: {error}"),
        )),
        _ => Ok(()),
    }
}
