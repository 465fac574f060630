//! Files that a command writes once, at its end: tried at its start.

use crate::appliance::{Exit, Failure};
use crate::sys::io::whole_file::WholeFile;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time that the reader of a FIFO is waited for.
const WAIT: Duration = Duration::from_secs(10);

/// A file that can be written.
pub(super) struct Whole {
    /// What it is, before its name.
    what: &'static str,
    path: PathBuf,
    file: WholeFile,
}

impl Whole {
    /// Shows that it can be written, and leaves everything as it was.
    pub(super) fn open(what: &'static str, path: &Path) -> Result<Self, Failure> {
        let file = WholeFile::open(path).map_err(|error| {
            let advice = error.advice();
            storage(what, path, &format_args!("{error}; {advice}"))
        })?;
        Ok(Self {
            what,
            path: path.to_path_buf(),
            file,
        })
    }

    /// Writes it: it is there as a whole, or as it was.
    pub(super) fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write(bytes, WAIT);
        written.map_err(|error| storage(self.what, &self.path, &error))
    }
}

fn storage(what: &str, path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Storage, format!("{what}{}: {error}", path.display()))
}
