//! One camera's way from capture to its taps, in indices only.
//!
//! A *tap* is a ring of its own with readers of its own: each published frame goes to every tap. A run gives a
//! lane one tap, whose readers are the inference threads. Who ends a frame last owns its slot: the producer keeps it in its books, a
//! reader sets the slot's bit among the returned ones, which the producer collects. So a slot comes
//! back without a queue, without waiting, and without a place that could be full.
// Models leave the lane's handles out.
#![cfg_attr(loom, allow(dead_code))]

use super::frame_ring::{CapacityError, Claimed, FrameRing};
use crate::frame::{End, SlotState, StateError};
use crate::limits::MAX_SLOTS;
use crate::sync::{AtomicU64, Ordering, Padded};

/// Words of a set of slots.
pub(super) const SET_WORDS: usize = MAX_SLOTS / 64;

/// Where the state words of the slots are.
pub(crate) trait States {
    /// The state word of `slot`.
    fn state(&self, slot: u16) -> &SlotState;
}

#[cfg(not(loom))]
impl States for crate::frame::SlotTable {
    #[inline]
    fn state(&self, slot: u16) -> &SlotState {
        Self::state(self, slot)
    }
}

/// Rings, states and the way back of one lane.
#[derive(Debug)]
pub(crate) struct LaneCore<S> {
    pub(super) states: S,
    pub(super) rings: Box<[FrameRing]>,
    /// One bit for each slot that a reader has given back and the producer has not collected yet.
    returned: Box<[Padded<AtomicU64>]>,
    /// Changes of state that the frame's life does not have. Never moves in a sound program.
    illegal: Padded<AtomicU64>,
}

impl<S: States> LaneCore<S> {
    /// A lane of `slots` slots, with one ring for each capacity.
    pub(crate) fn new(states: S, slots: u16, capacities: &[usize]) -> Result<Self, CapacityError> {
        Ok(Self {
            states,
            rings: capacities
                .iter()
                .map(|&capacity| FrameRing::new(capacity))
                .collect::<Result<_, _>>()?,
            returned: (0..usize::from(slots).div_ceil(64))
                .map(|_| Padded(AtomicU64::new(0)))
                .collect(),
            illegal: Padded(AtomicU64::new(0)),
        })
    }

    /// Illegal changes of state so far.
    pub(crate) fn illegal_changes(&self) -> u64 {
        self.illegal.load(Ordering::Relaxed)
    }

    fn report(&self, error: StateError) -> StateError {
        self.illegal.fetch_add(1, Ordering::Relaxed);
        error
    }

    /// The producer has filled the slot, for all taps.
    #[inline]
    pub(crate) fn produce(&self, slot: u16) -> Result<(), StateError> {
        self.states
            .state(slot)
            .produce(self.rings.len())
            .map_err(|error| self.report(error))
    }

    /// Publishes a produced slot to every tap. The slots that this frees go to `freed`; bit `tap` of the
    /// result is set when that tap was full and lost its oldest frame.
    #[inline]
    pub(crate) fn publish(&self, slot: u16, mut freed: impl FnMut(u16)) -> u8 {
        let mut evicted = 0;
        for (tap, ring) in self.rings.iter().enumerate() {
            if let Some(old) = ring.publish(slot) {
                evicted |= 1 << tap;
                if self.end(old.slot, tap, End::Discarded) == Ok(true) {
                    freed(old.slot);
                }
            }
        }
        evicted
    }

    /// The producer takes a produced slot back instead of publishing it.
    pub(crate) fn withdraw(&self, slot: u16) -> Result<(), StateError> {
        (0..self.rings.len())
            .try_for_each(|tap| self.end(slot, tap, End::Discarded).map(|_last| ()))
    }

    #[inline]
    fn end(&self, slot: u16, tap: usize, how: End) -> Result<bool, StateError> {
        self.states
            .state(slot)
            .end(tap, how)
            .map_err(|error| self.report(error))
    }

    /// A reader of `tap` is done with a claimed slot. When it was the last one, the slot goes back to
    /// the producer.
    ///
    /// L2 (release, pairs with L2 acquire in [`LaneCore::collect`]): publishes that all reads of header
    /// and payload are finished, this reader's and, through L1, those of the taps that ended before.
    #[inline]
    pub(crate) fn release(&self, slot: u16, tap: usize, how: End) -> Result<(), StateError> {
        if self.end(slot, tap, how)? {
            let slot = usize::from(slot);
            // L2
            self.returned[slot / 64].fetch_or(1 << (slot % 64), Ordering::Release);
        }
        Ok(())
    }

    /// The producer takes the returned slots into `free`. Wait-free: one swap at most for each word.
    #[inline]
    pub(crate) fn collect(&self, free: &mut SlotSet) {
        for (returned, free) in self.returned.iter().zip(&mut free.0) {
            // Spares the line a write when there is nothing to take.
            if returned.load(Ordering::Relaxed) != 0 {
                // L2
                *free |= returned.swap(0, Ordering::Acquire);
            }
        }
    }

    /// Slots that were given back and not collected yet: a snapshot.
    pub(crate) fn returned(&self) -> u32 {
        self.returned
            .iter()
            .map(|word| word.load(Ordering::Relaxed).count_ones())
            .sum()
    }

