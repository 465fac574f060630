//! A frame: its format, its 64-byte header, its slot, and the memory they live in.
//!
//! Answers for: what a frame looks like in memory and who may touch it. Does not answer for: mapping
//! memory (`sys`), or how frames travel between threads (`ring`).

mod crc;
mod format;
mod header;
mod layout;
mod slot;
mod state;

#[cfg(not(loom))]
mod arena;
#[cfg(not(loom))]
mod heap;
#[cfg(not(loom))]
mod table;

pub use format::{
    ADDED_TABLES_BYTES, Colour, Decoding, Encoding, PixelFormat, Quantization, StreamFormat,
};
pub use header::{FrameFacts, FrameHeader, FrameMeta, HeaderFault};
pub use layout::{Component, MAX_SAMPLES, Model, PixelLayout, Plane, Sample, Store};
pub use slot::{Filled, Free, Leased, Slot};
pub use state::{CONSUMED, DISCARDED, End, PRODUCED, SlotState, StateError};

#[cfg(not(loom))]
pub use arena::{ArenaLayout, CameraNeed, CameraPlace, LayoutError, PAYLOAD_ALIGN};
#[cfg(not(loom))]
pub use table::{Keep, Payload, SlotTable};
