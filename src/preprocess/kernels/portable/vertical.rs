//! Rows to a row buffer.

use crate::preprocess::kernels::fetch::{Fetch, NOTHING, REACH, Unpack, WINDOW};
use crate::preprocess::kernels::scratch::RowBuffer;
use crate::preprocess::kernels::sizes::BLOCK;
use crate::preprocess::kernels::vertical::{WeightedRow, initial_sum};
use std::ops::Range;

/// Adds up the rows of one kind of sample.
pub(in crate::preprocess::kernels) fn vertical(
    kind: &Fetch,
    frame: &[u8],
    rows: &[WeightedRow],
    blocks: Range<usize>,
    out: &mut RowBuffer,
) {
    let initial = initial_sum(rows, kind.unpack.zeros());
    for (block, out) in blocks.zip(out.as_chunks_mut::<BLOCK>().0) {
        let mut sums = [initial; BLOCK];
        for row in rows {
            let bytes = frame.get(row.at..row.at + kind.span).unwrap_or_default();
            let mut end = [0; REACH];
            let bytes = match bytes.get(block * kind.advance..) {
                Some(bytes) if bytes.len() >= kind.reach => bytes,
                _ => {
                    kind.copy(bytes, block, &mut end);
                    &end
                }
            };
            for (sum, sample) in sums.iter_mut().zip(fetch(kind, bytes)) {
                *sum += match rows.len() {
                    1 => sample >> 1,
                    _ => weighted(sample, row.weight),
                };
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum.cast_signed();
        }
    }
}

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

#[allow(clippy::cast_possible_truncation)] // The upper half of 32 bits.
const fn weighted(sample: u16, weight: u16) -> u16 {
    ((sample as u32 * weight as u32) >> 16) as u16
}
