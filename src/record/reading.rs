//! A recording read back: each record validated before it is touched, with memory for some of them at a time.

use super::cells::scan;
use super::header::{HeaderState, cells_without_header, find, has_a_record};
use super::layout::{CellFault, FileHeader};
use super::result::ArchivedResultRecord;
use crate::limits::MAX_RECORDS;
use crate::shown::Shown;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Rows of records without a gap that are kept in mind: a recording that no disk damaged has two.
const MAX_ROWS: usize = 1 << 18;

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

/// A recording that is open for reading.
#[derive(Debug)]
pub struct Reading {
    /// What the indices mean. Without names where both headers are damaged.
    pub header: FileHeader,
    /// What the headers are like.
    pub state: HeaderState,
    file: File,
    /// As the header has it.
    capacity: Option<u64>,
    /// Cells to look at.
    cells: u64,
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

/// What a look through a recording found: what to read, and in which order.
#[derive(Debug, Default)]
pub struct Index {
    /// What it holds.
    pub summary: Summary,
    /// Records that were wanted.
    pub wanted: u64,
    /// By the number of the first record.
    rows: Vec<Row>,
    /// The first cell that is in no row, because there are too many.
    rest: Option<u64>,
}

/// Records whose numbers follow each other, in cells that do.
#[derive(Clone, Copy, Debug)]
struct Row {
    number: u64,
    cell: u64,
    length: u64,
}

impl Index {
    fn add(&mut self, number: u64, cell: u64) {
        if let Some(last) = self.rows.last_mut()
            && last.number.checked_add(last.length) == Some(number)
            && last.cell + last.length == cell
        {
            last.length += 1;
        } else if self.rows.len() < MAX_ROWS && self.rest.is_none() {
            self.rows.push(Row {
                number,
                cell,
                length: 1,
            });
        } else {
            self.rest.get_or_insert(cell);
        }
    }
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
    /// Reads the header, checks it, and finds as many cells as it names, whatever follows them. Where both headers are
    /// damaged, every cell that the file has is looked at.
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
        let file = File::open(path).map_err(io)?;
        match find(&file) {
            Ok((header, _)) if header.capacity > u64::from(MAX_RECORDS) => {
                Err(refuse("a header of more records than a profile may name"))
            }
            Ok((header, state)) => Ok(Self {
                state,
                file,
                capacity: Some(header.capacity),
                cells: header.capacity,
                header: shown(header),
            }),
            Err(_) if has_a_record(&file) => {
                let cells = cells_without_header(&file).min(MAX_RECORDS.into());
                let header = FileHeader {
                    capacity: cells,
                    ..FileHeader::default()
                };
                Ok(Self {
                    header,
                    state: HeaderState::Damaged,
                    file,
                    capacity: None,
                    cells,
                })
            }
            Err(fault) => Err(refuse(fault.found())),
        }
    }

    /// Looks through all cells. `wanted` says which records count.
    pub fn index(&self, mut wanted: impl FnMut(&ArchivedResultRecord) -> bool) -> Index {
        let mut index = Index::default();
        let in_holes = scan(&self.file, 0..self.cells, self.capacity, |cell, found| {
            match found {
                Ok(record) => {
                    index.summary.valid += 1;
                    index.wanted += u64::from(wanted(record));
                    index.add(record.number.to_native(), cell);
                }
                Err(CellFault::Empty) => index.summary.empty += 1,
                Err(CellFault::Damaged) => index.summary.damaged += 1,
            }
            Ok::<_, std::convert::Infallible>(())
        });
        index.summary.empty += in_holes.unwrap_or(0);
        index.rows.sort_unstable_by_key(|row| row.number);
        index
    }

    /// Gives the whole records, oldest first; those that are not in their place any more are passed over.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn each<E>(
        &self,
        index: &Index,
        mut each: impl FnMut(&ArchivedResultRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        for row in &index.rows {
            let cells = row.cell..row.cell + row.length;
            scan(
                &self.file,
                cells,
                self.capacity,
                |cell, found| match found {
                    Ok(record)
                        if record.number.to_native().wrapping_sub(row.number)
                            == cell - row.cell =>
                    {
                        each(record)
                    }
                    _ => Ok(()),
                },
            )?;
        }
        if let Some(rest) = index.rest {
            scan(&self.file, rest..self.cells, self.capacity, |_, found| {
                found.map_or(Ok(()), &mut each)
            })?;
        }
        Ok(())
    }

    /// All whole records, oldest first, of a recording that is small enough to be held.
    #[must_use]
    pub fn records(&self) -> Vec<ArchivedResultRecord> {
        let mut records = Vec::new();
        let _ = self.each(&self.index(|_| true), |record| {
            records.push(*record);
            Ok::<_, std::convert::Infallible>(())
        });
        records
    }

    /// Counts of whole, damaged and empty cells.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.index(|_| true).summary
    }
}
