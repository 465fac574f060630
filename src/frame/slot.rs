//! Slots as tokens: who holds one may do to the slot what its type says, and nobody else may.
//!
//! A token is made only where the lane's books prove that nobody else holds the slot; it cannot be
//! copied, so each step of a frame's life consumes the one before it:
//!
//! ```text
//! Slot<Free> ── fill ─► Slot<Filled> ── publish ─► (ring) ── claim ─► Slot<Leased> ── release ─► Slot<Free>
//! ```
// Models leave the lane's handles out.
#![cfg_attr(loom, allow(dead_code))]

use std::marker::PhantomData;

/// The holder may write the slot's payload, or lend the slot to the driver.
#[derive(Debug)]
pub enum Free {}
/// The header is sealed; the payload is complete; nobody reads it yet.
#[derive(Debug)]
pub enum Filled {}
/// The holder may read the slot until it ends the lease.
#[derive(Debug)]
pub enum Leased {}

/// One slot of one lane, in the state `S`. Move-only; dropping it loses the slot until the lane's
/// occupancy audit shows it, so give it to one of the lane's methods instead.
#[must_use = "a slot that is dropped is lost to its lane: publish it, give it back or queue it"]
#[derive(Debug)]
pub struct Slot<S> {
    lane: u32,
    index: u16,
    state: PhantomData<S>,
}

impl<S> Slot<S> {
    /// The caller has shown that nobody else holds slot `index` of this lane.
    pub(crate) const fn new(lane: u32, index: u16) -> Self {
        Self {
            lane,
            index,
            state: PhantomData,
        }
    }

    /// Its place in the lane's tables.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// The lane's number, unique in the process.
    pub(crate) const fn lane(&self) -> u32 {
        self.lane
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_as_small_as_its_two_numbers() {
        assert_eq!(size_of::<Slot<Free>>(), 8);
        let slot: Slot<Leased> = Slot::new(7, 3);
        assert_eq!((slot.lane(), slot.index()), (7, 3));
    }
}
