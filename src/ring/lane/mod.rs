//! A lane: one camera's slots, their books, and the handles of those who use them.
//!
//! [`lane`] gives one [`LaneProducer`] to the capture thread and a [`LaneTap`] to each reader. Slots pass
//! between them as tokens ([`Slot`]), so that safe code reaches a header or payload only while it holds
//! the right to it.
//!
//! # Why capture never starves
//! A tap holds at most its ring, the leases of its readers, and for each reader one frame that it is
//! just passing over. With [`slots_needed`] slots, whatever the readers do or fail to do, at least
//! `driver_slots` are with the producer, so [`LaneProducer::take_free`] succeeds whenever fewer than that
//! are in its hands or with the driver.
mod producer;
mod shared;
mod tap;
mod view;

pub use producer::{FillError, LaneProducer, NotQueued, Published};
pub use tap::{LaneTap, Lease, LeasesUsed};
pub use view::{LaneView, Occupancy};

use super::frame_ring::CapacityError;
use super::lane_core::LaneCore;
use crate::frame::SlotTable;
use crate::limits::MAX_TAPS;
use crate::sync::{Arc, AtomicU32, Ordering};
use shared::Lane;

/// What one tap needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapNeed {
    /// Frames that wait for its readers, a power of two in 1..=256.
    pub capacity: usize,
    /// Readers, at least one: one [`LaneTap`] each.
    pub readers: u16,
    /// Frames that one reader may hold at a time, at least one.
    pub leases: u16,
}

/// Slots that a lane needs, so that `driver_slots` are always with the producer.
#[must_use]
pub fn slots_needed(driver_slots: u16, taps: &[TapNeed]) -> usize {
    taps.iter()
        .map(|tap| {
            let passing = usize::from(tap.capacity > 1);
            tap.capacity + usize::from(tap.readers) * (usize::from(tap.leases) + passing)
        })
        .sum::<usize>()
        + usize::from(driver_slots)
}

/// Why a lane cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneError {
    /// A ring's capacity is out of range.
    Capacity(CapacityError),
    /// No tap, or more than four.
    Taps(usize),
    /// A tap without readers or without leases.
    Idle {
        /// The tap.
        tap: usize,
    },
    /// The table has fewer slots than the taps and the driver need.
    Slots {
        /// What [`slots_needed`] says.
        needed: usize,
        /// Slots of the table.
        found: u16,
    },
}

impl std::fmt::Display for LaneError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Capacity(error) => error.fmt(f),
            Self::Taps(taps) => write!(f, "{taps} taps, expected 1 to {MAX_TAPS}"),
            Self::Idle { tap } => write!(f, "tap {tap} has no reader or no lease"),
            Self::Slots { needed, found } => {
                write!(
                    f,
                    "{found} slots, expected at least {needed}: the rings' capacities, the readers' leases and the driver's slots"
                )
            }
        }
    }
}

impl std::error::Error for LaneError {}

