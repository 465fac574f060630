//! The operating system and the libraries behind it.

pub mod arena;
pub mod clock;
pub mod coreset;
pub mod cpu;
pub mod ending;
pub mod gpio;
pub mod heap;
pub mod holders;
pub mod hugepool;
pub mod logger;
pub mod memory;
pub mod notify;
pub mod poll;
pub mod procfs;
pub mod serial;
pub mod signal;
pub mod stream;
pub mod tflite;
pub mod thread;
pub mod topology;
pub mod v4l2;
