//! From compressed frames to pictures whose samples lie open: MJPEG cameras.
//!
//! Answers for: whether the bytes of a frame are a whole JPEG picture of the camera's size, and what its
//! samples are. Does not answer for: where the memory is (`sys`), or what becomes of a damaged frame
//! (`appliance`).
//!
//! ```text
//!  slot ──Jpeg::take──► the worker's copy ──Jpeg::decode──► the worker's picture ──► preprocess
//!         checked, without what no decoder needs; the slot can go back
//! ```
//! A slot carries a frame as the camera sent it, and only the worker that claims it decodes it: frames that
//! are pushed out of the ring cost no decoding.
//!
//! The decoder is zune-jpeg. It asks for memory from the heap, for each picture as much: [`flat`] makes the
//! pictures with which that is measured.

mod damage;
mod decoder;
mod flat;
mod huffman;
mod stream;
#[cfg(test)]
mod tests;

pub use damage::Damage;
pub use decoder::{Jpeg, Samples};
pub use flat::flat;
pub use stream::{Sampling, take};
