//! The text of a file.

use super::diagnostic::Fault;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The most that is read of a file: profiles are a few KiB, and `/dev/zero` is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A profile could not be had from a file.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file is too large to be a profile.
    #[error("{}: found more than {limit_bytes} bytes, expected a profile", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The file is not UTF-8.
    #[error("{}:{line}: found bytes that are not UTF-8, expected TOML", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Line of the first byte that is not, from 1.
        line: usize,
    },
    /// The profile has faults: all of them, by line. Never empty.
    #[error("{}", by_line(_0))]
    Faults(Vec<Fault>),
}

fn by_line(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("\n")
}

/// The text of a file.
///
/// # Errors
/// The file cannot be read, is too large, or is not text.
pub fn load(path: &Path) -> Result<String, LoadError> {
    let unreadable = |error| LoadError::Unreadable {
        path: path.into(),
        error,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let read = file
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge {
            path: path.into(),
            limit_bytes: MAX_FILE_BYTES,
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        LoadError::NotText {
            path: path.into(),
            line,
        }
    })
}
