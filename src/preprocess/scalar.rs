//! The kernel in plain Rust: the reference for the others.
//!
//! Each tap is converted and clamped before it is mixed, as if the whole picture had been converted
//! first: mixing Y'CbCr instead would differ wherever a colour lies outside the gamut.

use super::colour::{Channel, Conversion};
use super::plan::{GROUP, Plan, Row};
use crate::infer::TensorType;

type Lanes = [f32; GROUP];

/// Adding it leaves a number below 2^22 rounded to nearest, ties to even, in the low mantissa bits.
const ROUNDER: f32 = 12_582_912.0;

/// The byte that stores `value`, clamped to the type's range: two's complement for signed types.
#[allow(clippy::cast_possible_truncation)] // The low byte of the mantissa is the rounded number.
pub(super) fn quantise(value: f32, least: f32, greatest: f32) -> u8 {
    (value.max(least).min(greatest) + ROUNDER).to_bits() as u8
}

/// Writes the pixels of one output row into `line`.
pub(super) fn write_row(plan: &Plan, frame: &[u8], row: &Row, line: &mut [u8]) {
    match (plan.kind, plan.channels) {
        (TensorType::F32, 3) => groups::<3, 12>(plan, frame, row, line, store_f32),
        (TensorType::F32, _) => groups::<1, 4>(plan, frame, row, line, store_f32),
        (_, 3) => groups::<3, 3>(plan, frame, row, line, store_quantised),
        _ => groups::<1, 1>(plan, frame, row, line, store_quantised),
    }
}

/// `C` channels, `B` bytes for each pixel.
#[inline(always)]
fn groups<const C: usize, const B: usize>(
    plan: &Plan,
    frame: &[u8],
    row: &Row,
    line: &mut [u8],
    store: impl Fn(&Conversion, &[Lanes; C], &mut [[u8; B]]),
) {
    let luma = row.luma.map(|at| span(frame, at, plan.luma_span));
    let chroma = row.chroma.map(|at| span(frame, at, plan.chroma_span));
    let columns = &plan.columns;
    let taps = columns.luma.as_chunks::<GROUP>().0.iter();
    let taps = taps
        .zip(columns.chroma[0].as_chunks().0)
        .zip(columns.chroma[1].as_chunks().0);
    let taps = taps.zip(columns.weight.as_chunks().0);
    let pixels = line.as_chunks_mut::<B>().0.chunks_mut(GROUP);
    for ((((y, c0), c1), weight), pixels) in taps.zip(pixels) {
        let mixed = [0, 1].map(|r| {
            let left = convert::<C>(plan, luma[r], chroma[r], y, 0, c0);
            let right = convert::<C>(plan, luma[r], chroma[r], y, plan.luma_step, c1);
            mix_lanes(&left, &right, weight)
        });
        let value = mix_lanes(&mixed[0], &mixed[1], &[row.weight; GROUP]);
        store(&plan.conversion, &value, pixels);
    }
}

/// `length` bytes at `at`. A plan's offsets lie inside its frames, so that the empty case is not reached.
#[inline(always)]
fn span(frame: &[u8], at: usize, length: usize) -> &[u8] {
    frame.get(at..at + length).unwrap_or_default()
}

#[inline(always)]
fn sample(row: &[u8], at: usize) -> f32 {
    f32::from(row.get(at).copied().unwrap_or_default())
}

/// One tap of each lane, converted and clamped.
#[inline(always)]
fn convert<const C: usize>(
    plan: &Plan,
    luma: &[u8],
    chroma: &[u8],
    luma_at: &[u32; GROUP],
    luma_step: usize,
    chroma_at: &[u32; GROUP],
) -> [Lanes; C] {
    let y = luma_at.map(|at| sample(luma, at as usize + luma_step));
    let Conversion {
        channels,
        low,
        high,
        ..
    } = plan.conversion;
    let clamped = |value: f32| value.max(low).min(high);
    if C == 1 {
        let Channel { y: gain, one, .. } = channels[0];
        return [y.map(|y| clamped(gain * y + one)); C];
    }
    let cb = chroma_at.map(|at| sample(chroma, at as usize));
    let cr = chroma_at.map(|at| sample(chroma, at as usize + plan.cr_step));
    std::array::from_fn(|c| {
        let k = channels[c];
        std::array::from_fn(|i| clamped(k.y * y[i] + (k.cb * cb[i] + (k.cr * cr[i] + k.one))))
    })
}

#[inline(always)]
fn mix_lanes<const C: usize>(a: &[Lanes; C], b: &[Lanes; C], weight: &Lanes) -> [Lanes; C] {
    std::array::from_fn(|c| std::array::from_fn(|i| a[c][i] + weight[i] * (b[c][i] - a[c][i])))
}

#[inline(always)]
fn store_f32<const C: usize, const B: usize>(
    _: &Conversion,
    value: &[Lanes; C],
    pixels: &mut [[u8; B]],
) {
    for (i, pixel) in pixels.iter_mut().enumerate().take(GROUP) {
        for (channel, bytes) in value.iter().zip(pixel.as_chunks_mut::<4>().0) {
            *bytes = channel[i].to_ne_bytes();
        }
    }
}

#[inline(always)]
fn store_quantised<const C: usize, const B: usize>(
    conversion: &Conversion,
    value: &[Lanes; C],
    pixels: &mut [[u8; B]],
) {
    for (i, pixel) in pixels.iter_mut().enumerate().take(GROUP) {
        for (channel, byte) in value.iter().zip(pixel) {
            *byte = quantise(channel[i], conversion.least, conversion.greatest);
        }
    }
}
