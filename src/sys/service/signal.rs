//! Signals that ask the program to stop, taken by one thread that waits for them.
//!
//! No handler is installed: the signals are blocked before the first thread starts, every thread
//! inherits that, and the main thread fetches them. So no system call of a hot thread is interrupted.
//! SIGXFSZ is ignored: a file at its size limit is then an error of the write, as a full disk is.
#![allow(unsafe_code)]

use crate::units::NS_PER_S;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

/// SIGTERM, SIGINT and SIGHUP, blocked for this thread and the threads that it starts.
#[derive(Debug)]
pub struct StopSignals {
    set: SigSet,
}

/// A signal could not be blocked or fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} failed: {errno}")]
pub struct SignalError {
    /// The call, as POSIX names it.
    pub operation: &'static str,
    /// Its errno.
    pub errno: Errno,
}

impl StopSignals {
    /// Blocks them, and ignores SIGXFSZ. Call it before the first thread is started.
    ///
    /// # Errors
    /// The errno of pthread_sigmask or sigaction.
    pub fn block() -> Result<Self, SignalError> {
        let set: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
            .into_iter()
            .collect();
        set.thread_block().map_err(|errno| SignalError {
            operation: "pthread_sigmask",
            errno,
        })?;
        // SAFETY: no handler is installed, so none can run anything that a handler may not.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.map_err(|errno| SignalError {
            operation: "sigaction",
            errno,
        })?;
        Ok(Self { set })
    }

    /// Lets the calling thread have them again: from now on one of them ends the program at once.
    pub fn release(&self) {
        // The only error is an unknown way to change the mask.
        let _ = self.set.thread_unblock();
    }

    /// Waits at most `timeout_ns` for one of them; `None` when none came. Does not allocate.
    ///
    /// # Errors
    /// sigtimedwait's errno.
    pub fn wait(&self, timeout_ns: u64) -> Result<Option<Signal>, SignalError> {
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout_ns / NS_PER_S).unwrap_or(libc::time_t::MAX),
            // Below 10^9, so it fits every width of c_long.
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
            tv_nsec: (timeout_ns % NS_PER_S) as libc::c_long,
        };
        // SAFETY: set and timeout are live for the call; a null siginfo means that none is wanted.
        let taken = unsafe {
            libc::sigtimedwait(self.set.as_ref(), std::ptr::null_mut(), &raw const timeout)
        };
        let result = Errno::result(taken).and_then(Signal::try_from);
        match result {
            Ok(signal) => Ok(Some(signal)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(SignalError {
                operation: "sigtimedwait",
                errno,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signals are directed at the calling thread (pthread_kill through raise), so that tests which run
    /// at the same time on other threads are not hit.
    #[test]
    fn a_blocked_signal_is_fetched_once_and_none_is_a_time_out() {
        let signals = StopSignals::block().unwrap();
        assert_eq!(signals.wait(0), Ok(None));
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            nix::sys::signal::raise(signal).unwrap();
            assert_eq!(signals.wait(NS_PER_S), Ok(Some(signal)));
        }
        assert_eq!(signals.wait(1_000_000), Ok(None));
    }
}
