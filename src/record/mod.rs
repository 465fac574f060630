//! Results kept on disk.
