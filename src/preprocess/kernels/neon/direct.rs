//! Straight from the frame, eight output pixels at once: the same whole numbers as by row buffers.

use super::colour::colour;
use super::numbers::store_numbers;
use crate::frame::Store;
use crate::preprocess::kernels::fetch::{Fetch, NOTHING, Unpack};
use crate::preprocess::kernels::output_line::OutputLine;
use crate::preprocess::kernels::scratch::{Filtered, FilteredRow};
use crate::preprocess::kernels::sizes::GROUP;
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::kernels::vertical::WeightedRow;
use crate::preprocess::kernels::windows::{DirectTables, PickTable, SampleGroup, Window};
use crate::preprocess::layout::TensorLayout;
use std::arch::aarch64::{
    int16x8_t, int16x8x2_t, int32x4_t, uint8x16_t, uint8x16x2_t, uint8x16x4_t, vaddq_s16,
    vandq_u16, vcombine_u8, vdupq_n_s16, vdupq_n_u8, vdupq_n_u16, vget_low_s16, vget_low_u8,
    vld1_u8, vld1q_u8, vld2q_s16, vmlal_high_s16, vmlal_s16, vmull_high_s16, vmull_s16,
    vqdmulhq_n_s16, vqtbl2q_u8, vqtbl4q_u8, vqtbx4q_u8, vreinterpretq_s16_u16,
    vreinterpretq_u16_u8, vshll_high_n_u8, vshll_n_u8, vshlq_u16, vsubq_u8,
};
use std::ops::Range;

/// Bytes of a register.
const WIDTH: usize = 16;
/// Bytes that a look-up picks from: four registers. What lies behind them is picked by a second one.
const LOOK_UP: usize = 4 * WIDTH;

/// For each byte of a register the byte of the windows. Of samples of a byte, the first one has the first columns of
/// eight output pixels and then the second ones; of words, the first has the first columns, and the other the others.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
pub(in crate::preprocess::kernels) struct Picks([[u8; WIDTH]; 2]);

impl PickTable for Picks {
    const EMPTY: Self = Self([[NOTHING; WIDTH]; 2]);
    const WINDOWS: &'static [Window] = &[
        Window {
            outputs: 8,
            bytes: 2 * WIDTH,
        },
        Window {
            outputs: 8,
            bytes: LOOK_UP,
        },
        Window {
            outputs: 4,
            bytes: LOOK_UP,
        },
        Window {
            outputs: 2,
            bytes: LOOK_UP / 2,
        },
        Window {
            outputs: 1,
            bytes: LOOK_UP / 8,
        },
    ];
    const BYTES: usize = 2 * LOOK_UP;
    const STORES: &'static [Store] = &[Store::Byte, Store::Word];

    fn set(&mut self, store: Store, lane: usize, columns: [u8; 2]) {
        if store == Store::Byte {
            for (at, byte) in [lane, GROUP + lane].into_iter().zip(columns) {
                self.0[0][at] = byte;
            }
        } else {
            for (table, byte) in self.0.iter_mut().zip(columns) {
                table[2 * lane..2 * lane + 2].copy_from_slice(&[byte, byte + 1]);
            }
        }
    }
}

/// Which of the windows, for the compiler.
const EIGHT: u8 = 0;
const EIGHT_WIDE: u8 = 1;
const FOURS: u8 = 2;
const TWOS: u8 = 3;
const ONES: u8 = 4;

/// Writes a line straight from the frame.
pub(in crate::preprocess::kernels) fn direct(
    tables: &Tables,
    picks: &DirectTables<Picks>,
    layout: &TensorLayout,
    index: usize,
    frame: &[u8],
    filtered: &mut Filtered,
    line: &mut OutputLine<'_>,
) {
    let is_words = tables
        .fetches
        .iter()
        .any(|fetch| matches!(fetch.unpack, Unpack::Word { .. }));
    let filter = |groups: Range<usize>, filtered: &mut Filtered| {
        for of in &picks.groups {
            let rows = tables.vertical.get(index, of.samples.start);
            let weights = of
                .classes
                .map(|class| tables.horizontal[class].pairs.get(groups.clone()));
            let mut fields = [Field::default(); MOST];
            for (field, fetch) in fields
                .iter_mut()
                .zip(tables.fetches.iter().skip(of.samples.start))
            {
                *field = Field::of(fetch);
            }
            let picks = Picked {
                fields,
                starts: of.starts.get(groups.clone()).unwrap_or_default(),
                tables: of
                    .tables
                    .get(groups.start * of.samples.len()..)
                    .unwrap_or_default(),
                weights: weights.map(Option::unwrap_or_default),
                end: of.end,
            };
            if let Some(out) = filtered.get_mut(of.samples.clone()) {
                let run = filter_as(of, rows.len(), is_words);
                // SAFETY: NEON is part of the architecture.
                unsafe { run(&picks, rows, frame, out) }
            }
        }
    };
    let colour = colour(tables, layout);
    line.write_batches(0..line.groups(), filtered, filter, colour);
}

