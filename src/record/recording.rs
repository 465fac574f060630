//! The recording: a preallocated file of fixed-size records, the newest overwriting the oldest.
//!
//! ```text
//! offset 0      header cell, 8192 bytes: names of board, cameras and labels
//! offset 8192   record cell 0 | record cell 1 | ... | record cell capacity-1
//! ```
//!
//! A cell is `[crc32c of the rest][archived rkyv bytes][zeros]`. A cell is written with one `pwrite`; one
//! that a power cut tore fails its CRC and is skipped, and nothing else is lost. Which record is the
//! newest follows from the record numbers, so that no index has to be kept up to date.

use super::result::{ArchivedResultRecord, FrameResult, ResultRecord};
use rkyv::rancor::Failure;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of one cell: CRC, padding to the archive's alignment, archive, rounded up to 64.
pub const RECORD_BYTES: usize =
    (CRC_BYTES + size_of::<ArchivedResultRecord>()).next_multiple_of(64);
/// The CRC-32C and its padding, so that the archive behind it is aligned to 8.
const CRC_BYTES: usize = 8;
/// Bytes before the first record.
const HEADER_BYTES: usize = 8192;
/// First bytes of every recording; the last digit is the layout's version.
const MAGIC: [u8; 8] = *b"PINSREC1";

const _: () = assert!(align_of::<ArchivedResultRecord>() <= CRC_BYTES);

/// What the records' indices mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileHeader {
    /// Board's name.
    pub board: String,
    /// Version of the program that made the file.
    pub version: String,
    /// Cameras by index.
    pub cameras: Vec<String>,
    /// Labels by class, of each worker.
    pub labels: Vec<Vec<String>>,
    /// Record cells.
    pub capacity: u64,
    /// Bytes of one cell.
    pub record_bytes: u64,
}

/// Making a recording failed. The file's name, what was found, and what to do.
#[derive(Debug)]
pub enum RecordingError {
    /// The operating system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// Its answer.
        error: std::io::Error,
    },
    /// The file holds something else, which is left as it is.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another run is writing it.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Names of board, cameras and labels are longer than the header cell.
    HeaderTooLong {
        /// Bytes they take.
        found_bytes: usize,
    },
}

impl std::fmt::Display for RecordingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io {
                path,
                operation,
                error,
            } => write!(
                f,
                "recording {}: {operation} failed: {error}; name a file in a directory that exists, is \
                 writable and has room",
                path.display()
            ),
            Self::Foreign { path } => write!(
                f,
                "recording {}: found a file that is no recording, expected none, an empty file or a \
                 recording; name another file",
                path.display()
            ),
            Self::InUse { path } => write!(
                f,
                "recording {}: another run is writing it; name another file",
                path.display()
            ),
            Self::HeaderTooLong { found_bytes } => write!(
                f,
                "recording: names of board, cameras and labels take {found_bytes} bytes, at most \
                 {} fit; shorten them",
                HEADER_BYTES - HEADER_START
            ),
        }
    }
}

impl std::error::Error for RecordingError {}

/// Where the header's JSON starts: magic, length, CRC.
const HEADER_START: usize = 16;

/// A recording that is being written. After it was made, writing takes no memory.
#[derive(Debug)]
pub struct Recording {
    file: File,
    capacity: u64,
    next: u64,
    cell: Box<Cell>,
}

/// A cell, aligned so that the archive in it is.
#[repr(C, align(64))]
#[derive(Debug)]
struct Cell([u8; RECORD_BYTES]);

