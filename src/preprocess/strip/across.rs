//! Which elements of a strip a position is made of.

use super::{BLOCK, GROUP, STRIP, Tile, merged};
use crate::preprocess::room::Room;
use crate::preprocess::taps::{MOST_PLACES, Taps, quantised};

/// Sum of a position's weights; of the only one, 32767 stands for the whole.
pub(super) const WHOLE: u32 = 1 << 15;

/// For each group of positions where its elements start in the strip, and their weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Across {
    /// First element of each position.
    pub starts: Room<[u32; GROUP]>,
    /// Weights of the first and the second element, in the lower and the upper half; empty where a position
    /// has more than two.
    pub pairs: Room<[i32; GROUP]>,
    /// Runs of eight elements of a position; 0 where two elements are enough.
    pub chunks: usize,
    /// Weights of each group, of each chunk, of the positions 0 4 1 5 2 6 3 7.
    pub weights: Room<[i16; 8]>,
}

/// Which weights of a chunk are those of position `lane`: the order in which 256-bit registers take them.
pub(super) const fn slot(lane: usize) -> usize {
    lane % 4 * 2 + lane / 4
}

/// The elements of one position: the first one's place in the strip, and the weights of that and of those that
/// follow.
type Elements = (usize, heapless::Vec<u32, MOST_PLACES>);

/// The elements of position `index`, of samples that `px` columns share. What is missing of the last groups is
/// as the last position.
fn elements(taps: &Taps, tile: &Tile, px: usize, index: usize) -> Elements {
    let (first, shares) = taps.get(index.min(taps.len().saturating_sub(1)));
    let merged = merged(shares, |column| (first + column) / px - first / px);
    (first / px - tile.column / px, quantised(&merged, WHOLE))
}

/// Runs of eight elements that hold `most`; 0 where two elements are enough.
const fn chunks_of(most: usize) -> usize {
    if most <= 2 {
        0
    } else {
        most.div_ceil(BLOCK / 2)
    }
}

/// The weight of element `at` of a position; 0 where it has fewer.
fn weight((_, weights): &Elements, at: usize) -> i16 {
    let weight = weights.get(at).map_or(0, |&weight| weight.min(WHOLE - 1));
    i16::try_from(weight).unwrap_or(i16::MAX)
}

impl Across {
    /// None, with room for so many positions of at most `most` columns each.
    pub(super) fn with_room(positions: usize, most: usize) -> Self {
        let pairs = positions.div_ceil(2 * GROUP);
        Self {
            starts: Room::of(2 * pairs),
            pairs: Room::of(2 * pairs),
            chunks: 0,
            weights: Room::of(2 * GROUP * pairs * chunks_of(most)),
        }
    }

    /// Makes them those of `taps`, of samples that `px` columns share, in the memory that is there. `None`
    /// where it does not do, or a position reaches beyond its strip.
    pub(super) fn aim(&mut self, taps: &Taps, tiles: &[Tile], px: usize) -> Option<()> {
        let Self {
            starts,
            pairs,
            chunks,
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
        let position =
            |group: usize, tile: &Tile, lane: usize| elements(taps, tile, px, group * GROUP + lane);
        let mut most = 0;
        for (group, tile) in groups() {
            let mut of_group = [0; GROUP];
            for (lane, start) in of_group.iter_mut().enumerate() {
                let (at, weights) = position(group, &tile, lane);
                most = most.max(weights.len());
                *start = u32::try_from(at).ok()?;
            }
            starts.put(of_group)?;
        }
        *chunks = chunks_of(most);
        let reach = 8 * (*chunks).max(1);
        if starts
            .as_flattened()
            .iter()
            .any(|&start| start as usize + reach > STRIP)
        {
            return None;
        }
        for (group, tile) in groups() {
            let of_group: [Elements; GROUP] =
                std::array::from_fn(|lane| position(group, &tile, lane));
            if *chunks == 0 {
                let pair =
                    |of: &Elements| i32::from(weight(of, 0)) | i32::from(weight(of, 1)) << 16;
                pairs.put(std::array::from_fn(|lane| pair(&of_group[lane])))?;
                continue;
            }
            let at = weights.len();
            for _ in 0..*chunks * GROUP {
                weights.put([0; 8])?;
            }
            for (lane, position) in of_group.iter().enumerate() {
                for chunk in 0..*chunks {
                    *weights.get_mut(at + chunk * GROUP + slot(lane))? =
                        std::array::from_fn(|index| weight(position, chunk * 8 + index));
                }
            }
        }
        Some(())
    }
}
