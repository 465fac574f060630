//! The capture thread: frames of one core's cameras go from their drivers into their rings.

pub(crate) mod camera_slot;
pub(crate) mod capture_loop;
#[cfg(test)]
mod tests;
pub(crate) mod thread;
