//! What each position along one side of the tensor reads of one side of the camera's grid.

use super::room::Room;
use crate::profile::Resample;
use std::ops::Range;

/// The part of a side of the grid that is read: `count` positions over `size` pixels from `start`, of
/// `length` pixels that are looked at, the first of which is the grid's `first`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub first: usize,
    pub start: f64,
    pub size: f64,
    pub length: u32,
    pub count: usize,
    /// The last position comes first.
    pub flipped: bool,
}

/// The grid's pixels that one position is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    first: usize,
    /// Where its weights lie.
    at: usize,
    count: usize,
}

/// For each position the pixels that it is made of, one after the other, and their shares: none is 0, and
/// their sum is 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taps {
    spans: Room<Span>,
    weights: Room<f64>,
}

/// Most pixels of one position whose shares are made whole numbers.
pub(super) const MOST_TAPS: usize = 64;
/// Most places from a position's first pixel to its last one: of a Bayer sample's rows every other one is there.
pub(super) const MOST_PLACES: usize = 2 * MOST_TAPS;

/// The pixels of one position before what is nothing is left out.
#[derive(Clone, Copy, Debug)]
struct Shares {
    first: usize,
    count: usize,
    of: Of,
}

/// How they are shared.
#[derive(Clone, Copy, Debug)]
enum Of {
    One,
    /// What is not the second one's is the first one's.
    Two(f64),
    /// By the overlap with this stretch; the first pixel is at the third number.
    Overlap(f64, f64, f64),
}

impl Shares {
    fn iter(self) -> impl Iterator<Item = f64> + Clone {
        (0..self.count).map(move |index| match self.of {
            Of::One => 1.0,
            Of::Two(second) if index == 0 => 1.0 - second,
            Of::Two(second) => second,
            Of::Overlap(from, to, first) => {
                let left = first + index as f64;
                (to.min(left + 1.0) - from.max(left)).max(0.0)
            }
        })
    }
}

/// Shares below it are what rounding has left of nothing.
const LEAST: f64 = 1e-9;

impl Extent {
    /// The pixels of a position, and their shares.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // They lie in 0..length.
    fn shares(&self, index: usize, resample: Resample) -> Shares {
        let index = if self.flipped {
            self.count - 1 - index
        } else {
            index
        };
        let most = f64::from(self.length - 1);
        // The product first: where it is exact, so is a quotient that is whole.
        let at = |position: f64| self.start + position * self.size / self.count as f64;
        match resample {
            Resample::Nearest => {
                let pixel = at(index as f64 + 0.5).floor().clamp(0.0, most);
                Shares {
                    first: pixel as usize,
                    count: 1,
                    of: Of::One,
                }
            }
            Resample::Bilinear => {
                let centre = (at(index as f64 + 0.5) - 0.5).clamp(0.0, most);
                let first = centre.floor();
                Shares {
                    first: first as usize,
                    count: 2,
                    of: Of::Two(centre - first),
                }
            }
            Resample::Area => {
                let from = at(index as f64).clamp(0.0, most);
                let to = at(index as f64 + 1.0).clamp(from, f64::from(self.length));
                let first = from.floor();
                let last = (to.ceil() - 1.0).clamp(first, most);
                Shares {
                    first: first as usize,
                    count: (last - first) as usize + 1,
                    of: Of::Overlap(from, to, first),
                }
            }
        }
    }
}

impl Taps {
    pub(super) fn new(extent: &Extent, resample: Resample) -> Self {
        let mut taps = Self::with_room(extent.length, extent.count, resample);
        // The room is that of this extent.
        let _ = taps.aim(extent, resample);
        taps
    }

    /// None, with room for any `count` positions over any part of `length` pixels.
    pub(super) fn with_room(length: u32, count: usize, resample: Resample) -> Self {
        let weights = match resample {
            Resample::Nearest => count,
            Resample::Bilinear => 2 * count,
            // A position may begin and end inside a pixel.
            Resample::Area => length as usize + 2 * count,
        };
        Self {
            spans: Room::of(count),
            weights: Room::of(weights),
        }
    }

