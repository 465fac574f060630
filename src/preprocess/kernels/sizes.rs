//! Sizes that every kernel goes by.

/// Output pixels of a group: so many are written at once.
pub(super) const GROUP: usize = 8;
/// Samples of a block: so many are fetched at once.
pub(super) const BLOCK: usize = 16;
/// Columns of the grid in a row buffer.
pub(super) const COLUMNS: usize = 2048;
/// Elements of a row buffer: what reads an output pixel may go so far beyond the last one.
pub(super) const ROW_ELEMENTS: usize = COLUMNS + 128;
/// Groups whose filtered samples are kept before they become colours: an even number.
pub(super) const BATCH: usize = 64;
