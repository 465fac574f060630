//! The kernels for 64-bit ARM, of which every processor has these instructions: by row buffers, and straight from the
//! frame.
#![allow(unsafe_code)]

mod colour;
mod direct;
mod horizontal;
mod numbers;
mod vertical;

pub(super) use direct::{Picks, direct};
pub(super) use horizontal::horizontal;
pub(super) use vertical::vertical;

/// Whether this machine has the instructions: each has.
pub(super) const fn is_available() -> bool {
    true
}
