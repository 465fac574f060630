//! The operating system and the libraries behind it.

pub mod clock;
mod counts;
pub mod cpu;
pub mod device;
pub mod io;
pub mod malloc_guard;
pub mod memory;
pub mod service;
pub mod tflite;
pub mod thread;
