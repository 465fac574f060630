//! Whether a camera's frames can be believed, and what to do when they stop: all pure.

pub mod duplicates;
pub mod frame_rate;
pub mod supervisor;
pub mod timestamps;
