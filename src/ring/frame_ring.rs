//! Drop-oldest ring of slot indices: one producer, any number of consumers, newest or oldest first.
//!
//! Frame number `p` (its *position*) goes into cell `p mod capacity`, as one word that says which frame
//! the cell has reached and whether it is still there:
//!
//! ```text
//!  63                                    16 15        0
//! ├──────── position + capacity ───────────┼── slot ───┤   all ones in place of the slot: gone
//! ```
//!
//! A claim leaves the position and takes the slot; a publication writes the next round's position. So a
//! word never comes back, and a compare-and-swap that succeeds took exactly the frame that was looked
//! at. And each cell by itself tells a consumer that wants frame `p` what became of it: it is here,
//! gone, pushed out by a later one, or not published yet. Consumers need nothing else, in particular no
//! common tail: a ring of up to 16 frames is one cache line pair, and that is all that moves between the
//! cores. No cell is read by a plain read, so there is none that another thread could be writing.
//!
//! # What is kept
//! The frames in the ring are always the newest ones that nobody has claimed, without holes: a claim of
//! the newest passes all older ones over, a claim of the oldest takes the low end. So a publication
//! pushes a frame out if and only if `capacity` frames are unclaimed, and that frame is the oldest.
//! (While a consumer is still sweeping the frames it passes over, one of those may be pushed out
//! instead of passed over; it goes to exactly one of the two.)
//!
//! # What it costs
//! * publish: one swap. Wait-free: no loop.
//! * claim: one successful compare-and-swap, and a look at each cell from the consumer's floor on, at most
//!   `capacity` of them unless the producer publishes meanwhile. A compare-and-swap that fails means that
//!   another thread took or replaced the frame in that cell. Lock-free: somebody always gets on.
//!
//! # Order
//! Each consumer keeps its own `floor`: every position below it is gone. A consumer never gets a frame
//! that is older than one it had before.

use crate::limits::MAX_RING;
use crate::sync::{AtomicU64, Ordering, Padded};

/// Cells on one 128-byte line pair. In models only as many as are used: loom keeps a history of each.
const CELLS_PER_LINE: usize = if cfg!(loom) { 1 } else { 16 };
const SLOT_BITS: u32 = 16;
/// In the place of a slot: the frame is gone.
const GONE: u16 = u16::MAX;

/// Positions that fit beside a slot: 8,900 years of 1000 frames a second.
pub const MAX_POSITION: u64 = (1 << (64 - SLOT_BITS)) - 1 - MAX_RING as u64;

/// A slot that left the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The frame's number in this ring: publications before it.
    pub position: u64,
    /// The slot index that was published.
    pub slot: u16,
}

/// What a cell holds. Positions are a round ahead here, so that a cell of an empty ring can say that
/// the frame before its first one is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    #[inline]
    const fn new(ahead: u64, slot: u16) -> Self {
        Self(ahead << SLOT_BITS | slot as u64)
    }

    #[inline]
    const fn ahead(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    /// The slot, unless it is gone.
    #[inline]
    const fn slot(self) -> Option<u16> {
        // Truncation keeps the slot's 16 bits.
        #[allow(clippy::cast_possible_truncation)]
        let slot = self.0 as u16;
        if slot == GONE { None } else { Some(slot) }
    }

    #[inline]
    const fn gone(self) -> Self {
        Self(self.0 | GONE as u64)
    }
}

/// The capacity is not a power of two in 1..=256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityError(
    /// What was asked for.
    pub usize,
);

impl std::fmt::Display for CapacityError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ring capacity {}, expected a power of two in 1..={MAX_RING}",
            self.0
        )
    }
}

impl std::error::Error for CapacityError {}

/// The ring. It holds indices only; what they stand for is the caller's.
///
/// One thread publishes. Two publishing threads would lose indices, and nothing worse.
#[derive(Debug)]
pub struct FrameRing {
    /// Publications so far. The producer's own; others read it for information only.
    tail: Padded<AtomicU64>,
    lines: Box<[Padded<[AtomicU64; CELLS_PER_LINE]>]>,
    mask: u64,
}

