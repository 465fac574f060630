//! Rows to a row buffer, sixteen samples at once.

use crate::preprocess::kernels::fetch::{Fetch, REACH, Unpack};
use crate::preprocess::kernels::scratch::RowBuffer;
use crate::preprocess::kernels::sizes::BLOCK;
use crate::preprocess::kernels::vertical::{WeightedRow, initial_sum};
use std::arch::aarch64::{
    uint8x16_t, uint16x8_t, vaddq_u16, vandq_u16, vdupq_n_s16, vdupq_n_u16, vget_low_u16, vld1q_u8,
    vld1q_u16, vmull_high_u16, vmull_u16, vmulq_u16, vorrq_u8, vorrq_u16, vqtbl1q_u8,
    vreinterpretq_u16_u8, vreinterpretq_u16_u32, vshlq_u16, vshrq_n_u16, vst1q_u16, vuzp2q_u16,
};
use std::ops::Range;

/// Sixteen samples.
type Block = [uint16x8_t; 2];

/// As [`crate::preprocess::kernels::portable::vertical`].
pub(in crate::preprocess::kernels) fn vertical(
    kind: &Fetch,
    frame: &[u8],
    rows: &[WeightedRow],
    blocks: Range<usize>,
    out: &mut RowBuffer,
) {
    let run = match (&kind.unpack, kind.double) {
        (Unpack::Byte, false) => fetched::<BYTE, false>,
        (Unpack::Byte, true) => fetched::<BYTE, true>,
        (Unpack::Word { .. }, false) => fetched::<WORD, false>,
        (Unpack::Word { .. }, true) => fetched::<WORD, true>,
        (Unpack::Packed10(_), _) => fetched::<PACKED10, true>,
    };
    run(kind, frame, rows, blocks, out);
}

const BYTE: u8 = 0;
const WORD: u8 = 1;
const PACKED10: u8 = 2;

fn fetched<const U: u8, const DOUBLE: bool>(
    kind: &Fetch,
    frame: &[u8],
    rows: &[WeightedRow],
    blocks: Range<usize>,
    out: &mut RowBuffer,
) {
    let whole = blocks.end.min(kind.whole()).max(blocks.start);
    // The rows of whole blocks end inside the frame, or there are none.
    let inside = rows.iter().all(|row| row.at + kind.span <= frame.len());
    let initial = initial_sum(rows, kind.unpack.zeros());
    for (block, out) in blocks.zip(out.as_chunks_mut::<BLOCK>().0) {
        // SAFETY: NEON is part of the architecture.
        let mut sum = unsafe { [vdupq_n_u16(initial); 2] };
        for row in rows {
            let sample = if block < whole && inside {
                let at = row.at + block * kind.advance;
                // SAFETY: a whole block's windows end inside its row, and the row inside the frame.
                unsafe { sixteen::<U, DOUBLE>(kind, frame, at) }
            } else {
                let mut end = [0; REACH];
                let bytes = frame.get(row.at..row.at + kind.span).unwrap_or_default();
                kind.copy(bytes, block, &mut end);
                // SAFETY: windows reach no further than `REACH`, which `Fetch::new` checked.
                unsafe { sixteen::<U, DOUBLE>(kind, &end, 0) }
            };
            for (sum, sample) in sum.iter_mut().zip(sample) {
                // SAFETY: NEON is part of the architecture.
                *sum = unsafe {
                    match rows.len() {
                        1 => vshrq_n_u16::<1>(sample),
                        _ => vaddq_u16(*sum, weighted(sample, vdupq_n_u16(row.weight))),
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
unsafe fn pick(bytes: &[u8], at: usize, table: &[u8; 2 * BLOCK], half: usize) -> uint8x16_t {
    // SAFETY: inside `bytes`, by this function's requirement.
    let at = unsafe { bytes.as_ptr().add(at) };
    // SAFETY: sixteen readable bytes; the load needs no alignment.
    let window = unsafe { vld1q_u8(at) };
    // SAFETY: sixteen of 32 bytes; the load needs no alignment.
    let table = unsafe { vld1q_u8(table[half * BLOCK..].as_ptr()) };
    vqtbl1q_u8(window, table)
}
