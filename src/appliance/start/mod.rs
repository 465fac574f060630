//! From what was prepared to threads that run.

pub(crate) mod spawn;
#[allow(clippy::module_inception)]
pub(crate) mod start;
pub(crate) mod started;
pub(crate) mod wiring;
