//! Which elements of a row buffer each output pixel is made of.

use super::sizes::{BLOCK, GROUP, ROW_ELEMENTS};
use super::tiles::Tile;
use crate::preprocess::bounded_vec::BoundedVec;
use crate::preprocess::filter_weights::{FilterWeights, MAX_SUPPORT, merged, quantised};

/// Sum of an output pixel's weights; of the only one, 32767 stands for the whole.
pub(super) const WHOLE: u32 = 1 << 15;

/// For each group of output pixels where their elements start in the row buffer, and their weights.
///
/// Holding one proves that what is read of each output pixel lies inside a row buffer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HorizontalTable {
    /// First element of each output pixel.
    pub starts: BoundedVec<[u32; GROUP]>,
    /// Weights of the first and the second element, in the lower and the upper half; empty where an output pixel
    /// has more than two.
    pub pairs: BoundedVec<[i32; GROUP]>,
    pub elements: Elements,
    /// Of [`Elements::Four`] the weights of each group, of two output pixels each: 0 1, 4 5, 2 3, 6 7. Of
    /// [`Elements::Chunks`] the weights of each group, of each chunk, of the output pixels 0 4 1 5 2 6 3 7.
    pub weights: BoundedVec<[i16; 8]>,
}

/// How many elements are read of each output pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    Two,
    Four,
    /// So many runs of eight.
    Chunks(usize),
}

impl Elements {
    /// Those that hold `most`.
    const fn of(most: usize) -> Self {
        match most {
            0..=2 => Self::Two,
            3..=4 => Self::Four,
            _ => Self::Chunks(most.div_ceil(BLOCK / 2)),
        }
    }

    /// Entries of [`HorizontalTable::weights`] for a group.
    pub(super) const fn entries(self) -> usize {
        match self {
            Self::Two => 0,
            Self::Four => GROUP / 2,
            Self::Chunks(chunks) => chunks * GROUP,
        }
    }
}

/// Which entry of [`Elements::Four`] has the weights of output pixel `lane`, and from where on: the order in which
/// 256-bit registers take them.
pub(super) const fn quarter(lane: usize) -> (usize, usize) {
    (lane / 2 % 2 * 2 + lane / 4, lane % 2 * 4)
}

/// Which weights of a chunk are those of output pixel `lane`: the order in which 256-bit registers take them.
pub(super) const fn slot(lane: usize) -> usize {
    lane % 4 * 2 + lane / 4
}

/// The elements of one output pixel: the first one's place in the row buffer, and the weights of that and of those
/// that follow.
type Support = (usize, heapless::Vec<u32, MAX_SUPPORT>);

/// The elements of output pixel `index`, of samples that `px` columns share. What is missing of the last groups is
/// as the last output pixel.
fn elements(weights: &FilterWeights, tile: &Tile, px: usize, index: usize) -> Support {
    let (first, weights) = weights.get(index.min(weights.len().saturating_sub(1)));
    let merged = merged(weights, |column| (first + column) / px - first / px);
    (first / px - tile.column / px, quantised(&merged, WHOLE))
}

/// The weight of element `at` of an output pixel; 0 where it has fewer.
fn weight((_, weights): &Support, at: usize) -> i16 {
    let weight = weights.get(at).map_or(0, |&weight| weight.min(WHOLE - 1));
    i16::try_from(weight).unwrap_or(i16::MAX)
}

impl HorizontalTable {
    /// None, with the capacity for so many output pixels of at most `most` columns each.
    pub(super) fn with_capacity(outputs: usize, most: usize) -> Self {
        let pairs = outputs.div_ceil(2 * GROUP);
        let entries = Elements::of(most).entries();
        Self {
            starts: BoundedVec::with_capacity(2 * pairs),
            pairs: BoundedVec::with_capacity(2 * pairs),
            elements: Elements::Two,
            weights: BoundedVec::with_capacity(2 * pairs * entries),
        }
    }

    /// Makes them those of `weights`, of samples that `px` columns share, in the memory that is there. `None`
    /// where it does not suffice, or an output pixel reaches beyond its row buffer.
    pub(super) fn update(
        &mut self,
        all_weights: &FilterWeights,
        tiles: &[Tile],
        px: usize,
    ) -> Option<()> {
        let Self {
            starts,
            pairs,
            elements: kind,
            weights,
        } = self;
        starts.clear();
        pairs.clear();
        weights.clear();
        let groups = || {
            let of_tile = |tile: &'_ Tile| (tile.group..tile.end, *tile);
            tiles
                .iter()
                .map(of_tile)
                .flat_map(|(groups, tile)| groups.map(move |group| (group, tile)))
        };
        let output = |group: usize, tile: &Tile, lane: usize| {
            elements(all_weights, tile, px, group * GROUP + lane)
        };
        let mut most = 0;
        for (group, tile) in groups() {
            let mut of_group = [0; GROUP];
            for (lane, start) in of_group.iter_mut().enumerate() {
                let (at, weights) = output(group, &tile, lane);
                most = most.max(weights.len());
                *start = u32::try_from(at).ok()?;
            }
            starts.push(of_group)?;
        }
        *kind = Elements::of(most);
        let reach = match *kind {
            Elements::Two | Elements::Four => 8,
            Elements::Chunks(chunks) => 8 * chunks,
        };
        if starts
            .as_flattened()
            .iter()
            .any(|&start| start as usize + reach > ROW_ELEMENTS)
        {
            return None;
        }
        for (group, tile) in groups() {
            let of_group: [Support; GROUP] = std::array::from_fn(|lane| output(group, &tile, lane));
            let at = weights.len();
            for _ in 0..kind.entries() {
                weights.push([0; 8])?;
            }
            match *kind {
                Elements::Two => {
                    let pair =
                        |of: &Support| i32::from(weight(of, 0)) | i32::from(weight(of, 1)) << 16;
                    pairs.push(std::array::from_fn(|lane| pair(&of_group[lane])))?;
                }
                Elements::Four => {
                    for (lane, output) in of_group.iter().enumerate() {
                        let (entry, from) = quarter(lane);
                        let entry = weights.get_mut(at + entry)?;
                        for (index, out) in entry.iter_mut().skip(from).take(4).enumerate() {
                            *out = weight(output, index);
                        }
                    }
                }
                Elements::Chunks(chunks) => {
                    for (lane, output) in of_group.iter().enumerate() {
                        for chunk in 0..chunks {
                            *weights.get_mut(at + chunk * GROUP + slot(lane))? =
                                std::array::from_fn(|index| weight(output, chunk * 8 + index));
                        }
                    }
                }
            }
        }
        Some(())
    }
}