    /// Claims the newest frame of `tap`; older ones are given to `passed_over` and then back.
    #[inline]
    pub(crate) fn claim_newest(
        &self,
        tap: usize,
        floor: &mut u64,
        mut passed_over: impl FnMut(Claimed),
    ) -> Option<Claimed> {
        self.rings[tap].claim_newest(floor, |claimed| {
            passed_over(claimed);
            // An illegal state is counted, and its slot stays out of use.
            let _ = self.release(claimed.slot, tap, End::Discarded);
        })
    }

    /// Claims the oldest frame of `tap`.
    #[inline]
    pub(crate) fn claim_oldest(&self, tap: usize, floor: &mut u64) -> Option<Claimed> {
        self.rings[tap].claim_oldest(floor)
    }
}

/// A set of slots in the hands of one thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotSet([u64; SET_WORDS]);

impl SlotSet {
    /// Slots 0..`slots`.
    pub(crate) fn first(slots: u16) -> Self {
        let mut set = Self::default();
        (0..slots).for_each(|slot| set.insert(slot));
        set
    }

    #[inline]
    pub(crate) fn insert(&mut self, slot: u16) {
        self.0[usize::from(slot) / 64] |= 1 << (slot % 64);
    }

    /// Whether it was there.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u16) -> bool {
        let Some(word) = self.0.get_mut(usize::from(slot) / 64) else {
            return false;
        };
        let bit = 1 << (slot % 64);
        let was = *word & bit != 0;
        *word &= !bit;
        was
    }

    /// The lowest slot, so that the same few stay in the caches.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<u16> {
        for (index, word) in (0..).zip(&mut self.0) {
            if *word != 0 {
                // Below 64, so nothing is lost.
                #[allow(clippy::cast_possible_truncation)]
                let bit = word.trailing_zeros() as u16;
                *word &= *word - 1;
                return Some(64 * index + bit);
            }
        }
        None
    }

    pub(crate) fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    impl States for Vec<SlotState> {
        fn state(&self, slot: u16) -> &SlotState {
            &self[usize::from(slot)]
        }
    }

    fn core(slots: u16, capacities: &[usize]) -> LaneCore<Vec<SlotState>> {
        let states = (0..slots).map(|_| SlotState::new()).collect();
        LaneCore::new(states, slots, capacities).unwrap()
    }

    #[test]
    fn a_set_gives_each_slot_once_lowest_first() {
        let mut set = SlotSet::first(130);
        assert_eq!(set.len(), 130);
        assert!(set.remove(64) && !set.remove(64) && !set.remove(511));
        assert!(!set.remove(u16::MAX));
        let all: Vec<_> = std::iter::from_fn(|| set.pop()).collect();
        assert_eq!(all, (0..130).filter(|&slot| slot != 64).collect::<Vec<_>>());
    }

    #[test]
    fn a_frame_comes_back_when_the_last_of_two_taps_has_ended_it() {
        let core = core(4, &[1, 1]);
        let mut free = SlotSet::default();
        core.produce(3).unwrap();
        assert_eq!(core.publish(3, |_| unreachable!()), 0);
        let (mut first, mut second) = (0, 0);
        let claimed = core.claim_oldest(0, &mut first).unwrap();
        core.release(claimed.slot, 0, End::Consumed).unwrap();
        core.collect(&mut free);
        assert_eq!(free.len(), 0);
        let claimed = core
            .claim_newest(1, &mut second, |_| unreachable!())
            .unwrap();
        core.release(claimed.slot, 1, End::Consumed).unwrap();
        assert_eq!(core.returned(), 1);
        core.collect(&mut free);
        assert_eq!((free.pop(), core.returned()), (Some(3), 0));
    }

    #[test]
    fn a_slow_tap_delays_the_slot_and_not_the_other_tap() {
        let core = core(3, &[1, 2]);
        let mut freed = Vec::new();
        for slot in 0..3 {
            core.produce(slot).unwrap();
            core.publish(slot, |slot| freed.push(slot));
        }
        assert_eq!(
            freed,
            [0],
            "frame 0 has left both rings, frame 1 only the first"
        );
        core.produce(0).unwrap();
        let evicted = core.publish(0, |slot| freed.push(slot));
        assert_eq!((evicted, &freed[..]), (0b11, &[0, 1][..]));
    }

    #[test]
    fn an_illegal_end_is_counted_and_returns_no_slot() {
        let core = core(1, &[1]);
        core.produce(0).unwrap();
        core.publish(0, |_| ());
        let claimed = core.claim_oldest(0, &mut 0).unwrap();
        core.release(claimed.slot, 0, End::Consumed).unwrap();
        assert!(core.release(claimed.slot, 0, End::Consumed).is_err());
        assert_eq!(core.illegal_changes(), 1);
        let mut free = SlotSet::default();
        core.collect(&mut free);
        assert_eq!(free.len(), 1);
    }

    #[test]
    fn a_withdrawn_frame_leaves_its_slot_ready_to_be_filled_again() {
        let core = core(1, &[1, 4]);
        core.produce(0).unwrap();
        core.withdraw(0).unwrap();
        assert_eq!(core.states.state(0).word(), 0x0505);
        core.produce(0).unwrap();
        assert_eq!(
            core.produce(0).unwrap_err(),
            StateError::StillLive { word: 0x0101 }
        );
        assert_eq!(core.illegal_changes(), 1);
    }
}
