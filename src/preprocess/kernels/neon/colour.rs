//! Filtered samples to pixels, eight at once.

use crate::infer::TensorType;
use crate::preprocess::kernels::gains::Gains;
use crate::preprocess::kernels::output_line::PlaneParts;
use crate::preprocess::kernels::scratch::Filtered;
use crate::preprocess::kernels::sizes::{BATCH, GROUP};
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::layout::TensorLayout;
use std::arch::aarch64::{
    float32x4_t, float32x4x3_t, uint8x8_t, uint8x8x3_t, uint16x8_t, uint16x8x3_t, vcombine_f16,
    vcombine_s16, vcvt_f16_f32, vcvtnq_s32_f32, vdupq_n_f32, vfmaq_laneq_f32, vld1q_f32, vmaxq_f32,
    vminq_f32, vmovn_s16, vmovn_s32, vreinterpret_u8_s8, vreinterpretq_u16_f16, vst1_u8, vst1q_f32,
    vst1q_u16, vst3_u8, vst3q_f32, vst3q_u16,
};

/// What makes pixels of filtered samples: as many as it is given bytes for, at most a batch.
pub(super) fn colour(tables: &Tables, layout: &TensorLayout) -> impl Fn(&Filtered, PlaneParts<'_>) {
    let run = match (tables.fetches.len(), layout.channels, layout.planes) {
        (1, 1, _) => colours_as::<1, 1, 1>(layout.kind),
        (1, _, 1) => colours_as::<1, 3, 1>(layout.kind),
        (1, _, _) => colours_as::<1, 3, 3>(layout.kind),
        (3, 1, _) => colours_as::<3, 1, 1>(layout.kind),
        (3, _, 1) => colours_as::<3, 3, 1>(layout.kind),
        (3, _, _) => colours_as::<3, 3, 3>(layout.kind),
        (_, 1, _) => colours_as::<4, 1, 1>(layout.kind),
        (_, _, 1) => colours_as::<4, 3, 1>(layout.kind),
        (_, _, _) => colours_as::<4, 3, 3>(layout.kind),
    };
    // SAFETY: NEON is part of the architecture.
    move |filtered, out| unsafe { run(&tables.gains, filtered, out) }
}

