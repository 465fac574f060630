//! How sixteen samples are fetched from a row, whatever the format: tables of bytes.

use super::sizes::BLOCK;
use super::tiles::Tile;
use crate::frame::{Sample, Store};
use crate::preprocess::sampling::Sampling;
use std::ops::Range;

/// Bytes of a window.
pub(super) const WINDOW: usize = 16;
/// Bytes that a block's windows reach at most.
pub(super) const REACH: usize = 96;
/// A byte of a table that stands for 0.
pub(super) const NOTHING: u8 = 0x80;

/// What is done to the sixteen bits that the tables bring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unpack {
    /// Nothing: the sample's byte is the upper one.
    Byte,
    /// Shifted right, then left: the sample is a field of the word.
    Word { right: u32, left: u32 },
    /// The upper byte, and two bits of the lower one, which this multiplication brings to its top.
    Packed10([u16; BLOCK]),
}

impl Unpack {
    /// Lowest bits of a sample that are 0 once it is set to sixteen.
    pub(super) const fn zeros(&self) -> u32 {
        match self {
            Self::Byte => 8,
            Self::Word { left, .. } => *left,
            Self::Packed10(_) => 6,
        }
    }
}

/// How one kind of sample is fetched: a block of sixteen, as two halves of eight; each from one or two
/// windows of its bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fetch {
    /// Bytes of a row.
    pub span: usize,
    /// Bytes from block to block.
    pub advance: usize,
    /// Bytes from a block's start to the windows of each half.
    pub windows: [[usize; 2]; 2],
    /// For each of the two windows, and each byte of the sixteen samples: the byte of the window, or
    /// [`NOTHING`].
    pub tables: [[u8; 2 * BLOCK]; 2],
    /// The second windows hold something.
    pub double: bool,
    /// Bytes from a block's start to the end of its last window.
    pub reach: usize,
    pub unpack: Unpack,
    /// Columns that share a sample.
    px: usize,
}

/// Bytes of element `index`, that of the low half first, relative to the row's start.
pub(super) fn bytes(store: Store, sample: &Sample, index: usize) -> [Option<usize>; 2] {
    let index = sample.first + index * sample.step;
    let at = store.byte(index);
    match store {
        Store::Byte => [None, Some(at)],
        Store::Word => [Some(at), Some(at + 1)],
        Store::Packed10 => [Some(index / 4 * 5 + 4), Some(at)],
    }
}

/// What is done to the sixteen bits of a sample.
pub(super) fn unpack(store: Store, sample: &Sample) -> Unpack {
    match store {
        Store::Byte => Unpack::Byte,
        Store::Word => Unpack::Word {
            right: sample.shift,
            left: 16 - sample.bits,
        },
        Store::Packed10 => Unpack::Packed10(std::array::from_fn(|element| {
            let place = (sample.first + element * sample.step) % 4;
            1 << (6 - 2 * place)
        })),
    }
}

impl Fetch {
    /// `None` where a half lies further apart than two windows reach, which no format's does.
    pub(super) fn new(sampling: &Sampling, index: usize) -> Option<Self> {
        let sample = sampling.samples().get(index)?;
        let store = sampling.store();
        let at = |element: usize| bytes(store, sample, element);
        let mut windows = [[0; 2]; 2];
        let mut tables = [[NOTHING; 2 * BLOCK]; 2];
        let mut double = false;
        for (half, windows) in windows.iter_mut().enumerate() {
            let elements = half * BLOCK / 2..(half + 1) * BLOCK / 2;
            let all = || elements.clone().flat_map(at).flatten();
            let (least, most) = (all().min()?, all().max()?);
            // Two halves in one window, or in one after the other, are brought by one load.
            let aligned = if at(BLOCK - 1)[1]? < WINDOW {
                0
            } else {
                least / WINDOW * WINDOW
            };
            *windows = if most < aligned + WINDOW {
                [aligned; 2]
            } else {
                [least, (most + 1).saturating_sub(WINDOW).max(least)]
            };
            for element in elements.clone() {
                for (byte, at) in at(element).into_iter().enumerate() {
                    let Some(at) = at else { continue };
                    let which = usize::from(at >= windows[0] + WINDOW);
                    double |= which == 1;
                    let slot = tables[which].get_mut(2 * element + byte)?;
                    *slot = u8::try_from(at.checked_sub(windows[which])?).ok()?;
                    if usize::from(*slot) >= WINDOW {
                        return None;
                    }
                }
            }
        }
        // A whole block is a whole number of groups in every format.
        let advance = at(BLOCK)[1]? - at(0)[1]?;
        let reach = windows.as_flattened().iter().max()? + WINDOW;
        if reach > REACH {
            return None;
        }
        Some(Self {
            span: sampling.span(index),
            advance,
            windows,
            tables,
            double,
            reach,
            unpack: unpack(store, sample),
            px: sample.px,
        })
    }

    /// Which of the tables of [`super::horizontal`] it has: those of samples of each column, or of each two.
    pub(super) const fn class(&self) -> usize {
        self.px - 1
    }

    /// The blocks that hold the columns of a tile.
    pub(super) const fn blocks(&self, tile: &Tile) -> Range<usize> {
        let first = tile.column / self.px / BLOCK;
        let last = (tile.column + tile.columns)
            .div_ceil(self.px)
            .div_ceil(BLOCK);
        first..last
    }

    /// The blocks before this one lie inside the row with all that their windows reach.
    pub(super) const fn whole(&self) -> usize {
        match self.span.checked_sub(self.reach) {
            Some(rest) => rest / self.advance + 1,
            None => 0,
        }
    }

    /// Copies what there is of a block at the end of a row, for its windows to reach no further.
    pub(super) fn copy(&self, row: &[u8], block: usize, into: &mut [u8; REACH]) {
        let rest = row.get(block * self.advance..).unwrap_or_default();
        let rest = rest.get(..REACH).unwrap_or(rest);
        into.fill(0);
        if let Some(into) = into.get_mut(..rest.len()) {
            into.copy_from_slice(rest);
        }
    }
}
