//! The state word of a frame header: who has ended its use of the frame, and who was the last.
//!
//! The word holds one byte for each tap that the frame goes to, the first tap's byte lowest. Each byte
//! goes its own way, and no other:
//!
//! ```text
//! 0x00 never filled ─► 0x01 produced ─┬─► 0x03 produced, consumed ──┐
//!                          ▲          └─► 0x05 produced, discarded ─┤
//!                          └──────────── filled again ◄─────────────┘
//! ```
//!
//! A byte of 0x01 is a live lease: the frame is in that tap's ring or in the hands of one of its
//! readers. The slot is free when no byte is live, so the word is lease count and audit mark in one.
//! Every change is a compare-and-swap that starts from a legal byte; an illegal one changes nothing.

use crate::limits::MAX_TAPS;
use crate::sync::{AtomicU32, Ordering};

/// The tap's frame was filled and published; nobody has ended it yet.
pub const PRODUCED: u8 = 0x01;
/// A reader of the tap has used the frame and let it go.
pub const CONSUMED: u8 = 0x02;
/// The frame left the tap unused: evicted, passed over, stale or damaged.
pub const DISCARDED: u8 = 0x04;

const PRODUCED_ALL: u32 = 0x0101_0101;
const _: () = assert!(MAX_TAPS == 4, "one byte of the u32 for each tap");

/// How a tap is done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Used.
    Consumed,
    /// Not used.
    Discarded,
}

impl End {
    const fn bit(self) -> u8 {
        match self {
            Self::Consumed => CONSUMED,
            Self::Discarded => DISCARDED,
        }
    }
}

/// A change of state that the frame's life does not have. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// To be filled, but a tap still has it: the word as found.
    StillLive {
        /// One byte for each tap.
        word: u32,
    },
    /// To be ended by a tap that does not have it.
    NotLive {
        /// The tap.
        tap: usize,
        /// The word as found, one byte for each tap.
        word: u32,
    },
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StillLive { word } => {
                write!(
                    f,
                    "the slot was to be filled while a tap has it (state {word:#010x})"
                )
            }
            Self::NotLive { tap, word } => {
                write!(
                    f,
                    "tap {tap} ended a frame that it does not have (state {word:#010x})"
                )
            }
        }
    }
}

impl std::error::Error for StateError {}

/// The state word.
#[derive(Debug)]
#[repr(transparent)]
pub struct SlotState(AtomicU32);

impl SlotState {
    /// A slot that was never filled.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The word, one byte for each tap. A snapshot: it orders nothing.
    #[must_use]
    pub fn word(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether `tap` has the frame, in its ring or with a reader. A snapshot: it orders nothing.
    #[must_use]
    pub fn is_live(&self, tap: usize) -> bool {
        live(self.word()) & (1 << (8 * tap)) != 0
    }

    /// The owner of the slot marks it as produced for the first `taps` taps (1..=4).
    ///
    /// Orders nothing by itself: publishing in a ring does.
    ///
    /// # Errors
    /// [`StateError::StillLive`] when a tap has not ended the frame before.
    #[inline]
    pub(crate) fn produce(&self, taps: usize) -> Result<(), StateError> {
        debug_assert!((1..=MAX_TAPS).contains(&taps));
        let next = PRODUCED_ALL >> (8 * (MAX_TAPS - taps));
        let word = self.0.load(Ordering::Relaxed);
        if live(word) != 0 {
            return Err(StateError::StillLive { word });
        }
        // One attempt is enough: only the owner may change a word without a live byte, so a failure
        // means that somebody else believes to own the slot.
        match self
            .0
            .compare_exchange(word, next, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => Ok(()),
            Err(word) => Err(StateError::StillLive { word }),
        }
    }

    /// `tap` is done with the frame. `Ok(true)`: it was the last one, and the caller owns the slot.
    ///
    /// L1 (release, pairs with L1 acquire here): publishes that this tap's reads of header and payload
    /// are finished, to whichever tap ends last. Repeats only when another tap ends at the same time,
    /// so at most `MAX_TAPS` times.
    ///
    /// # Errors
    /// [`StateError::NotLive`] when the tap does not have the frame: it ended it twice, or never had it.
    #[inline]
    pub(crate) fn end(&self, tap: usize, how: End) -> Result<bool, StateError> {
        let shift = 8 * tap;
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if live(word) & (1 << shift) == 0 {
                return Err(StateError::NotLive { tap, word });
            }
            let next = word | u32::from(how.bit()) << shift;
            // L1
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Ok(live(next) == 0),
                Err(found) => word = found,
            }
        }
    }
}

impl Default for SlotState {
    fn default() -> Self {
        Self::new()
    }
}

/// Bit 0 of each byte that is produced and neither consumed nor discarded.
const fn live(word: u32) -> u32 {
    word & !(word >> 1) & !(word >> 2) & PRODUCED_ALL
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_single_tap_passes_through_the_named_values() {
        let state = SlotState::new();
        assert_eq!(state.word(), 0);
        state.produce(1).unwrap();
        assert_eq!(state.word(), u32::from(PRODUCED));
        assert!(state.is_live(0));
        assert_eq!(state.end(0, End::Consumed), Ok(true));
        assert_eq!(state.word(), u32::from(PRODUCED | CONSUMED));
        assert!(!state.is_live(0));
        state.produce(1).unwrap();
        assert_eq!(state.end(0, End::Discarded), Ok(true));
        assert_eq!(state.word(), u32::from(PRODUCED | DISCARDED));
    }

    #[test]
    fn the_last_of_several_taps_owns_the_slot_whatever_the_order() {
        for first in 0..3 {
            for second in (0..3).filter(|&tap| tap != first) {
                let third = 3 - first - second;
                let state = SlotState::new();
                state.produce(3).unwrap();
                assert_eq!(state.end(first, End::Consumed), Ok(false));
                assert_eq!(state.end(second, End::Discarded), Ok(false));
                assert_eq!(state.end(third, End::Consumed), Ok(true));
            }
        }
    }

    #[test]
    fn illegal_changes_are_refused_and_change_nothing() {
        let state = SlotState::new();
        assert_eq!(
            state.end(0, End::Consumed),
            Err(StateError::NotLive { tap: 0, word: 0 })
        );
        state.produce(2).unwrap();
        assert_eq!(
            state.produce(2),
            Err(StateError::StillLive { word: 0x0101 })
        );
        assert_eq!(
            state.end(2, End::Consumed),
            Err(StateError::NotLive {
                tap: 2,
                word: 0x0101
            })
        );
        assert_eq!(state.end(1, End::Discarded), Ok(false));
        assert_eq!(
            state.end(1, End::Consumed),
            Err(StateError::NotLive {
                tap: 1,
                word: 0x0501
            })
        );
        assert_eq!(
            state.produce(2),
            Err(StateError::StillLive { word: 0x0501 })
        );
        assert_eq!(state.word(), 0x0501);
        assert_eq!(state.end(0, End::Consumed), Ok(true));
        state.produce(1).unwrap();
        assert_eq!(
            state.word(),
            0x01,
            "a later fill for fewer taps leaves nothing behind"
        );
    }

    #[test]
    fn every_byte_value_is_live_only_when_it_is_produced_and_not_ended() {
        for byte in 0..8_u32 {
            let expected = byte & 1 == 1 && byte & 6 == 0;
            for tap in 0..MAX_TAPS {
                assert_eq!(
                    live(byte << (8 * tap)) != 0,
                    expected,
                    "byte {byte:#x} of tap {tap}"
                );
            }
        }
    }
}
