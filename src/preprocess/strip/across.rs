//! Which elements of a strip a position is made of.

use super::{BLOCK, GROUP, STRIP, Tile, merged};
use crate::preprocess::taps::{Taps, quantised};

/// Sum of a position's weights; of the only one, 32767 stands for the whole.
pub(super) const WHOLE: u32 = 1 << 15;
/// Elements that one window of the wide kernel reaches.
pub(super) const WIDE: usize = 64;

/// Elements of two groups of positions, in windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// First element, for each group.
    pub at: [usize; 2],
    /// The first group's window is wide enough for both.
    pub is_one: bool,
    /// Of each group, the elements of the window: both of each position.
    pub index: [[u16; 2 * GROUP]; 2],
}

/// For each group of positions where its elements start in the strip, and their weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Across {
    /// First element of each position.
    pub starts: Box<[[u32; GROUP]]>,
    /// Weights of the first and the second element, in the lower and the upper half; empty where a position
    /// has more than two.
    pub pairs: Box<[[i32; GROUP]]>,
    /// Runs of eight elements of a position; 0 where two elements are enough.
    pub chunks: usize,
    /// Weights of each group, of each chunk, of the positions 0 4 1 5 2 6 3 7.
    pub weights: Box<[[i16; 8]]>,
    /// Of each two groups, where two elements are enough and no group is too wide; else empty.
    pub windows: Box<[Window]>,
}

/// Which weights of a chunk are those of position `lane`: the order in which 256-bit registers take them.
pub(super) const fn slot(lane: usize) -> usize {
    lane % 4 * 2 + lane / 4
}

impl Across {
    /// Of samples that `px` columns share.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // Weights are below 1 << 15.
    pub(super) fn new(taps: &Taps, tiles: &[Tile], px: usize) -> Option<Self> {
        let mut elements = Vec::with_capacity(taps.len().next_multiple_of(2 * GROUP));
        for (index, tile) in tiles
            .iter()
            .flat_map(|tile| (tile.group * GROUP..tile.end * GROUP).map(move |index| (index, tile)))
        {
            let (first, shares) = taps.get(index.min(taps.len() - 1));
            let merged = merged(shares, |column| (first + column) / px - first / px);
            let start = first / px - tile.column / px;
            elements.push((start, quantised(&merged, WHOLE)));
        }
        let most = elements.iter().map(|(_, weights)| weights.len()).max()?;
        let chunks = if most <= 2 {
            0
        } else {
            most.div_ceil(BLOCK / 2)
        };
        if elements
            .iter()
            .any(|(start, _)| start + 8 * chunks.max(1) > STRIP)
        {
            return None;
        }
        let weight = |(_, weights): &(usize, Vec<u32>), at: usize| {
            weights
                .get(at)
                .map_or(0, |&weight| weight.min(WHOLE - 1) as i32)
        };
        let groups = || elements.as_chunks::<GROUP>().0.iter();
        let mut weights = vec![[0; 8]; elements.len() * chunks];
        for (group, positions) in groups().enumerate() {
            for (lane, position) in positions.iter().enumerate() {
                for chunk in 0..chunks {
                    let at = (group * chunks + chunk) * GROUP + slot(lane);
                    *weights.get_mut(at)? =
                        std::array::from_fn(|index| weight(position, chunk * 8 + index) as i16);
                }
            }
        }
        let windows = if chunks == 0 {
            elements
                .as_chunks::<{ 2 * GROUP }>()
                .0
                .iter()
                .map(window)
                .collect::<Option<_>>()
                .unwrap_or_default()
        } else {
            Box::default()
        };
        Some(Self {
            starts: groups()
                .map(|group| std::array::from_fn(|lane| group[lane].0 as u32))
                .collect(),
            pairs: if chunks == 0 {
                let pair = |position| weight(position, 0) | weight(position, 1) << 16;
                groups()
                    .map(|group| std::array::from_fn(|lane| pair(&group[lane])))
                    .collect()
            } else {
                Box::default()
            },
            chunks,
            weights: weights.into(),
            windows,
        })
    }

    /// Whether the wide kernel's tables are there.
    pub(super) fn has_windows(&self) -> bool {
        2 * self.windows.len() == self.starts.len()
    }
}

/// `None` where a group is too wide.
fn window(groups: &[(usize, Vec<u32>); 2 * GROUP]) -> Option<Window> {
    let from = |positions: &[(usize, Vec<u32>)]| positions.iter().map(|(start, _)| *start).min();
    let fits = |positions: &[(usize, Vec<u32>)], at: usize| {
        let last = positions.iter().map(|(start, _)| *start).max().unwrap_or(0) + 1;
        last < at + WIDE && at + WIDE <= STRIP
    };
    let (first, second) = groups.split_at(GROUP);
    let (whole, mut at) = (from(groups)?, [from(first)?, from(second)?]);
    let is_one = fits(groups, whole);
    if is_one {
        at = [whole; 2];
    } else if !fits(first, at[0]) || !fits(second, at[1]) {
        return None;
    }
    let index = |group: usize| {
        std::array::from_fn(|element| {
            let start = groups[group * GROUP + element / 2].0;
            u16::try_from(start + element % 2 - at[group]).unwrap_or(0)
        })
    };
    Some(Window {
        at,
        is_one,
        index: [index(0), index(1)],
    })
}