impl Recording {
    /// Makes the file, or replaces another recording, with all its bytes reserved on disk. Holds its lock.
    ///
    /// # Errors
    /// The file cannot be made or its blocks cannot be had (`posix_fallocate`), it holds something else,
    /// another run is writing it, or the names do not fit. A file that was not there is then not there.
    pub fn create(path: &Path, header: &FileHeader) -> Result<Self, RecordingError> {
        let header_cell = encode_header(header)?;
        let was_there = path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| RecordingError::Io {
                path: path.to_path_buf(),
                operation: "open",
                error,
            })?;
        let filled = Self::fill(&file, path, header.capacity, &header_cell);
        if filled.is_err() && !was_there {
            // What made it fail is told; that the rest of it stays is not worse.
            let _ = std::fs::remove_file(path);
        }
        filled?;
        Ok(Self {
            file,
            capacity: header.capacity.max(1),
            next: 0,
            cell: Box::new(Cell([0; RECORD_BYTES])),
        })
    }

    /// Makes an open file an empty recording, unless it holds something else.
    fn fill(
        file: &File,
        path: &Path,
        capacity: u64,
        header_cell: &[u8],
    ) -> Result<(), RecordingError> {
        let io = |operation: &'static str| {
            move |error: std::io::Error| RecordingError::Io {
                path: path.to_path_buf(),
                operation,
                error,
            }
        };
        let found = file.metadata().map_err(io("stat"))?;
        let mut start = [0; MAGIC.len()];
        let mut is_recording = || file.read_exact_at(&mut start, 0).is_ok() && start == MAGIC;
        if !found.is_file() || (found.len() > 0 && !is_recording()) {
            let path = path.to_path_buf();
            return Err(RecordingError::Foreign { path });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.to_path_buf();
                return Err(RecordingError::InUse { path });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock")(error)),
        }
        file.set_len(0).map_err(io("truncate"))?;
        let bytes = HEADER_BYTES as u64 + capacity * RECORD_BYTES as u64;
        let length = nix::libc::off_t::try_from(bytes)
            .map_err(|_| io("reserve")(std::io::Error::from_raw_os_error(nix::libc::EFBIG)))?;
        nix::fcntl::posix_fallocate(file, 0, length)
            .map_err(|errno| io("reserve (posix_fallocate)")(errno.into()))?;
        file.write_all_at(header_cell, 0).map_err(io("write"))?;
        file.sync_all().map_err(io("sync"))
    }

    /// Writes one result over the oldest record.
    ///
    /// # Errors
    /// The write's errno; the record is lost, the file stays readable.
    pub fn append(&mut self, result: &FrameResult, utc_ns: u64) -> Result<(), std::io::Error> {
        let number = self.next;
        let record = ResultRecord::of(result, number, utc_ns);
        encode_record(&record, &mut self.cell.0)?;
        let cell_index = number % self.capacity;
        self.file.write_all_at(
            &self.cell.0,
            HEADER_BYTES as u64 + cell_index * RECORD_BYTES as u64,
        )?;
        self.next += 1;
        Ok(())
    }

    /// Records written so far.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.next
    }

    /// Brings everything written so far to the disk.
    ///
    /// # Errors
    /// The errno of fdatasync.
    pub fn sync(&self) -> Result<(), std::io::Error> {
        self.file.sync_data()
    }
}

fn encode_header(header: &FileHeader) -> Result<Vec<u8>, RecordingError> {
    let header = FileHeader {
        record_bytes: RECORD_BYTES as u64,
        capacity: header.capacity.max(1),
        ..header.clone()
    };
    // Strings and numbers only: serialising them cannot fail.
    let json = serde_json::to_vec(&header).unwrap_or_default();
    let too_long = || RecordingError::HeaderTooLong {
        found_bytes: json.len(),
    };
    let mut cell = vec![0u8; HEADER_BYTES];
    let length = u32::try_from(json.len()).map_err(|_| too_long())?;
    cell.get_mut(HEADER_START..HEADER_START + json.len())
        .ok_or_else(too_long)?
        .copy_from_slice(&json);
    cell[0..8].copy_from_slice(&MAGIC);
    cell[8..12].copy_from_slice(&length.to_le_bytes());
    cell[12..16].copy_from_slice(&crc32c::crc32c(&json).to_le_bytes());
    Ok(cell)
}

