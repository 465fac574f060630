//! A device node: opened, asked what it is, and found again by what it is.

use super::raw::{open_node, query_capability, v4l2_capability, zeroed};
use crate::capture::SourceError;
use nix::libc;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use v4l::capability::Flags;
use v4l::v4l_sys;

/// `/dev/video0` to `/dev/video255`: as many minors as videodev has.
const MAX_NODES: u32 = 256;

/// A node that answered.
#[derive(Debug)]
pub(super) struct Node {
    pub fd: OwnedFd,
    pub identity: Identity,
    pub capabilities: Flags,
}

/// What a node says of itself: its name, its driver, and where it is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub driver: [u8; 16],
    pub card: [u8; 32],
    pub bus: [u8; 32],
}

/// Which of V4L2's two queues a capture node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// One plane of memory for each buffer.
    Single,
    /// One or more.
    Multi,
}

impl Queue {
    /// The buffer type, as V4L2 numbers it.
    pub(super) const fn kind(self) -> u32 {
        match self {
            Self::Single => v4l_sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE,
            Self::Multi => v4l_sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE,
        }
    }
}

impl Node {
    pub(super) fn open(path: &CStr) -> Result<Self, SourceError> {
        let fd = open_node(path)?;
        let mut raw: v4l2_capability = zeroed();
        query_capability(&fd, &mut raw)?;
        // A physical device may have several nodes: `device_caps` is about this one.
        let bits = if raw.capabilities & v4l_sys::V4L2_CAP_DEVICE_CAPS == 0 {
            raw.capabilities
        } else {
            raw.device_caps
        };
        let identity = Identity {
            driver: raw.driver,
            card: raw.card,
            bus: raw.bus_info,
        };
        Ok(Self {
            fd,
            identity,
            capabilities: Flags::from(bits),
        })
    }

    /// The queue to capture from; `None` for a node that is no streaming capture node.
    pub(super) fn queue(&self) -> Option<Queue> {
        if !self.capabilities.contains(Flags::STREAMING) {
            None
        } else if self.capabilities.contains(Flags::VIDEO_CAPTURE) {
            Some(Queue::Single)
        } else if self.capabilities.contains(Flags::VIDEO_CAPTURE_MPLANE) {
            Some(Queue::Multi)
        } else {
            None
        }
    }
}

/// The text of a field that the kernel fills with bytes up to a zero.
pub(super) fn text(field: &[u8]) -> String {
    let bytes = field.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// Opens the same device again: through the path where that leads to it, else whichever node it has now.
/// Does not allocate.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    path: CString,
    identity: Identity,
    queue: Queue,
    /// The path is a name of the device itself, whatever port it is plugged into.
    path_is_identity: bool,
}

impl Finder {
    pub(super) fn new(path: CString, identity: Identity, queue: Queue) -> Self {
        let path_is_identity = path.to_bytes().starts_with(b"/dev/v4l/by-id/");
        Self {
            path,
            identity,
            queue,
            path_is_identity,
        }
    }

    /// # Errors
    /// ENODEV when no node is this device. Otherwise the path's own error.
    pub(super) fn open(&self) -> Result<Node, SourceError> {
        let first = Node::open(&self.path);
        match first {
            Ok(node) if self.is_it(&node) => return Ok(node),
            // The device is there, and says why it cannot be had.
            Err(error) if matches!(error.errno, libc::EBUSY | libc::EACCES | libc::EPERM) => {
                return Err(error);
            }
            _ => {}
        }
        for number in 0..MAX_NODES {
            let mut buffer = [0; 16];
            if let Some(path) = node_path(number, &mut buffer)
                && let Ok(node) = Node::open(path)
                && node.identity == self.identity
                && node.queue() == Some(self.queue)
            {
                return Ok(node);
            }
        }
        Err(first
            .err()
            .unwrap_or(SourceError::new("open", libc::ENODEV)))
    }

    fn is_it(&self, node: &Node) -> bool {
        let same = if self.path_is_identity {
            node.identity.card == self.identity.card
        } else {
            node.identity == self.identity
        };
        same && node.queue() == Some(self.queue)
    }
}

/// `/dev/videoN`, written into `buffer`.
fn node_path(number: u32, buffer: &mut [u8; 16]) -> Option<&CStr> {
    const PREFIX: &[u8] = b"/dev/video";
    *buffer = [0; 16];
    buffer.get_mut(..PREFIX.len())?.copy_from_slice(PREFIX);
    let mut at = PREFIX.len();
    for place in [100, 10, 1] {
        if number >= place || place == 1 {
            *buffer.get_mut(at)? = b'0' + u8::try_from(number / place % 10).ok()?;
            at += 1;
        }
    }
    CStr::from_bytes_until_nul(buffer).ok()
}

/// `path` for system calls; `None` when it holds a zero byte.
pub(super) fn c_path(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_paths_are_written_without_leading_zeroes() {
        let mut buffer = [0; 16];
        for (number, path) in [
            (0, c"/dev/video0"),
            (9, c"/dev/video9"),
            (10, c"/dev/video10"),
            (100, c"/dev/video100"),
            (255, c"/dev/video255"),
        ] {
            assert_eq!(node_path(number, &mut buffer), Some(path));
        }
    }

    #[test]
    fn a_field_of_any_bytes_becomes_text() {
        assert_eq!(text(b"vivid\0\0\0junk"), "vivid");
        assert_eq!(text(b"full to the end"), "full to the end");
        assert_eq!(text(&[0xFF, b'a', 0]), "\u{FFFD}a");
    }
}
