//! Which bytes of a frame's rows each output pixel is made of, for the direct kernels: no row buffer lies between.
//!
//! Each output pixel has at most two columns of at most two rows. The two columns of some output pixels are picked
//! out of windows of each row by table look-ups. An image that is made smaller leaves most of a row's samples out:
//! they are not even unpacked. Samples of a byte are read so, and by some kernels samples of a 16-bit word.

use super::sizes::GROUP;
use crate::frame::{Sample, Store};
use crate::preprocess::bounded_vec::BoundedVec;
use crate::preprocess::filter_weights::FilterWeights;
use crate::preprocess::sampling::Sampling;
use std::fmt::Debug;
use std::ops::Range;

/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

/// How a row is read: each so many output pixels out of a window of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Output pixels of a window.
    pub outputs: usize,
    /// Its bytes.
    pub bytes: usize,
}

/// Which bytes a kernel picks out of its windows for a group of output pixels.
pub(super) trait PickTable: Copy + Debug + PartialEq {
    /// A table that picks nothing.
    const EMPTY: Self;
    /// How windows may lie, the quickest first.
    const WINDOWS: &'static [Window];
    /// Bytes that a look-up picks from: windows that are smaller lie in these one after the other.
    const BYTES: usize;
    /// How samples may be stored.
    const STORES: &'static [Store];

    /// Picks the first and the second column of output pixel `lane`: the bytes, or the words from these on.
    fn set(&mut self, store: Store, lane: usize, columns: [u8; 2]);
}

/// Samples that lie in the same rows, and are picked out of the same windows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SampleGroup<T> {
    pub samples: Range<usize>,
    /// Which of the tables of [`super::horizontal`] the first has, and which the others.
    pub classes: [usize; 2],
    /// Which of the [`PickTable::WINDOWS`] it is.
    pub window: usize,
    /// Bytes from a row's start to the window of each output pixel. Those that share a window have the same.
    pub starts: BoundedVec<[u32; GROUP]>,
    /// Bytes from a row's start to the end of the last window.
    pub end: usize,
    /// For each of `starts` one of each sample.
    pub tables: BoundedVec<T>,
}

/// The pick tables of one camera's tensor.
///
/// Each window lies inside its row, at all times: which windows a group has, and their starts, are changed together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DirectTables<T> {
    pub groups: Box<[SampleGroup<T>]>,
    /// The tables are those of the plan's weights.
    pub is_current: bool,
}

/// Whether two samples lie in the same rows.
fn is_beside(one: &Sample, other: &Sample) -> bool {
    (one.plane, one.rows, one.line) == (other.plane, other.rows, other.line)
}

/// Groups of a line: an even number.
const fn groups_of(outputs: usize) -> usize {
    outputs.div_ceil(2 * GROUP) * 2
}

impl<T: PickTable> DirectTables<T> {
    /// None, with the capacity for so many output pixels. `None` where samples are stored otherwise than tables take,
    /// or have all the bits of a word, of which a direct kernel keeps fifteen.
    pub(super) fn with_capacity(sampling: &Sampling, outputs: usize) -> Option<Self> {
        let samples = sampling.samples();
        if !T::STORES.contains(&sampling.store()) || samples.iter().any(|sample| sample.bits > 15) {
            return None;
        }
        let steps = groups_of(outputs);
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
            groups.push(SampleGroup {
                samples: at..at + count,
                classes: [first.px - 1, px - 1],
                window: 0,
                starts: BoundedVec::with_capacity(steps),
                end: 0,
                tables: BoundedVec::with_capacity(steps * count),
            });
            at += count;
        }
        Some(Self {
            groups: groups.into(),
            is_current: false,
        })
    }

    /// Makes them those of other weights, in the memory that is there. They serve where each output pixel has at
    /// most two columns, each line at most two rows, and a row is as long as the windows that are read of it; and
    /// where the image is not enlarged: then a row buffer, for which each sample is unpacked once, takes less.
    pub(super) fn update(&mut self, sampling: &Sampling, [across, down]: [&FilterWeights; 2]) {
        let is_enlarged = across.len() > across.pixels(0..across.len()).len();
        self.is_current = !is_enlarged
            && across.most() <= 2
            && down.most() <= 2
            && self
                .groups
                .iter_mut()
                .all(|group| group.update(sampling, across).is_some());
    }
}

impl<T: PickTable> SampleGroup<T> {
    /// `None` where a row is too short.
    fn update(&mut self, sampling: &Sampling, across: &FilterWeights) -> Option<()> {
        let span = sampling.span(self.samples.start);
        let samples = sampling.samples().get(self.samples.clone())?;
        let store = sampling.store();
        let at = |sample: &Sample, column: usize| {
            store.byte(sample.first + column / sample.px * sample.step)
        };
        let sample_bytes = if store == Store::Word { 2 } else { 1 };
        // The bytes that some output pixels touch.
        let touched = |outputs: Range<usize>| {
            let columns = across.pixels(outputs);
            let (mut start, mut end) = (usize::MAX, 0);
            for sample in samples {
                start = start.min(at(sample, columns.start));
                end = end.max(at(sample, columns.end.checked_sub(1)?) + sample_bytes);
            }
            Some(start..end)
        };
        let count = GROUP * groups_of(across.len());
        // No starts: no window.
        self.starts.clear();
        self.tables.clear();
        self.end = 0;
        let fits = |Window { outputs, bytes }: &Window| {
            (0..count).step_by(*outputs).all(|first| {
                touched(first..first + outputs).is_some_and(|touched| touched.len() <= *bytes)
            })
        };
        self.window = T::WINDOWS.iter().position(fits)?;
        let Window { outputs, bytes } = *T::WINDOWS.get(self.window)?;
        let most = span.checked_sub(bytes)?;
        let align = bytes.min(CACHE_LINE);
        for first in (0..count).step_by(GROUP) {
            let mut starts = [0; GROUP];
            for (lane, start) in starts.iter_mut().enumerate() {
                let from = first + lane / outputs * outputs;
                let touched = touched(from..from + outputs)?;
                // Across no border of cache lines, where that reaches far enough.
                let aligned = touched.start / align * align;
                let reaches = aligned + bytes >= touched.end;
                *start = if reaches { aligned } else { touched.start }.min(most);
                self.end = self.end.max(*start + bytes);
            }
            for sample in samples {
                let mut table = T::EMPTY;
                for (lane, start) in starts.iter().enumerate() {
                    // Of one column twice the same.
                    let columns = across.pixels(first + lane..first + lane + 1);
                    // Where the window lies among those that a look-up picks from.
                    let before = lane / outputs * bytes % T::BYTES;
                    let place = |column: usize| {
                        u8::try_from(before + at(sample, column).checked_sub(*start)?).ok()
                    };
                    let last = columns.end.checked_sub(1)?;
                    table.set(store, lane, [place(columns.start)?, place(last)?]);
                }
                self.tables.push(table)?;
            }
            let mut found = [0; GROUP];
            for (found, start) in found.iter_mut().zip(starts) {
                *found = u32::try_from(start).ok()?;
            }
            self.starts.push(found)?;
        }
        Some(())
    }
}
