//! A row buffer to filtered samples, eight output pixels at once.

use super::colour::colour;
use super::registers::{halves, is_available, load_words, quarters, store_numbers};
use crate::preprocess::kernels::horizontal::{Elements, HorizontalTable};
use crate::preprocess::kernels::output_line::OutputLine;
use crate::preprocess::kernels::scratch::{Filtered, FilteredRow, RowBuffer, Scratch};
use crate::preprocess::kernels::sizes::{GROUP, ROW_ELEMENTS};
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::kernels::tiles::Tile;
use crate::preprocess::layout::TensorLayout;
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_hadd_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_setr_epi32, _mm256_setzero_si256,
};
use std::ops::Range;

/// As [`crate::preprocess::kernels::portable::horizontal`].
pub(in crate::preprocess::kernels) fn horizontal(
    tables: &Tables,
    layout: &TensorLayout,
    tile: &Tile,
    scratch: &mut Scratch,
    line: &mut OutputLine<'_>,
) {
    debug_assert!(is_available());
    let Scratch { rows, filtered } = scratch;
    let filter = |groups: Range<usize>, filtered: &mut Filtered| {
        let samples = rows.iter().zip(filtered).zip(&tables.fetches);
        for ((row, out), fetch) in samples {
            let table = &tables.horizontal[fetch.class()];
            // SAFETY: a plan takes this kernel only after `is_available` said so.
            unsafe { filter_row(row, table, groups.clone(), out) };
        }
    };
    let colour = colour(tables, layout);
    line.write_batches(tile.group..tile.end, filtered, filter, colour);
}

/// The filtered samples of one kind of some groups of output pixels.
#[target_feature(enable = "avx2,fma")]
fn filter_row(
    row: &RowBuffer,
    table: &HorizontalTable,
    groups: Range<usize>,
    out: &mut FilteredRow,
) {
    match table.elements {
        Elements::Two => {
            for (group, out) in groups.zip(&mut out.0) {
                store_numbers(out, pairs(row, table, group));
            }
        }
        Elements::Four => {
            let starts = table.starts.get(groups.clone()).unwrap_or_default();
            let weights = table.weights.as_chunks::<{ GROUP / 2 }>().0;
            let weights = weights.get(groups).unwrap_or_default();
            for ((starts, weights), out) in starts.iter().zip(weights).zip(&mut out.0) {
                store_numbers(out, fours(row, starts, weights));
            }
        }
        Elements::Chunks(chunks) => {
            for (group, out) in groups.zip(&mut out.0) {
                store_numbers(out, runs(row, table, chunks, group));
            }
        }
    }
}

/// The sums of two elements each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pairs(row: &RowBuffer, table: &HorizontalTable, group: usize) -> __m256i {
    let (Some(starts), Some(weights)) = (table.starts.get(group), table.pairs.get(group)) else {
        return _mm256_setzero_si256();
    };
    let word = |lane: usize| {
        let at = row.as_ptr().wrapping_add(starts[lane] as usize);
        // SAFETY: `HorizontalTable::update` left every start eight elements short of the row buffer's end; the read
        // needs no alignment.
        unsafe { at.cast::<i32>().read_unaligned() }
    };
    // Eight reads are quicker than a gather.
    let words = _mm256_setr_epi32(
        word(0),
        word(1),
        word(2),
        word(3),
        word(4),
        word(5),
        word(6),
        word(7),
    );
    _mm256_madd_epi16(words, load_words(weights))
}

/// The sums of four elements each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fours(row: &RowBuffer, starts: &[u32; GROUP], weights: &[[i16; 8]; GROUP / 2]) -> __m256i {
    let row = as_bytes(row);
    let [a, b, c, d, e, f, g, h] = starts.map(|start| 2 * start);
    // SAFETY: `HorizontalTable::update` left every start eight elements short of the row buffer's end.
    let first = unsafe { quarters(row, 0, [a, b, e, f]) };
    // SAFETY: as above.
    let second = unsafe { quarters(row, 0, [c, d, g, h]) };
    let (weights, _) = weights.as_chunks::<2>();
    // SAFETY: two times eight numbers are 32 readable bytes each; the loads need no alignment.
    let weights = [0, 1].map(|of| unsafe { _mm256_loadu_si256(weights[of].as_ptr().cast()) });
    let first = _mm256_madd_epi16(first, weights[0]);
    _mm256_hadd_epi32(first, _mm256_madd_epi16(second, weights[1]))
}

/// The sums of runs of elements.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn runs(row: &RowBuffer, table: &HorizontalTable, chunks: usize, group: usize) -> __m256i {
    let mut sums = [_mm256_setzero_si256(); 4];
    let weights = table
        .weights
        .get(group * chunks * GROUP..(group + 1) * chunks * GROUP);
    let (Some(starts), Some(weights)) = (table.starts.get(group), weights) else {
        return sums[0];
    };
    for (chunk, weights) in weights.as_chunks::<GROUP>().0.iter().enumerate() {
        for (index, (sum, weights)) in sums.iter_mut().zip(weights.as_chunks::<2>().0).enumerate() {
            let low = starts[index] as usize + 8 * chunk;
            let high = starts[index + 4] as usize + 8 * chunk;
            // SAFETY: `HorizontalTable::update` left every start `8 * chunks` elements short of the row buffer's end.
            let elements = unsafe { halves(as_bytes(row), 2 * low, 2 * high) };
            // SAFETY: two times eight numbers are 32 readable bytes; the load needs no alignment.
            let weights = unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(elements, weights));
        }
    }
    let [a, b, c, d] = sums;
    _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d))
}

#[inline]
fn as_bytes(row: &RowBuffer) -> &[u8; 2 * ROW_ELEMENTS] {
    // SAFETY: every bit pattern of the same memory is two bytes, which need no alignment.
    unsafe { &*std::ptr::from_ref(row).cast() }
}
