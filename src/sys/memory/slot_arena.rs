//! One node's region cut into the headers and slots of its cameras.
//!
//! Joins three promises: the region's (mapped, present, nobody else's), the layout's (disjoint, aligned,
//! inside), and the table's (each made once).
#![allow(unsafe_code)]

use crate::capture::{FrameSource, MemoryKeeper, SlotMemory};
use crate::frame::{ArenaLayout, FrameHeader, Keep, Payload, SlotTable};
use crate::ring::LaneProducer;
use crate::sys::memory::Region;
use std::sync::Arc;

/// A region with its cut. Gives out each camera's part once.
#[derive(Debug)]
pub struct SlotArena {
    region: Arc<Region>,
    layout: ArenaLayout,
    given: Vec<bool>,
}

/// A camera's part cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotArenaError {
    /// The region is smaller than its cut.
    #[error("a region of {found_bytes} bytes for slots of {needed_bytes} bytes")]
    Region {
        /// Bytes of the region.
        found_bytes: u64,
        /// Bytes of the cut.
        needed_bytes: u64,
    },
    /// There is no such camera, or its part was given out before.
    #[error("a camera's slots were asked for twice")]
    Given,
    /// The driver has another number of buffers than there are headers.
    #[error(
        "the driver gives {found} buffers, expected {expected}; change ring-slots or driver-slots"
    )]
    Buffers {
        /// Buffers of the driver.
        found: usize,
        /// Headers.
        expected: u16,
    },
}

impl SlotArena {
    /// Cuts a region that nothing else uses. A camera of 0 bytes a slot gets headers only.
    ///
    /// # Errors
    /// The region is smaller than its cut.
    pub fn new(region: Region, layout: ArenaLayout) -> Result<Self, SlotArenaError> {
        let found_bytes = region.len_bytes() as u64;
        if found_bytes < layout.total_bytes() {
            return Err(SlotArenaError::Region {
                found_bytes,
                needed_bytes: layout.total_bytes(),
            });
        }
        let given = vec![false; layout.places().len()];
        Ok(Self {
            region: Arc::new(region),
            layout,
            given,
        })
    }

    /// The region, to be looked at.
    #[must_use]
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Slots of a camera, by its place in the cut.
    #[must_use]
    pub fn slots(&self, camera: usize) -> u16 {
        self.layout
            .places()
            .get(camera)
            .map_or(0, |place| place.slots)
    }

    /// Bytes of all slots that were cut from the region.
    #[must_use]
    pub fn slot_bytes(&self) -> u64 {
        self.layout.payload_bytes()
    }

    fn give(&mut self, camera: usize) -> Result<(), SlotArenaError> {
        match self.given.get_mut(camera) {
            Some(given) if !*given => {
                *given = true;
                Ok(())
            }
            _ => Err(SlotArenaError::Given),
        }
    }

    /// Headers and slots of a camera, by its place in the needs.
    ///
    /// # Errors
    /// They were given out before.
    pub fn table(&mut self, camera: usize) -> Result<SlotTable, SlotArenaError> {
        self.give(camera)?;
        let keep: Keep = Arc::clone(&self.region) as Keep;
        // SAFETY: the region is mapped, readable and writable for its whole length until the last Arc of it
        // is dropped, and `keep` is one. This arena was given the region by value, so nobody else has its
        // address for writing, and `give` lets each camera's part out once.
        Ok(unsafe {
            self.layout
                .table(camera, self.region.base(), self.region.len_bytes(), keep)
        })
    }

