//! Signals that ask the program to stop, taken by one thread that waits for them.
//!
//! Every other thread starts with them blocked, and the main thread blocks them when all is ready, and fetches them. So no system call of a hot thread is interrupted. A handler is there once the run is over.
//! SIGXFSZ is ignored: a file at its size limit is then an error of the write, as a full disk is.
#![allow(unsafe_code)]

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sys::clock::now_ns;
use crate::units::NS_PER_S;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, signal,
};

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

/// Ignores SIGXFSZ: a file at its size limit is then an error of the write.
///
/// # Errors
/// The errno of sigaction.
pub fn ignore_size_limit() -> Result<(), SignalError> {
    // SAFETY: no handler is installed, so none can run anything that a handler may not.
    let ignored = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    ignored.map(drop).map_err(|errno| SignalError {
        operation: "sigaction",
        errno,
    })
}

/// SIGTERM, SIGINT and SIGHUP.
fn stop_signals() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .collect()
}

/// The calling thread's mask as it was, until this is dropped.
#[derive(Debug)]
pub struct Held(Option<SigSet>);

/// Blocks SIGTERM, SIGINT and SIGHUP for the calling thread while it starts another one: the other one never gets them.
#[must_use]
pub fn hold_stop_signals() -> Held {
    // The only error is an unknown way to change the mask.
    let before = stop_signals().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    Held(before.ok())
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = before.thread_set_mask();
        }
    }
}

impl StopSignals {
    /// Blocks them.
    ///
    /// # Errors
    /// The errno of pthread_sigmask.
    pub fn block() -> Result<Self, SignalError> {
        let set = stop_signals();
        set.thread_block().map_err(|errno| SignalError {
            operation: "pthread_sigmask",
            errno,
        })?;
        Ok(Self { set })
    }

    /// Lets the calling thread have them again while it stops: one more within a second of now is the same request (a
    /// service manager sends SIGHUP after SIGTERM, `timeout` sends SIGTERM twice); a third, or one that comes later,
    /// ends the program at once.
    pub fn release(&self) {
        STOPPING_NS.store(now_ns(), Ordering::Relaxed);
        let action = SigAction::new(
            SigHandler::Handler(while_stopping),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        for signal in &self.set {
            // SAFETY: the handler does only what signal-safety(7) allows: it reads a clock, uses atomics, and calls
            // signal(2) and raise(3).
            let _ = unsafe { sigaction(signal, &action) };
        }
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

/// When the stop began.
static STOPPING_NS: AtomicU64 = AtomicU64::new(0);
/// Signals since then.
static SINCE: AtomicU32 = AtomicU32::new(0);
/// One more signal within this time is the same request.
const SAME_REQUEST_NS: u64 = NS_PER_S;

/// A signal that comes `after_ns` the stop began, the `nth` since then, ends the program.
const fn ends_at_once(after_ns: u64, nth: u32) -> bool {
    nth > 1 || after_ns > SAME_REQUEST_NS
}

extern "C" fn while_stopping(signal: libc::c_int) {
    let nth = SINCE.fetch_add(1, Ordering::Relaxed) + 1;
    let after_ns = now_ns().saturating_sub(STOPPING_NS.load(Ordering::Relaxed));
    if ends_at_once(after_ns, nth) {
        // SAFETY: allowed in a handler, signal-safety(7). The signal is blocked until the handler returns, and then ends
        // the program as it would have without one.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: as above.
        unsafe { libc::raise(signal) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_signal_at_once_is_the_same_request_and_a_third_or_a_late_one_is_not() {
        let ms = 1_000_000;
        assert!(!ends_at_once(5 * ms, 1) && !ends_at_once(NS_PER_S, 1));
        assert!(ends_at_once(5 * ms, 2) && ends_at_once(1_001 * ms, 1));
    }

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