/// A lane over `table`, for camera number `camera`: the producer's handle, and one handle for each
/// reader, tap by tap.
///
/// All slots are free and with the producer.
///
/// # Errors
/// What does not fit.
pub fn lane(
    camera: u16,
    table: SlotTable,
    driver_slots: u16,
    taps: &[TapNeed],
) -> Result<(LaneProducer, Vec<LaneTap>), LaneError> {
    static LANES: AtomicU32 = AtomicU32::new(0);

    if !(1..=MAX_TAPS).contains(&taps.len()) {
        return Err(LaneError::Taps(taps.len()));
    }
    if let Some(tap) = taps
        .iter()
        .position(|tap| tap.readers == 0 || tap.leases == 0)
    {
        return Err(LaneError::Idle { tap });
    }
    let capacities: Vec<_> = taps.iter().map(|tap| tap.capacity).collect();
    let slots = table.slots();
    let core = LaneCore::new(table, slots, &capacities).map_err(LaneError::Capacity)?;
    let needed = slots_needed(driver_slots, taps);
    if usize::from(slots) < needed {
        return Err(LaneError::Slots {
            needed,
            found: slots,
        });
    }
    let id = LANES.fetch_add(1, Ordering::Relaxed);
    assert!(id != u32::MAX, "lane numbers are used up");
    let lane = Arc::new(Lane { core, id, camera });
    let readers = taps
        .iter()
        .enumerate()
        .flat_map(|(tap, need)| (0..need.readers).map(move |_| (tap, need.leases)))
        .map(|(tap, leases)| LaneTap::new(Arc::clone(&lane), tap, leases))
        .collect();
    Ok((LaneProducer::new(lane, slots), readers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameMeta, HeaderFault};
    use crate::ring::lane_core::SlotSet;

    const ONE: TapNeed = TapNeed {
        capacity: 1,
        readers: 1,
        leases: 1,
    };

    fn meta(number: u32) -> FrameMeta {
        FrameMeta {
            driver_sequence: number,
            bytes_used: 4,
            ..FrameMeta::default()
        }
    }

    fn small(driver_slots: u16, taps: &[TapNeed]) -> (LaneProducer, Vec<LaneTap>) {
        let slots = u16::try_from(slots_needed(driver_slots, taps)).unwrap();
        lane(5, SlotTable::on_heap(slots, 4), driver_slots, taps).unwrap()
    }

    #[track_caller]
    fn send(producer: &mut LaneProducer, number: u32) -> Published {
        let mut slot = producer.take_free().expect("a free slot");
        producer
            .payload_mut(&mut slot)
            .copy_from_slice(&number.to_le_bytes());
        let filled = producer.fill(slot, &meta(number)).unwrap();
        producer.publish(filled)
    }

    #[track_caller]
    fn number(lease: &Lease<'_>) -> u32 {
        lease.verify().unwrap();
        let bytes = lease.payload().try_into().unwrap();
        assert_eq!(u32::from_le_bytes(bytes), lease.header().driver_sequence);
        lease.header().driver_sequence
    }

    #[test]
    fn a_frame_goes_from_the_producer_to_a_reader_and_back() {
        let (mut producer, taps) = small(2, &[ONE]);
        assert_eq!(producer.occupancy().free, 4);
        let published = send(&mut producer, 7);
        assert_eq!((published.sequence, published.evicted(0)), (0, false));
        let lease = taps[0].claim_newest(|_| unreachable!()).unwrap().unwrap();
        assert_eq!((number(&lease), lease.sequence()), (7, 0));
        assert_eq!(
            (lease.header().camera, lease.header().state().word()),
            (5, 1)
        );
        let occupancy = producer.occupancy();
        assert_eq!(
            (occupancy.free, occupancy.live, occupancy.in_hand),
            (3, 1, 0)
        );
        let slot = lease.header().slot;
        drop(lease);
        assert_eq!(producer.view().state_word(slot), Some(3));
        assert_eq!(producer.occupancy().free, 4);
        assert!(taps[0].claim_newest(|_| ()).unwrap().is_none());
    }

    #[test]
    fn the_newest_frame_passes_the_older_ones_over_and_marks_them_discarded() {
        let (mut producer, taps) = small(2, &[TapNeed { capacity: 4, ..ONE }]);
        for number in 0..6 {
            assert_eq!(send(&mut producer, number).evicted(0), number >= 4);
        }
        let mut passed = Vec::new();
        let lease = taps[0]
            .claim_newest(|header| passed.push((header.driver_sequence, header.slot)))
            .unwrap()
            .unwrap();
        assert_eq!(number(&lease), 5);
        assert_eq!(passed.iter().map(|p| p.0).collect::<Vec<_>>(), [2, 3, 4]);
        for (_, slot) in passed {
            assert_eq!(producer.view().state_word(slot), Some(5));
        }
        drop(lease);
        assert_eq!(producer.occupancy().free, producer.occupancy().slots);
    }

    #[test]
    fn a_discarded_lease_and_a_discarded_frame_say_so_in_the_header() {
        let (mut producer, taps) = small(1, &[ONE]);
        send(&mut producer, 0);
        let lease = taps[0].claim_oldest().unwrap().unwrap();
        let slot = lease.header().slot;
        lease.discard();
        assert_eq!(producer.view().state_word(slot), Some(5));
        let slot = producer.take_free().unwrap();
        let index = slot.index();
        let filled = producer.fill(slot, &meta(1)).unwrap();
        assert_eq!(producer.view().state_word(index), Some(1));
        producer.discard(filled);
        assert_eq!(producer.view().state_word(index), Some(5));
        assert_eq!(producer.occupancy().free, 3);
    }

    #[test]
    fn a_frame_filled_before_another_was_published_gets_its_own_number() {
        let (mut producer, taps) = small(2, &[ONE]);
        let slots = [producer.take_free().unwrap(), producer.take_free().unwrap()];
        let [first, second] = slots.map(|slot| producer.fill(slot, &meta(0)).unwrap());
        assert_eq!(producer.publish(second).sequence, 0);
        assert_eq!(producer.publish(first).sequence, 1);
        let lease = taps[0].claim_oldest().unwrap().unwrap();
        assert_eq!((lease.sequence(), lease.verify()), (1, Ok(())));
    }

    #[test]
    fn a_reader_holds_no_more_than_its_leases() {
        let tap = TapNeed {
            capacity: 4,
            readers: 1,
            leases: 2,
        };
        let (mut producer, taps) = small(1, &[tap]);
        for number in 0..3 {
            send(&mut producer, number);
        }
        let first = taps[0].claim_oldest().unwrap().unwrap();
        let _second = taps[0].claim_oldest().unwrap().unwrap();
        assert_eq!(
            taps[0].claim_newest(|_| ()).unwrap_err(),
            LeasesUsed { leases: 2 }
        );
        assert!(taps[0].is_waiting());
        drop(first);
        assert_eq!(number(&taps[0].claim_oldest().unwrap().unwrap()), 2);
    }

    #[test]
    fn readers_that_hold_all_they_may_do_not_starve_capture() {
        for driver_slots in 1..4 {
            let taps = [
                TapNeed {
                    capacity: 2,
                    readers: 2,
                    leases: 1,
                },
                TapNeed {
                    capacity: 4,
                    readers: 1,
                    leases: 3,
                },
            ];
            let (mut producer, readers) = small(driver_slots, &taps);
            let mut held = Vec::new();
            for number in 0..100 {
                // As a driver would have it: every slot it may have but the one in hand.
                let lent: Vec<_> = (1..driver_slots)
                    .map(|_| {
                        let slot = producer.take_free().expect("the driver's slots");
                        producer.queued(slot)
                    })
                    .collect();
                send(&mut producer, number);
                for index in lent {
                    let slot = producer.dequeued(index).unwrap();
                    producer.give_back(slot);
                }
                for reader in &readers {
                    if let Ok(Some(lease)) = reader.claim_oldest() {
                        held.push(lease);
                    }
                }
            }
            assert_eq!(held.len(), 5, "2 readers of 1 lease and 1 of 3");
            assert_eq!(producer.occupancy().in_hand, 0);
        }
    }

    #[test]
    fn a_frame_that_is_just_passed_over_does_not_starve_capture() {
        let (mut producer, taps) = small(1, &[TapNeed { capacity: 2, ..ONE }]);
        send(&mut producer, 0);
        send(&mut producer, 1);
        let mut passed = 0;
        let lease = taps[0]
            .claim_newest(|_| {
                passed += 1;
                send(&mut producer, 2);
                send(&mut producer, 3);
                let slot = producer.take_free().expect("the driver's slot");
                producer.give_back(slot);
            })
            .unwrap()
            .unwrap();
        assert_eq!((passed, number(&lease)), (1, 1));
    }

    #[test]
    fn the_driver_s_slots_are_kept_in_a_book() {
        let (mut producer, _taps) = small(3, &[ONE]);
        let slot = producer.take_free().unwrap();
        let index = producer.queued(slot);
        assert_eq!(producer.occupancy().queued, 1);
        assert_eq!(
            producer.dequeued(index + 1).unwrap_err(),
            NotQueued { slot: index + 1 }
        );
        assert_eq!(
            producer.dequeued(u16::MAX).unwrap_err(),
            NotQueued { slot: u16::MAX }
        );
        let slot = producer.dequeued(index).unwrap();
        assert_eq!(
            producer.dequeued(index).unwrap_err(),
            NotQueued { slot: index }
        );
        assert_eq!(producer.occupancy().in_hand, 1);
        producer.give_back(slot);
        for _ in 0..3 {
            let slot = producer.take_free().unwrap();
            producer.queued(slot);
        }
        assert_eq!((producer.with_driver(), producer.take_back_all()), (3, 3));
        let occupancy = producer.occupancy();
        assert_eq!(
            (occupancy.queued, occupancy.free, occupancy.in_hand),
            (0, 5, 0)
        );
    }

    #[test]
    fn a_payload_begins_where_the_driver_says_and_ends_within_its_slot() {
        let (mut producer, mut taps) = small(1, &[ONE]);
        let slot = producer.take_free().unwrap();
        let start = producer.payload_place(&slot).start;
        let meta = FrameMeta {
            offset_bytes: 1,
            bytes_used: 3,
            ..FrameMeta::default()
        };
        let slot = producer.fill(slot, &meta).unwrap();
        producer.publish(slot);
        let tap = taps.remove(0);
        let lease = tap.claim_oldest().unwrap().unwrap();
        assert_eq!(lease.payload().len(), 3);
        assert_eq!(
            lease.payload().as_ptr(),
            start.as_ptr().wrapping_add(1).cast_const()
        );
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_and_its_slot_is_free_again() {
        let (mut producer, _taps) = small(1, &[ONE]);
        let slot = producer.take_free().unwrap();
        let long = FrameMeta {
            bytes_used: 5,
            ..FrameMeta::default()
        };
        assert_eq!(
            producer.fill(slot, &long).unwrap_err(),
            FillError::TooLong {
                bytes_used: 5,
                capacity: 4
            }
        );
        let slot = producer.take_free().unwrap();
        let late = FrameMeta {
            offset_bytes: 2,
            bytes_used: 3,
            ..FrameMeta::default()
        };
        assert!(producer.fill(slot, &late).is_err());
        assert_eq!(producer.occupancy().free, producer.occupancy().slots);
    }

    #[test]
    fn every_slot_in_use_means_none_is_free() {
        let (mut producer, taps) = small(1, &[ONE]);
        send(&mut producer, 0);
        let lease = taps[0].claim_oldest().unwrap().unwrap();
        send(&mut producer, 1);
        let slot = producer.take_free().unwrap();
        assert!(producer.take_free().is_none());
        drop(lease);
        let returned = producer.take_free().unwrap();
        producer.give_back(slot);
        producer.give_back(returned);
    }

    #[test]
    #[should_panic(expected = "a slot of another lane")]
    fn a_slot_of_another_lane_is_refused() {
        let (mut one, _taps) = small(1, &[ONE]);
        let (mut other, _others) = small(1, &[ONE]);
        let slot = one.take_free().unwrap();
        other.give_back(slot);
    }

    #[test]
    fn a_header_that_was_written_over_under_a_lease_is_detected() {
        let (mut producer, taps) = small(1, &[ONE]);
        send(&mut producer, 3);
        let lease = taps[0].claim_oldest().unwrap().unwrap();
        let slot = lease.header().slot;
        let mut facts = **lease.header();
        let crc = lease.header().crc();
        facts.sequence += 1;
        // What a stray writer would leave: a whole header of another frame.
        reseal(&producer, slot, facts);
        assert_eq!(
            lease.verify(),
            Err(HeaderFault::Reused {
                expected: 0,
                found: 1
            })
        );
        assert_ne!(lease.header().crc(), crc);
    }

    #[test]
    fn a_torn_header_does_not_let_a_reader_reach_beyond_the_slot() {
        let (mut producer, taps) = small(1, &[ONE]);
        send(&mut producer, 3);
        let lease = taps[0].claim_oldest().unwrap().unwrap();
        let mut facts = **lease.header();
        facts.bytes_used = u32::MAX;
        reseal(&producer, facts.slot, facts);
        assert_eq!(lease.payload().len(), 4);
        facts.offset_bytes = 3;
        reseal(&producer, facts.slot, facts);
        assert_eq!(lease.payload().len(), 1);
        facts.offset_bytes = u32::MAX;
        reseal(&producer, facts.slot, facts);
        assert!(lease.payload().is_empty());
    }

    #[allow(unsafe_code)]
    fn reseal(producer: &LaneProducer, slot: u16, facts: crate::frame::FrameFacts) {
        // SAFETY: one thread, and no reference to the header is alive across this call.
        unsafe { producer.table().seal(slot, facts) };
    }

    #[test]
    fn impossible_lanes_are_refused() {
        let of = |slots, driver, taps: &[TapNeed]| {
            lane(0, SlotTable::on_heap(slots, 1), driver, taps).map(|_| ())
        };
        assert_eq!(of(4, 1, &[]), Err(LaneError::Taps(0)));
        assert_eq!(of(64, 1, &[ONE; 5]), Err(LaneError::Taps(5)));
        assert_eq!(
            of(4, 1, &[TapNeed { capacity: 3, ..ONE }]),
            Err(LaneError::Capacity(CapacityError(3)))
        );
        assert_eq!(
            of(4, 1, &[ONE, TapNeed { leases: 0, ..ONE }]),
            Err(LaneError::Idle { tap: 1 })
        );
        assert_eq!(
            of(4, 3, &[ONE]),
            Err(LaneError::Slots {
                needed: 5,
                found: 4
            })
        );
        assert_eq!(of(5, 3, &[ONE]), Ok(()));
    }

    #[test]
    fn a_lane_outlives_its_table_s_maker_and_ends_with_its_last_handle() {
        let table = SlotTable::on_heap(3, 4);
        let memory = Arc::downgrade(table.keep());
        let (producer, taps) = lane(0, table, 1, &[ONE]).unwrap();
        let view = producer.view();
        drop(producer);
        drop(taps);
        assert!(memory.upgrade().is_some());
        assert_eq!(view.live(0), 0);
        drop(view);
        assert!(memory.upgrade().is_none());
    }

    #[test]
    fn a_book_of_all_slots_fits_the_largest_lane() {
        assert_eq!(SlotSet::first(512).len(), 512);
    }
}
