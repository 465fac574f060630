//! What one output held, where nothing more is known of it.

use crate::limits::MAX_OUTPUTS;

/// Most dimensions of a tensor that is summed up.
pub const MAX_RANK: usize = 6;

/// What one output held after one inference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Its dimensions, outermost first; the first [`Summary::rank`] of them.
    pub shape: [u32; MAX_RANK],
    /// Dimensions used.
    pub rank: u8,
    /// Least real value; 0 where no element is a number.
    pub min: f32,
    /// Greatest real value; 0 where no element is a number.
    pub max: f32,
    /// Where the greatest value stands first, counted over the whole tensor.
    pub argmax: u32,
}

impl Summary {
    /// Its dimensions.
    #[must_use]
    pub fn shape(&self) -> &[u32] {
        self.shape
            .get(..usize::from(self.rank))
            .unwrap_or(&self.shape)
    }
}

/// One for each output, in the model's order.
pub type Summaries = heapless::Vec<Summary, MAX_OUTPUTS>;
