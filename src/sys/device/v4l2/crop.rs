//! The part of its sensor that a camera shows.
//!
//! # Source
//! Kernel documentation, "ioctl VIDIOC_G_SELECTION, VIDIOC_S_SELECTION".

use super::error::CameraErrorKind;
use super::ioctl::{get_selection, set_selection, v4l2_selection, zeroed};
use crate::capture::SourceError;
use nix::libc;
use std::os::fd::OwnedFd;
use v4l::v4l_sys::{
    V4L2_SEL_TGT_CROP, V4L2_SEL_TGT_CROP_BOUNDS, v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE,
    v4l2_rect,
};

/// Left, top, width and height.
pub(super) type Rectangle = [u32; 4];

/// Sets the crop, and reads it back.
///
/// # Errors
/// The camera has none, or makes another one of it: with its bounds.
pub(super) fn set_crop(fd: &OwnedFd, wanted: Rectangle) -> Result<(), CameraErrorKind> {
    let bounds = || select(fd, V4L2_SEL_TGT_CROP_BOUNDS);
    match change(fd, wanted) {
        Ok(given) if given == wanted => Ok(()),
        Ok(given) => Err(CameraErrorKind::Crop {
            expected: wanted,
            found: Some(given),
            bounds: bounds().ok(),
        }),
        Err(error) if error.errno == libc::EBUSY => Err(CameraErrorKind::Kernel(error)),
        Err(_) => Err(CameraErrorKind::Crop {
            expected: wanted,
            found: None,
            bounds: bounds().ok(),
        }),
    }
}

/// Sets it again as it was. Does not allocate.
pub(super) fn apply_crop(fd: &OwnedFd, wanted: Rectangle) -> Result<(), SourceError> {
    if change(fd, wanted)? == wanted {
        Ok(())
    } else {
        let operation = "VIDIOC_S_SELECTION (another crop than before)";
        Err(SourceError::new(operation, libc::EINVAL))
    }
}

/// What the crop became.
fn change(fd: &OwnedFd, [left, top, width, height]: Rectangle) -> Result<Rectangle, SourceError> {
    let whole = |number| i32::try_from(number).unwrap_or(i32::MAX);
    let mut raw = selection(V4L2_SEL_TGT_CROP);
    raw.r = v4l2_rect {
        left: whole(left),
        top: whole(top),
        width,
        height,
    };
    set_selection(fd, &mut raw)?;
    select(fd, V4L2_SEL_TGT_CROP)
}

/// A rectangle of the camera's.
fn select(fd: &OwnedFd, target: u32) -> Result<Rectangle, SourceError> {
    let mut raw = selection(target);
    get_selection(fd, &mut raw)?;
    let v4l2_rect {
        left,
        top,
        width,
        height,
    } = raw.r;
    let corner = |number| u32::try_from(number).unwrap_or(0);
    Ok([corner(left), corner(top), width, height])
}

/// Multi-planar queues are asked by the single-planar type as well: so the documentation has it.
fn selection(target: u32) -> v4l2_selection {
    v4l2_selection {
        type_: v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE,
        target,
        ..zeroed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_have_the_numbers_of_the_kernels_header() {
        assert_eq!(size_of::<v4l2_selection>(), 64);
        let of = |number| nix::request_code_readwrite!(b'V', number, size_of::<v4l2_selection>());
        assert_eq!((of(94), of(95)), (0xC040_565E, 0xC040_565F));
    }

    #[test]
    fn what_has_no_crop_is_refused_with_what_was_asked_for() {
        let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        let expected = [8, 8, 640, 480];
        let refused = CameraErrorKind::Crop {
            expected,
            found: None,
            bounds: None,
        };
        assert_eq!(set_crop(&null, expected), Err(refused));
        let error = apply_crop(&null, expected).unwrap_err();
        assert_eq!(error, SourceError::new("VIDIOC_S_SELECTION", libc::ENOTTY));
    }
}
