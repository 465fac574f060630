//! SHA-256 of files, and how it is written.

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

/// Bytes as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Of a regular file. Anything else is refused before it is opened: it may never end, and never open.
pub(super) fn of_file(path: &Path) -> io::Result<[u8; 32]> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut digest = Sha256::new();
    io::copy(&mut File::open(path)?, &mut digest)?;
    Ok(digest.finalize().into())
}
