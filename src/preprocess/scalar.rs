//! The kernel in plain Rust and double precision: what the others have to equal.
//!
//! The samples of all pixels that an output pixel is made of are added up by their weights, the sum is converted to
//! colours, and the colours are clamped to the gamut, once.

use super::colour::{Conversion, single};
use super::filter_weights::FilterWeights;
use super::layout::{MAX_PIXEL_BYTES, TensorLayout};
use super::sampling::Sampling;
use crate::frame::{MAX_SAMPLES, Sample, Store};

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

/// What a pixel is made of.
pub(super) struct Reference<'a> {
    /// Along the camera's rows, and along its columns.
    pub weights: [&'a FilterWeights; 2],
    pub sampling: &'a Sampling,
    pub conversion: &'a Conversion,
}

impl Reference<'_> {
    /// The elements of one pixel of a line.
    fn pixel(&self, frame: &[u8], column: usize, line: usize) -> [f32; 3] {
        let Self {
            weights: [across, down],
            sampling,
            conversion,
        } = self;
        let (x, column_weights) = across.get(column);
        let (y, row_weights) = down.get(line);
        let mut mixed = [0.0; MAX_SAMPLES];
        for (index, (mixed, kind)) in mixed.iter_mut().zip(sampling.samples()).enumerate() {
            for (row, row_weight) in row_weights.iter().enumerate() {
                let start = sampling.row_start(index, sampling.plane_row(index, y + row));
                let row = frame
                    .get(start..start + sampling.span(index))
                    .unwrap_or_default();
                for (column, weight) in column_weights.iter().enumerate() {
                    let element = (x + column) / kind.px;
                    *mixed += row_weight * weight * sample(row, sampling.store(), kind, element);
                }
            }
        }
        conversion.channels.map(|channel| {
            let terms = channel.gain.iter().zip(mixed);
            let sum = terms.fold(channel.one, |sum, (gain, sample)| sum + gain * sample);
            single(sum).max(channel.low).min(channel.high)
        })
    }

    /// Writes the image.
    pub(super) fn write_image(&self, layout: &TensorLayout, frame: &[u8], tensor: &mut [u8]) {
        let size = layout.pixel_bytes();
        for line in 0..layout.lines() {
            for column in 0..layout.line_px() {
                let mut stored = [0; MAX_PIXEL_BYTES];
                layout.write_pixel(self.pixel(frame, column, line), &mut stored);
                let at = layout.pixel_at(column, line);
                let planes = tensor.chunks_exact_mut(layout.plane_bytes());
                for (plane, stored) in planes.zip(stored.chunks_exact(size)) {
                    if let Some(out) = plane.get_mut(at..at + size) {
                        out.copy_from_slice(stored);
                    }
                }
            }
        }
    }
}
