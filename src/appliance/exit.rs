//! Exit codes: one for each kind of failure, so that a service manager or a script can tell them apart.

use std::process::ExitCode;

/// Why the program ended. The numbers are part of the interface and documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done as asked.
    Ok = 0,
    /// A fault of the program itself: the ledger does not close, or a thread died or hangs.
    Internal = 1,
    /// Arguments.
    Usage = 2,
    /// The board profile.
    Profile = 3,
    /// The machine: cores, nodes, memory, rights, devices of outputs.
    Machine = 4,
    /// A camera.
    Camera = 5,
    /// The model.
    Model = 6,
    /// Files that the run writes, or reads back.
    Storage = 7,
    /// The board was watched, and a promise that the profile demands was not kept.
    Promise = 8,
    /// A thread stood still for `hang-exit-ms`.
    Hang = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure with the words for it and its exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was found, what was expected, what to do.
    pub message: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }
}
