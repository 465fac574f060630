//! Why a claim was not measured.

use pinsight::appliance::Exit;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A setting that cannot be measured, and what can.
    #[error("{0}")]
    Setting(String),
    /// The machine refused something, in its own words.
    #[error("{0}")]
    Machine(String),
    /// A file cannot be read or written, and why.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
}

impl BenchError {
    pub(crate) fn machine(error: impl Display) -> Self {
        Self::Machine(error.to_string())
    }

    pub(crate) fn file(path: &Path, reason: impl Display) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// The exit code, which is that of `pinsight` for the same kind of failure.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Setting(_) => Exit::Usage,
            Self::Machine(_) => Exit::Machine,
            Self::File { .. } => Exit::Storage,
        }
    }
}