fn encode_record(record: &ResultRecord, cell: &mut [u8; RECORD_BYTES]) -> std::io::Result<()> {
    cell.fill(0);
    let body = &mut cell[CRC_BYTES..];
    let buffer = rkyv::ser::writer::Buffer::from(body);
    // Records hold no pointers: serialising them needs no scratch memory, so it is given none.
    let scratch = rkyv::ser::allocator::SubAllocator::new(&mut []);
    rkyv::api::low::to_bytes_in_with_alloc::<_, _, Failure>(record, buffer, scratch)
        .map_err(|_| std::io::Error::from_raw_os_error(nix::libc::EMSGSIZE))?;
    let crc = crc32c::crc32c(&cell[CRC_BYTES..]);
    cell[..4].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

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

/// A recording read back: its bytes as they lie on disk, each record validated before it is touched.
#[derive(Debug)]
pub struct Reading {
    /// What the indices mean.
    pub header: FileHeader,
    bytes: rkyv::util::AlignedVec<64>,
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

impl Reading {
    /// Reads the file and checks its header.
    ///
    /// # Errors
    /// The file cannot be read, or is not a recording of this layout.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let io = |error| ReadError::Io(path.to_path_buf(), error);
        // A device or a FIFO may never end, and to open a FIFO may wait for ever.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(ReadError::NotARecording {
                path: path.to_path_buf(),
                found: "no regular file",
            });
        }
        let mut file = File::open(path).map_err(io)?;
        let mut bytes = rkyv::util::AlignedVec::<64>::new();
        bytes.extend_from_reader(&mut file).map_err(io)?;
        let refuse = |found: &'static str| ReadError::NotARecording {
            path: path.to_path_buf(),
            found,
        };
        let header = decode_header(&bytes).map_err(refuse)?;
        Ok(Self { header, bytes })
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .get(HEADER_BYTES..)
            .unwrap_or_default()
            .chunks_exact(RECORD_BYTES)
    }

    /// The whole records, oldest first, read where they lie.
    #[must_use]
    pub fn records(&self) -> Vec<&ArchivedResultRecord> {
        let mut records: Vec<_> = self
            .cells()
            .filter_map(|cell| decode_record(cell).ok())
            .collect();
        records.sort_by_key(|record| record.number.to_native());
        records
    }

    /// Counts of whole, damaged and empty cells.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for cell in self.cells() {
            match decode_record(cell) {
                Ok(_) => summary.valid += 1,
                Err(CellFault::Empty) => summary.empty += 1,
                Err(CellFault::Damaged) => summary.damaged += 1,
            }
        }
        summary
    }
}

fn decode_header(bytes: &[u8]) -> Result<FileHeader, &'static str> {
    let fixed = bytes
        .get(..HEADER_START)
        .ok_or("a file shorter than a header")?;
    if fixed[..8] != MAGIC {
        return Err("other first bytes");
    }
    let word =
        |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let length = usize::try_from(word(8)).unwrap_or(usize::MAX);
    let json = bytes
        .get(HEADER_START..HEADER_BYTES)
        .and_then(|rest| rest.get(..length))
        .ok_or("a header longer than its cell")?;
    if crc32c::crc32c(json) != word(12) {
        return Err("a header whose CRC does not match");
    }
    let header: FileHeader =
        serde_json::from_slice(json).map_err(|_| "a header of another version")?;
    if header.record_bytes != RECORD_BYTES as u64 {
        return Err("records of another size");
    }
    Ok(header)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellFault {
    Empty,
    Damaged,
}

fn decode_record(cell: &[u8]) -> Result<&ArchivedResultRecord, CellFault> {
    let (crc, body) = cell.split_at_checked(CRC_BYTES).ok_or(CellFault::Damaged)?;
    let stored = u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]]);
    if crc32c::crc32c(body) != stored {
        let untouched = cell.iter().all(|byte| *byte == 0);
        return Err(if untouched {
            CellFault::Empty
        } else {
            CellFault::Damaged
        });
    }
    let archived = body
        .get(..size_of::<ArchivedResultRecord>())
        .ok_or(CellFault::Damaged)?;
    rkyv::api::low::access::<ArchivedResultRecord, Failure>(archived)
        .map_err(|_| CellFault::Damaged)
}

#[cfg(test)]
mod tests {
    use super::{
        FileHeader, HEADER_BYTES, RECORD_BYTES, ReadError, Reading, Recording, RecordingError,
    };
    use crate::latency::Stamps;
    use crate::postprocess::Detection;
    use crate::record::FrameResult;

    fn header(capacity: u64) -> FileHeader {
        FileHeader {
            board: "bench".into(),
            version: "0".into(),
            cameras: vec!["front".into()],
            labels: vec![vec!["face".into()]],
            capacity,
            record_bytes: RECORD_BYTES as u64,
        }
    }

    fn result(sequence: u64) -> FrameResult {
        let mut result = FrameResult {
            sequence,
            stamps: Stamps {
                capture_ns: 5,
                dequeue_ns: 7,
                result_ns: 90,
                ..Stamps::default()
            },
            ..FrameResult::default()
        };
        let seen = Detection {
            score: 1.0,
            x_px: -3.4,
            y_px: 1e9,
            width_px: f32::NAN,
            ..Detection::default()
        };
        assert!(result.detections.push(seen).is_ok());
        result
    }

