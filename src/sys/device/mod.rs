//! Devices: cameras, GPIO chips, serial lines, the USB ports they hang on, and who holds them open.

pub mod gpio;
pub mod holders;
pub mod serial;
pub mod usb_port;
pub mod v4l2;
