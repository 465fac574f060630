//! The strips for 64-bit ARM, of which every processor has these instructions.
#![allow(unsafe_code)]

use super::across::{Across, slot};
use super::fetch::{Fetch, REACH, Unpack};
use super::{BLOCK, GROUP, Line, Out, RowTap, STRIP, Scratch, Strips, Tile, start};
use crate::infer::TensorType;
use crate::preprocess::plan::Plan;
use std::arch::aarch64::{
    float32x4_t, float32x4x3_t, int32x4_t, uint8x8_t, uint8x8x3_t, uint16x8_t, uint16x8x3_t,
    vaddq_s32, vaddq_u16, vaddvq_s32, vandq_u16, vcombine_f16, vcombine_s16, vcvt_f16_f32,
    vcvtnq_s32_f32, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s16, vdupq_n_s32, vdupq_n_u16, vfmaq_f32,
    vget_low_s16, vget_low_u16, vld1q_lane_s32, vld1q_s16, vld1q_s32, vld1q_u8, vld1q_u16,
    vmaxq_f32, vminq_f32, vmlal_high_s16, vmovn_s16, vmovn_s32, vmull_high_s16, vmull_high_u16,
    vmull_s16, vmull_u16, vmulq_u16, vorrq_u8, vorrq_u16, vpaddq_s32, vqtbl1q_u8,
    vreinterpret_u8_s8, vreinterpretq_s16_s32, vreinterpretq_u16_f16, vreinterpretq_u16_u8,
    vreinterpretq_u16_u32, vshlq_u16, vshrq_n_u16, vst1_u8, vst1q_f32, vst1q_u16, vst3_u8,
    vst3q_f32, vst3q_u16, vuzp2q_u16,
};
use std::ops::Range;

/// Sixteen samples.
type Block = [uint16x8_t; 2];

/// As [`super::portable::down`].
pub(super) fn down(
    kind: &Fetch,
    frame: &[u8],
    taps: &[RowTap],
    blocks: Range<usize>,
    strip: &mut [i16; STRIP],
) {
    let run = match (&kind.unpack, kind.double) {
        (Unpack::Byte, false) => fetched::<BYTE, false>,
        (Unpack::Byte, true) => fetched::<BYTE, true>,
        (Unpack::Word { .. }, false) => fetched::<WORD, false>,
        (Unpack::Word { .. }, true) => fetched::<WORD, true>,
        (Unpack::Packed10(_), _) => fetched::<PACKED10, true>,
    };
    run(kind, frame, taps, blocks, strip);
}

const BYTE: u8 = 0;
const WORD: u8 = 1;
const PACKED10: u8 = 2;

fn fetched<const U: u8, const DOUBLE: bool>(
    kind: &Fetch,
    frame: &[u8],
    taps: &[RowTap],
    blocks: Range<usize>,
    strip: &mut [i16; STRIP],
) {
    let whole = blocks.end.min(kind.whole()).max(blocks.start);
    // The rows of whole blocks end inside the frame, or there are none.
    let inside = taps.iter().all(|tap| tap.at + kind.span <= frame.len());
    let start = start(taps, kind.unpack.zeros());
    for (block, out) in blocks.zip(strip.as_chunks_mut::<BLOCK>().0) {
        // SAFETY: NEON is part of the architecture.
        let mut sum = unsafe { [vdupq_n_u16(start); 2] };
        for tap in taps {
            let sample = if block < whole && inside {
                let at = tap.at + block * kind.advance;
                // SAFETY: a whole block's windows end inside its row, and the row inside the frame.
                unsafe { sixteen::<U, DOUBLE>(kind, frame, at) }
            } else {
                let mut end = [0; REACH];
                let row = frame.get(tap.at..tap.at + kind.span).unwrap_or_default();
                kind.copy(row, block, &mut end);
                // SAFETY: windows reach no further than `REACH`, which `Fetch::new` checked.
                unsafe { sixteen::<U, DOUBLE>(kind, &end, 0) }
            };
            for (sum, sample) in sum.iter_mut().zip(sample) {
                // SAFETY: NEON is part of the architecture.
                *sum = unsafe {
                    match taps.len() {
                        1 => vshrq_n_u16::<1>(sample),
                        _ => vaddq_u16(*sum, weighted(sample, vdupq_n_u16(tap.weight))),
                    }
                };
            }
        }
        for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sum) {
            // SAFETY: 16 writable bytes; the store needs no alignment.
            unsafe { vst1q_u16(out.as_mut_ptr().cast(), sum) };
        }
    }
}

