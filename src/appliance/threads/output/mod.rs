//! A thread for each output: events become levels of a GPIO line, or lines on a serial device.

pub(crate) mod gpio;
#[allow(clippy::module_inception)]
pub(crate) mod output;
pub(crate) mod serial;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod tests;
