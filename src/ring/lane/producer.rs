//! The capture thread's end of a lane: free slots, the driver's slots, filling and publishing.
#![allow(unsafe_code)]

use super::shared::Lane;
use super::view::{LaneView, Occupancy};
use crate::frame::{Filled, FrameMeta, Free, Payload, Slot, StateError};
use crate::ring::lane_core::SlotSet;
use crate::sync::Arc;

/// A slot could not be filled; it is among the free ones again. `Copy`: this is the hot path's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillError {
    /// More bytes than the payload has room for.
    TooLong {
        /// Bytes that are said to be used.
        bytes_used: u32,
        /// Bytes of the payload.
        capacity: usize,
    },
    /// The header's state says that a tap still has the slot. The slot stays out of use.
    State(StateError),
}

impl std::fmt::Display for FillError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong {
                bytes_used,
                capacity,
            } => write!(f, "{bytes_used} bytes in a slot of {capacity}"),
            Self::State(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FillError {}

/// The driver named a slot that it was not lent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotQueued {
    /// The index it named.
    pub slot: u16,
}

impl std::fmt::Display for NotQueued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "slot {} came back without having been queued", self.slot)
    }
}

impl std::error::Error for NotQueued {}

/// What a publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The frame's number: publications of this lane before it.
    pub sequence: u64,
    evicted: u8,
}

impl Published {
    /// Whether `tap` was full and its oldest unclaimed frame was pushed out.
    #[must_use]
    pub const fn evicted(self, tap: usize) -> bool {
        self.evicted >> tap & 1 != 0
    }
}

/// The capture thread's end of a lane.
#[derive(Debug)]
pub struct LaneProducer {
    lane: Arc<Lane>,
    free: SlotSet,
    queued: SlotSet,
    sequence: u64,
}