/// The upper halves of the products.
#[inline]
#[target_feature(enable = "neon")]
fn weighted(sample: uint16x8_t, weight: uint16x8_t) -> uint16x8_t {
    let low = vmull_u16(vget_low_u16(sample), vget_low_u16(weight));
    let high = vmull_high_u16(sample, weight);
    vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high))
}

/// Sixteen samples, set to sixteen bits.
///
/// # Safety
/// `bytes` goes on for `kind.reach` bytes from `at`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sixteen<const U: u8, const DOUBLE: bool>(kind: &Fetch, bytes: &[u8], at: usize) -> Block {
    debug_assert!(at + kind.reach <= bytes.len());
    let [first, second] = &kind.tables;
    let mut block = [vdupq_n_u16(0); 2];
    for (half, word) in block.iter_mut().enumerate() {
        let [window, other] = kind.windows[half];
        // SAFETY: the windows end at most `kind.reach` bytes from `at`.
        let mut picked = unsafe { pick(bytes, at + window, first, half) };
        if DOUBLE {
            // SAFETY: as above.
            picked = vorrq_u8(picked, unsafe { pick(bytes, at + other, second, half) });
        }
        *word = vreinterpretq_u16_u8(picked);
        match (U, &kind.unpack) {
            (WORD, &Unpack::Word { right, left }) => {
                let shift = |by: i32| vdupq_n_s16(i16::try_from(by).unwrap_or(0));
                *word = vshlq_u16(*word, shift(-right.cast_signed()));
                *word = vshlq_u16(*word, shift(left.cast_signed()));
            }
            (PACKED10, Unpack::Packed10(factors)) => {
                // SAFETY: eight of sixteen numbers; the load needs no alignment.
                let factors = unsafe { vld1q_u16(factors[half * 8..].as_ptr()) };
                let low = vandq_u16(vmulq_u16(*word, factors), vdupq_n_u16(0x00c0));
                *word = vorrq_u16(vandq_u16(*word, vdupq_n_u16(0xff00)), low);
            }
            _ => {}
        }
    }
    block
}

/// The bytes of a window that one half of a table names.
///
/// # Safety
/// The window lies inside `bytes`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn pick(
    bytes: &[u8],
    at: usize,
    table: &[u8; 2 * BLOCK],
    half: usize,
) -> std::arch::aarch64::uint8x16_t {
    // SAFETY: inside `bytes`, by this function's requirement.
    let at = unsafe { bytes.as_ptr().add(at) };
    // SAFETY: sixteen readable bytes; the load needs no alignment.
    let window = unsafe { vld1q_u8(at) };
    // SAFETY: sixteen of 32 bytes; the load needs no alignment.
    let table = unsafe { vld1q_u8(table[half * BLOCK..].as_ptr()) };
    vqtbl1q_u8(window, table)
}

/// As [`super::portable::across`].
pub(super) fn across(
    strips: &Strips,
    plan: &Plan,
    tile: &Tile,
    scratch: &Scratch,
    line: &mut Line<'_>,
) {
    line.write(tile.group..tile.end, |groups, out| {
        let mut outs = out.map(|out| out.chunks_exact_mut(GROUP * plan.pixel_bytes()));
        for group in groups {
            let out = outs.each_mut().map(|out| out.next().unwrap_or_default());
            // SAFETY: NEON is part of the architecture.
            unsafe { eight(strips, plan, scratch, group, out) };
        }
    });
}

