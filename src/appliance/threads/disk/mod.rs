//! The disk thread: recording, results and events are written by it alone.

#[allow(clippy::module_inception)]
pub(crate) mod disk;
pub(crate) mod file_sink;
#[cfg(test)]
pub(crate) mod tests;