impl LaneProducer {
    pub(super) fn new(lane: Arc<Lane>, slots: u16) -> Self {
        Self {
            lane,
            free: SlotSet::first(slots),
            queued: SlotSet::default(),
            sequence: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &crate::frame::SlotTable {
        self.lane.table()
    }

    /// The camera's number.
    #[must_use]
    pub fn camera(&self) -> u16 {
        self.lane.camera
    }

    /// A slot that nobody uses. `None`: all are with the driver, in a ring or with a reader.
    #[inline]
    pub fn take_free(&mut self) -> Option<Slot<Free>> {
        let index = self.free.pop().or_else(|| {
            self.lane.core.collect(&mut self.free);
            self.free.pop()
        })?;
        Some(Slot::new(self.lane.id, index))
    }

    /// Puts an unused slot back.
    #[inline]
    #[track_caller]
    pub fn give_back(&mut self, slot: Slot<Free>) {
        let index = self.lane.index(&slot);
        self.free.insert(index);
    }

    /// Books a slot as lent to the driver, and says its index.
    #[inline]
    #[track_caller]
    pub fn queued(&mut self, slot: Slot<Free>) -> u16 {
        let index = self.lane.index(&slot);
        self.queued.insert(index);
        index
    }

    /// Takes a slot back that the driver names, be it filled or refused.
    ///
    /// # Errors
    /// The driver was not lent that slot.
    #[inline]
    pub fn dequeued(&mut self, slot: u16) -> Result<Slot<Free>, NotQueued> {
        if self.queued.remove(slot) {
            Ok(Slot::new(self.lane.id, slot))
        } else {
            Err(NotQueued { slot })
        }
    }

    /// The driver has stopped and holds nothing any more: its slots are free. Their number.
    pub fn take_back_all(&mut self) -> u32 {
        let count = self.queued.len();
        while let Some(slot) = self.queued.pop() {
            self.free.insert(slot);
        }
        count
    }

    /// Slots that are lent to the driver.
    #[must_use]
    pub fn with_driver(&self) -> u32 {
        self.queued.len()
    }

    /// Where the payload of a slot lies, to be given to a driver.
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn payload_place(&self, slot: &Slot<Free>) -> Payload {
        let index = self.lane.index(slot);
        // SAFETY: the token shows that its holder owns the slot.
        unsafe { self.lane.table().payload(index) }
    }

    /// The whole payload of a slot, to be written.
    ///
    /// Bytes that a driver was asked to write, or that were never written, have some value: mapped
    /// memory and `alloc_zeroed` memory is always initialised.
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn payload_mut<'both>(&'both self, slot: &'both mut Slot<Free>) -> &'both mut [u8] {
        let payload = self.payload_place(slot);
        // SAFETY: the table's maker promised `length` bytes, readable and writable, that overlap nothing
        // else and live as long as the table; the borrowed producer keeps the table alive, and the
        // borrowed token shows that nobody else reads or writes them.
        unsafe { std::slice::from_raw_parts_mut(payload.start.as_ptr(), payload.length) }
    }

    /// Lets a free slot's payload be another piece of memory, as after a driver's buffers were mapped
    /// anew.
    ///
    /// # Safety
    /// `payload` points to `length` initialised bytes, readable and writable, that overlap no other
    /// payload and no header, are used by nothing else (except by the kernel while the slot is lent to a
    /// driver), and live as long as the lane's handles.
    #[track_caller]
    pub unsafe fn set_payload(&mut self, slot: &mut Slot<Free>, payload: Payload) {
        let index = self.lane.index(slot);
        // SAFETY: the token shows that its holder owns the slot; the rest is the caller's promise.
        unsafe { self.lane.table().set_payload(index, payload) };
    }

    /// Writes and seals the header of a slot whose payload is complete.
    ///
    /// # Errors
    /// Too many bytes for the slot: it is among the free ones again.
    #[inline]
    #[track_caller]
    pub fn fill(&mut self, slot: Slot<Free>, meta: &FrameMeta) -> Result<Slot<Filled>, FillError> {
        let index = self.lane.index(&slot);
        let capacity = self.payload_place(&slot).length;
        // A count that does not fit usize does not fit the payload either.
        let end = u64::from(meta.offset_bytes) + u64::from(meta.bytes_used);
        if usize::try_from(end).unwrap_or(usize::MAX) > capacity {
            self.free.insert(index);
            return Err(FillError::TooLong {
                bytes_used: meta.bytes_used,
                capacity,
            });
        }
        self.lane.core.produce(index).map_err(FillError::State)?;
        let facts = meta.facts(self.lane.camera, index, self.sequence);
        // SAFETY: the token shows that its holder owns the slot, and references to its header live no
        // longer than a lease of it.
        unsafe { self.lane.table().seal(index, facts) };
        Ok(Slot::new(self.lane.id, index))
    }

    /// Publishes a frame to every tap. A frame that is pushed out of a full ring is the oldest unclaimed
    /// one; its slot is free again when no other tap has it.
    #[inline]
    #[track_caller]
    pub fn publish(&mut self, slot: Slot<Filled>) -> Published {
        let index = self.lane.index(&slot);
        let sequence = self.sequence;
        // SAFETY: a filled slot that is not published is owned by the token's holder.
        let header = unsafe { self.lane.table().header(index) };
        if header.sequence != sequence {
            // Another frame was published between this one's filling and now.
            let mut facts = **header;
            facts.sequence = sequence;
            // SAFETY: as above; `header` is not used any more.
            unsafe { self.lane.table().seal(index, facts) };
        }
        self.sequence += 1;
        let free = &mut self.free;
        let evicted = self.lane.core.publish(index, |slot| free.insert(slot));
        Published { sequence, evicted }
    }

    /// Drops a filled frame instead of publishing it: damaged, or the lane is stopping.
    #[track_caller]
    pub fn discard(&mut self, slot: Slot<Filled>) {
        let index = self.lane.index(&slot);
        // An illegal state is counted, and its slot stays out of use.
        if self.lane.core.withdraw(index).is_ok() {
            self.free.insert(index);
        }
    }

    /// A handle from which any thread can look at the lane.
    #[must_use]
    pub fn view(&self) -> LaneView {
        LaneView::new(Arc::clone(&self.lane))
    }

    /// Where every slot is. Exact when no reader is at work.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        let view = self.view();
        let (slots, live) = (view.slots(), view.live_slots());
        let free = self.free.len() + self.lane.core.returned();
        let queued = self.queued.len();
        Occupancy {
            slots,
            free,
            queued,
            live,
            in_hand: i64::from(slots) - i64::from(free) - i64::from(queued) - i64::from(live),
        }
    }
}