/// Writes eight positions: `out` has exactly their bytes in each plane.
#[target_feature(enable = "neon")]
fn eight(strips: &Strips, plan: &Plan, scratch: &Scratch, group: usize, out: Out<'_>) {
    let mut values = [[vdupq_n_f32(0.0); 2]; 3];
    for (value, channel) in values.iter_mut().zip(&strips.channels) {
        *value = [vdupq_n_f32(channel.one); 2];
    }
    for (sample, fetch) in strips.fetches.iter().enumerate() {
        let across = &strips.across[fetch.class()];
        let strip = &scratch.samples[sample];
        let mixed = if across.chunks == 0 {
            pairs(strip, across, group)
        } else {
            runs(strip, across, group)
        };
        let numbers = mixed.map(|mixed| vcvtq_f32_s32(mixed));
        for (value, channel) in values.iter_mut().zip(&strips.channels) {
            let gain = vdupq_n_f32(channel.gain[sample]);
            for (value, number) in value.iter_mut().zip(numbers) {
                *value = vfmaq_f32(*value, gain, number);
            }
        }
    }
    for (value, channel) in values.iter_mut().zip(&strips.channels) {
        *value = value.map(|value| clamp(value, channel.low, channel.high));
    }
    let [first, second, third] = out;
    if plan.planes == 1 {
        return store(plan.kind, plan.channels, values, first);
    }
    for (out, value) in [first, second, third].into_iter().zip(values) {
        store(plan.kind, 1, [value; 3], out);
    }
}

/// Writes eight pixels, of the first channel or of three: `out` has exactly their bytes.
#[inline]
#[target_feature(enable = "neon")]
fn store(kind: TensorType, channels: usize, values: [[float32x4_t; 2]; 3], out: &mut [u8]) {
    match kind {
        TensorType::F32 => return store_floats(channels, values, out),
        TensorType::F16 => {
            return store_halves(channels, values.map(|value| half(value)), out);
        }
        TensorType::U8 | TensorType::I8 => {}
    }
    let bytes = values.map(|value| {
        let [low, high] = value.map(|value| vmovn_s32(vcvtnq_s32_f32(value)));
        vreinterpret_u8_s8(vmovn_s16(vcombine_s16(low, high)))
    });
    store_bytes(channels, bytes, out);
}

#[inline]
#[target_feature(enable = "neon")]
fn clamp(value: float32x4_t, low: f32, high: f32) -> float32x4_t {
    vminq_f32(vmaxq_f32(value, vdupq_n_f32(low)), vdupq_n_f32(high))
}

#[inline]
#[target_feature(enable = "neon")]
fn store_floats(channels: usize, [r, g, b]: [[float32x4_t; 2]; 3], out: &mut [u8]) {
    for half in 0..2 {
        if channels == 3 {
            if let Some(out) = out.as_chunks_mut::<48>().0.get_mut(half) {
                let triple = float32x4x3_t(r[half], g[half], b[half]);
                // SAFETY: 48 writable bytes; the store needs no alignment.
                unsafe { vst3q_f32(out.as_mut_ptr().cast(), triple) };
            }
        } else if let Some(out) = out.as_chunks_mut::<16>().0.get_mut(half) {
            // SAFETY: 16 writable bytes; the store needs no alignment.
            unsafe { vst1q_f32(out.as_mut_ptr().cast(), r[half]) };
        }
    }
}

/// In half precision, rounded to nearest, ties to even, as every thread's control register says at first.
#[inline]
#[target_feature(enable = "neon")]
fn half([low, high]: [float32x4_t; 2]) -> uint16x8_t {
    vreinterpretq_u16_f16(vcombine_f16(vcvt_f16_f32(low), vcvt_f16_f32(high)))
}

