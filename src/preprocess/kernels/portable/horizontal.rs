//! A row buffer to filtered samples.

use super::colour::colour;
use crate::preprocess::kernels::horizontal::{Elements, HorizontalTable, quarter, slot};
use crate::preprocess::kernels::output_line::OutputLine;
use crate::preprocess::kernels::scratch::{Filtered, RowBuffer, Scratch};
use crate::preprocess::kernels::sizes::GROUP;
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::kernels::tiles::Tile;
use crate::preprocess::layout::TensorLayout;
use std::ops::Range;

/// Writes the output pixels of one tile.
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
            for (group, out) in groups.clone().zip(&mut out.0) {
                *out = filtered_of(row, table, group);
            }
        }
    };
    let samples = tables.fetches.len();
    let colour = |filtered: &Filtered, out: [&mut [u8]; 3]| {
        let filtered = filtered.get(..samples).unwrap_or_default();
        colour(&tables.gains, layout, filtered, out);
    };
    line.write_batches(tile.group..tile.end, filtered, filter, colour);
}

/// The filtered samples of one kind of one group of output pixels.
#[allow(clippy::cast_precision_loss)] // Below 2^30, with 24 bits to be kept.
fn filtered_of(row: &RowBuffer, table: &HorizontalTable, group: usize) -> [f32; GROUP] {
    let starts = table.starts.get(group).copied().unwrap_or_default();
    let at = group * table.elements.entries();
    let of = |entry: usize| table.weights.get(at + entry).copied().unwrap_or_default();
    std::array::from_fn(|lane| {
        let elements = row.get(starts[lane] as usize..).unwrap_or_default();
        let product = |(element, weight): (&i16, i16)| i32::from(*element) * i32::from(weight);
        let sum: i32 = match table.elements {
            Elements::Two => {
                let pairs = table.pairs.get(group).copied().unwrap_or_default();
                let [a, b, c, d] = pairs[lane].to_le_bytes();
                let weights = [i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d])];
                elements.iter().zip(weights).map(product).sum()
            }
            Elements::Four => {
                let (entry, from) = quarter(lane);
                let weights = of(entry).into_iter().skip(from).take(4);
                elements.iter().zip(weights).map(product).sum()
            }
            Elements::Chunks(chunks) => {
                let weights = (0..chunks).flat_map(|chunk| of(chunk * GROUP + slot(lane)));
                elements.iter().zip(weights).map(product).sum()
            }
        };
        sum as f32
    })
}
