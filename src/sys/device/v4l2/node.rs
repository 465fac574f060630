//! A device node: opened, asked what it is, and found again by what it is.

use super::ioctl::{open_node, query_capability, v4l2_capability, zeroed};
use crate::capture::SourceError;
use crate::sys::io::procfs;
use nix::libc;
use std::ffi::{CStr, CString, OsStr};
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

/// A node's name in sysfs: like [`Identity::card`], and to be had without opening the node, which may
/// wake a sleeping camera and take its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SysfsName {
    bytes: [u8; 64],
    length: usize,
}

impl SysfsName {
    fn of(number: u32) -> Option<Self> {
        let mut path = [0; 64];
        let path = numbered(b"/sys/class/video4linux/video", number, b"/name", &mut path)?;
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let mut bytes = [0; 64];
        let length = procfs::read(path, &mut bytes).ok()?.len();
        Some(Self { bytes, length })
    }

    /// Of an open node; `None` without sysfs.
    fn of_node(fd: &OwnedFd) -> Option<Self> {
        let device = nix::sys::stat::fstat(fd).ok()?.st_rdev;
        let number = nix::sys::stat::minor(device);
        // Minors and numbers are the same unless the kernel was built for fixed minor ranges.
        Self::of(u32::try_from(number).ok()?)
    }
}

/// Opens the same device again: through the path where that leads to it, else whichever node it has now.
/// Does not allocate.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    path: CString,
    identity: Identity,
    queue: Queue,
    name: Option<SysfsName>,
    /// The path is a name of the device itself, whatever port it is plugged into.
    path_is_identity: bool,
    /// It was asked for by its product's name: it may come back in another port.
    any_port: bool,
}

impl Finder {
    pub(super) fn new(path: CString, node: &Node, queue: Queue, any_port: bool) -> Self {
        let path_is_identity = path.to_bytes().starts_with(b"/dev/v4l/by-id/");
        Self {
            path,
            identity: node.identity,
            queue,
            name: SysfsName::of_node(&node.fd),
            path_is_identity,
            any_port,
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
            if self.name.is_some() && SysfsName::of(number) != self.name {
                continue;
            }
            let mut buffer = [0; 64];
            if let Some(path) = numbered(b"/dev/video", number, b"", &mut buffer)
                && let Ok(node) = Node::open(path)
                && self.is_same(&node, self.any_port)
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
        self.is_same(node, self.path_is_identity || self.any_port)
            && node.queue() == Some(self.queue)
    }

    fn is_same(&self, node: &Node, any_port: bool) -> bool {
        if any_port {
            node.identity.card == self.identity.card
        } else {
            node.identity == self.identity
        }
    }
}

/// `prefix`, `number` below 1000, and `suffix`, written into `buffer`.
fn numbered<'b>(
    prefix: &[u8],
    number: u32,
    suffix: &[u8],
    buffer: &'b mut [u8; 64],
) -> Option<&'b CStr> {
    *buffer = [0; 64];
    let mut at = prefix.len();
    buffer.get_mut(..at)?.copy_from_slice(prefix);
    for place in [100, 10, 1] {
        if number >= place || place == 1 {
            *buffer.get_mut(at)? = b'0' + u8::try_from(number / place % 10).ok()?;
            at += 1;
        }
    }
    buffer
        .get_mut(at..at + suffix.len())?
        .copy_from_slice(suffix);
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
    fn paths_are_written_with_numbers_without_leading_zeroes() {
        let mut buffer = [0; 64];
        for (number, path) in [
            (0, c"/dev/video0"),
            (9, c"/dev/video9"),
            (10, c"/dev/video10"),
            (100, c"/dev/video100"),
            (255, c"/dev/video255"),
        ] {
            assert_eq!(
                numbered(b"/dev/video", number, b"", &mut buffer),
                Some(path)
            );
        }
    }

    #[test]
    fn a_path_that_does_not_fit_is_none() {
        let mut buffer = [0; 64];
        let at_end = [b'a'; 60];
        assert!(numbered(&at_end, 255, b"", &mut buffer).is_some());
        assert!(numbered(&at_end, 255, b"b", &mut buffer).is_none());
        assert!(numbered(&[b'a'; 64], 1, b"", &mut buffer).is_none());
    }
}
