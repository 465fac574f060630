//! Of a camera that this user may not open.

use crate::inside::camera::{CAMERA, here, request};
use pinsight::frame::PixelFormat;
use pinsight::profile::Io;
use pinsight::sys::device::v4l2::{CameraErrorKind, UnarmedCamera};
use std::path::Path;

#[test]
#[ignore = "inside the guest"]
fn a_camera_without_permission_says_so() {
    if here("denied") {
        let asked = request(PixelFormat::Nv12);
        let error = UnarmedCamera::open(Path::new(CAMERA), &asked, Io::Auto).unwrap_err();
        println!("{error}");
        assert_eq!(error.kind, CameraErrorKind::Denied);
        assert!(error.to_string().contains("group"), "{error}");
    }
}