impl FrameRing {
    /// An empty ring.
    ///
    /// # Errors
    /// The capacity is not a power of two in 1..=256.
    pub fn new(capacity: usize) -> Result<Self, CapacityError> {
        if !capacity.is_power_of_two() || capacity > MAX_RING {
            return Err(CapacityError(capacity));
        }
        let lines = (0..capacity.div_ceil(CELLS_PER_LINE)).map(|line| {
            Padded(std::array::from_fn(|cell| {
                let first = (line * CELLS_PER_LINE + cell) as u64;
                AtomicU64::new(Word::new(first, GONE).0)
            }))
        });
        Ok(Self {
            tail: Padded(AtomicU64::new(0)),
            lines: lines.collect(),
            mask: capacity as u64 - 1,
        })
    }

    /// Frames that the ring holds before the oldest is pushed out.
    #[must_use]
    pub fn capacity(&self) -> usize {
        usize::try_from(self.mask).unwrap_or(MAX_RING) + 1
    }

    #[inline]
    fn cell(&self, position: u64) -> &AtomicU64 {
        // Masked below 256, so nothing is lost.
        #[allow(clippy::cast_possible_truncation)]
        let index = (position & self.mask) as usize;
        &self.lines[index / CELLS_PER_LINE].0[index % CELLS_PER_LINE]
    }

    #[inline]
    fn look(&self, position: u64) -> Word {
        Word(self.cell(position).load(Ordering::Relaxed))
    }

    /// The frame that a cell has reached, if it is `at` or a later one; `None`: `at` is not published.
    #[inline]
    fn reached(&self, word: Word, at: u64) -> Option<u64> {
        word.ahead().checked_sub(self.mask + 1).filter(|&p| p >= at)
    }

    /// The frame of a word that still has its slot.
    #[inline]
    fn frame(&self, word: Word) -> Option<Claimed> {
        word.slot().map(|slot| Claimed {
            position: word.ahead() - (self.mask + 1),
            slot,
        })
    }

    /// Position of the next publication. For the producer, exact; for others a snapshot.
    #[inline]
    #[must_use]
    pub fn next_position(&self) -> u64 {
        self.tail.load(Ordering::Relaxed)
    }

    /// Publishes a slot (any number but 65535) as the newest frame; gives back the oldest unclaimed one
    /// when the ring was full.
    ///
    /// * R1 (release, pairs with R1 acquire in every claim of a first frame): publishes everything that
    ///   the producer wrote before, header and payload above all, of this frame and of all older ones.
    /// * R2 (acquire, pairs with R2 release in every claim): the consumer that emptied this cell
    ///   publishes what it did before, the slots above all that it gave back. So the producer, which
    ///   counts on a consumer's holding only so many slots, also finds the others.
    #[inline]
    pub fn publish(&self, slot: u16) -> Option<Claimed> {
        debug_assert_ne!(slot, GONE);
        let position = self.tail.load(Ordering::Relaxed);
        debug_assert!(position <= MAX_POSITION);
        let word = Word::new(position + self.mask + 1, slot);
        // R1, R2
        let before = self.cell(position).swap(word.0, Ordering::AcqRel);
        self.tail.store(position + 1, Ordering::Relaxed);
        self.frame(Word(before))
    }

    /// The newest frame at or above `floor` that this consumer can see: its position, and the word that
    /// was there.
    #[inline]
    fn newest(&self, floor: u64) -> Option<(u64, Word)> {
        let mut word = self.look(floor);
        let mut newest = self.reached(word, floor)?;
        if self.mask == 0 {
            // With one cell there is no later one to look at.
            return Some((newest, word));
        }
        loop {
            let next = self.look(newest + 1);
            let Some(later) = self.reached(next, newest + 1) else {
                return Some((newest, word));
            };
            (newest, word) = (later, next);
        }
    }