    fn written(capacity: u64, count: u64) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.pins");
        let mut recording = Recording::create(&path, &header(capacity)).unwrap();
        for sequence in 0..count {
            recording
                .append(&result(sequence), 1_000 + sequence)
                .unwrap();
        }
        recording.sync().unwrap();
        (dir, path)
    }

    #[test]
    fn a_file_that_is_no_recording_or_is_being_written_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("board.toml");
        std::fs::write(&profile, "name = 'door'").unwrap();
        let refused = Recording::create(&profile, &header(16)).unwrap_err();
        assert!(
            matches!(refused, RecordingError::Foreign { .. }),
            "{refused}"
        );
        assert_eq!(std::fs::read(&profile).unwrap(), b"name = 'door'");

        let path = dir.path().join("r.pins");
        let mut first = Recording::create(&path, &header(16)).unwrap();
        first.append(&result(0), 0).unwrap();
        let refused = Recording::create(&path, &header(16)).unwrap_err();
        assert!(matches!(refused, RecordingError::InUse { .. }), "{refused}");
        assert_eq!(Reading::open(&path).unwrap().summary().valid, 1);
        drop(first);
        Recording::create(&path, &header(16)).unwrap();
        assert_eq!(Reading::open(&path).unwrap().summary().valid, 0);
    }

    #[test]
    fn a_recording_that_cannot_be_made_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.pins");
        let too_large = header(u64::MAX / RECORD_BYTES as u64 / 2 - HEADER_BYTES as u64);
        assert!(Recording::create(&path, &too_large).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn what_never_ends_is_not_read() {
        let refused = Reading::open(std::path::Path::new("/dev/zero")).unwrap_err();
        assert!(
            matches!(refused, ReadError::NotARecording { .. }),
            "{refused}"
        );
    }

    #[test]
    fn what_was_written_is_read_back_oldest_first() {
        let (_dir, path) = written(16, 5);
        let reading = Reading::open(&path).unwrap();
        let sequences: Vec<u64> = reading
            .records()
            .iter()
            .map(|r| r.sequence.to_native())
            .collect();
        assert_eq!(sequences, [0, 1, 2, 3, 4]);
        assert_eq!(reading.header.cameras, ["front"]);
        let first = reading.records()[0];
        assert_eq!(first.detections_total.to_native(), 1);
        assert_eq!(first.detections[0].score_65535.to_native(), u16::MAX);
        assert_eq!(first.detections[0].x_px.to_native(), -3);
        assert_eq!(first.detections[0].y_px.to_native(), i16::MAX);
        assert_eq!(first.detections[0].width_px.to_native(), 0);
        assert_eq!(first.since_capture_ns[0].to_native(), 2);
    }

    #[test]
    fn the_newest_overwrites_the_oldest_and_the_file_keeps_its_size() {
        let (_dir, path) = written(4, 11);
        let reading = Reading::open(&path).unwrap();
        let sequences: Vec<u64> = reading
            .records()
            .iter()
            .map(|r| r.sequence.to_native())
            .collect();
        assert_eq!(sequences, [7, 8, 9, 10]);
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert_eq!(bytes, (HEADER_BYTES + 4 * RECORD_BYTES) as u64);
    }

    #[test]
    fn a_power_cut_at_any_byte_of_a_cell_costs_that_cell_only() {
        let (_dir, path) = written(4, 3);
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = 0;
        for cut in 0..RECORD_BYTES {
            let mut torn = whole.clone();
            let at = HEADER_BYTES + RECORD_BYTES;
            torn[at + cut..at + RECORD_BYTES].fill(0xEE);
            std::fs::write(&path, &torn).unwrap();
            let summary = Reading::open(&path).unwrap().summary();
            assert_eq!((summary.valid, summary.empty), (2, 1), "cut at {cut}");
            damaged += summary.damaged;
        }
        assert!(
            damaged > 100,
            "cuts in the middle of a record must be seen as damage"
        );
    }

    #[test]
    fn a_file_cut_short_anywhere_is_read_or_refused_without_panic() {
        let (_dir, path) = written(4, 4);
        let whole = std::fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(37) {
            std::fs::write(&path, &whole[..length]).unwrap();
            match Reading::open(&path) {
                Ok(reading) => assert!(reading.records().len() <= 4),
                Err(ReadError::NotARecording { .. }) => assert!(length < HEADER_BYTES),
                Err(other) => panic!("{other}"),
            }
        }
    }
}
