//! The process as a service: sd_notify(3), signals, the log, and ends that were not planned.

pub mod child;
pub mod logger;
pub mod notify;
pub mod signal;
pub mod terminal;
pub mod termination;
