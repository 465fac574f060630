//! Positions of at most two columns of at most two lines, straight from the frame: no strip lies between.
//!
//! The two columns of sixteen positions are picked out of a window of each row, and weighted with the share of
//! column and row in one. A picture that is made smaller leaves most of a row's samples out: they are not even
//! unpacked. Only samples of one byte are read so.

use super::load;
use super::mix::{Lanes, Numbers};
use super::windows::{LANES, ONE, Reach, TWO, TWO_EACH};
use crate::frame::{MAX_SAMPLES, Sample, Store};
use crate::preprocess::room::Room;
use crate::preprocess::sampling::Sampling;
use crate::preprocess::strip::fetch::bytes;
use crate::preprocess::strip::{Channel, GROUP, RowTap, Strips};
use crate::preprocess::taps::Taps;
use std::arch::x86_64::{
    __m512i, _mm512_cvtepi32_ps, _mm512_dpwssd_epi32, _mm512_loadu_si512,
    _mm512_maskz_permutex2var_epi8, _mm512_maskz_permutexvar_epi8, _mm512_mulhrs_epi16,
    _mm512_or_si512, _mm512_set1_epi16, _mm512_setzero_si512, _mm512_store_ps, _mm512_sub_epi16,
};
use std::ops::Range;

/// Bytes of a register.
const WIDTH: usize = 64;
/// The lower byte of each word.
const LOWER: u64 = 0x5555_5555_5555_5555;
/// What a mixture of the strips is of one of these: samples there have fifteen bits, and here eight.
const FINER: f32 = 128.0;

/// For each byte of the two words of sixteen positions the byte of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
struct Table([u8; WIDTH]);

/// The shares of the two columns of each of sixteen positions, as [`crate::preprocess::strip::across::Across`]
/// pairs them.
type Weights = [[i32; GROUP]; 2];

/// Samples that lie in the same rows, and are picked out of the same windows.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    samples: Range<usize>,
    /// Which of the weights are those of the first, and of the others.
    classes: [usize; 2],
    reach: Reach,
    /// Bytes from a row's start to the windows of each eight of sixteen positions.
    starts: Room<[u32; 2]>,
    /// Bytes from a row's start to the end of the last window.
    end: usize,
    /// Of each sixteen positions, of each sample.
    tables: Room<Table>,
}

/// What this way goes by.
///
/// Each window lies inside its row, at all times: a group's starts and its reach are changed together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Direct {
    groups: Box<[Group]>,
    pub channels: [Channel; 3],
    /// The tables are those of the plan's taps.
    pub aimed: bool,
}

/// Whether two samples lie in the same rows.
fn is_beside(one: &Sample, other: &Sample) -> bool {
    (one.plane, one.rows, one.line) == (other.plane, other.rows, other.line)
}

impl Direct {
    /// None, with room for so many positions. `None` where samples are not of one byte.
    pub(super) fn with_room(
        sampling: &Sampling,
        positions: usize,
        channels: &[Channel; 3],
    ) -> Option<Self> {
        if sampling.store() != Store::Byte {
            return None;
        }
        let samples = sampling.samples();
        let sixteens = positions.div_ceil(LANES);
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
                reach: Reach::One,
                starts: Room::of(sixteens),
                end: 0,
                tables: Room::of(sixteens * count),
            });
            at += count;
        }
        Some(Self {
            groups: groups.into(),
            channels: channels.map(|channel| Channel {
                gain: channel.gain.map(|gain| gain * FINER),
                ..channel
            }),
            aimed: false,
        })
    }

    /// Makes them those of other taps, in the memory that is there. They serve where each position has at most
    /// two columns, each line at most two rows, the columns lie close enough together, and a row is as long as
    /// the registers that are read of it; and where the picture is not enlarged: then a strip, of which each sample
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

    /// The mixtures of `sixteens` of positions of a line.
    pub(super) fn mix(
        &self,
        strips: &Strips,
        down: usize,
        frame: &[u8],
        sixteens: Range<usize>,
        out: &mut [Numbers; MAX_SAMPLES],
    ) {
        for group in &self.groups {
            let taps = strips.taps(down, group.samples.start);
            let Some(out) = out.get_mut(group.samples.clone()) else {
                continue;
            };
            let weights = group
                .classes
                .map(|class| strips.across[class].pairs.as_chunks().0);
            let run = match group.samples.len() {
                1 => mixed_as::<1>(group.reach, taps.len()),
                2 => mixed_as::<2>(group.reach, taps.len()),
                _ => mixed_as::<3>(group.reach, taps.len()),
            };
            // SAFETY: there are tables only where `is_available` said so.
            unsafe { run(group, weights, taps, frame, sixteens.clone(), out) }
        }
    }
}

impl Group {
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
        let halves_from = |first: usize| {
            let half = first + GROUP;
            Some([touched(first..half)?, touched(half..half + GROUP)?])
        };
        let sixteens = || (0..across.len()).step_by(LANES);
        // No starts: no window.
        self.starts.clear();
        self.tables.clear();
        self.end = 0;
        self.reach = Reach::One;
        for first in sixteens() {
            self.reach = self.reach.max(Reach::of(&halves_from(first)?, WIDTH)?);
        }
        let bytes = self.reach.registers() * WIDTH;
        let most = span.checked_sub(bytes)?;
        for first in sixteens() {
            let halves = match self.reach {
                Reach::TwoEach => halves_from(first)?,
                Reach::One | Reach::Two => {
                    let all = touched(first..first + LANES)?;
                    [all.clone(), all]
                }
            };
            let starts = halves.map(|Range { start, end }| {
                // In whole cache lines, where that reaches far enough.
                let aligned = start / WIDTH * WIDTH;
                let reaches = aligned + bytes >= end;
                if reaches { aligned } else { start }.min(most)
            });
            self.end = self.end.max(starts[0].max(starts[1]) + bytes);
            for sample in samples {
                let mut table = [0; WIDTH];
                for (lane, four) in table.chunks_exact_mut(4).enumerate() {
                    // Of one column twice the same.
                    let columns = across.pixels(first + lane..first + lane + 1);
                    let columns = [columns.start, columns.end.checked_sub(1)?];
                    for (slot, column) in four.iter_mut().step_by(2).zip(columns) {
                        let place = at(sample, column)?.checked_sub(starts[lane / GROUP])?;
                        *slot = u8::try_from(place).ok()?;
                    }
                }
                self.tables.put(Table(table))?;
            }
            let [low, high] = starts.map(u32::try_from);
            self.starts.put([low.ok()?, high.ok()?])?;
        }
        Some(())
    }
}