    /// Makes them those of another extent, in the memory that is there. `None` where it does not do.
    pub(super) fn aim(&mut self, extent: &Extent, resample: Resample) -> Option<()> {
        let Self { spans, weights } = self;
        spans.clear();
        weights.clear();
        for index in 0..extent.count {
            let shares = extent.shares(index, resample);
            let sum: f64 = shares.iter().sum();
            let is_some = |share: &f64| *share > LEAST * sum;
            let before = shares.iter().take_while(|share| !is_some(share)).count();
            let kept = || shares.iter().skip(before).take_while(is_some);
            let sum: f64 = kept().sum();
            let at = weights.len();
            for share in kept() {
                weights.put(share / sum)?;
            }
            let span = Span {
                first: extent.first + shares.first + before,
                at,
                count: weights.len() - at,
            };
            spans.put(span)?;
        }
        Some(())
    }

    /// Shares that there is room for.
    pub(super) fn room(&self) -> usize {
        self.weights.room()
    }

    /// Positions that there is room for.
    pub(super) fn positions(&self) -> usize {
        self.spans.room()
    }

    /// Most pixels of a position.
    pub(super) fn most(&self) -> usize {
        self.spans.iter().map(|span| span.count).max().unwrap_or(0)
    }

    /// Positions.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// First pixel of position `index`, and the share of it and of those that follow.
    pub(super) fn get(&self, index: usize) -> (usize, &[f64]) {
        let Some(span) = self.spans.get(index) else {
            return (0, &[]);
        };
        let weights = self.weights.get(span.at..span.at + span.count);
        (span.first, weights.unwrap_or_default())
    }

    /// The pixels from the first to the last of some positions. Positions that are missing are as the last one.
    pub(super) fn pixels(&self, positions: Range<usize>) -> Range<usize> {
        let count = self.len();
        let some = positions.start.min(count.saturating_sub(1))..positions.end.min(count);
        let (mut from, mut to) = (usize::MAX, 0);
        for span in self.spans.get(some).unwrap_or_default() {
            from = from.min(span.first);
            to = to.max(span.first + span.count);
        }
        from.min(to)..to
    }

    /// First pixel of each position, with the shares.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[f64])> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Shares as whole numbers with a sum of `whole`, each as near as its neighbours allow.
///
/// At most [`MOST_PLACES`] of them.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0..=whole.
pub(super) fn quantised(shares: &[f64], whole: u32) -> heapless::Vec<u32, MOST_PLACES> {
    let mut sum = 0.0;
    let mut before = 0;
    let parts = shares.iter().take(MOST_PLACES).map(|share| {
        sum += share;
        let upto = (sum * f64::from(whole)).round() as u32;
        let part = upto - before;
        before = upto;
        part
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::{Extent, Taps, quantised};
    use crate::profile::Resample;

    fn taps(length: u32, count: usize, resample: Resample) -> Vec<(usize, Vec<f64>)> {
        let extent = Extent {
            first: 0,
            start: 0.0,
            size: f64::from(length),
            length,
            count,
            flipped: false,
        };
        let taps = Taps::new(&extent, resample);
        taps.iter()
            .map(|(first, shares)| (first, shares.to_vec()))
            .collect()
    }

    #[test]
    fn areas_are_the_overlaps_of_pixels() {
        let third = 1.0 / 1.5;
        let found = taps(3, 2, Resample::Area);
        assert_eq!(
            found,
            [(0, vec![third, 0.5 * third]), (1, vec![0.5 * third, third])]
        );
        assert_eq!(
            taps(4, 2, Resample::Area),
            [(0, vec![0.5; 2]), (2, vec![0.5; 2])]
        );
        // Enlarged, a position lies inside a pixel, or over the border of two.
        let found = taps(2, 3, Resample::Area);
        assert_eq!(
            found.iter().map(|(first, _)| *first).collect::<Vec<_>>(),
            [0, 0, 1]
        );
        assert!((found[1].1[0] - 0.5).abs() < 1e-12 && found[1].1.len() == 2);
    }

    #[test]
    fn shares_of_nothing_are_left_out() {
        assert_eq!(taps(4, 4, Resample::Bilinear)[3], (3, vec![1.0]));
        assert_eq!(taps(30, 10, Resample::Area)[3].1.len(), 3);
        for (first, shares) in taps(1920, 300, Resample::Area) {
            assert!(shares.len() <= 8 && first + shares.len() <= 1920);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn whole_shares_have_the_whole_sum() {
        assert_eq!(quantised(&[1.0 / 3.0; 3], 16384), [5461, 5462, 5461]);
        assert_eq!(quantised(&[1.0], 65536), [65536]);
    }
}
