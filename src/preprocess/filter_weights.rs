//! Which pixels of the camera's grid, and with what weights, each output pixel is made of, along one axis.

use super::bounded_vec::BoundedVec;
use crate::profile::Resample;
use std::ops::Range;

/// The part of an axis of the grid that is read: `count` output pixels over `size` pixels from `start`, of `length`
/// pixels that may be read, the first of which is the grid's `first`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub first: usize,
    pub start: f64,
    pub size: f64,
    pub length: u32,
    pub count: usize,
    /// The last output pixel comes first.
    pub flipped: bool,
}

/// The grid's pixels that one output pixel is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Support {
    first: usize,
    /// Where its weights lie.
    at: usize,
    count: usize,
}

/// For each output pixel along an axis the pixels that it is made of, one after the other, and their weights: none
/// is 0, and their sum is 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FilterWeights {
    supports: BoundedVec<Support>,
    weights: BoundedVec<f64>,
}

/// Most weights of one output pixel that are made whole numbers.
pub(super) const MAX_WEIGHTS: usize = 64;
/// Most pixels from an output pixel's first to its last one: of a Bayer sample's rows every other one is there.
pub(super) const MAX_SUPPORT: usize = 2 * MAX_WEIGHTS;

/// The pixels of one output pixel before what weighs nothing is left out.
#[derive(Clone, Copy, Debug)]
struct Filter {
    first: usize,
    count: usize,
    kind: FilterKind,
}

/// How they are weighted.
#[derive(Clone, Copy, Debug)]
enum FilterKind {
    One,
    /// The weight of the second pixel; the first one's is the rest.
    Two(f64),
    /// By the overlap with this stretch; the first pixel is at the third number.
    Overlap(f64, f64, f64),
}

impl Filter {
    fn iter(self) -> impl Iterator<Item = f64> + Clone {
        (0..self.count).map(move |index| match self.kind {
            FilterKind::One => 1.0,
            FilterKind::Two(second) if index == 0 => 1.0 - second,
            FilterKind::Two(second) => second,
            FilterKind::Overlap(from, to, first) => {
                let left = first + index as f64;
                (to.min(left + 1.0) - from.max(left)).max(0.0)
            }
        })
    }
}

/// Weights below it are what rounding has left of nothing.
const LEAST: f64 = 1e-9;

impl Extent {
    /// The pixels of an output pixel, and their weights.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // They lie in 0..length.
    fn filter(&self, index: usize, resample: Resample) -> Filter {
        let index = if self.flipped {
            self.count - 1 - index
        } else {
            index
        };
        let most = f64::from(self.length - 1);
        // The product first: where it is exact, so is a quotient that is whole.
        let at = |place: f64| self.start + place * self.size / self.count as f64;
        match resample {
            Resample::Nearest => {
                let pixel = at(index as f64 + 0.5).floor().clamp(0.0, most);
                Filter {
                    first: pixel as usize,
                    count: 1,
                    kind: FilterKind::One,
                }
            }
            Resample::Bilinear => {
                let centre = (at(index as f64 + 0.5) - 0.5).clamp(0.0, most);
                let first = centre.floor();
                Filter {
                    first: first as usize,
                    count: 2,
                    kind: FilterKind::Two(centre - first),
                }
            }
            Resample::Area => {
                let from = at(index as f64).clamp(0.0, most);
                let to = at(index as f64 + 1.0).clamp(from, f64::from(self.length));
                let first = from.floor();
                let last = (to.ceil() - 1.0).clamp(first, most);
                Filter {
                    first: first as usize,
                    count: (last - first) as usize + 1,
                    kind: FilterKind::Overlap(from, to, first),
                }
            }
        }
    }
}

impl FilterWeights {
    pub(super) fn new(extent: &Extent, resample: Resample) -> Self {
        let mut weights = Self::with_capacity(extent.length, extent.count, resample);
        // The capacity is that of this extent.
        let _ = weights.update(extent, resample);
        weights
    }

    /// None, with the capacity for any `count` output pixels over any part of `length` pixels.
    pub(super) fn with_capacity(length: u32, count: usize, resample: Resample) -> Self {
        let weights = match resample {
            Resample::Nearest => count,
            Resample::Bilinear => 2 * count,
            // An output pixel may begin and end inside a pixel.
            Resample::Area => length as usize + 2 * count,
        };
        Self {
            supports: BoundedVec::with_capacity(count),
            weights: BoundedVec::with_capacity(weights),
        }
    }

    /// Makes them those of another extent, in the memory that is there. `None` where it does not suffice.
    pub(super) fn update(&mut self, extent: &Extent, resample: Resample) -> Option<()> {
        let Self { supports, weights } = self;
        supports.clear();
        weights.clear();
        for index in 0..extent.count {
            let filter = extent.filter(index, resample);
            let sum: f64 = filter.iter().sum();
            let is_some = |weight: &f64| *weight > LEAST * sum;
            let before = filter.iter().take_while(|weight| !is_some(weight)).count();
            let kept = || filter.iter().skip(before).take_while(is_some);
            let sum: f64 = kept().sum();
            let at = weights.len();
            for weight in kept() {
                weights.push(weight / sum)?;
            }
            let support = Support {
                first: extent.first + filter.first + before,
                at,
                count: weights.len() - at,
            };
            supports.push(support)?;
        }
        Some(())
    }

