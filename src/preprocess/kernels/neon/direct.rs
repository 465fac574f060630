//! Straight from the frame, eight output pixels at once: the same whole numbers as by row buffers.

use super::colour::colour;
use super::numbers::store_numbers;
use crate::preprocess::kernels::fetch::NOTHING;
use crate::preprocess::kernels::output_line::OutputLine;
use crate::preprocess::kernels::scratch::{Filtered, FilteredRow};
use crate::preprocess::kernels::sizes::GROUP;
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::kernels::vertical::WeightedRow;
use crate::preprocess::kernels::windows::{DirectTables, PickTable, SampleGroup, Window};
use crate::preprocess::layout::TensorLayout;
use std::arch::aarch64::{
    int16x8_t, int16x8x2_t, int32x4_t, uint8x16_t, uint8x16x2_t, uint8x16x4_t, vaddq_s16,
    vcombine_u8, vdupq_n_u8, vget_low_s16, vget_low_u8, vld1_u8, vld1q_u8, vld2q_s16,
    vmlal_high_s16, vmlal_s16, vmull_high_s16, vmull_s16, vqdmulhq_n_s16, vqtbl2q_u8, vqtbl4q_u8,
    vqtbx4q_u8, vreinterpretq_s16_u16, vshll_high_n_u8, vshll_n_u8, vsubq_u8,
};
use std::ops::Range;

/// Bytes of a register.
const WIDTH: usize = 16;
/// Bytes that a look-up picks from: four registers. What lies behind them is picked by a second one.
const LOOK_UP: usize = 4 * WIDTH;

/// The bytes of the first column of eight output pixels, and of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
pub(in crate::preprocess::kernels) struct Picks([[u8; GROUP]; 2]);

impl PickTable for Picks {
    const EMPTY: Self = Self([[NOTHING; GROUP]; 2]);
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

    fn set(&mut self, lane: usize, columns: [u8; 2]) {
        for (table, byte) in self.0.iter_mut().zip(columns) {
            table[lane] = byte;
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
    let filter = |groups: Range<usize>, filtered: &mut Filtered| {
        for of in &picks.groups {
            let rows = tables.vertical.get(index, of.samples.start);
            let weights = of
                .classes
                .map(|class| tables.horizontal[class].pairs.get(groups.clone()));
            let picks = Picked {
                starts: of.starts.get(groups.clone()).unwrap_or_default(),
                tables: of
                    .tables
                    .get(groups.start * of.samples.len()..)
                    .unwrap_or_default(),
                weights: weights.map(Option::unwrap_or_default),
                end: of.end,
            };
            if let Some(out) = filtered.get_mut(of.samples.clone()) {
                let run = filter_as(of, rows.len());
                // SAFETY: NEON is part of the architecture.
                unsafe { run(&picks, rows, frame, out) }
            }
        }
    };
    let colour = colour(tables, layout);
    line.write_batches(0..line.groups(), filtered, filter, colour);
}

/// What some groups of output pixels are made of.
struct Picked<'a> {
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
fn filter_as(of: &SampleGroup<Picks>, rows: usize) -> Run {
    match of.samples.len() {
        1 => filter_of::<1>(of.window, rows),
        2 => filter_of::<2>(of.window, rows),
        _ => filter_of::<3>(of.window, rows),
    }
}

fn filter_of<const N: usize>(window: usize, rows: usize) -> Run {
    match (window, rows) {
        (0, 1) => filter::<N, EIGHT, 1>,
        (0, _) => filter::<N, EIGHT, 2>,
        (1, 1) => filter::<N, EIGHT_WIDE, 1>,
        (1, _) => filter::<N, EIGHT_WIDE, 2>,
        (2, 1) => filter::<N, FOURS, 1>,
        (2, _) => filter::<N, FOURS, 2>,
        (3, 1) => filter::<N, TWOS, 1>,
        (3, _) => filter::<N, TWOS, 2>,
        (_, 1) => filter::<N, ONES, 1>,
        (_, _) => filter::<N, ONES, 2>,
    }
}

/// `N` samples of a group, out of `T` rows.
#[target_feature(enable = "neon")]
fn filter<const N: usize, const R: u8, const T: usize>(
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
            // SAFETY: 16 readable bytes.
            let table = unsafe { vld1q_u8(tables[sample].0.as_ptr().cast()) };
            let mut columns = pick::<R>(table, &read[0]);
            if T == 2 {
                let other = pick::<R>(table, &read[T - 1]);
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
fn pick<const R: u8>(table: uint8x16_t, [first, second]: &Windows) -> [int16x8_t; 2] {
    let bytes = match R {
        EIGHT => vqtbl2q_u8(uint8x16x2_t(first.0, first.1), table),
        EIGHT_WIDE | ONES => vqtbl4q_u8(*first, table),
        _ => {
            let low = vqtbl4q_u8(*first, table);
            // What was picked stays: it lies beyond the second registers, counted from their start.
            #[expect(clippy::cast_possible_truncation, reason = "64")]
            let behind = vsubq_u8(table, vdupq_n_u8(LOOK_UP as u8));
            vqtbx4q_u8(low, *second, behind)
        }
    };
    [
        vreinterpretq_s16_u16(vshll_n_u8::<7>(vget_low_u8(bytes))),
        vreinterpretq_s16_u16(vshll_high_n_u8::<7>(bytes)),
    ]
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
