//! A reader's end of a lane: claims and leases.
#![allow(unsafe_code)]

use super::shared::Lane;
use super::view::LaneView;
use crate::frame::{End, FrameHeader, HeaderFault, Leased, Slot};
use crate::ring::frame_ring::Claimed;
use crate::sync::Arc;
use std::cell::Cell;

/// The reader already holds as many frames as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasesUsed {
    /// Leases of this reader.
    pub leases: u16,
}

impl std::fmt::Display for LeasesUsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "all {} leases of this reader are in use", self.leases)
    }
}

impl std::error::Error for LeasesUsed {}

/// One reader's end of a tap. It moves to the reader's thread and stays there.
///
/// Readers of one tap share its frames: each frame goes to one of them. Each reader sees its frames in
/// order, never an older one after a newer one.
#[derive(Debug)]
pub struct LaneTap {
    lane: Arc<Lane>,
    tap: usize,
    leases: u16,
    floor: Cell<u64>,
    held: Cell<u16>,
}

impl LaneTap {
    pub(super) fn new(lane: Arc<Lane>, tap: usize, leases: u16) -> Self {
        Self {
            lane,
            tap,
            leases,
            floor: Cell::new(0),
            held: Cell::new(0),
        }
    }

    /// The camera's number.
    #[must_use]
    pub fn camera(&self) -> u16 {
        self.lane.camera
    }

    /// The tap's number in its lane.
    #[must_use]
    pub const fn tap(&self) -> usize {
        self.tap
    }

    /// A look at the whole lane.
    #[must_use]
    pub fn view(&self) -> LaneView {
        LaneView::new(Arc::clone(&self.lane))
    }

    /// Whether a frame waits. A snapshot.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.lane.core.rings[self.tap].is_empty()
    }

    #[inline]
    fn claim(
        &self,
        claim: impl FnOnce(&mut u64) -> Option<Claimed>,
    ) -> Result<Option<Lease<'_>>, LeasesUsed> {
        if self.held.get() >= self.leases {
            return Err(LeasesUsed {
                leases: self.leases,
            });
        }
        let mut floor = self.floor.get();
        let claimed = claim(&mut floor);
        self.floor.set(floor);
        Ok(claimed.map(|claimed| {
            self.held.set(self.held.get() + 1);
            Lease {
                reader: self,
                slot: Slot::new(self.lane.id, claimed.slot),
                sequence: claimed.position,
                how: End::Consumed,
            }
        }))
    }

    /// Leases the newest frame. Each older one is shown to `passed_over`, oldest first, marked as
    /// discarded, and gone: what comes later is newer.
    ///
    /// # Errors
    /// This reader holds all the leases that it may.
    #[inline]
    pub fn claim_newest(
        &self,
        mut passed_over: impl FnMut(&FrameHeader),
    ) -> Result<Option<Lease<'_>>, LeasesUsed> {
        self.claim(|floor| {
            self.lane.core.claim_newest(self.tap, floor, |older| {
                // SAFETY: the ring gave this slot to this reader alone among its tap's, and its state
                // is live for the tap until this closure has returned: a lease.
                passed_over(unsafe { self.lane.table().header(older.slot) });
            })
        })
    }

    /// Leases the oldest frame.
    ///
    /// # Errors
    /// This reader holds all the leases that it may.
    #[inline]
    pub fn claim_oldest(&self) -> Result<Option<Lease<'_>>, LeasesUsed> {
        self.claim(|floor| self.lane.core.claim_oldest(self.tap, floor))
    }
}

/// The right to read one frame. Ends when it is dropped: the frame then counts as consumed, or as
/// discarded after [`Lease::discard`].
#[must_use = "dropping a lease gives the frame back"]
#[derive(Debug)]
pub struct Lease<'reader> {
    reader: &'reader LaneTap,
    slot: Slot<Leased>,
    sequence: u64,
    how: End,
}

impl Lease<'_> {
    /// The frame's header.
    #[inline]
    #[must_use]
    pub fn header(&self) -> &FrameHeader {
        // SAFETY: this is a lease of the slot, and the result borrows it.
        unsafe { self.reader.lane.table().header(self.slot.index()) }
    }

    /// The bytes that the driver filled.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        // SAFETY: this is a lease of the slot.
        let payload = unsafe { self.reader.lane.table().payload(self.slot.index()) };
        let used = usize::try_from(self.header().bytes_used).unwrap_or(usize::MAX);
        let offset = usize::try_from(self.header().offset_bytes).unwrap_or(usize::MAX);
        // A torn header must not reach beyond the slot.
        let offset = offset.min(payload.length);
        let length = used.min(payload.length - offset);
        // SAFETY: `offset` is at most the slot's length.
        let start = unsafe { payload.start.add(offset) };
        // SAFETY: `length` bytes within a slot that lives as long as the table, which the reader keeps
        // alive; nobody writes them before the lease ends, and the result borrows it.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }
    }

    /// The frame's number in its lane.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether the header is whole and belongs to the frame that was claimed.
    ///
    /// # Errors
    /// It is torn, or another frame's.
    #[inline]
    pub fn verify(&self) -> Result<(), HeaderFault> {
        self.header().verify(self.slot.index(), self.sequence)
    }

    /// Ends the lease; the frame counts as discarded (stale, damaged).
    #[inline]
    pub fn discard(mut self) {
        self.how = End::Discarded;
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        let (reader, slot) = (self.reader, self.slot.index());
        // An illegal state is counted, and its slot stays out of use.
        let _ = reader.lane.core.release(slot, reader.tap, self.how);
        reader.held.set(reader.held.get() - 1);
    }
}
