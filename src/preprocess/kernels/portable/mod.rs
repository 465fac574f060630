//! The kernel in plain Rust: for machines without one of their own, and what the others are held against.

mod colour;
mod horizontal;
mod vertical;

pub(super) use horizontal::horizontal;
pub(super) use vertical::vertical;
