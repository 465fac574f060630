//! Pictures that are made straight from the frame, against the plain computation, and those that cannot be.

use super::{HD, close, format, noise, simple, tensor};
use crate::board::{Fit, Resample};
use crate::frame::PixelFormat;
use crate::infer::TensorType;
use crate::preprocess::{Kernel, Plan};

/// Whether this machine makes pictures straight from the frame.
pub(super) fn is_there() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vnni")
}

/// Whether this machine has what the kernel of that name takes.
pub(super) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

fn plan(pixel: PixelFormat, width_px: u32, side: usize, resample: Resample) -> Plan {
    let stride = u32::try_from(pixel.row_bytes(width_px)).unwrap();
    let format = format(pixel, width_px, 96, stride, HD);
    let info = tensor(12, side, 3, TensorType::F32);
    let preparation = simple(Fit::Stretch, resample);
    let frame = noise(format.size_bytes as usize, 7);
    let what = format!("{pixel:?} {side}");
    close(&format, &info, &preparation, &frame, &what).swap_remove(0)
}

#[test]
fn samples_of_a_byte_come_straight_from_the_frame_wherever_their_columns_lie() {
    use PixelFormat::{Grey, Nv12, Rgb24, Sbggr8, Uyvy, Yu12, Yuyv};
    // As it is, one register, two, two of each eight positions; the last of a row's windows ends with it.
    for pixel in [Nv12, Yuyv, Uyvy, Yu12, Rgb24, Grey, Sbggr8] {
        for side in [1920, 1300, 640, 304, 136] {
            for resample in [Resample::Bilinear, Resample::Nearest] {
                let plan = plan(pixel, 1920, side, resample);
                // Eight positions of 136 span 101 pixels, those of 304 span 47.
                let is_near = match pixel {
                    Rgb24 => side > 304,
                    Yuyv | Uyvy => side > 136,
                    // Its squares are 960.
                    Sbggr8 => side <= 960,
                    _ => true,
                };
                let is_direct = plan.kernel() == Kernel::Avx512Direct;
                assert_eq!(is_direct, is_there() && is_near, "{pixel:?} {side}");
            }
        }
    }
}

#[test]
fn short_rows_many_rows_words_and_enlarged_pictures_go_by_the_strips() {
    for (pixel, width_px, side, resample) in [
        (PixelFormat::Nv12, 62, 24, Resample::Bilinear),
        (PixelFormat::Nv12, 304, 320, Resample::Bilinear),
        (PixelFormat::Nv12, 1920, 304, Resample::Area),
        (PixelFormat::Y16, 1920, 304, Resample::Bilinear),
    ] {
        let plan = plan(pixel, width_px, side, resample);
        assert_ne!(
            plan.kernel(),
            Kernel::Avx512Direct,
            "{pixel:?} {resample:?}"
        );
        assert!(plan.with_kernel(Kernel::Avx512Direct).is_none());
    }
}
