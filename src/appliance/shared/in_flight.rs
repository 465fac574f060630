//! Frames that have not ended: a claimed frame gives its slot back, and enters its column of the ledger, each at a
//! time of its own.
//!
//! A frame is in flight while a slot holds it, and also after its slot went back until it is counted; it is not
//! while it is counted already and its slot is still read by the models of a cascade. Both events are counted here,
//! so that the number of live slots can be corrected by them.

use crate::ring::Lease;
use crate::sync::{AtomicU64, Ordering};

/// The tap of a lane that inference reads.
pub(crate) const INFERENCE_TAP: usize = 0;

/// The claimed frames of one camera, by what has happened to them.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// Frames whose slot went back.
    released: AtomicU64,
    /// Frames that are in a column of the ledger.
    counted: AtomicU64,
}

impl InFlight {
    /// A claimed frame. Its slot goes back when what is given is dropped.
    pub(crate) const fn hold<'frame>(&'frame self, lease: Lease<'frame>) -> HeldSlot<'frame> {
        HeldSlot {
            lease,
            _released: Released(self),
        }
    }

    /// A claimed frame's slot went back.
    pub(crate) fn release(&self) {
        self.released.fetch_add(1, Ordering::Relaxed);
    }

    /// A claimed frame is in its column of the ledger.
    pub(crate) fn count(&self) {
        self.counted.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames in flight of a camera with so many live slots.
    pub(crate) fn of(&self, live_slots: u64) -> u64 {
        let released = self.released.load(Ordering::Relaxed);
        let counted = self.counted.load(Ordering::Relaxed);
        (live_slots + released).saturating_sub(counted)
    }
}

/// The slot of a claimed frame. Goes back when this is dropped.
#[must_use = "dropping it gives the slot back"]
pub(crate) struct HeldSlot<'frame> {
    // Dropped first.
    pub(crate) lease: Lease<'frame>,
    _released: Released<'frame>,
}

impl HeldSlot<'_> {
    /// Gives the slot back; the lane counts the frame as discarded and not as consumed.
    pub(crate) fn discard(self) {
        self.lease.discard();
    }
}

struct Released<'frame>(&'frame InFlight);

impl Drop for Released<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}
