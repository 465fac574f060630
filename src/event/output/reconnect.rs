//! A device that may vanish and come back: tried again soon, and then ever more rarely.

use super::next::Next;
use crate::units::{NS_PER_MS, NS_PER_S};
use nix::errno::Errno;

/// Pause before a lost device is tried again for the first time; doubled with each failure.
pub(super) const FIRST_PAUSE_NS: u64 = 250 * NS_PER_MS;
/// Longest pause.
pub(super) const LONGEST_PAUSE_NS: u64 = 30 * NS_PER_S;

/// One device. Due at once in the beginning.
#[derive(Debug)]
pub(super) struct Reconnect<T> {
    open: Option<T>,
    at_ns: u64,
    pause_ns: u64,
    /// Why it is not open.
    errno: Errno,
    failures: u64,
    opened: u64,
}

impl<T> Reconnect<T> {
    pub(super) const fn new() -> Self {
        Self {
            open: None,
            at_ns: 0,
            pause_ns: FIRST_PAUSE_NS,
            errno: Errno::ENODEV,
            failures: 0,
            opened: 0,
        }
    }

    /// Opens the device if it is not open and it is time to. Says whether it was opened.
    pub(super) fn open_if_due(
        &mut self,
        now_ns: u64,
        open: impl FnOnce() -> Result<T, Errno>,
    ) -> bool {
        if self.open.is_some() || now_ns < self.at_ns {
            return false;
        }
        match open() {
            Ok(device) => {
                self.opened += 1;
                self.open = Some(device);
                true
            }
            Err(errno) => {
                self.lose(now_ns, errno);
                false
            }
        }
    }

    /// The device, where it is open.
    pub(super) const fn get(&self) -> Option<&T> {
        self.open.as_ref()
    }

    /// The device, where it is open.
    pub(super) const fn get_mut(&mut self) -> Option<&mut T> {
        self.open.as_mut()
    }

    /// Lets the device go, for good.
    pub(super) const fn take(&mut self) -> Option<T> {
        self.open.take()
    }

    /// The device failed: it is let go, and tried again after a pause.
    pub(super) fn lose(&mut self, now_ns: u64, errno: Errno) {
        self.failures += 1;
        self.open = None;
        self.errno = errno;
        self.at_ns = now_ns.saturating_add(self.pause_ns);
        self.pause_ns = (self.pause_ns * 2).min(LONGEST_PAUSE_NS);
    }

    /// The device does what it is for: the next failure is a new one.
    pub(super) const fn worked(&mut self) {
        self.pause_ns = FIRST_PAUSE_NS;
    }

    /// What is waited for while it is not open.
    pub(super) const fn retry(&self) -> Next {
        Next::Retry {
            at_ns: self.at_ns,
            errno: self.errno,
        }
    }

    /// Times that it could not be opened, or was lost.
    pub(super) const fn failures(&self) -> u64 {
        self.failures
    }

    /// Times that it was opened.
    pub(super) const fn opened(&self) -> u64 {
        self.opened
    }
}
