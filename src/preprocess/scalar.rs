//! The kernel in plain Rust and double precision: what the others have to equal.
//!
//! The samples of all pixels that an element is made of are mixed, the mixture is converted to colours,
//! and the colours are clamped to the gamut, once.

use super::plan::{MOST_PIXEL_BYTES, Plan};
use crate::frame::{MAX_SAMPLES, Sample, Store};

/// Adding it leaves a number below 2^22 rounded to nearest, ties to even, in the low mantissa bits.
const ROUNDER: f32 = 12_582_912.0;

/// The byte that stores `value`, which the type stores: two's complement for signed types.
#[allow(clippy::cast_possible_truncation)] // The low byte of the mantissa is the rounded number.
pub(super) fn quantise(value: f32) -> u8 {
    (value + ROUNDER).to_bits() as u8
}

fn byte(row: &[u8], at: usize) -> u8 {
    row.get(at).copied().unwrap_or_default()
}

/// The sample that is element `index` of its row; 0 outside of the row, which a plan's offsets never are.
fn sample(row: &[u8], store: Store, sample: &Sample, index: usize) -> f64 {
    let index = sample.first + index * sample.step;
    let at = store.byte(index);
    match store {
        Store::Byte => f64::from(byte(row, at)),
        Store::Word => {
            let word = u16::from_le_bytes([byte(row, at), byte(row, at + 1)]);
            let unused = 16 - sample.bits;
            f64::from(word >> sample.shift << unused >> unused)
        }
        Store::Packed10 => {
            let low = byte(row, index / 4 * 5 + 4) >> (index % 4 * 2) & 3;
            f64::from(u16::from(byte(row, at)) << 2 | u16::from(low))
        }
    }
}

/// The elements of one pixel: of position `across` along the camera's rows and `down` along its columns.
fn pixel(plan: &Plan, frame: &[u8], across: usize, down: usize) -> [f32; 3] {
    let (x, across) = plan.across.get(across);
    let (y, down) = plan.down.get(down);
    let mut mixed = [0.0; MAX_SAMPLES];
    for (index, (mixed, kind)) in mixed.iter_mut().zip(plan.sampling.samples()).enumerate() {
        for (row, row_share) in down.iter().enumerate() {
            let start = plan
                .sampling
                .row_start(index, plan.sampling.plane_row(index, y + row));
            let row = frame
                .get(start..start + plan.sampling.span(index))
                .unwrap_or_default();
            for (column, share) in across.iter().enumerate() {
                let element = (x + column) / kind.px;
                *mixed += row_share * share * sample(row, plan.sampling.store(), kind, element);
            }
        }
    }
    plan.conversion.channels.map(|channel| {
        let terms = channel.gain.iter().zip(mixed);
        let sum = terms.fold(channel.one, |sum, (gain, sample)| sum + gain * sample);
        super::colour::single(sum)
            .max(channel.low)
            .min(channel.high)
    })
}

/// Writes the picture.
pub(super) fn write_picture(plan: &Plan, frame: &[u8], tensor: &mut [u8]) {
    let size = plan.pixel_bytes();
    for down in 0..plan.down.len() {
        for across in 0..plan.across.len() {
            let mut stored = [0; MOST_PIXEL_BYTES];
            plan.write_pixel(pixel(plan, frame, across, down), &mut stored);
            let at = plan.pixel_at(across, down);
            let planes = tensor.chunks_exact_mut(plan.plane_bytes());
            for (plane, stored) in planes.zip(stored.chunks_exact(size)) {
                if let Some(out) = plane.get_mut(at..at + size) {
                    out.copy_from_slice(stored);
                }
            }
        }
    }
}
