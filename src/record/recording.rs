//! The recording: a preallocated file of fixed-size records, the newest overwriting the oldest.
//!
//! ```text
//! offset 0      header cell, 8192 bytes: names of board, cameras and labels
//! offset 8192   record cell 0 | record cell 1 | ... | record cell capacity-1
//! behind them   the header cell once more
//! ```
//!
//! Each header cell has a checksum; one that is damaged is written anew from the other one when a run opens the
//! file. Files of earlier versions have the first one only, and readers of those versions read what they know.
//!
//! A cell is `[crc32c of the rest][archived rkyv bytes][zeros]`, and record `n` lies in cell `n % capacity`. A
//! cell is written with one `pwrite`; one that a power cut tore fails its CRC and is skipped, and nothing
//! else is lost. Which record is the newest follows from the record numbers, so that no index has to be kept
//! up to date, and the next run goes on behind it. The file is made under another name and appears whole.

use super::cells::{offset, scan};
use super::header::{HeaderState, file_bytes, find, has_a_record};
use super::layout::{Cell, FileHeader, HeaderFault, KIND, TooLong, encode_header};
use super::result::{FrameResult, ResultRecord, Run};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Damaged recordings that may stand beside the one that is written.
const MAX_DAMAGED: u32 = 10_000;

/// Making or continuing a recording failed. The file's name, what was found, and what to do.
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
                TooLong::LIMIT_BYTES
            ),
        }
    }
}

impl std::error::Error for RecordingError {}

/// What a recording was when it was opened. `Display` says it for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// There was none.
    New,
    /// It goes on behind what it holds.
    Continued {
        /// Whole records.
        records: u64,
        /// The number of the run that begins.
        run: u32,
        /// One of its headers was damaged, and is whole again.
        repaired: bool,
    },
    /// One that records of this board cannot stand in was moved aside.
    Anew {
        /// Where it is now.
        old: PathBuf,
        /// What it was.
        found: &'static str,
    },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Continued {
                records,
                run,
                repaired,
            } => {
                write!(f, "continued behind {records} records, as run {run}")?;
                if *repaired {
                    f.write_str("; one of its two headers was damaged, and was written anew")?;
                }
                Ok(())
            }
            Self::Anew { old, found } => write!(
                f,
                "begun anew; found {found}, which is now {}",
                old.display()
            ),
        }
    }
}

/// A recording that is being written. After it was opened, writing takes no memory.
#[derive(Debug)]
pub struct Recording {
    file: File,
    path: PathBuf,
    header: FileHeader,
    next: u64,
    run: Run,
    cell: Box<Cell>,
}

/// What became of a recording while it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Nothing has its name.
    Vanished,
    /// Another file has its name.
    Replaced,
    /// It is shorter than it was made.
    Truncated,
}