    /// Weights that there is memory for.
    pub(super) fn weights_capacity(&self) -> usize {
        self.weights.capacity()
    }

    /// Output pixels that there is memory for.
    pub(super) fn capacity(&self) -> usize {
        self.supports.capacity()
    }

    /// Most pixels of an output pixel.
    pub(super) fn most(&self) -> usize {
        self.supports
            .iter()
            .map(|support| support.count)
            .max()
            .unwrap_or(0)
    }

    /// Output pixels.
    pub(super) fn len(&self) -> usize {
        self.supports.len()
    }

    /// First pixel of output pixel `index`, and the weights of it and of those that follow.
    pub(super) fn get(&self, index: usize) -> (usize, &[f64]) {
        let Some(support) = self.supports.get(index) else {
            return (0, &[]);
        };
        let weights = self.weights.get(support.at..support.at + support.count);
        (support.first, weights.unwrap_or_default())
    }

    /// The pixels from the first to the last of some output pixels. Output pixels that are missing are as the last
    /// one.
    pub(super) fn pixels(&self, outputs: Range<usize>) -> Range<usize> {
        let count = self.len();
        let some = outputs.start.min(count.saturating_sub(1))..outputs.end.min(count);
        let (mut from, mut to) = (usize::MAX, 0);
        for support in self.supports.get(some).unwrap_or_default() {
            from = from.min(support.first);
            to = to.max(support.first + support.count);
        }
        from.min(to)..to
    }

    /// First pixel of each output pixel, with the weights.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[f64])> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Weights as whole numbers with a sum of `whole`, each as near as its neighbours allow.
///
/// At most [`MAX_SUPPORT`] of them.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0..=whole.
pub(super) fn quantised(weights: &[f64], whole: u32) -> heapless::Vec<u32, MAX_SUPPORT> {
    let mut sum = 0.0;
    let mut before = 0;
    let parts = weights.iter().take(MAX_SUPPORT).map(|weight| {
        sum += weight;
        let upto = (sum * f64::from(whole)).round() as u32;
        let part = upto - before;
        before = upto;
        part
    });
    parts.collect()
}

/// The weights of those that several pixels share: `of` says which one, counted from the first's.
///
/// At most [`MAX_SUPPORT`] of them.
pub(super) fn merged(
    weights: &[f64],
    of: impl Fn(usize) -> usize,
) -> heapless::Vec<f64, MAX_SUPPORT> {
    let count = weights.len().checked_sub(1).map_or(0, |last| of(last) + 1);
    let mut merged: heapless::Vec<f64, MAX_SUPPORT> =
        std::iter::repeat_n(0.0, count.min(MAX_SUPPORT)).collect();
    for (index, weight) in weights.iter().enumerate() {
        if let Some(sum) = merged.get_mut(of(index)) {
            *sum += weight;
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::{Extent, FilterWeights, quantised};
    use crate::profile::Resample;

    fn weights(length: u32, count: usize, resample: Resample) -> Vec<(usize, Vec<f64>)> {
        let extent = Extent {
            first: 0,
            start: 0.0,
            size: f64::from(length),
            length,
            count,
            flipped: false,
        };
        let weights = FilterWeights::new(&extent, resample);
        weights
            .iter()
            .map(|(first, weights)| (first, weights.to_vec()))
            .collect()
    }

    #[test]
    fn areas_are_the_overlaps_of_pixels() {
        let third = 1.0 / 1.5;
        let found = weights(3, 2, Resample::Area);
        assert_eq!(
            found,
            [(0, vec![third, 0.5 * third]), (1, vec![0.5 * third, third])]
        );
        assert_eq!(
            weights(4, 2, Resample::Area),
            [(0, vec![0.5; 2]), (2, vec![0.5; 2])]
        );
        // Enlarged, an output pixel lies inside a pixel, or over the border of two.
        let found = weights(2, 3, Resample::Area);
        assert_eq!(
            found.iter().map(|(first, _)| *first).collect::<Vec<_>>(),
            [0, 0, 1]
        );
        assert!((found[1].1[0] - 0.5).abs() < 1e-12 && found[1].1.len() == 2);
    }

    #[test]
    fn weights_of_nothing_are_left_out() {
        assert_eq!(weights(4, 4, Resample::Bilinear)[3], (3, vec![1.0]));
        assert_eq!(weights(30, 10, Resample::Area)[3].1.len(), 3);
        for (first, weights) in weights(1920, 300, Resample::Area) {
            assert!(weights.len() <= 8 && first + weights.len() <= 1920);
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn whole_weights_have_the_whole_sum() {
        assert_eq!(quantised(&[1.0 / 3.0; 3], 16384), [5461, 5462, 5461]);
        assert_eq!(quantised(&[1.0], 65536), [65536]);
    }
}
