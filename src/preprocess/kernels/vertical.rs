//! Which rows each line is made of.

use crate::preprocess::bounded_vec::BoundedVec;
use crate::preprocess::filter_weights::{FilterWeights, merged, quantised};
use crate::preprocess::sampling::Sampling;

/// A row that a line is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WeightedRow {
    /// Its start in the frame.
    pub at: usize,
    /// Its part of 32768.
    pub weight: u16,
}

/// What a sum of rows starts from: what its products lose on average, of samples of which the lowest `zeros`
/// bits are 0. Full-scale samples lose at least a whole unit a product, so that the sum stays below 2^15.
pub(super) fn initial_sum(rows: &[WeightedRow], zeros: u32) -> u16 {
    if rows.len() <= 2 {
        return 0;
    }
    // The sixteen bits that a product loses are a multiple of a power of two, each about as often as the next.
    let lost = |row: &WeightedRow| 0x1_0000 - (1 << (row.weight.trailing_zeros() + zeros).min(16));
    let twice: u32 = rows.iter().map(lost).sum();
    u16::try_from((twice + 0x1_0000) >> 17).unwrap_or(0)
}

/// The rows of every line, for every sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VerticalTable {
    samples: usize,
    /// Of every line, of every sample: where its rows start; and where the last one's end.
    starts: BoundedVec<u32>,
    rows: BoundedVec<WeightedRow>,
}

impl VerticalTable {
    /// None, with the capacity for whatever `weights` have the capacity for.
    pub(super) fn with_capacity(samples: usize, weights: &FilterWeights) -> Self {
        Self {
            samples,
            starts: BoundedVec::with_capacity(weights.capacity() * samples + 1),
            rows: BoundedVec::with_capacity(weights.weights_capacity() * samples),
        }
    }

    /// Makes them those of `weights`, in the memory that is there. `None` where it does not suffice.
    pub(super) fn update(&mut self, sampling: &Sampling, weights: &FilterWeights) -> Option<()> {
        self.starts.clear();
        self.rows.clear();
        for (first, weights) in weights.iter() {
            for sample in 0..self.samples {
                self.starts.push(u32::try_from(self.rows.len()).ok()?)?;
                let row = |y: usize| sampling.plane_row(sample, first + y);
                let merged = merged(weights, |y| row(y) - row(0));
                for (index, weight) in quantised(&merged, 1 << 15).into_iter().enumerate() {
                    let weight = u16::try_from(weight).ok()?;
                    if weight > 0 {
                        let at = sampling.row_start(sample, row(0) + index);
                        self.rows.push(WeightedRow { at, weight })?;
                    }
                }
            }
        }
        self.starts.push(u32::try_from(self.rows.len()).ok()?)
    }

    /// The rows of one sample of one line.
    pub(super) fn get(&self, line: usize, sample: usize) -> &[WeightedRow] {
        let at = line * self.samples + sample;
        let (Some(&from), Some(&to)) = (self.starts.get(at), self.starts.get(at + 1)) else {
            return &[];
        };
        self.rows
            .get(from as usize..to as usize)
            .unwrap_or_default()
    }

    /// Distinct rows that are read: start and length.
    pub(super) fn rows_read(&self, sampling: &Sampling) -> Vec<(usize, usize)> {
        let lines = self.starts.len() / self.samples.max(1);
        let mut rows: Vec<_> = (0..lines)
            .flat_map(|line| (0..self.samples).map(move |sample| (line, sample)))
            .flat_map(|(line, sample)| {
                let span = sampling.span(sample);
                self.get(line, sample).iter().map(move |row| (row.at, span))
            })
            .collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}
