//! The descriptor that a stream is read from, without ever waiting for it.
#![allow(unsafe_code)]

use crate::capture::SourceError;
use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Whence, lseek};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What a pipe is asked to hold: the most that a user may have without a right for it.
const PIPE_BYTES: i32 = 1 << 20;

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing yet.
    NotYet,
    /// The end.
    End,
}

/// A file, a pipe, or whatever standard input is.
#[derive(Debug)]
pub(super) struct Input {
    /// `None` while a file could not be opened again.
    descriptor: Option<OwnedFd>,
    /// Of a file, which can be opened again.
    path: Option<CString>,
    /// The kernel can say that a file's bytes are not in memory, instead of fetching them.
    says_not_yet: bool,
}

impl Input {
    /// Standard input. Its flags are shared with other processes, and stay as they are.
    pub(super) fn stdin() -> std::io::Result<Self> {
        let descriptor = std::io::stdin().as_fd().try_clone_to_owned()?;
        Self::of(descriptor, None)
    }

    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let descriptor = open(&path)?;
        Self::of(descriptor, Some(path))
    }

    fn of(descriptor: OwnedFd, path: Option<CString>) -> std::io::Result<Self> {
        let mode = SFlag::from_bits_truncate(fstat(&descriptor)?.st_mode) & SFlag::S_IFMT;
        if mode == SFlag::S_IFDIR {
            return Err(Errno::EISDIR.into());
        }
        // Fewer calls for each picture. What the kernel says to it changes nothing else.
        let _ = nix::fcntl::fcntl(&descriptor, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        Ok(Self {
            descriptor: Some(descriptor),
            path: path.filter(|_| mode == SFlag::S_IFREG),
            says_not_yet: true,
        })
    }

    /// A file: it has a position, and an end that is known.
    pub(super) const fn is_file(&self) -> bool {
        self.path.is_some()
    }

    /// Length of a file.
    pub(super) fn length_bytes(&self) -> Option<u64> {
        let descriptor = self.descriptor.as_ref().filter(|_| self.is_file())?;
        u64::try_from(fstat(descriptor).ok()?.st_size).ok()
    }

    /// -1 while there is none.
    pub(super) fn raw(&self) -> RawFd {
        self.descriptor.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    fn descriptor(&self) -> Result<&OwnedFd, SourceError> {
        self.descriptor
            .as_ref()
            .ok_or(SourceError::new("read", libc::ENODEV))
    }

    /// Waits for bytes, or for the end; false when neither came in time.
    pub(super) fn wait_ms(&self, ms: u16) -> Result<bool, SourceError> {
        let mut polled = [PollFd::new(self.descriptor()?.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::from(ms)) {
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(SourceError::new("poll", errno as i32)),
        }
    }

    /// Reads what is there into `room`, which is not empty.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<Read, SourceError> {
        if !self.is_file() && !self.wait_ms(0)? {
            return Ok(Read::NotYet);
        }
        let count = if self.is_file() && self.says_not_yet {
            match read_if_in_memory(self.descriptor()?, room) {
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) => {
                    self.says_not_yet = false;
                    nix::unistd::read(self.descriptor()?, room)
                }
                other => other,
            }
        } else {
            nix::unistd::read(self.descriptor()?, room)
        };
        match count {
            Ok(0) => Ok(Read::End),
            Ok(count) => Ok(Read::Bytes(count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {
                self.fetch(room.len());
                Ok(Read::NotYet)
            }
            Err(errno) => Err(SourceError::new("read", errno as i32)),
        }
    }

    /// Has the kernel bring the next `bytes` of a file into memory, without waiting for them.
    pub(super) fn fetch(&self, bytes: usize) {
        if let Some(descriptor) = self.descriptor.as_ref().filter(|_| self.is_file())
            && let Ok(at) = lseek(descriptor, 0, Whence::SeekCur)
            && let Ok(length) = libc::off_t::try_from(bytes)
        {
            // An advice: without it the bytes come later, and are counted so.
            let advice = PosixFadviseAdvice::POSIX_FADV_WILLNEED;
            let _ = posix_fadvise(descriptor, at, length, advice);
        }
    }

    /// Passes over the next `bytes` of a file.
    pub(super) fn pass_over(&self, bytes: usize) -> Result<(), SourceError> {
        self.seek(
            libc::off_t::try_from(bytes).unwrap_or(libc::off_t::MAX),
            Whence::SeekCur,
        )
    }

    /// Goes to byte `at` of a file.
    pub(super) fn rewind(&self, at: u64) -> Result<(), SourceError> {
        self.seek(
            libc::off_t::try_from(at).unwrap_or(libc::off_t::MAX),
            Whence::SeekSet,
        )
    }

    fn seek(&self, offset: libc::off_t, whence: Whence) -> Result<(), SourceError> {
        lseek(self.descriptor()?, offset, whence)
            .map(drop)
            .map_err(|errno| SourceError::new("lseek", errno as i32))
    }

    /// Opens a file anew; what is no file cannot be, and stays. Does not allocate.
    pub(super) fn reopen(&mut self) -> Result<(), SourceError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        self.descriptor = None;
        match open(path) {
            Ok(descriptor) => {
                self.descriptor = Some(descriptor);
                Ok(())
            }
            Err(errno) => Err(SourceError::new("open", errno as i32)),
        }
    }
}

/// Opens for reading; a FIFO that nobody writes to yet as well.
fn open(path: &CString) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the path is a string that ends with a zero byte and outlives the call.
    let raw = Errno::result(unsafe { libc::open(path.as_ptr(), flags) })?;
    // SAFETY: a descriptor that open(2) has just made, and that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// read(2) from the file's position, or EAGAIN where that would wait for the disk.
fn read_if_in_memory(descriptor: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    let vector = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    // SAFETY: one element, whose range is `room`'s: mapped, writable, and borrowed for the call. The
    // offset -1 means the file's own position.
    let count = unsafe {
        libc::preadv2(
            descriptor.as_raw_fd(),
            &raw const vector,
            1,
            -1,
            libc::RWF_NOWAIT,
        )
    };
    // Not negative once it is a result.
    Errno::result(count).map(|count| usize::try_from(count).unwrap_or(0))
}
