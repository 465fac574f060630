//! A row buffer to filtered samples, eight output pixels at once.

use super::colour::colour;
use super::numbers::store_numbers;
use crate::preprocess::kernels::horizontal::{Elements, HorizontalTable, quarter, slot};
use crate::preprocess::kernels::output_line::OutputLine;
use crate::preprocess::kernels::scratch::{Filtered, FilteredRow, RowBuffer, Scratch};
use crate::preprocess::kernels::sizes::GROUP;
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::kernels::tiles::Tile;
use crate::preprocess::layout::TensorLayout;
use std::arch::aarch64::{
    int32x4_t, vdupq_n_s32, vget_low_s16, vld1_s16, vld1q_lane_s32, vld1q_s16, vld1q_s32,
    vmlal_high_s16, vmlal_s16, vmull_high_s16, vmull_s16, vpaddq_s32, vreinterpretq_s16_s32,
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
    let Scratch { rows, filtered } = scratch;
    let filter = |groups: Range<usize>, filtered: &mut Filtered| {
        let samples = rows.iter().zip(filtered).zip(&tables.fetches);
        for ((row, out), fetch) in samples {
            let table = &tables.horizontal[fetch.class()];
            // SAFETY: NEON is part of the architecture.
            unsafe { filter_row(row, table, groups.clone(), out) };
        }
    };
    let colour = colour(tables, layout);
    line.write_batches(tile.group..tile.end, filtered, filter, colour);
}

/// The filtered samples of one kind of some groups of output pixels.
#[target_feature(enable = "neon")]
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
            let starts = table.starts.get(groups.clone()).unwrap_or_default();
            let weights = table
                .weights
                .chunks_exact(chunks * GROUP)
                .skip(groups.start);
            for ((starts, weights), out) in starts.iter().zip(weights).zip(&mut out.0) {
                store_numbers(out, runs(row, starts, weights));
            }
        }
    }
}

/// The sums of two elements each.
#[inline]
#[target_feature(enable = "neon")]
fn pairs(row: &RowBuffer, table: &HorizontalTable, group: usize) -> [int32x4_t; 2] {
    let mut sums = [vdupq_n_s32(0); 2];
    let (Some(starts), Some(weights)) = (table.starts.get(group), table.pairs.get(group)) else {
        return sums;
    };
    let halves = starts
        .as_chunks::<4>()
        .0
        .iter()
        .zip(weights.as_chunks::<4>().0);
    for (sum, (starts, weights)) in sums.iter_mut().zip(halves) {
        let [a, b, c, d] = starts.map(|start| row.as_ptr().wrapping_add(start as usize).cast());
        let mut words = vdupq_n_s32(0);
        // SAFETY: `HorizontalTable::update` left every start eight elements short of the row buffer's end; the loads
        // of lanes need no alignment.
        unsafe {
            words = vld1q_lane_s32::<0>(a, words);
            words = vld1q_lane_s32::<1>(b, words);
            words = vld1q_lane_s32::<2>(c, words);
            words = vld1q_lane_s32::<3>(d, words);
        }
        // SAFETY: four readable numbers.
        let weights = vreinterpretq_s16_s32(unsafe { vld1q_s32(weights.as_ptr()) });
        let words = vreinterpretq_s16_s32(words);
        let low = vmull_s16(vget_low_s16(words), vget_low_s16(weights));
        *sum = vpaddq_s32(low, vmull_high_s16(words, weights));
    }
    sums
}

/// The sums of four elements each.
#[inline]
#[target_feature(enable = "neon")]
fn fours(
    row: &RowBuffer,
    starts: &[u32; GROUP],
    weights: &[[i16; 8]; GROUP / 2],
) -> [int32x4_t; 2] {
    let mut products = [vdupq_n_s32(0); GROUP];
    for lane in 0..GROUP {
        let at = row.as_ptr().wrapping_add(starts[lane] as usize);
        let (entry, from) = quarter(lane);
        // SAFETY: `HorizontalTable::update` left every start eight elements short of the row buffer's end; the loads
        // need no alignment.
        products[lane] =
            unsafe { vmull_s16(vld1_s16(at), vld1_s16(weights[entry][from..].as_ptr())) };
    }
    added(products)
}

/// The sums of runs of elements.
#[inline]
#[target_feature(enable = "neon")]
fn runs(row: &RowBuffer, starts: &[u32; GROUP], weights: &[[i16; 8]]) -> [int32x4_t; 2] {
    let mut sums = [vdupq_n_s32(0); GROUP];
    for (chunk, weights) in weights.as_chunks::<GROUP>().0.iter().enumerate() {
        for lane in 0..GROUP {
            let at = row.as_ptr().wrapping_add(starts[lane] as usize + 8 * chunk);
            // SAFETY: `HorizontalTable::update` left every start eight elements a chunk short of the row buffer's
            // end; the loads need no alignment.
            let (elements, weights) =
                unsafe { (vld1q_s16(at), vld1q_s16(weights[slot(lane)].as_ptr())) };
            let low = vmlal_s16(sums[lane], vget_low_s16(elements), vget_low_s16(weights));
            sums[lane] = vmlal_high_s16(low, elements, weights);
        }
    }
    added(sums)
}

/// The sum of each register.
#[inline]
#[target_feature(enable = "neon")]
fn added([a, b, c, d, e, f, g, h]: [int32x4_t; GROUP]) -> [int32x4_t; 2] {
    [
        vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)),
        vpaddq_s32(vpaddq_s32(e, f), vpaddq_s32(g, h)),
    ]
}
