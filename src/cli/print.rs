//! Standard output and standard error.

use crate::appliance::{Exit, Failure};

/// Writes to standard error. A full disk behind it, or a reader that went away, must not end the program, as
/// `eprintln!` would.
pub(super) fn complain(text: &impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = write!(std::io::stderr().lock(), "{text}");
}

/// Writes to standard output. A reader that went away (`| head`) is not a failure.
pub(super) fn print(text: &impl std::fmt::Display) -> Result<(), Failure> {
    use std::io::Write as _;
    match write!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Storage,
            format!("standard output: {error}"),
        )),
        _ => Ok(()),
    }
}
