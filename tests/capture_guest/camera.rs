//! The camera of these checks, opened, set and unplugged; and what this process holds.

use crate::contract::SLOTS;
use crate::stage::{Clock, Stage, arm};
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;
use pinsight::sys::device::v4l2::{CameraRequest, UnarmedCamera};
use std::path::Path;
use std::process::Command;

pub(crate) const CAMERA: &str = "/dev/video0";

/// Whether this is the guest, with the cameras that these checks are about.
pub(crate) fn here(kind: &str) -> bool {
    let here = std::env::var("CAMERA_KIND").is_ok_and(|found| found == kind);
    if !here {
        println!("not in the guest: the test that boots it runs this one there");
    }
    here
}

/// A format of two planes and a packed one.
pub(crate) const USUAL: [PixelFormat; 2] = [PixelFormat::Nv12, PixelFormat::Yuyv];

pub(crate) fn request(pixel: PixelFormat) -> CameraRequest {
    CameraRequest {
        pixel,
        width_px: 1280,
        height_px: 720,
        rate_hz: 30.0,
        crop: None,
    }
}

pub(crate) fn open(pixel: PixelFormat, io: Io) -> Box<UnarmedCamera> {
    Box::new(UnarmedCamera::open(Path::new(CAMERA), &request(pixel), io).unwrap())
}

pub(crate) fn streaming(pixel: PixelFormat, io: Io) -> Stage {
    let mut stage = arm(open(pixel, io), SLOTS, Clock::Real);
    stage.queue_all();
    stage.start().unwrap();
    stage
}

/// A control of the camera, set until this is dropped.
pub(crate) struct Setting(&'static str);

impl Setting {
    pub(crate) fn new(set: &str, reset: &'static str) -> Self {
        control(set);
        Self(reset)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = Command::new("v4l2-ctl")
            .args(["-d", CAMERA, "-c", self.0])
            .status();
    }
}

pub(crate) fn control(setting: &str) {
    let status = Command::new("v4l2-ctl")
        .args(["-d", CAMERA, "-c", setting])
        .status()
        .unwrap();
    assert!(status.success(), "{setting}");
}

pub(crate) fn write(path: &str, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}

pub(crate) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// `struct v4l2_control`
#[repr(C)]
pub(crate) struct Control {
    id: u32,
    value: i32,
}

/// Linux, drivers/media/test-drivers/vivid: `VIVID_CID_DISCONNECT`. The device is gone for whoever has it
/// open, and back when the last of them has closed it.
pub(crate) const DISCONNECT: u32 = 0x00f0_f000 + 65;

nix::ioctl_readwrite!(set_control, b'V', 28, Control);

pub(crate) fn disconnect() {
    let other = std::fs::File::options()
        .read(true)
        .write(true)
        .open(CAMERA)
        .unwrap();
    let mut control = Control {
        id: DISCONNECT,
        value: 1,
    };
    // SAFETY: the request reads and writes one control, which lives across the call.
    unsafe { set_control(std::os::fd::AsRawFd::as_raw_fd(&other), &raw mut control) }.unwrap();
}

pub(crate) fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}
