//! The text of a file.

use super::diagnostic::Fault;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// The most that is read of a file: profiles are a few KiB, and `/dev/zero` is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Longest time that a profile is waited for which does not come from a regular file.
const WAIT: Duration = Duration::from_secs(10);

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

/// A file's bytes, one more than a profile may have at most.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same of what may never come or never end: a FIFO, a pipe, a terminal.
fn read_in_time(path: &Path, wait: Duration) -> std::io::Result<Vec<u8>> {
    let (sender, bytes) = std::sync::mpsc::channel();
    let of_thread = path.to_path_buf();
    // A thread that waits in open(2) cannot be stopped: it is left to the end of the process.
    std::thread::spawn(move || sender.send(read(&of_thread)));
    bytes.recv_timeout(wait).unwrap_or_else(|_| {
        let waited =
            format!("waited {wait:?} for somebody to write a profile into it and close it");
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, waited))
    })
}

/// The text of a file. What is no regular file is waited for, and not for ever.
///
/// # Errors
/// The file cannot be read, is too large, or is not text.
pub fn load(path: &Path) -> Result<String, LoadError> {
    let unreadable = |error| LoadError::Unreadable {
        path: path.into(),
        error,
    };
    let bytes = match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => read_in_time(path, WAIT),
        _ => read(path),
    };
    let bytes = bytes.map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
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
