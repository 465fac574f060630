//! Rows to a row buffer, sixteen samples at once.

use crate::preprocess::kernels::fetch::{Fetch, REACH, Unpack};
use crate::preprocess::kernels::scratch::RowBuffer;
use crate::preprocess::kernels::sizes::BLOCK;
use crate::preprocess::kernels::vertical::{WeightedRow, initial_sum};
use std::arch::aarch64::{
    int16x8_t, uint8x16_t, uint16x8_t, vaddq_u16, vandq_u16, vdupq_n_s16, vdupq_n_u16,
    vget_low_u16, vld1q_u8, vld1q_u16, vmull_high_u16, vmull_u16, vmulq_u16, vorrq_u8, vorrq_u16,
    vqdmulhq_n_s16, vqtbl1q_u8, vreinterpretq_s16_u16, vreinterpretq_u16_s16, vreinterpretq_u16_u8,
    vreinterpretq_u16_u32, vshlq_u16, vshrq_n_u16, vst1q_u16, vuzp2q_u16,
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
        (Unpack::Word { left: 0, .. }, _) => fetched::<WHOLE_WORD, true>,
        (Unpack::Word { .. }, false) => fetched::<WORD, false>,
        (Unpack::Word { .. }, true) => fetched::<WORD, true>,
        (Unpack::Packed10(_), _) => fetched::<PACKED10, true>,
    };
    // SAFETY: NEON is part of the architecture.
    unsafe { run(kind, frame, rows, blocks, out) }
}

const BYTE: u8 = 0;
const WORD: u8 = 1;
const PACKED10: u8 = 2;
/// A word all bits of which are the sample's.
const WHOLE_WORD: u8 = 3;

/// The tables of a fetch, in registers.
struct Tables {
    first: [uint8x16_t; 2],
    second: [uint8x16_t; 2],
    right: int16x8_t,
    left: int16x8_t,
    factors: Block,
}

