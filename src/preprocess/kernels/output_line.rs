//! Where the pixels of a line go.

use super::scratch::Filtered;
use super::sizes::{BATCH, GROUP};
use crate::preprocess::layout::MAX_PIXEL_BYTES;
use std::ops::Range;

/// Groups of which the kernels write an even number.
const EVEN: usize = 2;

/// A line whose pixels lie one after the other.
pub(super) struct OutputLine<'a> {
    pub tensor: &'a mut [u8],
    /// Bytes of a plane, of which the tensor has one for each channel, or one for all.
    pub plane: usize,
    /// Byte of a plane at which the first pixel is.
    pub at: usize,
    /// Bytes of a pixel in a plane.
    pub pixel: usize,
    /// Pixels.
    pub count: usize,
}

/// The bytes of some pixels in each plane; of one plane the first has them, and the others none.
pub(super) type PlaneParts<'a> = [&'a mut [u8]; 3];

impl OutputLine<'_> {
    /// Groups that hold all its pixels: an even number.
    pub(super) const fn groups(&self) -> usize {
        self.count.div_ceil(EVEN * GROUP) * EVEN
    }

    /// Has `run` write the pixels of `groups`: it is given some of them, an even number where `groups` is
    /// one, and their bytes. The last groups, where pixels are missing, are written elsewhere, and what there is
    /// of them is copied.
    #[inline(always)]
    pub(super) fn write(
        &mut self,
        groups: Range<usize>,
        mut run: impl FnMut(Range<usize>, PlaneParts<'_>),
    ) {
        let whole = self.count / (EVEN * GROUP) * EVEN;
        let whole = whole.clamp(groups.start, groups.end);
        let bytes = GROUP * self.pixel;
        let at = self.at + groups.start * bytes;
        let out = parts(self.tensor, self.plane, at, (whole - groups.start) * bytes);
        run(groups.start..whole, out);
        if whole == groups.end {
            return;
        }
        let mut pixels = [0; EVEN * GROUP * MAX_PIXEL_BYTES];
        // Pixels of three planes are a third as long.
        let each = pixels.len() / (self.tensor.len() / self.plane);
        let length = (groups.end - whole) * bytes;
        run(whole..groups.end, parts(&mut pixels, each, 0, length));
        let at = self.at + whole * bytes;
        let length = self.count.saturating_sub(whole * GROUP) * self.pixel;
        for (plane, pixels) in pixels.chunks_exact(each).enumerate() {
            let at = plane * self.plane + at;
            let out = self.tensor.get_mut(at..at + length);
            if let (Some(out), Some(pixels)) = (out, pixels.get(..length)) {
                out.copy_from_slice(pixels);
            }
        }
    }

    /// Writes the pixels of `groups`, batch after batch: `filter` makes the filtered samples of some groups, `colour`
    /// as many pixels of them as it is given bytes for.
    #[inline(always)]
    pub(super) fn write_batches(
        &mut self,
        groups: Range<usize>,
        filtered: &mut Filtered,
        filter: impl Fn(Range<usize>, &mut Filtered),
        colour: impl Fn(&Filtered, PlaneParts<'_>),
    ) {
        let bytes = GROUP * self.pixel;
        self.write(groups, |groups, out| {
            let mut outs = out.map(|out| out.chunks_mut(BATCH * bytes));
            for first in groups.step_by(BATCH) {
                let out = outs.each_mut().map(|out| out.next().unwrap_or_default());
                filter(first..first + out[0].len() / bytes, filtered);
                colour(filtered, out);
            }
        });
    }
}

/// So many bytes of each plane, from byte `at` of it.
#[inline(always)]
fn parts(planes: &mut [u8], plane: usize, at: usize, length: usize) -> PlaneParts<'_> {
    let mut planes = planes.chunks_exact_mut(plane);
    [(); 3].map(|()| {
        let part = planes
            .next()
            .and_then(|plane| plane.get_mut(at..at + length));
        part.unwrap_or_default()
    })
}
