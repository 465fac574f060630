//! The mixtures of a line's positions, some hundreds at once, until they are made colours.

use super::{GROUP, Line, Out};
use crate::frame::MAX_SAMPLES;
use crate::preprocess::plan::Plan;
use std::ops::Range;

/// Groups whose mixtures are kept: an even number.
pub(super) const BATCH: usize = 64;

/// The mixtures of one kind of sample, from a cache line on.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Numbers(pub [f32; BATCH * GROUP]);

/// Room for the mixtures of every kind of sample.
pub(super) type Mixtures = [Numbers; MAX_SAMPLES];

/// Mixtures of nothing.
pub(super) const NO_MIXTURES: Mixtures = [Numbers([0.0; BATCH * GROUP]); MAX_SAMPLES];

/// Writes the pixels of `groups`, batch after batch: `mix` makes the mixtures of some groups, `colours` as many pixels
/// as it is given bytes for.
#[inline(always)]
pub(super) fn write(
    plan: &Plan,
    groups: Range<usize>,
    mixtures: &mut Mixtures,
    line: &mut Line<'_>,
    mix: impl Fn(Range<usize>, &mut Mixtures),
    colours: impl Fn(&Mixtures, Out<'_>),
) {
    let bytes = GROUP * plan.pixel_bytes();
    line.write(groups, |groups, out| {
        let mut outs = out.map(|out| out.chunks_mut(BATCH * bytes));
        for first in groups.step_by(BATCH) {
            let out = outs.each_mut().map(|out| out.next().unwrap_or_default());
            mix(first..first + out[0].len() / bytes, mixtures);
            colours(mixtures, out);
        }
    });
}
