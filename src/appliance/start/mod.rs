//! From what was prepared to threads that run.

pub(crate) mod arm;
pub(crate) mod spawn;
pub(crate) mod wiring;