    /// Claims the newest frame, and takes every older one out of the ring, oldest first, through
    /// `passed_over`.
    ///
    /// `floor` belongs to this consumer, starts at 0 and is moved on by each claim. What comes is the
    /// newest frame whose publication happened before the call, or a later one. `None`: somebody else
    /// has that frame, and with it the older ones, which it passes over; or there was none.
    #[inline]
    pub fn claim_newest(
        &self,
        floor: &mut u64,
        mut passed_over: impl FnMut(Claimed),
    ) -> Option<Claimed> {
        let (newest, mut word) = self.newest(*floor)?;
        let cell = self.cell(newest);
        let claimed = loop {
            let Some(frame) = self.frame(word) else {
                *floor = newest + 1;
                return None;
            };
            // R1, R2
            match cell.compare_exchange(word.0, word.gone().0, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break frame,
                Err(found) => word = Word(found),
            }
        };
        let oldest = claimed.position.saturating_sub(self.mask);
        for at in oldest.max(*floor)..claimed.position {
            if let Some(older) = self.take_older(at, claimed.position) {
                passed_over(older);
            }
        }
        *floor = claimed.position + 1;
        Some(claimed)
    }

    /// Claims the frame in the cell of `at` unless it is newer than `newest`. One attempt: it only fails
    /// when somebody else took the frame, or a newer one has replaced it.
    #[inline]
    fn take_older(&self, at: u64, newest: u64) -> Option<Claimed> {
        let word = self.look(at);
        let older = self.frame(word).filter(|frame| frame.position < newest)?;
        // R2. What R1 has to make visible, the claim of the newest frame has made visible already.
        self.cell(at)
            .compare_exchange(word.0, word.gone().0, Ordering::Release, Ordering::Relaxed)
            .ok()
            .map(|_| older)
    }

    /// Claims the oldest frame.
    ///
    /// `floor` as in [`FrameRing::claim_newest`]. Frames that other consumers hold, or that were pushed
    /// out, are skipped. `None`: every frame whose publication happened before the call is gone.
    #[inline]
    pub fn claim_oldest(&self, floor: &mut u64) -> Option<Claimed> {
        loop {
            let at = *floor;
            let word = self.look(at);
            let reached = self.reached(word, at)?;
            if reached > at {
                // The producer is a round ahead: all before its last round is pushed out.
                *floor = (at + 1).max(reached - self.mask);
                continue;
            }
            // R1, R2
            let claimed = self.frame(word).filter(|_| {
                self.cell(at)
                    .compare_exchange(word.0, word.gone().0, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            });
            // Not claimed: it was gone, or has just gone to another consumer or back to the producer.
            *floor = at + 1;
            if claimed.is_some() {
                return claimed;
            }
        }
    }

    /// Frames in the ring: a snapshot, exact when nobody publishes or claims.
    #[must_use]
    pub fn len(&self) -> usize {
        (0..=self.mask)
            .filter(|&at| self.look(at).slot().is_some())
            .count()
    }

    /// Whether the ring holds no frame: a snapshot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        (0..=self.mask).all(|at| self.look(at).slot().is_none())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn positions(ring: &FrameRing) -> Vec<u64> {
        let mut floor = 0;
        std::iter::from_fn(|| ring.claim_oldest(&mut floor))
            .map(|claimed| claimed.position)
            .collect()
    }