/// Most samples of a group.
const MOST: usize = 3;

/// Where a sample lies in its word, to be set to fifteen bits.
#[derive(Clone, Copy, Default)]
struct Field {
    /// To the left, or by -1 to the right.
    shift: i16,
    /// What is its own then.
    mask: u16,
}

impl Field {
    /// Nothing of a sample of a byte.
    fn of(fetch: &Fetch) -> Self {
        match fetch.unpack {
            Unpack::Word { right, left } if (1..16).contains(&left) => Self {
                shift: i16::try_from(left.cast_signed() - right.cast_signed() - 1).unwrap_or(0),
                mask: u16::MAX >> left << (left - 1),
            },
            _ => Self::default(),
        }
    }
}

/// What some groups of output pixels are made of.
struct Picked<'a> {
    fields: [Field; MOST],
    starts: &'a [[u32; GROUP]],
    /// For each of `starts` one of each sample.
    tables: &'a [Picks],
    /// Of the first sample, and of the others.
    weights: [&'a [[i32; GROUP]]; 2],
    /// Bytes from a row's start to the end of the last window.
    end: usize,
}

/// What filters the samples of a group.
type Run = unsafe fn(&Picked<'_>, &[WeightedRow], &[u8], &mut [FilteredRow]);

/// What filters so many samples of so many rows.
fn filter_as(of: &SampleGroup<Picks>, rows: usize, is_words: bool) -> Run {
    match (of.samples.len(), is_words) {
        (1, false) => filter_of::<1, false>(of.window, rows),
        (2, false) => filter_of::<2, false>(of.window, rows),
        (_, false) => filter_of::<3, false>(of.window, rows),
        (1, true) => filter_of::<1, true>(of.window, rows),
        (2, true) => filter_of::<2, true>(of.window, rows),
        (_, true) => filter_of::<3, true>(of.window, rows),
    }
}

fn filter_of<const N: usize, const W: bool>(window: usize, rows: usize) -> Run {
    match (window, rows) {
        (0, 1) => filter::<N, W, EIGHT, 1>,
        (0, _) => filter::<N, W, EIGHT, 2>,
        (1, 1) => filter::<N, W, EIGHT_WIDE, 1>,
        (1, _) => filter::<N, W, EIGHT_WIDE, 2>,
        (2, 1) => filter::<N, W, FOURS, 1>,
        (2, _) => filter::<N, W, FOURS, 2>,
        (3, 1) => filter::<N, W, TWOS, 1>,
        (3, _) => filter::<N, W, TWOS, 2>,
        (_, 1) => filter::<N, W, ONES, 1>,
        (_, _) => filter::<N, W, ONES, 2>,
    }
}

/// `N` samples of a group, of words or of bytes, out of `T` rows.
#[target_feature(enable = "neon")]
fn filter<const N: usize, const W: bool, const R: u8, const T: usize>(
    picked: &Picked<'_>,
    rows: &[WeightedRow],
    frame: &[u8],
    out: &mut [FilteredRow],
) {
    let (Some(rows), Some(out)) = (rows.first_chunk::<T>(), out.first_chunk_mut::<N>()) else {
        return;
    };
    if rows.iter().any(|row| row.at + picked.end > frame.len()) {
        return;
    }
    let [weights, others] = picked.weights;
    let tables = picked.tables.as_chunks::<N>().0;
    let all = picked
        .starts
        .iter()
        .zip(tables)
        .zip(weights.iter().zip(others));
    for (index, ((starts, tables), (weights, others))) in (0..out[0].0.len()).zip(all) {
        let mut read = [[zeros(); 2]; T];
        for row in 0..T {
            // SAFETY: the windows of this group end at `end`, which is inside the frame in each of these rows.
            read[row] = unsafe { windows::<R>(frame, rows[row].at, starts) };
        }
        for sample in 0..N {
            let weights = if N == 3 && sample > 0 {
                others
            } else {
                weights
            };
            let table = &tables[sample];
            let field = picked.fields[sample];
            let mut columns = pick::<W, R>(table, field, &read[0]);
            if T == 2 {
                let other = pick::<W, R>(table, field, &read[T - 1]);
                for (column, other) in columns.iter_mut().zip(other) {
                    // Of two rows, neither has the whole weight.
                    let one = vqdmulhq_n_s16(*column, rows[0].weight.cast_signed());
                    let other = vqdmulhq_n_s16(other, rows[T - 1].weight.cast_signed());
                    *column = vaddq_s16(one, other);
                }
            }
            store_numbers(&mut out[sample].0[index], weighted(columns, weights));
        }
    }
}

/// What lies in the windows of a row: of those that one look-up picks from, the first four registers.
type Windows = [uint8x16x4_t; 2];

#[inline]
#[target_feature(enable = "neon")]
fn zeros() -> uint8x16x4_t {
    let zero = vdupq_n_u8(0);
    uint8x16x4_t(zero, zero, zero, zero)
}

/// The registers of a row.
///
/// # Safety
/// The windows of `row` from each start lie inside `frame`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn windows<const R: u8>(frame: &[u8], row: usize, starts: &[u32; GROUP]) -> Windows {
    let at = |lane: usize| {
        debug_assert!(row + starts[lane] as usize <= frame.len());
        // The requirement has it inside the frame.
        frame.as_ptr().wrapping_add(row + starts[lane] as usize)
    };
    let mut read = [zeros(); 2];
    // SAFETY: each window lies inside the frame, by this function's requirement; the loads need no alignment.
    unsafe {
        match R {
            EIGHT => (read[0].0, read[0].1) = two(at(0)),
            EIGHT_WIDE => read[0] = four(at(0)),
            FOURS => read = [four(at(0)), four(at(4))],
            TWOS => {
                for (half, read) in read.iter_mut().enumerate() {
                    (read.0, read.1) = two(at(4 * half));
                    (read.2, read.3) = two(at(4 * half + 2));
                }
            }
            _ => {
                read[0].0 = vcombine_u8(vld1_u8(at(0)), vld1_u8(at(1)));
                read[0].1 = vcombine_u8(vld1_u8(at(2)), vld1_u8(at(3)));
                read[0].2 = vcombine_u8(vld1_u8(at(4)), vld1_u8(at(5)));
                read[0].3 = vcombine_u8(vld1_u8(at(6)), vld1_u8(at(7)));
            }
        }
    }
    read
}