impl Recording {
    /// Opens a recording for one more run, and holds its lock. One of the same board, cameras, labels and
    /// capacity is continued at the record behind its newest whole one; another one is moved to `FILE.old`,
    /// in the place of what was moved there before; one whose headers are both damaged is moved to `FILE.damaged`,
    /// `FILE.damaged.1` and so on, in the place of nothing; where there is none, or an empty file, one is made with
    /// all its bytes reserved on disk. `boot` tells this boot of the machine from others.
    ///
    /// # Errors
    /// The file cannot be had or its blocks cannot (`posix_fallocate`), it holds something else, another run
    /// is writing it, or the names do not fit. Nothing is then changed.
    pub fn open(
        path: &Path,
        header: &FileHeader,
        boot: u64,
    ) -> Result<(Self, Origin), RecordingError> {
        let header = header.settled();
        let header_cell = encode_header(&header)
            .map_err(|TooLong { found_bytes }| RecordingError::HeaderTooLong { found_bytes })?;
        // A link stays one: what it names is replaced.
        let path = match std::fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if path.is_symlink() => return Err(io(path, "follow the link")(error)),
            Err(_) => path.to_path_buf(),
        };
        let begun = |file, origin| {
            let recording = Self {
                file,
                path: path.clone(),
                header: header.clone(),
                next: 0,
                run: Run { number: 1, boot },
                cell: Box::new(Cell::EMPTY),
            };
            Ok((recording, origin))
        };
        let make = || make(&path, header.capacity, &header_cell);
        let Some(file) = existing(&path)? else {
            return begun(make()?, Origin::New);
        };
        let (found, old) = match find(&file) {
            Ok((found, state)) if found.means_the_same(&header) => {
                let recording = Self {
                    file,
                    path: path.clone(),
                    header: found,
                    next: 0,
                    run: Run { number: 1, boot },
                    cell: Box::new(Cell::EMPTY),
                };
                return recording.continued(state);
            }
            Ok(_) => (
                "a recording of another board, or of another size",
                beside(&path, ".old"),
            ),
            Err(HeaderFault::Other(found)) if !has_a_record(&file) => {
                (found, beside(&path, ".old"))
            }
            Err(_) => ("damaged headers", unused(&path)?),
        };
        // Only a recording is given up for another one.
        existing(&old)?;
        std::fs::rename(&path, &old).map_err(io(&path, "rename"))?;
        match make() {
            Ok(file) => begun(file, Origin::Anew { old, found }),
            Err(error) => {
                // It was there before: it is to be there after.
                let _ = std::fs::rename(&old, &path);
                Err(error)
            }
        }
    }

    /// Goes on behind what it holds.
    fn continued(mut self, state: HeaderState) -> Result<(Self, Origin), RecordingError> {
        if state == HeaderState::Whole {
            let bytes = file_bytes(self.header.capacity);
            reserve(&self.file, bytes).map_err(io(&self.path, "reserve (posix_fallocate)"))?;
        } else {
            self.mend()?;
        }
        let held = Held::of(&self.file, self.header.capacity);
        self.next = held.next;
        self.run.number = held.last_run.saturating_add(1);
        let origin = Origin::Continued {
            records: held.records,
            run: self.run.number,
            repaired: state == HeaderState::OneDamaged,
        };
        Ok((self, origin))
    }

    /// Looks whether its name still leads to it, and whether it is as long as it was made.
    ///
    /// # Errors
    /// The errno of stat(2).
    pub fn drift(&self) -> Result<Option<Drift>, std::io::Error> {
        let ours = self.file.metadata()?;
        match std::fs::symlink_metadata(&self.path) {
            Ok(named) if (ours.dev(), ours.ino()) != (named.dev(), named.ino()) => {
                Ok(Some(Drift::Replaced))
            }
            Ok(_) if ours.len() < file_bytes(self.header.capacity) => Ok(Some(Drift::Truncated)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Some(Drift::Vanished)),
            Err(error) => Err(error),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes on in what its name leads to now: makes it anew where it vanished, and takes another file as
    /// [`Recording::open`] does.
    ///
    /// # Errors
    /// As of [`Recording::open`]; the file that was written so far stays the one that is written.
    pub fn renew(&mut self) -> Result<(), RecordingError> {
        let open = || Self::open(&self.path, &self.header, self.run.boot);
        let opened = match open() {
            // What nobody finds any more still has its blocks, which a new one wants.
            Err(RecordingError::Io { error, .. })
                if error.raw_os_error() == Some(nix::libc::ENOSPC)
                    && self.file.metadata().is_ok_and(|found| found.nlink() == 0) =>
            {
                let _ = self.file.set_len(0);
                open()
            }
            opened => opened,
        };
        *self = opened?.0;
        Ok(())
    }

    /// Gives a file that was cut short, or whose headers are not both whole, its length and its headers again.
    ///
    /// # Errors
    /// What was tried, and its errno.
    pub fn mend(&self) -> Result<(), RecordingError> {
        let cell = encode_header(&self.header)
            .map_err(|TooLong { found_bytes }| RecordingError::HeaderTooLong { found_bytes })?;
        write_headers(&self.file, &self.path, self.header.capacity, &cell)
    }

    /// Writes one result over the oldest record.
    ///
    /// # Errors
    /// The write's errno; the record is lost, the file stays readable.
    pub fn append(&mut self, result: &FrameResult, utc_ns: u64) -> Result<(), std::io::Error> {
        let number = self.next;
        self.cell
            .encode(&ResultRecord::of(result, self.run, number, utc_ns))?;
        let cell_index = number % self.header.capacity;
        self.file.write_all_at(&self.cell.0, offset(cell_index))?;
        self.next += 1;
        Ok(())
    }

    /// Number of the next record: as many were written since the file was made.
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

/// What the cells of a recording hold.
struct Held {
    records: u64,
    /// One more than the highest record number.
    next: u64,
    last_run: u32,
}

impl Held {
    /// Looks through every cell. Those that are no records are left as they are.
    fn of(file: &File, capacity: u64) -> Self {
        let mut held = Self {
            records: 0,
            next: 0,
            last_run: 0,
        };
        let _ = scan(file, 0..capacity, Some(capacity), |_, cell| {
            // A number that nothing can follow was never written.
            if let Ok(record) = cell
                && let Some(next) = record.number.to_native().checked_add(1)
            {
                held.records += 1;
                held.next = held.next.max(next);
                held.last_run = held.last_run.max(record.run.to_native());
            }
            Ok::<_, std::convert::Infallible>(())
        });
        held
    }
}

fn io(path: &Path, operation: &'static str) -> impl Fn(std::io::Error) -> RecordingError {
    move |error| RecordingError::Io {
        path: path.to_path_buf(),
        operation,
        error,
    }
}

/// Names beside `path` that making a recording there may write.
#[must_use]
pub fn siblings(path: &Path) -> [PathBuf; 2] {
    [beside(path, ".old"), beside(path, ".new")]
}

/// `path` with `end` behind its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A name beside `path` that nothing has, for a recording that is damaged.
fn unused(path: &Path) -> Result<PathBuf, RecordingError> {
    let mut names = (0..MAX_DAMAGED).map(|number| match number {
        0 => beside(path, ".damaged"),
        number => beside(path, &format!(".damaged.{number}")),
    });
    let is_unused = |name: &PathBuf| {
        std::fs::symlink_metadata(name)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    let full = std::io::ErrorKind::AlreadyExists.into();
    names
        .find(is_unused)
        .ok_or_else(|| io(&beside(path, ".damaged"), "rename to a new name")(full))
}

/// The recording at `path`, of whatever version, locked; `None` where there is nothing, or an empty file.
fn existing(path: &Path) -> Result<Option<File>, RecordingError> {
    let foreign = || RecordingError::Foreign {
        path: path.to_path_buf(),
    };
    // Before it is opened: to open a device may do something.
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(foreign()),
        Ok(found) if found.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(path, "stat")(error)),
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        // It may have become a FIFO since it was looked at.
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .map_err(io(path, "open"))?;
    let mut start = [0; KIND.len()];
    // Where a disk lost the beginning, the other header or a record tells what it is.
    let is_named = file.read_exact_at(&mut start, 0).is_ok() && start == KIND;
    if !is_named && find(&file).is_err() && !has_a_record(&file) {
        return Err(foreign());
    }
    lock(&file, path)?;
    Ok(Some(file))
}

/// Takes the lock of the file that `path` names.
fn lock(file: &File, path: &Path) -> Result<(), RecordingError> {
    let in_use = || RecordingError::InUse {
        path: path.to_path_buf(),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use()),
        Err(TryLockError::Error(error)) => return Err(io(path, "lock")(error)),
    }
    // Another run may have put another file in its place since it was opened.
    let (ours, named) = (file.metadata(), std::fs::metadata(path));
    match (ours, named) {
        (Ok(ours), Ok(named)) if (ours.dev(), ours.ino()) == (named.dev(), named.ino()) => Ok(()),
        _ => Err(in_use()),
    }
}

/// Makes an empty recording at `path`, under another name first: it is there whole, or not at all.
fn make(path: &Path, capacity: u64, header_cell: &[u8]) -> Result<File, RecordingError> {
    let new = beside(path, ".new");
    // What a power cut left of an earlier one is no loss; anything else is.
    if !is_unfinished(&new) {
        existing(&new)?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Others see nothing of what a camera saw.
        .mode(0o640)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&new)
        .map_err(io(&new, "open"))?;
    lock(&file, &new)?;
    let filled = fill(&file, &new, path, capacity, header_cell);
    if filled.is_err() {
        // What made it fail is told; that the rest of it stays is not worse.
        let _ = std::fs::remove_file(&new);
    }
    filled.map(|()| file)
}

fn fill(
    file: &File,
    new: &Path,
    path: &Path,
    capacity: u64,
    header_cell: &[u8],
) -> Result<(), RecordingError> {
    file.set_len(0).map_err(io(new, "truncate"))?;
    write_headers(file, new, capacity, header_cell)?;
    std::fs::rename(new, path).map_err(io(path, "rename"))?;
    // The name as well as the file. A file system that cannot do that has done what it can.
    if let Some(Ok(directory)) = path.parent().map(File::open) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Reserves the bytes of a recording, and brings its headers to the disk.
fn write_headers(
    file: &File,
    path: &Path,
    capacity: u64,
    header_cell: &[u8],
) -> Result<(), RecordingError> {
    reserve(file, file_bytes(capacity)).map_err(io(path, "reserve (posix_fallocate)"))?;
    let mut found = vec![0; header_cell.len()];
    // One after the other: a power cut damages one of them at most.
    for at in [offset(capacity), 0] {
        if file.read_exact_at(&mut found, at).is_err() || found != header_cell {
            file.write_all_at(header_cell, at)
                .map_err(io(path, "write"))?;
        }
        file.sync_all().map_err(io(path, "sync"))?;
    }
    Ok(())
}

/// A regular file that was reserved and whose header was not written.
fn is_unfinished(path: &Path) -> bool {
    let mut start = [1; KIND.len()];
    std::fs::metadata(path).is_ok_and(|found| found.is_file())
        && File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == [0; KIND.len()]
}

/// Reserves the blocks of the first `bytes` bytes; what is there stays.
fn reserve(file: &File, bytes: u64) -> std::io::Result<()> {
    let length = nix::libc::off_t::try_from(bytes)
        .map_err(|_| std::io::Error::from_raw_os_error(nix::libc::EFBIG))?;
    Ok(nix::fcntl::posix_fallocate(file, 0, length)?)
}