    #[test]
    fn capacities_are_powers_of_two_up_to_256() {
        for good in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            assert_eq!(FrameRing::new(good).unwrap().capacity(), good);
        }
        for bad in [0, 3, 255, 257, 512, usize::MAX] {
            assert_eq!(FrameRing::new(bad).unwrap_err(), CapacityError(bad));
        }
    }

    #[test]
    fn a_full_ring_gives_the_oldest_back() {
        for capacity in [1, 2, 8, 256] {
            let ring = FrameRing::new(capacity).unwrap();
            for slot in 0..600_u16 {
                let evicted = ring.publish(slot);
                let expected = usize::from(slot).checked_sub(capacity).map(|old| Claimed {
                    position: old as u64,
                    slot: u16::try_from(old).unwrap(),
                });
                assert_eq!(evicted, expected);
            }
            assert_eq!(ring.len(), capacity);
        }
    }

    #[test]
    fn the_newest_comes_first_and_passes_the_older_ones_over_in_order() {
        let ring = FrameRing::new(4).unwrap();
        for slot in [10, 11, 12, 13, 14] {
            ring.publish(slot);
        }
        let (mut floor, mut passed) = (0, Vec::new());
        let newest = ring.claim_newest(&mut floor, |older| passed.push(older.slot));
        assert_eq!(
            newest,
            Some(Claimed {
                position: 4,
                slot: 14
            })
        );
        assert_eq!(passed, [11, 12, 13]);
        assert_eq!(floor, 5);
        assert_eq!(ring.claim_newest(&mut floor, |_| unreachable!()), None);
        assert!(ring.is_empty());
    }

    #[test]
    fn the_oldest_come_in_order_and_evicted_ones_are_skipped() {
        let ring = FrameRing::new(4).unwrap();
        let mut floor = 0;
        for slot in 0..3 {
            ring.publish(slot);
        }
        assert_eq!(ring.claim_oldest(&mut floor).map(|c| c.slot), Some(0));
        for slot in 3..10 {
            ring.publish(slot);
        }
        let rest: Vec<_> = std::iter::from_fn(|| ring.claim_oldest(&mut floor))
            .map(|c| c.slot)
            .collect();
        assert_eq!(rest, [6, 7, 8, 9]);
    }

    #[test]
    fn a_consumer_that_comes_late_finds_the_last_round() {
        for capacity in [1, 4, 16] {
            let ring = FrameRing::new(capacity).unwrap();
            for slot in 0..100 {
                ring.publish(slot);
            }
            let expected: Vec<_> = (100 - capacity as u64..100).collect();
            assert_eq!(positions(&ring), expected);
        }
    }

    #[test]
    fn newest_and_oldest_claims_of_two_consumers_share_the_frames() {
        let ring = FrameRing::new(8).unwrap();
        let (mut first, mut second) = (0, 0);
        for slot in 0..4 {
            ring.publish(slot);
        }
        assert_eq!(ring.claim_oldest(&mut first).map(|c| c.position), Some(0));
        let mut passed = Vec::new();
        let newest = ring.claim_newest(&mut second, |c| passed.push(c.position));
        assert_eq!((newest.map(|c| c.position), passed), (Some(3), vec![1, 2]));
        assert_eq!(ring.claim_oldest(&mut first), None);
        ring.publish(9);
        assert_eq!(ring.claim_oldest(&mut first).map(|c| c.position), Some(4));
        assert_eq!(ring.claim_newest(&mut second, |_| unreachable!()), None);
    }

    #[test]
    fn the_largest_slot_and_position_fit_a_word() {
        for capacity in [1, 256] {
            let ring = FrameRing::new(capacity).unwrap();
            ring.tail.store(MAX_POSITION, Ordering::Relaxed);
            assert_eq!(ring.publish(GONE - 1), None);
            let mut floor = MAX_POSITION;
            let last = Claimed {
                position: MAX_POSITION,
                slot: GONE - 1,
            };
            assert_eq!(ring.claim_oldest(&mut floor), Some(last));
            assert_eq!(ring.look(MAX_POSITION).slot(), None);
        }
    }

    #[test]
    fn tail_and_cells_lie_on_lines_of_their_own() {
        let ring = FrameRing::new(32).unwrap();
        let tail = std::ptr::from_ref(&ring.tail).addr();
        let cells = ring.lines.as_ptr().addr();
        assert_eq!((tail % 128, cells % 128), (0, 0));
        assert!(cells.abs_diff(tail) >= 128);
        assert_eq!(ring.lines.len(), 2);
    }
}
