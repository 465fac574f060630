//! What lies between a frame and a line: on the stack, for one image.

use super::sizes::{BATCH, GROUP, ROW_ELEMENTS};
use crate::frame::MAX_SAMPLES;

/// The rows of a line added up: a 15-bit number for each sample of one kind.
pub(super) type RowBuffer = [i16; ROW_ELEMENTS];

/// The filtered samples of one kind, of each output pixel of some groups, from a cache line on.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct FilteredRow(pub [[f32; GROUP]; BATCH]);

/// Those of every kind of sample.
pub(super) type Filtered = [FilteredRow; MAX_SAMPLES];

/// One set of each.
#[repr(align(64))]
pub(super) struct Scratch {
    pub rows: [RowBuffer; MAX_SAMPLES],
    pub filtered: Filtered,
}

impl Scratch {
    pub(super) const fn new() -> Self {
        Self {
            rows: [[0; ROW_ELEMENTS]; MAX_SAMPLES],
            filtered: [FilteredRow([[0.0; GROUP]; BATCH]); MAX_SAMPLES],
        }
    }
}
