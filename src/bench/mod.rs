//! The claims of the design, measured: each beside what it replaces, in the same run.
//!
//! Answers for: the experiments behind `pinsight bench`, their tables, JSON and plots. Does not answer
//! for: arguments (`cli`), or for any part of a board's run: a field build leaves this module out
//! (cargo feature `bench`).
//!
//! Every experiment pins its threads the same way for every design, warms up before it measures, and
//! measures times from when something was *due*, not from when a busy thread got round to it.

mod machine;
mod memory;
mod meter;
mod pair;
mod report;

pub mod channel;
pub mod header;
pub mod leak;
pub mod numa;
pub mod preprocess;
pub mod queue;
pub mod sharing;
pub mod stages;

pub use report::{BenchError, Report};
