//! Descriptors: poll(2), small text files of /proc and /sys, and cameras that are a stream of bytes.

pub mod poll;
pub mod procfs;
pub mod stream;
