//! Sums as numbers.

use crate::preprocess::kernels::sizes::GROUP;
use std::arch::aarch64::{int32x4_t, vcvtq_f32_s32, vst1q_f32};

/// The sums of a group as numbers.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store_numbers(out: &mut [f32; GROUP], sums: [int32x4_t; 2]) {
    for (out, sum) in out.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        // SAFETY: 16 writable bytes; the store needs no alignment.
        unsafe { vst1q_f32(out.as_mut_ptr(), vcvtq_f32_s32(sum)) };
    }
}
