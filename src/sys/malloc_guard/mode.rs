//! What the door does at this moment: one word, read by every allocation.

use crate::sync::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls are counted.
pub const GUARD: usize = 1;
/// A pointer may be one of an arena.
pub const ARENAS: usize = 2;
/// A self-test is listening.
pub const PROBE: usize = 4;
/// The first call of a hot thread ends the process.
pub const TRAP: usize = 8;
/// Refused allocations are told of.
pub const TELL: usize = 16;

/// The bits that are set; changed under `SETTINGS` only. All clear is the one test that every allocation before
/// ready pays. Relaxed throughout: a thread that learns late that the guard is up counts late, nothing else
/// depends on it.
static MODE: AtomicUsize = AtomicUsize::new(0);

/// Guards that are held.
static SETTINGS: Mutex<usize> = Mutex::new(0);

/// The bits that are set.
#[inline]
pub(super) fn get() -> usize {
    MODE.load(Ordering::Relaxed)
}

/// Sets or clears bits.
pub(super) fn set(bits: usize, on: bool) {
    if on {
        MODE.fetch_or(bits, Ordering::Relaxed);
    } else {
        MODE.fetch_and(!bits, Ordering::Relaxed);
    }
}

/// The number of guards, for whoever changes bits.
pub(super) fn settings() -> MutexGuard<'static, usize> {
    // A panic elsewhere leaves the number as it was.
    SETTINGS.lock().unwrap_or_else(PoisonError::into_inner)
}
