//! Descriptors: poll(2), names in folders, small text files of /proc and /sys, and cameras that are a stream of bytes.

pub mod folder;
pub mod poll;
pub mod procfs;
pub mod stream;
