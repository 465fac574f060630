//! The inference thread: the newest frames become results.

pub(crate) mod build;
pub(crate) mod cascade;
pub(crate) mod claimed;
pub(crate) mod description;
pub(crate) mod infer;
pub(crate) mod inputs;
pub(crate) mod measured;
pub(crate) mod model;
pub(crate) mod observer;
pub(crate) mod progress;
pub(crate) mod thread;
pub(crate) mod worker;
