//! The anchors of SSD on MobileNet: six grids, from fine to coarse.
//!
//! # Source
//! TensorFlow Object Detection API, `multiple_grid_anchor_generator.create_ssd_anchors` with its defaults
//! (scales 0.2 to 0.95, ratios 1, 2, 1/2, 3, 1/3, one more square between the scales, three anchors in the
//! lowest layer); MediaPipe's `SsdAnchorsCalculator` gives the same ones.

use std::ops::RangeInclusive;

/// Where a box is looked for, 0..=1 along each side of the tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Anchor {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

/// Sides of inputs that have such anchors, in pixels.
pub(super) const SIDES: RangeInclusive<usize> = 64..=1024;
/// Pixels between the cells of the finest grid; each grid after it is half as fine.
const FINEST: usize = 16;
const GRIDS: u8 = 6;
const SCALES: [f32; 2] = [0.2, 0.95];
/// Scale of the lowest layer's square.
const LOWEST: f32 = 0.1;
const RATIOS: [f32; 5] = [1.0, 2.0, 0.5, 3.0, 0.3333];

/// Scale of a grid; 1 beyond the last one.
fn scale(grid: u8) -> f32 {
    if grid >= GRIDS {
        return 1.0;
    }
    SCALES[0] + (SCALES[1] - SCALES[0]) * f32::from(grid) / f32::from(GRIDS - 1)
}

/// Scale and ratio of the anchors in each cell of a grid, in their order.
fn kinds(grid: u8) -> Vec<(f32, f32)> {
    let own = scale(grid);
    if grid == 0 {
        return vec![(LOWEST, 1.0), (own, 2.0), (own, 0.5)];
    }
    let between = (own * scale(grid + 1)).sqrt();
    let ratios = RATIOS.iter().map(|&ratio| (own, ratio));
    ratios.chain([(between, 1.0)]).collect()
}

/// The anchors of a square input of `side` pixels, grid by grid and row by row.
pub(super) fn of(side: usize) -> Box<[Anchor]> {
    let mut anchors = Vec::new();
    let mut cell_px = FINEST;
    for grid in 0..GRIDS {
        let cells = u16::try_from(side.div_ceil(cell_px)).unwrap_or(u16::MAX);
        let centre = |cell: u16| (f32::from(cell) + 0.5) / f32::from(cells);
        let kinds = kinds(grid);
        for (row, column) in (0..cells).flat_map(|row| (0..cells).map(move |column| (row, column)))
        {
            anchors.extend(kinds.iter().map(|&(scale, ratio)| Anchor {
                x: centre(column),
                y: centre(row),
                width: scale * ratio.sqrt(),
                height: scale / ratio.sqrt(),
            }));
        }
        cell_px *= 2;
    }
    anchors.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_of_300_pixels_has_1917_anchors() {
        let anchors = of(300);
        assert_eq!(anchors.len(), 1917);
        let near = |anchor: Anchor, [x, y, width, height]: [f32; 4]| {
            let off = [
                anchor.x - x,
                anchor.y - y,
                anchor.width - width,
                anchor.height - height,
            ];
            assert!(off.iter().all(|off| off.abs() < 1e-4), "{anchor:?}");
        };
        near(anchors[0], [0.5 / 19.0, 0.5 / 19.0, 0.1, 0.1]);
        near(anchors[1], [0.5 / 19.0, 0.5 / 19.0, 0.282_84, 0.141_42]);
        near(anchors[3], [1.5 / 19.0, 0.5 / 19.0, 0.1, 0.1]);
        near(anchors[1083], [0.05, 0.05, 0.35, 0.35]);
        near(anchors[1916], [0.5, 0.5, 0.974_68, 0.974_68]);
    }

    #[test]
    fn other_sides_have_the_grids_that_their_size_gives() {
        assert_eq!(of(320).len(), 20 * 20 * 3 + (100 + 25 + 9 + 4 + 1) * 6);
        assert!(SIDES.contains(&300) && !SIDES.contains(&32));
    }
}
