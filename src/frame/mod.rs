//! A frame: its format, its 64-byte header, its slot, and the memory they live in.
//!
//! Answers for: what a frame looks like in memory and who may touch it. Does not answer for: mapping
//! memory (`sys`), or how frames travel between threads (`ring`).

mod format;

pub use format::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
