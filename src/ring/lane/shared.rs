//! What the ends of a lane share.

use crate::frame::{Slot, SlotTable};
use crate::ring::lane_core::LaneCore;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) core: LaneCore<SlotTable>,
    /// Unique in the process: a token of another lane is recognised.
    pub(super) id: u32,
    pub(super) camera: u16,
}

impl Lane {
    #[inline]
    pub(super) fn table(&self) -> &SlotTable {
        &self.core.states
    }

    /// The slot of a token, after making sure that it is a token of this lane: the tables are indexed
    /// by it, and the token is the proof that its holder may touch the slot.
    #[inline]
    #[track_caller]
    pub(super) fn index<S>(&self, slot: &Slot<S>) -> u16 {
        assert!(slot.lane() == self.id, "a slot of another lane");
        slot.index()
    }
}
