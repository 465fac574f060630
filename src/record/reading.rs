//! A recording read back: its bytes as they lie on disk, each record validated before it is touched.

use super::layout::{
    CellFault, FileHeader, HEADER_BYTES, RECORD_BYTES, decode_header, decode_record,
};
use super::result::ArchivedResultRecord;
use crate::limits::MAX_RECORDS;
use crate::shown::Shown;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Reading a recording failed.
#[derive(Debug)]
pub enum ReadError {
    /// The operating system refused.
    Io(PathBuf, std::io::Error),
    /// Not a recording, or its header is damaged.
    NotARecording {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "recording {}: {error}", path.display()),
            Self::NotARecording { path, found } => write!(
                f,
                "recording {}: found {found}, expected a file written by `pinsight run --record`",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ReadError {}

/// A recording in memory.
#[derive(Debug)]
pub struct Reading {
    /// What the indices mean.
    pub header: FileHeader,
    /// The record cells.
    cells: rkyv::util::AlignedVec<64>,
}

/// What a recording holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records that are whole.
    pub valid: u64,
    /// Cells that were written and fail their CRC or their validation.
    pub damaged: u64,
    /// Cells never written.
    pub empty: u64,
}

/// The names as a terminal may have them: the file's are whatever its bytes are.
fn shown(header: FileHeader) -> FileHeader {
    let one = |name: &String| Shown(name).to_string();
    let all = |names: &Vec<String>| names.iter().map(one).collect();
    FileHeader {
        board: one(&header.board),
        version: one(&header.version),
        cameras: all(&header.cameras),
        models: all(&header.models),
        labels: header.labels.iter().map(all).collect(),
        ..header
    }
}

impl Reading {
    /// Reads the header, checks it, and reads as many cells as it names, whatever follows them.
    ///
    /// # Errors
    /// The file cannot be read, or is not a recording of this layout.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let io = |error| ReadError::Io(path.to_path_buf(), error);
        let refuse = |found: &'static str| ReadError::NotARecording {
            path: path.to_path_buf(),
            found,
        };
        // A device or a FIFO may never end, and to open a FIFO may wait for ever.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(refuse("no regular file"));
        }
        let mut file = File::open(path).map_err(io)?;
        let mut start = Vec::with_capacity(HEADER_BYTES);
        (&mut file)
            .take(HEADER_BYTES as u64)
            .read_to_end(&mut start)
            .map_err(io)?;
        let header = shown(decode_header(&start).map_err(refuse)?);
        if header.capacity > u64::from(MAX_RECORDS) {
            return Err(refuse("a header of more records than a profile may name"));
        }
        let mut cells = rkyv::util::AlignedVec::<64>::new();
        cells
            .extend_from_reader(&mut file.take(header.capacity * RECORD_BYTES as u64))
            .map_err(io)?;
        Ok(Self { header, cells })
    }

    fn cells(&self) -> impl Iterator<Item = Result<&ArchivedResultRecord, CellFault>> {
        (0..)
            .zip(self.cells.chunks_exact(RECORD_BYTES))
            .map(|(index, cell)| decode_record(cell, index, self.header.capacity))
    }

    /// The whole records, oldest first, read where they lie.
    #[must_use]
    pub fn records(&self) -> Vec<&ArchivedResultRecord> {
        let mut records: Vec<_> = self.cells().filter_map(Result::ok).collect();
        records.sort_by_key(|record| record.number.to_native());
        records
    }

    /// Counts of whole, damaged and empty cells.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for cell in self.cells() {
            match cell {
                Ok(_) => summary.valid += 1,
                Err(CellFault::Empty) => summary.empty += 1,
                Err(CellFault::Damaged) => summary.damaged += 1,
            }
        }
        summary
    }
}
