//! How every thread learns that the run is over.

use crate::appliance::shared::doorbells::Doorbells;
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sys::malloc_guard::{self, HeapCounts};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

/// The stop of one run: a flag for threads that look, a descriptor for threads that poll, and closed
/// doorbells for threads that wait for frames.
#[derive(Debug)]
pub(crate) struct Stop {
    asked: AtomicBool,
    /// Heap calls of other threads until the stop was asked for: taking things down is no part of the watch.
    others: OnceLock<HeapCounts>,
    event: EventFd,
    bells: Arc<Doorbells>,
    /// Results still wanted before the run ends by itself.
    wanted: Option<u64>,
    results: AtomicU64,
    /// Cameras whose stream has not ended.
    cameras: AtomicUsize,
}

impl Stop {
    /// Not asked yet. With `wanted`, that many results end the run; so does the end of the streams of
    /// all `cameras`.
    ///
    /// # Errors
    /// errno of eventfd(2).
    pub(crate) fn new(
        bells: Arc<Doorbells>,
        wanted: Option<u64>,
        cameras: usize,
    ) -> nix::Result<Self> {
        Ok(Self {
            asked: AtomicBool::new(false),
            others: OnceLock::new(),
            event: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            bells,
            wanted,
            results: AtomicU64::new(0),
            cameras: AtomicUsize::new(cameras),
        })
    }

    /// Asks every thread to end. Allocates nothing; may be called more than once.
    pub(crate) fn ask(&self) {
        self.others.get_or_init(malloc_guard::other_counts);
        // Release Q1: whoever sees the flag sees what the asker did before.
        self.asked.store(true, Ordering::Release);
        // The counter cannot overflow before 2^64 requests, and EAGAIN would mean "asked already".
        let _ = self.event.write(1);
        self.bells.close();
    }

    /// What threads that are not hot did on the heap before the stop was asked for.
    pub(crate) fn others(&self) -> HeapCounts {
        self.others
            .get()
            .copied()
            .unwrap_or_else(malloc_guard::other_counts)
    }

    /// Whether the run is over.
    pub(crate) fn is_asked(&self) -> bool {
        // Acquire Q1.
        self.asked.load(Ordering::Acquire)
    }

    /// Claims the right to give one more result; false when enough were given.
    pub(crate) fn count_result(&self) -> bool {
        let before = self.results.fetch_add(1, Ordering::Relaxed);
        match self.wanted {
            Some(wanted) if before + 1 >= wanted => {
                self.ask();
                before < wanted
            }
            _ => true,
        }
    }

    /// The stream of one camera has ended, and its frames are inferred. Called once for each camera.
    pub(crate) fn camera_ended(&self) {
        if self.cameras.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.ask();
        }
    }

    /// Readable once the run is over.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
