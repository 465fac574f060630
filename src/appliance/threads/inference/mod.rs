//! The inference thread: the newest frames become results.

pub(crate) mod build;
pub(crate) mod cascade;
pub(crate) mod claimed;
pub(crate) mod infer;
pub(crate) mod worker;
