//! The USB port that a camera is plugged into: found through sysfs, and reset.
//!
//! # Source
//! linux/usbdevice_fs.h: `USBDEVFS_RESET`; Linux `Documentation/ABI/testing/sysfs-bus-usb` (`busnum`,
//! `devnum`).
#![allow(unsafe_code)]

use crate::capture::SourceError;
use crate::sys::io::procfs;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

mod ioctl {
    nix::ioctl_none!(usbdevfs_reset, b'U', 20);
}

/// A port with a device. It stays the same when the device is gone and another one is plugged in.
#[derive(Clone, Debug)]
pub(super) struct UsbPort {
    /// Files of the device in sysfs, with its two numbers.
    busnum: PathBuf,
    devnum: PathBuf,
}

impl UsbPort {
    /// The port of an open video node; `None` for one that is not behind USB.
    pub(super) fn of_node(fd: &OwnedFd) -> Option<Self> {
        let device = nix::sys::stat::fstat(fd).ok()?.st_rdev;
        let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
        Self::find(Path::new("/sys"), major, minor)
    }

    /// The port of the character device with these numbers.
    fn find(sysfs: &Path, major: u64, minor: u64) -> Option<Self> {
        let node = sysfs.join(format!("dev/char/{major}:{minor}/device"));
        let device = std::fs::canonicalize(node).ok()?;
        // The node hangs at an interface; the device is above it.
        device.ancestors().find_map(|folder| {
            let port = Self {
                busnum: folder.join("busnum"),
                devnum: folder.join("devnum"),
            };
            (port.busnum.is_file() && port.devnum.is_file()).then_some(port)
        })
    }

    /// Has the bus reset the device, as if it were plugged in anew. Does not allocate.
    ///
    /// # Errors
    /// ENODEV: nothing is plugged in. EACCES: `/dev/bus/usb` is not this user's to write to.
    pub(super) fn reset(&self) -> Result<(), SourceError> {
        self.reset_by(reset)
    }

    fn reset_by(
        &self,
        reset: impl FnOnce(&CStr) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let number = |path: &Path| {
            let mut buffer = [0; 16];
            let text = procfs::read(path, &mut buffer).ok()?;
            procfs::number(text).filter(|number| *number < 1000)
        };
        let gone = SourceError::new("USBDEVFS_RESET", libc::ENODEV);
        let bus = number(&self.busnum).ok_or(gone)?;
        let device = number(&self.devnum).ok_or(gone)?;
        let mut path = *b"/dev/bus/usb/000/000\0";
        for (place, number) in [(13, bus), (17, device)] {
            for (digit, unit) in path[place..place + 3].iter_mut().zip([100, 10, 1]) {
                *digit = b'0' + u8::try_from(number / unit % 10).unwrap_or(0);
            }
        }
        reset(CStr::from_bytes_with_nul(&path).map_err(|_| gone)?)
    }
}

fn reset(path: &CStr) -> Result<(), SourceError> {
    let failed = |errno| SourceError::new("USBDEVFS_RESET", errno as i32);
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let fd = open(path, flags, Mode::empty()).map_err(failed)?;
    // SAFETY: the request takes no argument; the descriptor is open.
    unsafe { ioctl::usbdevfs_reset(fd.as_raw_fd()) }.map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A sysfs with a webcam (81:0), its second node (81:1), and a camera of the board (81:2).
    fn sysfs() -> tempfile::TempDir {
        let sysfs = tempfile::tempdir().unwrap();
        let at = |path: &str| sysfs.path().join(path);
        let device = "devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4.2";
        for interface in [
            "1-4.2:1.0/video4linux/video0",
            "1-4.2:1.0/video4linux/video1",
        ] {
            fs::create_dir_all(at(device).join(interface)).unwrap();
        }
        fs::write(at(device).join("busnum"), "1\n").unwrap();
        fs::write(at(device).join("devnum"), "7\n").unwrap();
        let hub = at("devices/pci0000:00/0000:00:14.0/usb1");
        fs::write(hub.join("busnum"), "1\n").unwrap();
        fs::write(hub.join("devnum"), "1\n").unwrap();
        fs::create_dir_all(at("devices/platform/csi/video4linux/video2")).unwrap();
        fs::create_dir_all(at("dev/char")).unwrap();
        for (minor, node, parent) in [
            (
                0,
                format!("{device}/1-4.2:1.0/video4linux/video0"),
                format!("{device}/1-4.2:1.0"),
            ),
            (
                1,
                format!("{device}/1-4.2:1.0/video4linux/video1"),
                format!("{device}/1-4.2:1.0"),
            ),
            (
                2,
                "devices/platform/csi/video4linux/video2".to_owned(),
                "devices/platform/csi".to_owned(),
            ),
        ] {
            std::os::unix::fs::symlink(at(&node), at(&format!("dev/char/81:{minor}"))).unwrap();
            std::os::unix::fs::symlink(at(&parent), at(&node).join("device")).unwrap();
        }
        sysfs
    }

    fn path_of_reset(port: &UsbPort) -> Result<String, SourceError> {
        let mut reset = String::new();
        port.reset_by(|path| {
            path.to_str().unwrap().clone_into(&mut reset);
            Ok(())
        })?;
        Ok(reset)
    }

    #[test]
    fn the_device_above_the_cameras_interface_is_reset_and_not_its_hub() {
        let sysfs = sysfs();
        for minor in [0, 1] {
            let port = UsbPort::find(sysfs.path(), 81, minor).unwrap();
            assert_eq!(path_of_reset(&port).unwrap(), "/dev/bus/usb/001/007");
        }
    }

    #[test]
    fn what_is_plugged_in_at_the_same_port_later_is_found_by_its_new_number() {
        let sysfs = sysfs();
        let port = UsbPort::find(sysfs.path(), 81, 0).unwrap();
        fs::write(&port.devnum, "113\n").unwrap();
        assert_eq!(path_of_reset(&port).unwrap(), "/dev/bus/usb/001/113");
        fs::remove_file(&port.devnum).unwrap();
        let gone = SourceError::new("USBDEVFS_RESET", libc::ENODEV);
        assert_eq!(path_of_reset(&port), Err(gone));
        fs::write(&port.devnum, "nonsense").unwrap();
        assert_eq!(path_of_reset(&port), Err(gone));
    }

    #[test]
    fn a_camera_of_the_board_has_no_port() {
        let sysfs = sysfs();
        assert!(UsbPort::find(sysfs.path(), 81, 2).is_none());
        assert!(UsbPort::find(sysfs.path(), 81, 9).is_none());
        let null = fs::File::open("/dev/null").unwrap().into();
        assert!(UsbPort::of_node(&null).is_none());
    }

    #[test]
    fn what_the_kernel_says_to_a_reset_is_passed_on() {
        let refused = |path| reset(path).unwrap_err();
        let error = SourceError::new("USBDEVFS_RESET", libc::ENOTTY);
        assert_eq!(refused(c"/dev/null"), error);
        assert_eq!(refused(c"/dev/bus/usb/999/999").errno, libc::ENOENT);
        assert_eq!(nix::request_code_none!(b'U', 20), 0x5514);
    }
}
