//! Descriptors: poll(2), names in folders, small text files of /proc and /sys, cameras that are a stream of bytes,
//! and the files that a run writes.

pub mod folder;
pub mod output_file;
pub mod poll;
pub mod procfs;
pub mod stream;
pub mod whole_file;
