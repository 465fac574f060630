//! Positions of at most two columns of at most two lines, straight from the frame: no strip lies between.
//!
//! The two columns of some positions are picked out of windows of each row. A picture that is made smaller leaves
//! most of a row's samples out: they are not even unpacked. Only samples of one byte are read so.
//!
//! Here is what kernels go by, and when; [`super::avx2`] picks and adds up.

use super::fetch::bytes;
use super::mixtures::{Mixtures, Numbers};
use super::{GROUP, RowTap, Strips};
use crate::frame::{Sample, Store};
use crate::preprocess::room::Room;
use crate::preprocess::sampling::Sampling;
use crate::preprocess::taps::Taps;
use std::fmt::Debug;
use std::ops::Range;

/// Bytes of a cache line.
const LINE: usize = 64;

/// How a row is read: each so many positions out of a window of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Positions of a window.
    pub positions: usize,
    /// Its bytes.
    pub bytes: usize,
}

/// Which bytes a kernel picks out of its windows for the positions that it mixes at once: four for each of them, of
/// which two are its columns.
pub(super) trait Table: Copy + Debug + PartialEq {
    /// How many those are: a multiple of eight.
    const LANES: usize;
    /// A table of [`super::fetch::NOTHING`].
    const NOTHING: Self;
    /// How windows may lie, the quickest first.
    const WINDOWS: [Window; 3];
    /// Bytes that the permutation picks from: windows that are smaller lie in these one after the other.
    const BYTES: usize;
    /// Which of a position's four bytes are the first column and the second.
    const COLUMNS: [usize; 2];

    /// The bytes of each position.
    fn positions(&mut self) -> &mut [[u8; 4]];
}

/// Samples that lie in the same rows, and are picked out of the same windows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group<T, const N: usize> {
    samples: Range<usize>,
    /// Which of the weights are those of the first, and of the others.
    classes: [usize; 2],
    /// Which of the [`Table::WINDOWS`] it is.
    pub windows: usize,
    /// Bytes from a row's start to the windows of each part of the positions that are mixed at once. Parts that share
    /// a window have the same.
    pub starts: Room<[u32; N]>,
    /// Bytes from a row's start to the end of the last window.
    pub end: usize,
    /// For each of `starts` one of each sample.
    pub tables: Room<T>,
}

/// The shares of the columns of each eight positions, as [`super::across::Across`] pairs them: of the first sample of
/// a group, and of the others.
pub(super) type Shares<'a> = [&'a [[i32; GROUP]]; 2];

/// What this way goes by, of `N` parts of the positions that are mixed at once.
///
/// Each window lies inside its row, at all times: which windows a group has, and their starts, are changed together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Direct<T, const N: usize> {
    groups: Box<[Group<T, N>]>,
    /// The tables are those of the plan's taps.
    pub aimed: bool,
}

/// Whether two samples lie in the same rows.
fn is_beside(one: &Sample, other: &Sample) -> bool {
    (one.plane, one.rows, one.line) == (other.plane, other.rows, other.line)
}

impl<T: Table, const N: usize> Direct<T, N> {
    /// None, with room for so many positions. `None` where samples are not of one byte.
    pub(super) fn with_room(sampling: &Sampling, positions: usize) -> Option<Self> {
        if sampling.store() != Store::Byte {
            return None;
        }
        let samples = sampling.samples();
        let steps = steps::<T>(positions).len();
        let mut groups = Vec::new();
        let mut at = 0;
        while let Some((first, rest)) = samples.get(at..).and_then(<[_]>::split_first) {
            let others = rest.iter().take_while(|other| is_beside(first, other));
            let count = 1 + others.count().min(2);
            let others = rest.get(..count - 1)?;
            let px = others.first().unwrap_or(first).px;
            let is_alike = others.iter().all(|other| other.px == px);
            // Of two, the second has the weights of the first.
            let count = match count {
                2 if px == first.px => 2,
                3 if is_alike => 3,
                _ => 1,
            };
            groups.push(Group {
                samples: at..at + count,
                classes: [first.px - 1, px - 1],
                windows: 0,
                starts: Room::of(steps),
                end: 0,
                tables: Room::of(steps * count),
            });
            at += count;
        }
        Some(Self {
            groups: groups.into(),
            aimed: false,
        })
    }