/// # Safety
/// 32 readable bytes.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn two(at: *const u8) -> (uint8x16_t, uint8x16_t) {
    // SAFETY: by this function's requirement.
    unsafe { (vld1q_u8(at), vld1q_u8(at.add(WIDTH))) }
}

/// # Safety
/// 64 readable bytes.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn four(at: *const u8) -> uint8x16x4_t {
    // SAFETY: by this function's requirement.
    let ((a, b), (c, d)) = unsafe { (two(at), two(at.add(2 * WIDTH))) };
    uint8x16x4_t(a, b, c, d)
}

/// The two columns of eight output pixels, set to fifteen bits.
#[inline]
#[target_feature(enable = "neon")]
fn pick<const W: bool, const R: u8>(
    table: &Picks,
    field: Field,
    windows: &Windows,
) -> [int16x8_t; 2] {
    let [first, second] = &table.0;
    let bytes = look_up::<R>(first, windows);
    if !W {
        return [
            vreinterpretq_s16_u16(vshll_n_u8::<7>(vget_low_u8(bytes))),
            vreinterpretq_s16_u16(vshll_high_n_u8::<7>(bytes)),
        ];
    }
    let (shift, mask) = (vdupq_n_s16(field.shift), vdupq_n_u16(field.mask));
    [bytes, look_up::<R>(second, windows)].map(|bytes| {
        let words = vshlq_u16(vreinterpretq_u16_u8(bytes), shift);
        vreinterpretq_s16_u16(vandq_u16(words, mask))
    })
}

/// The bytes of the windows that a table names.
#[inline]
#[target_feature(enable = "neon")]
fn look_up<const R: u8>(table: &[u8; WIDTH], [first, second]: &Windows) -> uint8x16_t {
    // SAFETY: 16 readable bytes.
    let table = unsafe { vld1q_u8(table.as_ptr()) };
    match R {
        EIGHT => vqtbl2q_u8(uint8x16x2_t(first.0, first.1), table),
        EIGHT_WIDE | ONES => vqtbl4q_u8(*first, table),
        _ => {
            let low = vqtbl4q_u8(*first, table);
            // What was picked stays: it lies beyond the second registers, counted from their start.
            #[expect(clippy::cast_possible_truncation, reason = "64")]
            let behind = vsubq_u8(table, vdupq_n_u8(LOOK_UP as u8));
            vqtbx4q_u8(low, *second, behind)
        }
    }
}

/// The sums of both columns by their weights.
#[inline]
#[target_feature(enable = "neon")]
fn weighted([first, second]: [int16x8_t; 2], weights: &[i32; GROUP]) -> [int32x4_t; 2] {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    let int16x8x2_t(one, other) = unsafe { vld2q_s16(weights.as_ptr().cast()) };
    let low = vmull_s16(vget_low_s16(first), vget_low_s16(one));
    let high = vmull_high_s16(first, one);
    [
        vmlal_s16(low, vget_low_s16(second), vget_low_s16(other)),
        vmlal_high_s16(high, second, other),
    ]
}