/// What makes pixels of filtered samples.
type Run = unsafe fn(&[Gains; 3], &Filtered, PlaneParts<'_>);

/// Of `S` samples `C` channels in `P` planes.
const fn colours_as<const S: usize, const C: usize, const P: usize>(kind: TensorType) -> Run {
    match kind {
        TensorType::F32 => colours::<S, C, P, FLOATS>,
        TensorType::F16 => colours::<S, C, P, HALVES>,
        TensorType::U8 | TensorType::I8 => colours::<S, C, P, BYTES>,
    }
}

/// What is stored, by the bytes of it.
const FLOATS: usize = 4;
const HALVES: usize = 2;
const BYTES: usize = 1;

/// Eight numbers.
type Eight = [float32x4_t; 2];

/// Writes pixels of `S` samples, `C` channels and `P` planes: as many as `out` has bytes for. Nothing is called for
/// them, so that what stays the same stays in registers.
#[target_feature(enable = "neon")]
fn colours<const S: usize, const C: usize, const P: usize, const K: usize>(
    gains: &[Gains; 3],
    filtered: &Filtered,
    out: PlaneParts<'_>,
) {
    let mut ones = [vdupq_n_f32(0.0); C];
    let mut limits = [[vdupq_n_f32(0.0); 2]; C];
    // One register for the factors of all samples.
    let mut factors = [vdupq_n_f32(0.0); C];
    for channel in 0..C {
        let gains = &gains[channel];
        ones[channel] = vdupq_n_f32(gains.one);
        limits[channel] = [vdupq_n_f32(gains.low), vdupq_n_f32(gains.high)];
        // SAFETY: four readable numbers; the load needs no alignment.
        factors[channel] = unsafe { vld1q_f32(gains.gain.as_ptr()) };
    }
    let [first, second, third] = out;
    let bytes = GROUP * C / P * K;
    let mut second = second.chunks_exact_mut(bytes);
    let mut third = third.chunks_exact_mut(bytes);
    for (index, out) in (0..BATCH).zip(first.chunks_exact_mut(bytes)) {
        let mut numbers = [[vdupq_n_f32(0.0); 2]; S];
        for sample in 0..S {
            numbers[sample] = load(&filtered[sample].0[index]);
        }
        let mut values = [[vdupq_n_f32(0.0); 2]; C];
        for channel in 0..C {
            for half in 0..2 {
                let mut sum = ones[channel];
                for sample in 0..S {
                    let number = numbers[sample][half];
                    sum = match sample {
                        0 => vfmaq_laneq_f32::<0>(sum, number, factors[channel]),
                        1 => vfmaq_laneq_f32::<1>(sum, number, factors[channel]),
                        2 => vfmaq_laneq_f32::<2>(sum, number, factors[channel]),
                        _ => vfmaq_laneq_f32::<3>(sum, number, factors[channel]),
                    };
                }
                let [low, high] = limits[channel];
                values[channel][half] = vminq_f32(vmaxq_f32(sum, low), high);
            }
        }
        if P == 1 {
            store::<C, K>(values, out);
        } else {
            store::<1, K>([values[0]], out);
            store::<1, K>([values[1 % C]], second.next().unwrap_or_default());
            store::<1, K>([values[2 % C]], third.next().unwrap_or_default());
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(numbers: &[f32; GROUP]) -> Eight {
    let (halves, _) = numbers.as_chunks::<4>();
    // SAFETY: four readable numbers; the load needs no alignment.
    let low = unsafe { vld1q_f32(halves[0].as_ptr()) };
    // SAFETY: as above.
    [low, unsafe { vld1q_f32(halves[1].as_ptr()) }]
}

/// Writes eight pixels: `out` has exactly their bytes.
#[inline]
#[target_feature(enable = "neon")]
fn store<const C: usize, const K: usize>(values: [Eight; C], out: &mut [u8]) {
    match K {
        FLOATS => store_floats(values, out),
        HALVES => {
            let mut halves = [half(values[0]); C];
            for channel in 1..C {
                halves[channel] = half(values[channel]);
            }
            store_halves(halves, out);
        }
        _ => {
            let mut bytes = [quantised(values[0]); C];
            for channel in 1..C {
                bytes[channel] = quantised(values[channel]);
            }
            store_bytes(bytes, out);
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn store_floats<const C: usize>(values: [Eight; C], out: &mut [u8]) {
    for half in 0..2 {
        if C == 3 {
            if let Some(out) = out.as_chunks_mut::<48>().0.get_mut(half) {
                let triple =
                    float32x4x3_t(values[0][half], values[1 % C][half], values[2 % C][half]);
                // SAFETY: 48 writable bytes; the store needs no alignment.
                unsafe { vst3q_f32(out.as_mut_ptr().cast(), triple) };
            }
        } else if let Some(out) = out.as_chunks_mut::<16>().0.get_mut(half) {
            // SAFETY: 16 writable bytes; the store needs no alignment.
            unsafe { vst1q_f32(out.as_mut_ptr().cast(), values[0][half]) };
        }
    }
}

/// In half precision, rounded to nearest, ties to even, as every thread's control register says at first.
#[inline]
#[target_feature(enable = "neon")]
fn half([low, high]: Eight) -> uint16x8_t {
    vreinterpretq_u16_f16(vcombine_f16(vcvt_f16_f32(low), vcvt_f16_f32(high)))
}

#[inline]
#[target_feature(enable = "neon")]
fn store_halves<const C: usize>(values: [uint16x8_t; C], out: &mut [u8]) {
    if C == 3 {
        if let Some(out) = out.first_chunk_mut::<{ 6 * GROUP }>() {
            let triple = uint16x8x3_t(values[0], values[1 % C], values[2 % C]);
            // SAFETY: 48 writable bytes; the store needs no alignment.
            unsafe { vst3q_u16(out.as_mut_ptr().cast(), triple) };
        }
    } else if let Some(out) = out.first_chunk_mut::<{ 2 * GROUP }>() {
        // SAFETY: 16 writable bytes; the store needs no alignment.
        unsafe { vst1q_u16(out.as_mut_ptr().cast(), values[0]) };
    }
}

/// Rounded to nearest, ties to even: the low byte.
#[inline]
#[target_feature(enable = "neon")]
fn quantised(value: Eight) -> uint8x8_t {
    let [low, high] = value.map(|value| vmovn_s32(vcvtnq_s32_f32(value)));
    vreinterpret_u8_s8(vmovn_s16(vcombine_s16(low, high)))
}

#[inline]
#[target_feature(enable = "neon")]
fn store_bytes<const C: usize>(values: [uint8x8_t; C], out: &mut [u8]) {
    if C == 3 {
        if let Some(out) = out.first_chunk_mut::<{ 3 * GROUP }>() {
            let triple = uint8x8x3_t(values[0], values[1 % C], values[2 % C]);
            // SAFETY: 24 writable bytes.
            unsafe { vst3_u8(out.as_mut_ptr(), triple) };
        }
    } else if let Some(out) = out.first_chunk_mut::<GROUP>() {
        // SAFETY: 8 writable bytes.
        unsafe { vst1_u8(out.as_mut_ptr(), values[0]) };
    }
}