    /// Headers of a camera from here, over the buffers that its driver mapped.
    ///
    /// # Errors
    /// They were given out before, or their number differs.
    pub fn table_over(
        &mut self,
        camera: usize,
        source: &dyn FrameSource,
        keeper: MemoryKeeper,
    ) -> Result<SlotTable, SlotArenaError> {
        let place = *self
            .layout
            .places()
            .get(camera)
            .ok_or(SlotArenaError::Given)?;
        let buffers = source.slots();
        if buffers.len() != usize::from(place.slots) {
            return Err(SlotArenaError::Buffers {
                found: buffers.len(),
                expected: place.slots,
            });
        }
        self.give(camera)?;
        let payloads: Vec<Payload> = buffers
            .iter()
            .map(|buffer| Payload {
                start: buffer.start(),
                length: buffer.len_bytes(),
            })
            .collect();
        let offset = usize::try_from(place.headers_offset).map_err(|_| SlotArenaError::Given)?;
        // SAFETY: the layout put this camera's headers inside its total, which `new` held against the
        // region's length.
        let headers = unsafe { self.region.base().add(offset) }.cast::<FrameHeader>();
        let keep: Keep = Arc::new((Arc::clone(&self.region), keeper));
        // SAFETY: the layout gives 64 bytes, 64-aligned in a page-aligned region, for each slot, and `give`
        // lets them out once. The payloads are the source's own mappings, disjoint and writable
        // (contract of `SlotMemory::new`), and stay mapped while `keeper` lives; the source and its driver
        // touch them only while the slot is lent to it.
        Ok(unsafe { SlotTable::from_parts(headers, &payloads, keep) })
    }
}

/// The memory of every slot of a lane, by slot number, for a source that writes into it. All slots are
/// free and with the producer.
///
/// Whoever serves the source lends it a slot (`FrameSource::queue`) only after the lane has booked it as
/// lent (`LaneProducer::queued`), and takes it back the same way: that is what keeps the two from
/// touching one slot at once.
#[must_use]
pub fn lane_memory(producer: &mut LaneProducer) -> Vec<SlotMemory> {
    let mut slots = Vec::new();
    let mut taken = Vec::new();
    while let Some(slot) = producer.take_free() {
        let place = producer.payload_place(&slot);
        // SAFETY: the table's maker promised that the range is mapped, writable, in one mapping, and
        // overlaps no other for as long as the lane's handles live, and the source is dropped before its
        // producer, with which it shares a `Post`. The slot's books keep everybody else away while it
        // is lent.
        let memory = unsafe { SlotMemory::new(place.start, place.length) };
        slots.push((slot.index(), memory));
        taken.push(slot);
    }
    for slot in taken {
        producer.give_back(slot);
    }
    slots.sort_by_key(|(index, _)| *index);
    slots.into_iter().map(|(_, memory)| memory).collect()
}

#[cfg(test)]
mod tests {
    use super::{SlotArena, SlotArenaError};
    use crate::frame::{ArenaLayout, CameraNeed};
    use crate::profile::OnShortage;
    use crate::sys::memory::{Pages, Region, RegionRequest};

    fn region(bytes: u64) -> Region {
        let request = RegionRequest {
            bytes,
            pages: Pages::Plain,
            node: None,
            on_shortage: OnShortage::Fallback,
        };
        Region::map(&request).unwrap()
    }

    #[test]
    fn each_camera_gets_its_part_once() {
        let needs = [
            CameraNeed {
                slots: 2,
                bytes: 5000,
            },
            CameraNeed { slots: 3, bytes: 0 },
        ];
        let mut arena = SlotArena::new(region(1 << 16), ArenaLayout::of(&needs).unwrap()).unwrap();
        assert_eq!(arena.table(0).unwrap().slots(), 2);
        assert_eq!(arena.table(0).unwrap_err(), SlotArenaError::Given);
        assert_eq!(arena.table(2).unwrap_err(), SlotArenaError::Given);
    }

    #[test]
    fn a_region_that_is_too_small_is_refused() {
        let needs = [CameraNeed {
            slots: 4,
            bytes: 1 << 20,
        }];
        let refused =
            SlotArena::new(region(1 << 16), ArenaLayout::of(&needs).unwrap()).unwrap_err();
        assert!(
            matches!(refused, SlotArenaError::Region { .. }),
            "{refused}"
        );
    }
}
