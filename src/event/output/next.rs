//! What an output waits for, whatever its device is.

use nix::errno::Errno;

/// What a link or a GPIO driver waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A new event; everything is handed over, and the device is where it should be.
    Event,
    /// The wire takes no bytes now.
    Room,
    /// This time: the device is then tried again.
    Retry {
        /// When.
        at_ns: u64,
        /// Why it is not open.
        errno: Errno,
    },
}

/// A device that may well come, or come back: to be tried again, not to be refused.
#[must_use]
pub const fn may_come(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO | Errno::EIO | Errno::EBUSY
    )
}
