//! Whether results keep coming: the gap of each camera and the progress of each thread, watched while a run goes on.
//!
//! Answers for: when a gap or a thread that stands still becomes a trouble, what caused it, and how often the log says so.
//! Does not answer for: reading clocks, counters or the kernel (`appliance::run::health`). All pure.

mod episode;
mod gap;
mod progress;

pub use episode::{Episode, Report};
pub use gap::{CameraView, Gap, GapCause, GapWatch, gap_bound_ns};
pub use progress::{Standstill, ThreadWatch};
