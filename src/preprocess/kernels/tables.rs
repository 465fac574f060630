//! What every fast kernel goes by: worked out before a frame is read.

use super::fetch::Fetch;
use super::gains::Gains;
use super::horizontal::HorizontalTable;
use super::sizes::GROUP;
use super::tiles::{self, Tile};
use super::vertical::VerticalTable;
use crate::preprocess::bounded_vec::BoundedVec;
use crate::preprocess::colour::Conversion;
use crate::preprocess::filter_weights::{FilterWeights, MAX_WEIGHTS};
use crate::preprocess::sampling::Sampling;

/// How one camera's tensor is made.
///
/// Holding one proves that each row and each fetch lies inside a frame of the plan's size, and each output pixel's
/// elements inside a row buffer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tables {
    /// One for each sample.
    pub fetches: Box<[Fetch]>,
    pub vertical: VerticalTable,
    pub tiles: BoundedVec<Tile>,
    /// Of samples of each column, and of those that two columns share.
    pub horizontal: [HorizontalTable; 2],
    pub gains: [Gains; 3],
}

impl Tables {
    /// None, with the capacity for whatever these weights have the capacity for, as long as no output pixel has more
    /// than `most` columns. `None` where a format's samples lie too far apart.
    pub(super) fn with_capacity(
        sampling: &Sampling,
        [across, down]: [&FilterWeights; 2],
        most: usize,
        conversion: &Conversion,
    ) -> Option<Self> {
        let samples = sampling.samples().len();
        let outputs = across.capacity();
        let most = most.min(MAX_WEIGHTS);
        Some(Self {
            fetches: (0..samples)
                .map(|sample| Fetch::new(sampling, sample))
                .collect::<Option<_>>()?,
            vertical: VerticalTable::with_capacity(samples, down),
            tiles: BoundedVec::with_capacity(outputs.div_ceil(2 * GROUP)),
            horizontal: [(); 2].map(|()| HorizontalTable::with_capacity(outputs, most)),
            gains: Gains::of(sampling, conversion),
        })
    }

    /// Makes them those of other weights of the same format, in the memory that is there. `None` where a line has
    /// too many rows, an output pixel too many columns, or the memory does not suffice.
    pub(super) fn update(
        &mut self,
        sampling: &Sampling,
        weights: [&FilterWeights; 2],
    ) -> Option<()> {
        let [across, down] = weights;
        if weights.iter().any(|weights| weights.most() > MAX_WEIGHTS) {
            return None;
        }
        tiles::update(across, &mut self.tiles)?;
        self.vertical.update(sampling, down)?;
        for (table, px) in self.horizontal.iter_mut().zip(1..) {
            table.update(across, &self.tiles, px)?;
        }
        Some(())
    }
}