impl Tables {
    #[inline]
    #[target_feature(enable = "neon")]
    fn of(kind: &Fetch) -> Self {
        let shift = |by: i32| vdupq_n_s16(i16::try_from(by).unwrap_or(0));
        let (mut right, mut left, mut factors) = (0, 0, [0; BLOCK]);
        match kind.unpack {
            Unpack::Byte => {}
            Unpack::Word { right: r, left: l } => {
                (right, left) = (-r.cast_signed(), l.cast_signed())
            }
            Unpack::Packed10(table) => factors = table,
        }
        let [low, high] = [0, 1].map(|half| &factors[half * BLOCK / 2..]);
        Self {
            first: registers(&kind.tables[0]),
            second: registers(&kind.tables[1]),
            right: shift(right),
            left: shift(left),
            // SAFETY: eight of sixteen numbers each; the loads need no alignment.
            factors: unsafe { [vld1q_u16(low.as_ptr()), vld1q_u16(high.as_ptr())] },
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn registers(table: &[u8; 2 * BLOCK]) -> [uint8x16_t; 2] {
    let (low, high) = table.split_at(BLOCK);
    // SAFETY: sixteen readable bytes each; the loads need no alignment.
    unsafe { [vld1q_u8(low.as_ptr()), vld1q_u8(high.as_ptr())] }
}

#[target_feature(enable = "neon")]
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
    let initial = vdupq_n_u16(initial_sum(rows, kind.unpack.zeros()));
    let tables = Tables::of(kind);
    let out = out.as_chunks_mut::<BLOCK>().0;
    let (out, ends) = out.split_at_mut((whole - blocks.start).min(out.len()));
    if inside {
        let at = blocks.start * kind.advance;
        // SAFETY: a whole block's windows end inside its row, and the row inside the frame.
        let sixteen = |at: usize| unsafe { sixteen::<U, DOUBLE>(kind, &tables, frame, at) };
        match rows {
            [one] => {
                for (index, out) in out.iter_mut().enumerate() {
                    let at = at + index * kind.advance;
                    store(out, halved(sixteen(one.at + at)));
                }
            }
            [one, other] => {
                for (index, out) in out.iter_mut().enumerate() {
                    let at = at + index * kind.advance;
                    let [a, b] = weighted::<U>(sixteen(one.at + at), one.weight);
                    let [c, d] = weighted::<U>(sixteen(other.at + at), other.weight);
                    store(out, [vaddq_u16(a, c), vaddq_u16(b, d)]);
                }
            }
            _ => {
                for (index, out) in out.iter_mut().enumerate() {
                    let at = at + index * kind.advance;
                    let [mut a, mut b] = [initial; 2];
                    for row in rows {
                        let [c, d] = weighted::<U>(sixteen(row.at + at), row.weight);
                        (a, b) = (vaddq_u16(a, c), vaddq_u16(b, d));
                    }
                    store(out, [a, b]);
                }
            }
        }
    }
    for (block, out) in (whole..blocks.end).zip(ends) {
        let mut sum = [initial; 2];
        for row in rows {
            let mut end = [0; REACH];
            let bytes = frame.get(row.at..row.at + kind.span).unwrap_or_default();
            kind.copy(bytes, block, &mut end);
            // SAFETY: windows reach no further than `REACH`, which `Fetch::new` checked.
            let sample = unsafe { sixteen::<U, DOUBLE>(kind, &tables, &end, 0) };
            sum = if rows.len() == 1 {
                halved(sample)
            } else {
                let [a, b] = weighted::<U>(sample, row.weight);
                [vaddq_u16(sum[0], a), vaddq_u16(sum[1], b)]
            };
        }
        store(out, sum);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(out: &mut [i16; BLOCK], sums: Block) {
    for (out, sum) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
        // SAFETY: 16 writable bytes; the store needs no alignment.
        unsafe { vst1q_u16(out.as_mut_ptr().cast(), sum) };
    }
}

/// Of sixteen bits the upper fifteen.
#[inline]
#[target_feature(enable = "neon")]
fn halved([a, b]: Block) -> Block {
    [vshrq_n_u16::<1>(a), vshrq_n_u16::<1>(b)]
}

/// The upper halves of the products. Samples whose lowest bit is 0 lose nothing when they are halved, and the
/// instruction doubles: one where unsigned numbers take three.
#[inline]
#[target_feature(enable = "neon")]
fn weighted<const U: u8>(samples: Block, weight: u16) -> Block {
    if U != WHOLE_WORD {
        // Of several rows none has the whole weight.
        return halved(samples).map(|samples| {
            let products = vqdmulhq_n_s16(vreinterpretq_s16_u16(samples), weight.cast_signed());
            vreinterpretq_u16_s16(products)
        });
    }
    let weight = vdupq_n_u16(weight);
    samples.map(|samples| {
        let low = vmull_u16(vget_low_u16(samples), vget_low_u16(weight));
        let high = vmull_high_u16(samples, weight);
        vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high))
    })
}

/// Sixteen samples, set to sixteen bits.
///
/// # Safety
/// `bytes` goes on for `kind.reach` bytes from `at`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sixteen<const U: u8, const DOUBLE: bool>(
    kind: &Fetch,
    tables: &Tables,
    bytes: &[u8],
    at: usize,
) -> Block {
    debug_assert!(at + kind.reach <= bytes.len());
    let mut block = [vdupq_n_u16(0); 2];
    for half in 0..2 {
        let [window, other] = kind.windows[half];
        // SAFETY: the windows end at most `kind.reach` bytes from `at`.
        let mut picked = unsafe { pick(bytes, at + window, tables.first[half]) };
        if DOUBLE {
            // SAFETY: as above.
            let second = unsafe { pick(bytes, at + other, tables.second[half]) };
            picked = vorrq_u8(picked, second);
        }
        let word = vreinterpretq_u16_u8(picked);
        block[half] = match U {
            BYTE | WHOLE_WORD => word,
            WORD => vshlq_u16(vshlq_u16(word, tables.right), tables.left),
            _ => {
                let low = vandq_u16(vmulq_u16(word, tables.factors[half]), vdupq_n_u16(0x00c0));
                vorrq_u16(vandq_u16(word, vdupq_n_u16(0xff00)), low)
            }
        };
    }
    block
}

/// The bytes of a window that one half of a table names.
///
/// # Safety
/// The window lies inside `bytes`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn pick(bytes: &[u8], at: usize, table: uint8x16_t) -> uint8x16_t {
    // SAFETY: inside `bytes`, by this function's requirement.
    let at = unsafe { bytes.as_ptr().add(at) };
    // SAFETY: sixteen readable bytes; the load needs no alignment.
    vqtbl1q_u8(unsafe { vld1q_u8(at) }, table)
}