/// What mixes the samples of a group.
type Run = unsafe fn(&Group, [&[Weights]; 2], &[RowTap], &[u8], Range<usize>, &mut [Numbers]);

fn mixed_as<const N: usize>(reach: Reach, rows: usize) -> Run {
    match (reach, rows) {
        (Reach::One, 1) => mixed::<N, ONE, 1>,
        (Reach::One, _) => mixed::<N, ONE, 2>,
        (Reach::Two, 1) => mixed::<N, TWO, 1>,
        (Reach::Two, _) => mixed::<N, TWO, 2>,
        (Reach::TwoEach, 1) => mixed::<N, TWO_EACH, 1>,
        (Reach::TwoEach, _) => mixed::<N, TWO_EACH, 2>,
    }
}

/// `N` samples of a group, out of `T` rows.
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn mixed<const N: usize, const R: u8, const T: usize>(
    group: &Group,
    weights: [&[Weights]; 2],
    taps: &[RowTap],
    frame: &[u8],
    sixteens: Range<usize>,
    out: &mut [Numbers],
) {
    let (Some(taps), Some(out)) = (taps.first_chunk::<T>(), out.first_chunk_mut::<N>()) else {
        return;
    };
    let rows = taps.map(|tap| tap.at);
    if rows.iter().any(|row| row + group.end > frame.len()) {
        return;
    }
    let share = _mm512_set1_epi16(taps.last().map_or(0, |tap| tap.weight.cast_signed()));
    let starts = group.starts.get(sixteens.clone()).unwrap_or_default();
    let tables = group.tables.as_chunks::<N>().0;
    let tables = tables.get(sixteens.clone()).unwrap_or_default();
    let [weights, others] = weights.map(|of| of.get(sixteens.clone()).unwrap_or_default());
    let all = starts.iter().zip(tables).zip(weights.iter().zip(others));
    for (index, ((starts, tables), (weights, others))) in all.enumerate() {
        // SAFETY: the windows of this group end at `end`, which is inside the frame in each of these rows.
        let windows = rows.map(|row| unsafe { windows::<R>(frame, row, starts) });
        let mut shares = shared::<T>(weights, share);
        for sample in 0..N {
            if N == 3 && sample == 1 {
                shares = shared::<T>(others, share);
            }
            let table = load(&tables[sample].0);
            let mut sum = _mm512_setzero_si512();
            for row in 0..T {
                sum = _mm512_dpwssd_epi32(sum, picked::<R>(table, windows[row]), shares[row]);
            }
            if let Some(Lanes(out)) = out[sample].get_mut(index) {
                let numbers = _mm512_cvtepi32_ps(sum);
                // SAFETY: 64 writable bytes, aligned as `Lanes` are.
                unsafe { _mm512_store_ps(out.as_mut_ptr(), numbers) }
            }
        }
    }
}

/// The weights of the columns in each row, the second of which has this share.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn shared<const T: usize>(weights: &Weights, share: __m512i) -> [__m512i; T] {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    let whole = unsafe { _mm512_loadu_si512(weights.as_ptr().cast()) };
    let mut shares = [whole; T];
    if let [first, second] = &mut shares[..] {
        *second = _mm512_mulhrs_epi16(whole, share);
        *first = _mm512_sub_epi16(whole, *second);
    }
    shares
}

/// The registers of a row.
///
/// # Safety
/// The bytes that this reach reads from `row` and each start lie inside `frame`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
unsafe fn windows<const R: u8>(frame: &[u8], row: usize, starts: &[u32; 2]) -> [__m512i; 4] {
    let register = |at: usize| {
        debug_assert!(at + WIDTH <= frame.len());
        // SAFETY: inside `frame`, by this function's requirement.
        let at = unsafe { frame.as_ptr().add(at) };
        // SAFETY: 64 readable bytes, by this function's requirement; the load needs no alignment.
        unsafe { _mm512_loadu_si512(at.cast()) }
    };
    let [low, high] = starts.map(|start| row + start as usize);
    let first = register(low);
    match R {
        ONE => [first; 4],
        TWO => [first, register(low + WIDTH), first, first],
        _ => [
            first,
            register(low + WIDTH),
            register(high),
            register(high + WIDTH),
        ],
    }
}

/// The two columns of sixteen positions.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn picked<const R: u8>(table: __m512i, [low, above, high, last]: [__m512i; 4]) -> __m512i {
    match R {
        ONE => _mm512_maskz_permutexvar_epi8(LOWER, table, low),
        TWO => _mm512_maskz_permutex2var_epi8(LOWER, low, table, above),
        _ => _mm512_or_si512(
            _mm512_maskz_permutex2var_epi8(LOWER & u64::MAX >> 32, low, table, above),
            _mm512_maskz_permutex2var_epi8(LOWER & u64::MAX << 32, high, table, last),
        ),
    }
}
