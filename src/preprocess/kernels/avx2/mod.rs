//! The kernels for x86-64 with AVX2, FMA and F16C: by row buffers, and straight from the frame.
#![allow(unsafe_code)]

mod colour;
mod direct;
mod horizontal;
mod registers;
mod vertical;

pub(super) use direct::{Picks, direct};
pub(super) use horizontal::horizontal;
pub(super) use registers::is_available;
pub(super) use vertical::vertical;
