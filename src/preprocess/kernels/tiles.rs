//! Parts of a line whose samples fit into row buffers.

use super::sizes::{BLOCK, COLUMNS, GROUP};
use crate::preprocess::bounded_vec::BoundedVec;
use crate::preprocess::filter_weights::FilterWeights;

/// Tiles start at whole blocks of samples that two columns share.
const ALIGN: usize = 2 * BLOCK;

/// Groups of output pixels whose samples fit into one set of row buffers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    /// Groups from this one, an even number.
    pub group: usize,
    /// Up to this one, excluded: an even number, though the last one may hold no output pixel.
    pub end: usize,
    /// First column of the grid in the row buffers.
    pub column: usize,
    /// Columns of the grid.
    pub columns: usize,
}

/// As few tiles as a row buffer's length allows; `None` where a group does not fit.
pub(super) fn update(weights: &FilterWeights, tiles: &mut BoundedVec<Tile>) -> Option<()> {
    tiles.clear();
    // By twos, as kernels write them.
    for group in (0..weights.len().div_ceil(GROUP)).step_by(2) {
        let columns = weights.pixels(group * GROUP..(group + 2) * GROUP);
        let (from, to) = (columns.start / ALIGN * ALIGN, columns.end);
        let grown = tiles.last().map(|tile| {
            let column = tile.column.min(from);
            (column, to.max(tile.column + tile.columns) - column)
        });
        match (grown, tiles.last_mut()) {
            (Some((column, columns)), Some(tile)) if columns <= COLUMNS => {
                *tile = Tile {
                    end: group + 2,
                    column,
                    columns,
                    ..*tile
                };
            }
            _ if to - from > COLUMNS => return None,
            _ => tiles.push(Tile {
                group,
                end: group + 2,
                column: from,
                columns: to - from,
            })?,
        }
    }
    Some(())
}
