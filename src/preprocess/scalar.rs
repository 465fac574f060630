//! The kernel in plain Rust: the reference for the others.
//!
//! Each tap is converted and clamped before it is mixed, as if the whole picture had been converted
//! first: mixing Y'CbCr instead would differ wherever a colour lies outside the gamut.

use super::colour::{Channel, Conversion};
use super::plan::{GROUP, Plan};
use super::sampling::Row;
use crate::frame::{Sample, Store};
use crate::infer::TensorType;

type Lanes = [f32; GROUP];

/// Adding it leaves a number below 2^22 rounded to nearest, ties to even, in the low mantissa bits.
const ROUNDER: f32 = 12_582_912.0;

/// The byte that stores `value`, clamped to the type's range: two's complement for signed types.
#[allow(clippy::cast_possible_truncation)] // The low byte of the mantissa is the rounded number.
pub(super) fn quantise(value: f32, least: f32, greatest: f32) -> u8 {
    (value.max(least).min(greatest) + ROUNDER).to_bits() as u8
}

/// How a sample is fetched from a row.
trait Fetch {
    /// The sample at byte `at`; 0 outside of the row, which a plan's offsets never are.
    fn sample(row: &[u8], at: usize, sample: &Sample) -> f32;
}

/// [`Store::Byte`].
enum Byte {}
/// [`Store::Word`].
enum Word {}
/// [`Store::Packed10`].
enum Packed10 {}

#[inline(always)]
fn byte(row: &[u8], at: usize) -> u8 {
    row.get(at).copied().unwrap_or_default()
}

impl Fetch for Byte {
    #[inline(always)]
    fn sample(row: &[u8], at: usize, _: &Sample) -> f32 {
        f32::from(byte(row, at))
    }
}

impl Fetch for Word {
    #[inline(always)]
    fn sample(row: &[u8], at: usize, sample: &Sample) -> f32 {
        let word = u16::from_le_bytes([byte(row, at), byte(row, at + 1)]);
        let unused = 16 - sample.bits;
        f32::from(word >> sample.shift << unused >> unused)
    }
}

impl Fetch for Packed10 {
    #[inline(always)]
    fn sample(row: &[u8], at: usize, _: &Sample) -> f32 {
        let low = byte(row, at / 5 * 5 + 4) >> (at % 5 * 2) & 3;
        f32::from(u16::from(byte(row, at)) << 2 | u16::from(low))
    }
}

/// Writes the pixels of one output row into `line`.
pub(super) fn write_row(plan: &Plan, frame: &[u8], row: &Row, line: &mut [u8]) {
    let write = match (plan.sampling.store(), plan.sampling.samples().len()) {
        (Store::Byte, 1) => fetched::<Byte, 1>,
        (Store::Byte, 3) => fetched::<Byte, 3>,
        (Store::Byte, _) => fetched::<Byte, 4>,
        (Store::Word, 1) => fetched::<Word, 1>,
        (Store::Word, 3) => fetched::<Word, 3>,
        (Store::Word, _) => fetched::<Word, 4>,
        (Store::Packed10, _) => fetched::<Packed10, 4>,
    };
    write(plan, frame, row, line);
}

/// `S` samples for each pixel.
fn fetched<F: Fetch, const S: usize>(plan: &Plan, frame: &[u8], row: &Row, line: &mut [u8]) {
    match (plan.kind, plan.channels) {
        (TensorType::F32, 3) => groups::<F, S, 3, 12>(plan, frame, row, line, store_f32),
        (TensorType::F32, _) => groups::<F, S, 1, 4>(plan, frame, row, line, store_f32),
        (_, 3) => groups::<F, S, 3, 3>(plan, frame, row, line, store_quantised),
        _ => groups::<F, S, 1, 1>(plan, frame, row, line, store_quantised),
    }
}

/// `C` channels, `B` bytes for each pixel.
#[inline(always)]
fn groups<F: Fetch, const S: usize, const C: usize, const B: usize>(
    plan: &Plan,
    frame: &[u8],
    row: &Row,
    line: &mut [u8],
    store: impl Fn(&Conversion, &[Lanes; C], &mut [[u8; B]]),
) {
    let Some(samples) = plan.sampling.samples().first_chunk::<S>() else {
        return;
    };
    let spans = plan.sampling.span();
    let bytes: [[&[u8]; S]; 2] =
        [0, 1].map(|r| std::array::from_fn(|s| span(frame, row.at[r][s], spans[s])));
    let at: [[&[[u32; GROUP]]; S]; 2] =
        [0, 1].map(|tap| std::array::from_fn(|s| plan.columns.at[tap][s].as_chunks().0));
    let weights = plan.columns.weight.as_chunks::<GROUP>().0;
    let pixels = line.as_chunks_mut::<B>().0.chunks_mut(GROUP);
    for (group, (weight, pixels)) in weights.iter().zip(pixels).enumerate() {
        let mixed = bytes.map(|bytes| {
            let [left, right] = at.map(|at| convert::<F, S, C>(plan, samples, bytes, at, group));
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

/// One tap of each lane, converted and clamped.
#[inline(always)]
fn convert<F: Fetch, const S: usize, const C: usize>(
    plan: &Plan,
    samples: &[Sample; S],
    bytes: [&[u8]; S],
    at: [&[[u32; GROUP]]; S],
    group: usize,
) -> [Lanes; C] {
    let values: [Lanes; S] = std::array::from_fn(|s| match at[s].get(group) {
        Some(at) => at.map(|at| F::sample(bytes[s], at as usize, &samples[s])),
        None => [0.0; GROUP],
    });
    let Conversion {
        channels,
        low,
        high,
        ..
    } = plan.conversion;
    std::array::from_fn(|c| {
        let Channel { gain, one } = channels[c];
        std::array::from_fn(|i| {
            let sum = (0..S)
                .rev()
                .fold(one, |sum, s| gain[s] * values[s][i] + sum);
            sum.max(low).min(high)
        })
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
