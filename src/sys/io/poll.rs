//! poll(2): over a fixed set of descriptors with a nanosecond time-out, and of one descriptor before a write.
#![allow(unsafe_code)]

use crate::limits::MAX_CAMERAS;
use crate::units::NS_PER_S;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{BorrowedFd, RawFd};

/// Bytes that a descriptor which [`is_writable`] takes without a wait: `PIPE_BUF` of Linux, pipe(7).
pub const PIPE_BUF: usize = 4096;

/// A write of up to [`PIPE_BUF`] bytes would not wait for a reader. Never waits itself, and is true where
/// the write would end with an error: that says more.
#[must_use]
pub fn is_writable(descriptor: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(descriptor, PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO) != Ok(0)
}

/// Descriptors to wait for: those of every camera, and one to be stopped by.
#[derive(Debug, Default)]
pub struct PollSet {
    entries: heapless::Vec<Entry, { MAX_CAMERAS + 1 }>,
}

/// As the kernel reads it. A negative descriptor is passed over.
#[derive(Debug, Clone, Copy)]
struct Entry {
    descriptor: RawFd,
    found: i16,
}

impl PollSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets every entry.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Waits for this descriptor to become readable, too. One more than there is room for is left out:
    /// the time-out then finds it.
    pub fn watch(&mut self, descriptor: RawFd) {
        let _ = self.entries.push(Entry {
            descriptor,
            found: 0,
        });
    }

    /// An entry that nothing is waited for with, so that the next one has its place.
    pub fn pass(&mut self) {
        self.watch(-1);
    }

    /// Waits until a descriptor is readable or has an error, at most `timeout_ns`. May return early.
    pub fn wait(&mut self, timeout_ns: u64) {
        let mut fds = [libc::pollfd {
            fd: -1,
            events: 0,
            revents: 0,
        }; MAX_CAMERAS + 1];
        for (fd, entry) in fds.iter_mut().zip(&self.entries) {
            *fd = libc::pollfd {
                fd: entry.descriptor,
                events: libc::POLLIN,
                revents: 0,
            };
        }
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout_ns / NS_PER_S).unwrap_or(libc::time_t::MAX),
            // Below 10^9: fits every c_long.
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
            tv_nsec: (timeout_ns % NS_PER_S) as libc::c_long,
        };
        // SAFETY: ppoll writes `revents` of the first `entries.len()` elements, which exist; the time is a
        // valid timespec; a null mask leaves the signals as they are. A descriptor that is not open is
        // reported as POLLNVAL.
        let count = unsafe {
            libc::ppoll(
                fds.as_mut_ptr(),
                self.entries.len() as libc::nfds_t,
                &raw const timeout,
                std::ptr::null(),
            )
        };
        for (fd, entry) in fds.iter().zip(&mut self.entries) {
            entry.found = if count > 0 { fd.revents } else { 0 };
        }
    }

    /// The last wait found an error, a hang-up or a closed descriptor at entry `index`.
    #[must_use]
    pub fn failed(&self, index: usize) -> bool {
        let errors = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
        self.entries
            .get(index)
            .is_some_and(|entry| entry.found & errors != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{PIPE_BUF, PollSet, is_writable};
    use nix::unistd::{pipe, read, write};
    use std::os::fd::{AsFd as _, AsRawFd as _};

    #[test]
    fn a_full_pipe_takes_nothing_and_a_broken_one_says_so_itself() {
        let (reader, writer) = pipe().unwrap();
        let piece = [0; PIPE_BUF];
        let mut taken = 0;
        while is_writable(writer.as_fd()) {
            taken += write(&writer, &piece).unwrap();
        }
        assert!(taken >= PIPE_BUF);
        read(&reader, &mut [0; PIPE_BUF]).unwrap();
        assert!(is_writable(writer.as_fd()));
        drop(reader);
        assert!(is_writable(writer.as_fd()));
    }

    #[test]
    fn a_hang_up_is_seen_at_its_entry_and_nowhere_else() {
        let (reader, writer) = pipe().unwrap();
        let mut set = PollSet::new();
        set.pass();
        set.watch(reader.as_raw_fd());
        set.wait(0);
        assert!(!set.failed(1));
        drop(writer);
        set.wait(1_000_000_000);
        assert!(set.failed(1));
        assert!(!set.failed(0));
        assert!(!set.failed(7));
    }
}