#[inline]
#[target_feature(enable = "neon")]
fn store_halves(channels: usize, [r, g, b]: [uint16x8_t; 3], out: &mut [u8]) {
    if channels == 3 {
        if let Some(out) = out.first_chunk_mut::<{ 6 * GROUP }>() {
            // SAFETY: 48 writable bytes; the store needs no alignment.
            unsafe { vst3q_u16(out.as_mut_ptr().cast(), uint16x8x3_t(r, g, b)) };
        }
    } else if let Some(out) = out.first_chunk_mut::<{ 2 * GROUP }>() {
        // SAFETY: 16 writable bytes; the store needs no alignment.
        unsafe { vst1q_u16(out.as_mut_ptr().cast(), r) };
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn store_bytes(channels: usize, [r, g, b]: [uint8x8_t; 3], out: &mut [u8]) {
    if channels == 3 {
        if let Some(out) = out.first_chunk_mut::<{ 3 * GROUP }>() {
            // SAFETY: 24 writable bytes.
            unsafe { vst3_u8(out.as_mut_ptr(), uint8x8x3_t(r, g, b)) };
        }
    } else if let Some(out) = out.first_chunk_mut::<GROUP>() {
        // SAFETY: 8 writable bytes.
        unsafe { vst1_u8(out.as_mut_ptr(), r) };
    }
}

/// The mixtures of two elements each.
#[inline]
#[target_feature(enable = "neon")]
fn pairs(strip: &[i16; STRIP], across: &Across, group: usize) -> [int32x4_t; 2] {
    let mut mixed = [vdupq_n_s32(0); 2];
    let (Some(starts), Some(weights)) = (across.starts.get(group), across.pairs.get(group)) else {
        return mixed;
    };
    let halves = starts
        .as_chunks::<4>()
        .0
        .iter()
        .zip(weights.as_chunks::<4>().0);
    for (mixed, (starts, weights)) in mixed.iter_mut().zip(halves) {
        let [a, b, c, d] = starts.map(|start| strip.as_ptr().wrapping_add(start as usize).cast());
        let mut words = vdupq_n_s32(0);
        // SAFETY: `Across::new` left every start eight elements short of the strip's end; the loads of
        // lanes need no alignment.
        unsafe {
            words = vld1q_lane_s32::<0>(a, words);
            words = vld1q_lane_s32::<1>(b, words);
            words = vld1q_lane_s32::<2>(c, words);
            words = vld1q_lane_s32::<3>(d, words);
        }
        // SAFETY: four readable numbers.
        let weights = vreinterpretq_s16_s32(unsafe { vld1q_s32(weights.as_ptr()) });
        let words = vreinterpretq_s16_s32(words);
        let low = vmull_s16(vget_low_s16(words), vget_low_s16(weights));
        *mixed = vpaddq_s32(low, vmull_high_s16(words, weights));
    }
    mixed
}

/// The mixtures of runs of elements.
#[inline]
#[target_feature(enable = "neon")]
fn runs(strip: &[i16; STRIP], across: &Across, group: usize) -> [int32x4_t; 2] {
    let mut mixed = [[0_i32; 4]; 2];
    let starts = across.starts.get(group).copied().unwrap_or_default();
    for (lane, (mixed, start)) in mixed.as_flattened_mut().iter_mut().zip(starts).enumerate() {
        let mut sum = vdupq_n_s32(0);
        for chunk in 0..across.chunks {
            let from = start as usize + 8 * chunk;
            let weights = across
                .weights
                .get((group * across.chunks + chunk) * GROUP + slot(lane));
            let elements = strip.get(from..).and_then(|strip| strip.first_chunk::<8>());
            let (Some(weights), Some(elements)) = (weights, elements) else {
                continue;
            };
            // SAFETY: eight readable numbers each.
            let (weights, elements) =
                unsafe { (vld1q_s16(weights.as_ptr()), vld1q_s16(elements.as_ptr())) };
            let low = vmull_s16(vget_low_s16(elements), vget_low_s16(weights));
            sum = vaddq_s32(sum, vmlal_high_s16(low, elements, weights));
        }
        *mixed = vaddvq_s32(sum);
    }
    // SAFETY: four readable numbers each.
    mixed.map(|half| unsafe { vld1q_s32(half.as_ptr()) })
}
