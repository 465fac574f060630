//! Frames from somewhere into slots: the edge that every camera implements.
//!
//! Answers for: the contract between a source of frames and the thread that serves it, the sources that
//! need no kernel ([`synthetic`]), what a stream of bytes is made of ([`stream`]), whether frames can be believed and what
//! to do when they stop ([`health`]), and [`faults`] that wrap any source. Does not answer for: V4L2 itself
//! (`sys::device::v4l2`), rings (`ring`), or threads (`appliance`).
//!
//! ```text
//! open ──► UnarmedSource ──arm(memory)──► FrameSource: queue, start, dequeue ... stop
//!            format(), slot_home()          slots() names the memory of each slot
//! ```

pub mod faults;
pub mod health;
mod slot_memory;
mod source;
pub mod stream;
pub mod synthetic;

pub use slot_memory::SlotMemory;
pub use source::{
    ArmError, Dequeue, Dequeued, FrameSource, MemoryKeeper, NotArmed, Readiness, SlotHome, Slots,
    SourceError, StampKind, Traits, UnarmedSource, check_caller_slots,
};
pub use synthetic::paint::Ycbcr;
