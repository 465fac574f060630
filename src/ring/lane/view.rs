//! A look at a lane, for audits and the ledger: counts from the headers and rings, moving nothing.

use super::shared::Lane;
use crate::limits::MAX_TAPS;
use crate::sync::Arc;

/// Where the slots of a lane are. `slots = free + queued + live + in_hand`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// All slots of the lane.
    pub slots: u32,
    /// With the producer, or given back and about to be collected.
    pub free: u32,
    /// Lent to the driver.
    pub queued: u32,
    /// In a ring or with a reader of at least one tap (or filled and not yet published).
    pub live: u32,
    /// Tokens between two steps. A token that was dropped stays here; below zero for an instant when a
    /// reader gives a slot back during the count.
    pub in_hand: i64,
}

/// A look at a lane, from any thread.
#[derive(Clone, Debug)]
pub struct LaneView {
    lane: Arc<Lane>,
}

impl LaneView {
    pub(super) fn new(lane: Arc<Lane>) -> Self {
        Self { lane }
    }

    /// The camera's number.
    #[must_use]
    pub fn camera(&self) -> u16 {
        self.lane.camera
    }

    /// All slots.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.lane.table().slots().into()
    }

    fn count(&self, is: impl Fn(u16) -> bool) -> u32 {
        let count = (0..self.lane.table().slots())
            .filter(|&slot| is(slot))
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Slots that any tap has. A snapshot.
    #[must_use]
    pub fn live_slots(&self) -> u32 {
        self.count(|slot| (0..MAX_TAPS).any(|tap| self.lane.table().state(slot).is_live(tap)))
    }

    /// Frames that `tap` has, in its ring or with its readers, counted from the headers. A snapshot,
    /// exact at rest.
    #[must_use]
    pub fn live(&self, tap: usize) -> u32 {
        self.count(|slot| self.lane.table().state(slot).is_live(tap))
    }

    /// Frames in the ring of `tap`. A snapshot, exact at rest.
    #[must_use]
    pub fn waiting(&self, tap: usize) -> u32 {
        let waiting = self.lane.core.rings.get(tap).map_or(0, |ring| ring.len());
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// Changes of state that a frame's life does not have, refused and counted. 0 in a sound program.
    #[must_use]
    pub fn illegal_changes(&self) -> u64 {
        self.lane.core.illegal_changes()
    }

    /// The state word of a slot, one byte for each tap: produced 0x01, consumed 0x02, discarded 0x04.
    #[must_use]
    pub fn state_word(&self, slot: u16) -> Option<u32> {
        (slot < self.lane.table().slots()).then(|| self.lane.table().state(slot).word())
    }
}
