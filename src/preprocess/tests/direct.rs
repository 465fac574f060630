//! Images that are made straight from the frame, against the plain computation, and those that cannot be.
#![allow(unsafe_code)] // Frames between pages that nothing may read.

use super::{HD, close, format, has_direct, kernels, noise, simple, tensor};
use crate::frame::{PixelFormat, StreamFormat};
use crate::infer::{TensorInfo, TensorType};
use crate::preprocess::{Kernel, Plan};
use crate::profile::{Fit, Resample};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// This architecture's.
#[cfg(target_arch = "x86_64")]
const DIRECT: Kernel = Kernel::Avx2Direct;
#[cfg(target_arch = "aarch64")]
const DIRECT: Kernel = Kernel::NeonDirect;

/// A picture of 96 lines, to twelve.
fn ends(pixel: PixelFormat, width_px: u32, side: usize) -> (StreamFormat, TensorInfo) {
    let stride = u32::try_from(pixel.row_bytes(width_px)).unwrap();
    let format = format(pixel, width_px, 96, stride, HD);
    (format, tensor(12, side, 3, TensorType::F32))
}

/// The plan on the fastest kernel; it is close to the plain computation on each.
fn plan(pixel: PixelFormat, width_px: u32, side: usize, resample: Resample) -> Plan {
    let (format, info) = ends(pixel, width_px, side);
    let preparation = simple(Fit::Stretch, resample);
    let frame = noise(format.size_bytes as usize, 7);
    let what = format!("{pixel:?} {side}");
    close(&format, &info, &preparation, &frame, &what).swap_remove(0)
}

#[test]
fn samples_of_a_byte_come_straight_from_the_frame_wherever_their_columns_lie() {
    use PixelFormat::{Grey, Nv12, Rgb24, Sbggr8, Uyvy, Yu12, Yuyv};
    // In every way in which windows lie. The last of a row's windows ends with it.
    for pixel in [Nv12, Yuyv, Uyvy, Yu12, Rgb24, Grey, Sbggr8] {
        for side in [1920, 1300, 640, 304, 136, 56] {
            for resample in [Resample::Bilinear, Resample::Nearest] {
                let plan = plan(pixel, 1920, side, resample);
                // Its squares are 960.
                let is_enlarged = pixel == Sbggr8 && side > 960;
                let expected = has_direct() && !is_enlarged;
                let direct = plan.clone().with_kernel(DIRECT);
                assert_eq!(direct.is_some(), expected, "{pixel:?} {side}");
                // It is taken where it can be.
                assert_eq!(plan.kernel() == DIRECT, expected);
            }
        }
    }
}

#[test]
fn words_of_at_most_fifteen_bits_come_straight_from_the_frame_with_neon() {
    use PixelFormat::{Rgb565, Srggb10, Y10, Y12};
    for pixel in [Srggb10, Y10, Y12, Rgb565] {
        for side in [960, 640, 304, 136, 56] {
            let plan = plan(pixel, 1920, side, Resample::Bilinear);
            let expected = cfg!(target_arch = "aarch64");
            assert_eq!(plan.kernel() == DIRECT, expected, "{pixel:?} {side}");
        }
    }
}

#[test]
fn short_rows_many_rows_words_and_enlarged_images_go_by_row_buffers() {
    for (pixel, width_px, side, resample) in [
        (PixelFormat::Nv12, 14, 8, Resample::Bilinear),
        (PixelFormat::Nv12, 304, 320, Resample::Bilinear),
        (PixelFormat::Nv12, 1920, 304, Resample::Area),
        (PixelFormat::Y16, 1920, 304, Resample::Bilinear),
    ] {
        let plan = plan(pixel, width_px, side, resample);
        assert_ne!(plan.kernel(), DIRECT, "{pixel:?} {width_px} {resample:?}");
        assert!(plan.with_kernel(DIRECT).is_none());
    }
}

/// Bytes of a page of every machine.
const PAGE: usize = 64 * 1024;

/// Whole pages between two that nothing may read.
struct Walled {
    outer: NonNull<c_void>,
    bytes: usize,
}

impl Walled {
    fn of(bytes: usize) -> Self {
        let bytes = bytes.next_multiple_of(PAGE);
        let length = NonZeroUsize::new(bytes + 2 * PAGE).unwrap();
        // SAFETY: a new private mapping without an address disturbs no other.
        let outer =
            unsafe { mmap_anonymous(None, length, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) };
        let walled = Self {
            outer: outer.unwrap(),
            bytes,
        };
        let open = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: these pages lie inside the mapping, and nobody else knows of them.
        unsafe { mprotect(walled.start(), bytes, open) }.unwrap();
        walled
    }

    fn start(&self) -> NonNull<c_void> {
        // SAFETY: inside the mapping, which is longer.
        unsafe { self.outer.byte_add(PAGE) }
    }

    fn whole(&mut self) -> &mut [u8] {
        // SAFETY: these pages are mapped to be read and written, as long as `self` lives, and are lent once.
        unsafe { std::slice::from_raw_parts_mut(self.start().as_ptr().cast(), self.bytes) }
    }
}

impl Drop for Walled {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, of which nothing is lent.
        unsafe { munmap(self.outer, self.bytes + 2 * PAGE) }.unwrap();
    }
}

#[test]
fn no_kernel_reads_a_byte_before_or_behind_the_frame() {
    use PixelFormat::{Grey, Nv12, Rgb24, Sbggr8, Srggb10, Uyvy, Y16, Yu12, Yuyv};
    let mut runs = 0;
    for pixel in [Nv12, Yuyv, Uyvy, Yu12, Rgb24, Grey, Sbggr8, Y16, Srggb10] {
        for side in [1300, 640, 304, 136, 56] {
            let (format, info) = ends(pixel, 1920, side);
            let preparation = simple(Fit::Stretch, Resample::Bilinear);
            let plan = Plan::prepared(&format, &info, &preparation).unwrap();
            let frame = noise(plan.frame_bytes(), 9);
            let mut walled = Walled::of(frame.len());
            let behind = walled.bytes - frame.len();
            for plan in kernels(&plan) {
                let run = |frame: &[u8]| {
                    let mut out = vec![0x55; plan.tensor_bytes()];
                    plan.run(frame, &mut out).unwrap();
                    out
                };
                let expected = run(&frame);
                for at in [0, behind] {
                    let part = &mut walled.whole()[at..at + frame.len()];
                    part.copy_from_slice(&frame);
                    assert!(
                        run(part) == expected,
                        "{pixel:?} {side} {}",
                        plan.kernel().name()
                    );
                    runs += 1;
                }
            }
        }
    }
    assert!(runs >= 9 * 5 * 2 * 2, "{runs}");
}
