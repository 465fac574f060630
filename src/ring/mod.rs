//! How frames travel between threads.
//!
//! Answers for: who may touch a slot when, which frame a reader gets, and how it learns that there is
//! one. Does not answer for: what is in the frames, or which camera's turn it is (`infer`).
//!
//! ```text
//! capture ── LaneProducer ─► FrameRing (tap 0) ─► LaneTap ── Lease ─► worker
//!    ▲             │     └─► FrameRing (tap 1) ─► LaneTap ── Lease ─► a second kind of reader (not in a run)
//!    │             └─ Doorbell: ready bit, futex when somebody sleeps
//!    └─ free slots: own books, and the bits of returned slots
//! ```

mod doorbell;
mod frame_ring;
mod lane_core;

#[cfg(not(loom))]
mod lane;
#[cfg(all(test, loom))]
mod models;

pub use doorbell::{Doorbell, Waiting, Woken};
pub use frame_ring::{CapacityError, Claimed, FrameRing, MAX_POSITION};

#[cfg(not(loom))]
pub use lane::{
    FillError, LaneError, LaneProducer, LaneTap, LaneView, Lease, LeasesUsed, NotQueued, Occupancy,
    Published, TapNeed, lane, slots_needed,
};