    /// Makes them those of other taps, in the memory that is there. They serve where each position has at most
    /// two columns, each line at most two rows, the columns lie close enough together, and a row is as long as
    /// the windows that are read of it; and where the picture is not enlarged: then a strip, of which each sample
    /// is unpacked once, takes less.
    pub(super) fn aim(&mut self, sampling: &Sampling, [across, down]: [&Taps; 2]) {
        let is_enlarged = across.len() > across.pixels(0..across.len()).len();
        self.aimed = !is_enlarged
            && across.most() <= 2
            && down.most() <= 2
            && self
                .groups
                .iter_mut()
                .all(|group| group.filled(sampling, across).is_some());
    }

    /// Has `run` make the mixtures of each group's samples, out of the rows of a line.
    pub(super) fn mix(
        &self,
        strips: &Strips,
        down: usize,
        out: &mut Mixtures,
        run: impl Fn(&Group<T, N>, Shares<'_>, &[RowTap], &mut [Numbers]),
    ) {
        for group in &self.groups {
            let taps = strips.taps(down, group.samples.start);
            let shares = group.classes.map(|class| &*strips.across[class].pairs);
            if let Some(out) = out.get_mut(group.samples.clone()) {
                run(group, shares, taps, out);
            }
        }
    }
}

/// The first position of each step, of a line of so many: an even number of eights.
fn steps<T: Table>(positions: usize) -> impl ExactSizeIterator<Item = usize> {
    (0..positions.next_multiple_of(2 * GROUP)).step_by(T::LANES)
}

impl<T: Table, const N: usize> Group<T, N> {
    /// `None` where positions are too wide, or a row too short.
    fn filled(&mut self, sampling: &Sampling, across: &Taps) -> Option<()> {
        let span = sampling.span(self.samples.start);
        let samples = sampling.samples().get(self.samples.clone())?;
        let at = |sample: &Sample, column: usize| bytes(Store::Byte, sample, column / sample.px)[1];
        // The bytes that some positions touch.
        let touched = |positions: Range<usize>| {
            let columns = across.pixels(positions);
            let (mut start, mut end) = (usize::MAX, 0);
            for sample in samples {
                start = start.min(at(sample, columns.start)?);
                end = end.max(at(sample, columns.end.checked_sub(1)?)? + 1);
            }
            Some(start..end)
        };
        let count = across.len().next_multiple_of(2 * GROUP);
        // No starts: no window.
        self.starts.clear();
        self.tables.clear();
        self.end = 0;
        let fits = |Window { positions, bytes }: &Window| {
            (0..count).step_by(*positions).all(|first| {
                touched(first..first + positions).is_some_and(|touched| touched.len() <= *bytes)
            })
        };
        self.windows = T::WINDOWS.iter().position(fits)?;
        let Window { positions, bytes } = T::WINDOWS[self.windows];
        let most = span.checked_sub(bytes)?;
        let align = bytes.min(LINE);
        for first in steps::<T>(across.len()) {
            let mut starts = [0; N];
            for (part, start) in starts.iter_mut().enumerate() {
                let from = first + part * T::LANES / N / positions * positions;
                let touched = touched(from..from + positions)?;
                // Across no border of cache lines, where that reaches far enough.
                let aligned = touched.start / align * align;
                let reaches = aligned + bytes >= touched.end;
                *start = if reaches { aligned } else { touched.start }.min(most);
                self.end = self.end.max(*start + bytes);
            }
            for sample in samples {
                let mut table = T::NOTHING;
                for (lane, four) in table.positions().iter_mut().enumerate() {
                    // Of one column twice the same.
                    let columns = across.pixels(first + lane..first + lane + 1);
                    let columns = [columns.start, columns.end.checked_sub(1)?];
                    // Where the window lies in the register.
                    let before = lane / positions * bytes % T::BYTES;
                    for (slot, column) in T::COLUMNS.into_iter().zip(columns) {
                        let place = at(sample, column)?.checked_sub(starts[lane * N / T::LANES])?;
                        four[slot] = u8::try_from(before + place).ok()?;
                    }
                }
                self.tables.put(table)?;
            }
            let mut found = [0; N];
            for (found, start) in found.iter_mut().zip(starts) {
                *found = u32::try_from(start).ok()?;
            }
            self.starts.put(found)?;
        }
        Some(())
    }
}
