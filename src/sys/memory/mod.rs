//! Memory that is there before it is needed: one mapping a node, huge pages, bound to its node before
//! the first touch, every page present, locked, and its placement read back.
//!
//! Answers for: that a `Region` can be touched anywhere without a page fault to the wrong node, a
//! SIGBUS, or a way past its ends. Does not answer for: what lies in it (`frame::arena`).

mod error;
pub mod hugepool;
mod lock;
mod pages;
mod placement;
mod policy;
mod range;
mod region;
pub mod slot_arena;
#[cfg(test)]
mod tests;

pub use error::MemoryError;
pub use lock::{LockError, lock_all, locked_bytes};
pub use pages::{PageKind, Pages, RegionRequest, machine_page_bytes};
pub use placement::Placement;
pub use policy::{exempt_from_balancing, exempt_from_collapse};
pub(crate) use range::populate;
pub use region::Region;
