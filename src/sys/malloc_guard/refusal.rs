//! Allocations that the C library refuses, told of while they happen: what asked may end the process over it.

use super::mode;
use crate::sync::{AtomicUsize, Ordering};
use nix::libc::{self, c_int, c_void};
use std::os::fd::{IntoRawFd as _, OwnedFd};

/// What each line begins with; the bytes that were asked for follow.
pub const REFUSED: &str = "refused-bytes ";

/// Where the lines go, while `mode::TELL` is set.
static FD: AtomicUsize = AtomicUsize::new(0);

/// From now on each allocation that the C library refuses is a line to `fd`, which stays open.
pub(super) fn tell(fd: OwnedFd) {
    let fd = usize::try_from(fd.into_raw_fd()).unwrap_or_default();
    FD.store(fd, Ordering::Relaxed);
    mode::set(mode::TELL, true);
}

/// Hands the pointer of an allocation of `size` bytes through.
pub(super) fn noted(mode: usize, size: usize, pointer: *mut c_void) -> *mut c_void {
    if mode & mode::TELL != 0 && pointer.is_null() && size > 0 {
        write_line(size);
    }
    pointer
}

/// Does not allocate: there is nothing to allocate from.
#[cold]
fn write_line(bytes: usize) {
    const START: usize = REFUSED.len();
    // The longest number of 64 bits has 20 digits.
    let mut line = [0_u8; START + 21];
    line[..START].copy_from_slice(REFUSED.as_bytes());
    let digits = bytes.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut rest = bytes;
    for digit in line[START..START + digits].iter_mut().rev() {
        *digit = b"0123456789"[rest % 10];
        rest /= 10;
    }
    line[START + digits] = b'\n';
    let fd = c_int::try_from(FD.load(Ordering::Relaxed)).unwrap_or(-1);
    // SAFETY: the line is live, and so many bytes long. Nobody may listen, which is no matter here.
    unsafe { libc::write(fd, line.as_ptr().cast(), START + digits + 1) };
}
