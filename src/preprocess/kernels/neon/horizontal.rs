//! A row buffer to filtered samples, eight output pixels at once.

use super::colour::colour;
use super::numbers::store_numbers;
use crate::preprocess::kernels::horizontal::{HorizontalTable, slot};
use crate::preprocess::kernels::output_line::OutputLine;
use crate::preprocess::kernels::scratch::{Filtered, FilteredRow, RowBuffer, Scratch};
use crate::preprocess::kernels::sizes::GROUP;
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::kernels::tiles::Tile;
use crate::preprocess::layout::TensorLayout;
use std::arch::aarch64::{
    int32x4_t, vaddq_s32, vaddvq_s32, vdupq_n_s32, vget_low_s16, vld1q_lane_s32, vld1q_s16,
    vld1q_s32, vmlal_high_s16, vmull_high_s16, vmull_s16, vpaddq_s32, vreinterpretq_s16_s32,
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
    if table.chunks == 0 {
        for (group, out) in groups.zip(&mut out.0) {
            store_numbers(out, pairs(row, table, group));
        }
    } else {
        for (group, out) in groups.zip(&mut out.0) {
            store_numbers(out, runs(row, table, group));
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

/// The sums of runs of elements.
#[inline]
#[target_feature(enable = "neon")]
fn runs(row: &RowBuffer, table: &HorizontalTable, group: usize) -> [int32x4_t; 2] {
    let mut sums = [[0_i32; 4]; 2];
    let starts = table.starts.get(group).copied().unwrap_or_default();
    for (lane, (out, start)) in sums.as_flattened_mut().iter_mut().zip(starts).enumerate() {
        let mut sum = vdupq_n_s32(0);
        for chunk in 0..table.chunks {
            let from = start as usize + 8 * chunk;
            let weights = table
                .weights
                .get((group * table.chunks + chunk) * GROUP + slot(lane));
            let elements = row.get(from..).and_then(|row| row.first_chunk::<8>());
            let (Some(weights), Some(elements)) = (weights, elements) else {
                continue;
            };
            // SAFETY: eight readable numbers each.
            let (weights, elements) =
                unsafe { (vld1q_s16(weights.as_ptr()), vld1q_s16(elements.as_ptr())) };
            let low = vmull_s16(vget_low_s16(elements), vget_low_s16(weights));
            sum = vaddq_s32(sum, vmlal_high_s16(low, elements, weights));
        }
        *out = vaddvq_s32(sum);
    }
    // SAFETY: four readable numbers each.
    sums.map(|half| unsafe { vld1q_s32(half.as_ptr()) })
}
