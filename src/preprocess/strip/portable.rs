//! The strips in plain Rust: for machines without a kernel of their own, and what the others are held
//! against.

use super::across::{Across, slot};
use super::fetch::{Fetch, NOTHING, REACH, Unpack, WINDOW};
use super::{BLOCK, GROUP, Line, RowTap, STRIP, Scratch, Strips, Tile, start};
use crate::preprocess::plan::Plan;
use std::ops::Range;

/// Sixteen samples, set to sixteen bits.
fn fetch(fetch: &Fetch, bytes: &[u8]) -> [u16; BLOCK] {
    let picked = |at: usize| {
        let half = at / BLOCK;
        let mut byte = 0;
        for (table, window) in fetch.tables.iter().zip(fetch.windows[half]) {
            if table[at] != NOTHING {
                let at = window + usize::from(table[at]) % WINDOW;
                byte |= bytes.get(at).copied().unwrap_or(0);
            }
        }
        byte
    };
    std::array::from_fn(|element| {
        let word = u16::from_le_bytes([picked(2 * element), picked(2 * element + 1)]);
        match &fetch.unpack {
            Unpack::Byte => word,
            Unpack::Word { right, left } => word >> right << left,
            Unpack::Packed10(factors) => {
                word & 0xff00 | word.wrapping_mul(factors[element]) & 0x00c0
            }
        }
    })
}

/// Adds up the rows of one sample into its strip.
pub(super) fn down(
    kind: &Fetch,
    frame: &[u8],
    taps: &[RowTap],
    blocks: Range<usize>,
    strip: &mut [i16; STRIP],
) {
    let start = start(taps, kind.unpack.zeros());
    for (block, out) in blocks.zip(strip.as_chunks_mut::<BLOCK>().0) {
        let mut sums = [start; BLOCK];
        for tap in taps {
            let row = frame.get(tap.at..tap.at + kind.span).unwrap_or_default();
            let mut end = [0; REACH];
            let bytes = match row.get(block * kind.advance..) {
                Some(bytes) if bytes.len() >= kind.reach => bytes,
                _ => {
                    kind.copy(row, block, &mut end);
                    &end
                }
            };
            for (sum, sample) in sums.iter_mut().zip(fetch(kind, bytes)) {
                *sum += match taps.len() {
                    1 => sample >> 1,
                    _ => weighted(sample, tap.weight),
                };
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum.cast_signed();
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // The upper half of 32 bits.
const fn weighted(sample: u16, weight: u16) -> u16 {
    ((sample as u32 * weight as u32) >> 16) as u16
}

/// The mixtures of one sample for one group of positions.
fn mixed(strip: &[i16; STRIP], across: &Across, group: usize) -> [i32; GROUP] {
    let starts = across.starts.get(group).copied().unwrap_or_default();
    std::array::from_fn(|lane| {
        let elements = strip.get(starts[lane] as usize..).unwrap_or_default();
        let weights = (0..across.chunks).flat_map(|chunk| {
            let at = (group * across.chunks + chunk) * GROUP + slot(lane);
            across.weights.get(at).copied().unwrap_or_default()
        });
        let product = |(element, weight): (&i16, i16)| i32::from(*element) * i32::from(weight);
        if let Some(pairs) = across.pairs.get(group) {
            let [a, b, c, d] = pairs[lane].to_le_bytes();
            let weights = [i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d])];
            elements.iter().zip(weights).map(product).sum()
        } else {
            elements.iter().zip(weights).map(product).sum()
        }
    })
}

/// Writes the positions of one tile.
pub(super) fn across(
    strips: &Strips,
    plan: &Plan,
    tile: &Tile,
    scratch: &Scratch,
    line: &mut Line<'_>,
) {
    let size = plan.kind.bytes();
    let channels = plan.channels / plan.planes;
    line.write(tile.group..tile.end, |groups, out| {
        let mut outs = out.map(|out| out.chunks_exact_mut(GROUP * plan.pixel_bytes()));
        for group in groups {
            let values = colours(strips, scratch, group);
            for (plane, out) in outs.iter_mut().enumerate() {
                let out = out.next().unwrap_or_default();
                for (index, out) in out.chunks_exact_mut(size).enumerate() {
                    let value = values[plane + index % channels][index / channels];
                    plan.write_element(value, out);
                }
            }
        }
    });
}

/// The channels of one group of positions.
#[allow(clippy::cast_precision_loss)] // Below 2^30, with 24 bits to be kept.
fn colours(strips: &Strips, scratch: &Scratch, group: usize) -> [[f32; GROUP]; 3] {
    let mut values = strips.channels.map(|channel| [channel.one; GROUP]);
    for (sample, fetch) in strips.fetches.iter().enumerate() {
        let across = &strips.across[fetch.class()];
        let mixed = mixed(&scratch.samples[sample], across, group);
        for (channel, values) in strips.channels.iter().zip(&mut values) {
            for (value, mixed) in values.iter_mut().zip(mixed) {
                *value += channel.gain[sample] * mixed as f32;
            }
        }
    }
    for (channel, values) in strips.channels.iter().zip(&mut values) {
        *values = values.map(|value| value.max(channel.low).min(channel.high));
    }
    values
}
