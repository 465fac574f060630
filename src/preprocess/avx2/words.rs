//! Which words of a row each column's samples lie in, and where in them: worked out once, at arming.

use super::super::sampling::{Columns, Sampling};
use crate::frame::{Model, Store};

/// Columns worked on at once.
pub(super) const LANES: usize = 8;
/// Bytes that one gather reads for each lane.
pub(super) const WORD: usize = 4;

/// Whether this machine has the instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// How samples share words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Family {
    /// One sample: both taps' in one word.
    One,
    /// A word of both taps' luma, one of both taps' pairs of differences.
    Split,
    /// A word of both taps' luma, one of each difference.
    Planar,
    /// A word for each tap, of two lumas and their differences.
    Pairs,
    /// A word for each tap, of three bytes.
    Rgb,
    /// A word of both taps, of three bit fields.
    Rgb565,
    /// A word of both taps for each row of the squares.
    Bayer,
}

impl Family {
    fn of(sampling: &Sampling) -> Option<Self> {
        let samples = sampling.samples();
        match (sampling.store(), sampling.model(), samples) {
            (Store::Byte | Store::Word, _, [_]) => Some(Self::One),
            (Store::Byte, Model::Ycbcr, [_, one, other]) => Some(match (one.plane, other.plane) {
                (0, _) => Self::Pairs,
                (1, 1) => Self::Split,
                _ => Self::Planar,
            }),
            (Store::Byte, Model::Rgb, [_, _, _]) => Some(Self::Rgb),
            (Store::Word, Model::Rgb, [_, _, _]) => Some(Self::Rgb565),
            (Store::Byte, Model::Bayer, _) => Some(Self::Bayer),
            _ => None,
        }
    }

    /// The sample whose row each gather reads.
    pub(super) const fn rows(self) -> [usize; 3] {
        match self {
            Self::One | Self::Pairs | Self::Rgb | Self::Rgb565 => [0, 0, 0],
            Self::Split => [0, 1, 1],
            Self::Planar => [0, 1, 2],
            Self::Bayer => [0, 2, 2],
        }
    }
}

/// One group of columns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Group {
    /// Bytes from the row's start to the word of each gather.
    pub at: [[i32; LANES]; 3],
    /// Bits below a sample in its word: of the first and the second tap; then of their differences.
    pub shift: [[i32; LANES]; 4],
}

/// Where each column's words lie in a row, and how far to shift them. Padded like the plan's columns.
///
/// Holding one proves that the machine has the instructions, and that each word lies inside a row of the
/// spans it was made for.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Words {
    pub(super) family: Family,
    /// Bits of the sample of [`Family::One`].
    pub(super) mask: i32,
    pub(super) groups: Box<[Group]>,
}

impl Words {
    /// `None` where the machine lacks the instructions, rows are too short for a word, or samples lie in
    /// no way that a family describes.
    pub(in super::super) fn new(sampling: &Sampling, columns: &Columns) -> Option<Self> {
        let family = Family::of(sampling).filter(|_| is_available())?;
        let span = sampling.span();
        let mut last = [0; 3];
        for (last, row) in last.iter_mut().zip(family.rows()) {
            *last = span[row].checked_sub(WORD)?;
        }
        let count = columns.weight.len();
        let mut groups = vec![Group::default(); count / LANES].into_boxed_slice();
        for column in 0..count {
            let byte = |tap: usize, sample: usize| columns.at[tap][sample][column] as usize;
            let first = [0, 1].map(|tap| byte(tap, 0));
            let both = first[0].min(last[0]);
            let (at, shift) = match family {
                Family::One | Family::Rgb565 => ([both; 3], first.map(|at| at - both)),
                Family::Rgb => {
                    let at = first.map(|at| at.min(last[0]));
                    let shift = [first[0] - at[0], first[1] - at[1]];
                    ([at[0], at[1], 0], shift)
                }
                Family::Bayer => ([both, both, 0], first.map(|at| at - both)),
                Family::Split | Family::Planar => {
                    let differences = byte(0, 1).min(last[1]);
                    ([both, differences, differences], first.map(|at| at - both))
                }
                // A row is whole pairs of four bytes, and a pair is a word.
                Family::Pairs => {
                    let at = first.map(|at| at / WORD * WORD);
                    ([at[0], at[1], 0], [first[0] - at[0], first[1] - at[1]])
                }
            };
            let differences = match family {
                Family::Split | Family::Planar => [0, 1].map(|tap| byte(tap, 1) - at[1]),
                Family::Pairs => [0, 1].map(|tap| byte(tap, 1) - at[tap]),
                _ => [0; 2],
            };
            let group = groups.get_mut(column / LANES)?;
            let lane = column % LANES;
            for (table, at) in group.at.iter_mut().zip(at) {
                table[lane] = i32::try_from(at).ok()?;
            }
            for (table, bytes) in group
                .shift
                .iter_mut()
                .zip(shift.into_iter().chain(differences))
            {
                table[lane] = i32::try_from(bytes * 8).ok()?;
            }
        }
        let bits = sampling.samples().first()?.bits;
        Some(Self {
            family,
            mask: (1 << bits) - 1,
            groups,
        })
    }
}
