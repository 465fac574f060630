//! Buffers that drivers share by descriptor: exported by the camera's driver, or taken from a dma-heap.
//!
//! The processor may read one between [`DmaBuf::begin_read`] and [`DmaBuf::end_read`] only: where the
//! device does not snoop the caches, these make what it wrote visible.
//!
//! # Source
//! linux/dma-buf.h, linux/dma-heap.h; kernel documentation, "Buffer Sharing and Synchronization (dma-buf)".
#![allow(unsafe_code)]

use crate::capture::SourceError;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// `struct dma_buf_sync`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Sync {
    flags: u64,
}

/// `DMA_BUF_SYNC_READ`
const READ: u64 = 1;
/// `DMA_BUF_SYNC_START`
const START: u64 = 0;
/// `DMA_BUF_SYNC_END`
const END: u64 = 1 << 2;

/// `struct dma_heap_allocation_data`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Allocation {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

nix::ioctl_write_ptr!(dma_buf_sync, b'b', 0, Sync);
nix::ioctl_readwrite!(dma_heap_alloc, b'H', 0, Allocation);

/// Heaps in the order in which a camera is likely to take them: most cameras of boards want memory in one
/// piece, which the system's own is not.
const PREFERRED: [&str; 4] = ["linux,cma", "reserved", "default_cma_region", "system"];
/// Heaps whose memory is of no use to a reader: slow to read by design, or not to be read at all.
const UNFIT: [&str; 3] = ["uncached", "secure", "protected"];

/// One shared buffer.
#[derive(Debug)]
pub(super) struct DmaBuf(OwnedFd);

impl DmaBuf {
    pub(super) const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// The device has written; the processor is going to read. Does not allocate.
    pub(super) fn begin_read(&self) -> Result<(), SourceError> {
        self.sync("DMA_BUF_IOCTL_SYNC (start)", START | READ)
    }

    /// The processor has read; the device may write again. Does not allocate.
    pub(super) fn end_read(&self) -> Result<(), SourceError> {
        self.sync("DMA_BUF_IOCTL_SYNC (end)", END | READ)
    }

    fn sync(&self, operation: &'static str, flags: u64) -> Result<(), SourceError> {
        let sync = Sync { flags };
        loop {
            // SAFETY: the request reads one `struct dma_buf_sync`, which lives across the call.
            match unsafe { dma_buf_sync(self.0.as_raw_fd(), &raw const sync) } {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(SourceError::new(operation, errno as i32)),
            }
        }
    }
}

impl AsFd for DmaBuf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A dma-heap of this machine.
#[derive(Debug)]
pub(super) struct Heap {
    fd: OwnedFd,
    name: String,
}

impl Heap {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = open(path, flags, Mode::empty())
            .map_err(|errno| SourceError::new("open (dma-heap)", errno as i32))?;
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            fd,
            name: name.to_string_lossy().into_owned(),
        })
    }

    /// As it is called below `/dev/dma_heap`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A new buffer of `bytes`, all zero.
    pub(super) fn allocate(&self, bytes: usize) -> Result<DmaBuf, SourceError> {
        let mut data = Allocation {
            len: bytes as u64,
            fd_flags: (libc::O_RDWR | libc::O_CLOEXEC).cast_unsigned(),
            ..Allocation::default()
        };
        // SAFETY: the request reads and writes one `struct dma_heap_allocation_data`, which lives across the
        // call.
        unsafe { dma_heap_alloc(self.fd.as_raw_fd(), &raw mut data) }
            .map_err(|errno| SourceError::new("DMA_HEAP_IOCTL_ALLOC", errno as i32))?;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
        Ok(DmaBuf(unsafe {
            OwnedFd::from_raw_fd(data.fd.cast_signed())
        }))
    }
}

/// The heaps below `folder` (`/dev/dma_heap`) that can hold frames, the likeliest first.
pub(super) fn heaps(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !UNFIT.iter().any(|unfit| name.contains(unfit)))
        .collect();
    let rank = |name: &String| PREFERRED.iter().position(|preferred| preferred == name);
    names.sort_by_key(|name| (rank(name).unwrap_or(PREFERRED.len()), name.clone()));
    names.into_iter().map(|name| folder.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_have_the_numbers_of_the_kernels_headers() {
        assert_eq!(
            nix::request_code_write!(b'b', 0, size_of::<Sync>()),
            0x4008_6200
        );
        let alloc = nix::request_code_readwrite!(b'H', 0, size_of::<Allocation>());
        assert_eq!(alloc, 0xC018_4800);
    }

    #[test]
    fn heaps_of_one_piece_come_first_and_slow_ones_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "system",
            "vendor",
            "system-uncached",
            "linux,cma",
            "secure_mem",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = heaps(folder.path());
        let expected = ["linux,cma", "system", "vendor"].map(|name| folder.path().join(name));
        assert_eq!(found, expected);
        assert!(heaps(Path::new("/no-such-folder")).is_empty());
    }

    #[test]
    fn what_is_no_shared_buffer_and_no_heap_gives_its_errno() {
        let null = || open("/dev/null", OFlag::O_RDWR, Mode::empty()).unwrap();
        let error = DmaBuf::new(null()).begin_read().unwrap_err();
        let expected = SourceError::new("DMA_BUF_IOCTL_SYNC (start)", libc::ENOTTY);
        assert_eq!(error, expected);
        let heap = Heap::open(Path::new("/dev/null")).unwrap();
        assert_eq!(heap.name(), "null");
        let error = heap.allocate(4096).unwrap_err();
        assert_eq!(
            error,
            SourceError::new("DMA_HEAP_IOCTL_ALLOC", libc::ENOTTY)
        );
        let error = Heap::open(Path::new("/dev/dma_heap/none")).unwrap_err();
        assert_eq!(error.errno, libc::ENOENT);
    }
}
