//! Straight from the frame, eight output pixels at once: the same whole numbers as by row buffers.

use super::colour::colour;
use super::registers::{
    halved, halves, high, is_available, load_words, quarters, store_numbers, weight,
};
use crate::frame::Store;
use crate::preprocess::kernels::fetch::NOTHING;
use crate::preprocess::kernels::output_line::OutputLine;
use crate::preprocess::kernels::scratch::{Filtered, FilteredRow};
use crate::preprocess::kernels::sizes::GROUP;
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::kernels::vertical::WeightedRow;
use crate::preprocess::kernels::windows::{DirectTables, PickTable, SampleGroup, Window};
use crate::preprocess::layout::TensorLayout;
use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_blend_epi32, _mm256_load_si256, _mm256_madd_epi16,
    _mm256_setzero_si256, _mm256_shuffle_epi8,
};
use std::ops::Range;

/// Bytes that a shuffle picks from.
const WIDTH: usize = 16;

/// For each byte of the two words of eight output pixels the byte of a half of the registers, the sample above.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(32))]
pub(in crate::preprocess::kernels) struct Picks([[u8; 4]; GROUP]);

impl PickTable for Picks {
    const EMPTY: Self = Self([[NOTHING; 4]; GROUP]);
    /// Four output pixels in a half of one register, two, or one in a quarter of two.
    const WINDOWS: &'static [Window] = &[
        Window {
            outputs: 4,
            bytes: WIDTH,
        },
        Window {
            outputs: 2,
            bytes: WIDTH,
        },
        Window {
            outputs: 1,
            bytes: WIDTH / 2,
        },
    ];
    const BYTES: usize = WIDTH;
    const STORES: &'static [Store] = &[Store::Byte];

    fn set(&mut self, _: Store, lane: usize, [first, second]: [u8; 2]) {
        self.0[lane] = [NOTHING, first, NOTHING, second];
    }
}

/// Which of the windows, for the compiler.
const FOURS: u8 = 0;
const TWOS: u8 = 1;
const ONES: u8 = 2;

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
    debug_assert!(is_available());
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
                // SAFETY: there are tables only where `is_available` said so.
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
        (0, 1) => filter::<N, FOURS, 1>,
        (0, _) => filter::<N, FOURS, 2>,
        (1, 1) => filter::<N, TWOS, 1>,
        (1, _) => filter::<N, TWOS, 2>,
        (_, 1) => filter::<N, ONES, 1>,
        (_, _) => filter::<N, ONES, 2>,
    }
}

/// `N` samples of a group, out of `T` rows.
#[target_feature(enable = "avx2,fma")]
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
    let mut row_weights = [_mm256_setzero_si256(); T];
    for row in 0..T {
        row_weights[row] = weight(rows[row].weight);
    }
    let [weights, others] = picked.weights;
    let tables = picked.tables.as_chunks::<N>().0;
    let all = picked
        .starts
        .iter()
        .zip(tables)
        .zip(weights.iter().zip(others));
    for (index, ((starts, tables), (weights, others))) in (0..out[0].0.len()).zip(all) {
        let mut read = [[_mm256_setzero_si256(); 2]; T];
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
            // SAFETY: 32 readable bytes, aligned as `Picks` is.
            let table = unsafe { _mm256_load_si256(tables[sample].0.as_ptr().cast()) };
            let mut sum = pick::<R>(table, read[0]);
            if T == 1 {
                sum = halved(sum);
            } else {
                let other = pick::<R>(table, read[T - 1]);
                sum = _mm256_add_epi16(high(sum, row_weights[0]), high(other, row_weights[T - 1]));
            }
            let sums = _mm256_madd_epi16(sum, load_words(weights));
            store_numbers(&mut out[sample].0[index], sums);
        }
    }
}

/// The registers of a row: of [`FOURS`] twice the same one.
///
/// # Safety
/// The windows of `row` from each start lie inside `frame`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn windows<const R: u8>(frame: &[u8], row: usize, starts: &[u32; GROUP]) -> [__m256i; 2] {
    let [a, b, c, d, e, f, g, h] = *starts;
    if R == ONES {
        // SAFETY: by this function's requirement.
        let first = unsafe { quarters(frame, row, [a, b, e, f]) };
        // SAFETY: as above.
        return [first, unsafe { quarters(frame, row, [c, d, g, h]) }];
    }
    // SAFETY: as above.
    let first = unsafe { halves(frame, row + a as usize, row + e as usize) };
    if R == FOURS {
        return [first; 2];
    }
    // SAFETY: as above.
    let second = unsafe { halves(frame, row + c as usize, row + g as usize) };
    [first, second]
}

/// The two columns of eight output pixels.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pick<const R: u8>(table: __m256i, [first, second]: [__m256i; 2]) -> __m256i {
    let low = _mm256_shuffle_epi8(first, table);
    if R == FOURS {
        return low;
    }
    // The third and the fourth of each four output pixels.
    _mm256_blend_epi32::<0b1100_1100>(low, _mm256_shuffle_epi8(second, table))
}
