//! Straight from the frame, eight positions at once: the same whole numbers as by the strips.

use super::colours::{colours_of, put_numbers};
use super::{halved, halves, high, is_available, load_words, weight};
use crate::preprocess::plan::Plan;
use crate::preprocess::strip::direct::{Direct, Group, Shares, Table, Window};
use crate::preprocess::strip::fetch::NOTHING;
use crate::preprocess::strip::mixtures::{Mixtures, Numbers, write};
use crate::preprocess::strip::{GROUP, Line, RowTap, Scratch, Strips};
use std::arch::x86_64::{
    __m128i, __m256i, _mm_castpd_si128, _mm_castsi128_pd, _mm_loadh_pd, _mm_loadl_epi64,
    _mm256_add_epi16, _mm256_blend_epi32, _mm256_castsi128_si256, _mm256_inserti128_si256,
    _mm256_load_si256, _mm256_madd_epi16, _mm256_setzero_si256, _mm256_shuffle_epi8,
};
use std::ops::Range;

/// Bytes that a shuffle picks from.
const WIDTH: usize = 16;

/// For each byte of the two words of eight positions the byte of a half of the registers, the sample above.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(32))]
pub(in crate::preprocess::strip) struct Eight([[u8; 4]; GROUP]);

impl Table for Eight {
    const LANES: usize = GROUP;
    const NOTHING: Self = Self([[NOTHING; 4]; GROUP]);
    /// Four positions in a half of one register, two, or one in a quarter of two.
    const WINDOWS: [Window; 3] = [
        Window {
            positions: 4,
            bytes: WIDTH,
        },
        Window {
            positions: 2,
            bytes: WIDTH,
        },
        Window {
            positions: 1,
            bytes: WIDTH / 2,
        },
    ];
    const BYTES: usize = WIDTH;
    const COLUMNS: [usize; 2] = [1, 3];

    fn positions(&mut self) -> &mut [[u8; 4]] {
        &mut self.0
    }
}

/// What this kernel goes by.
pub(in crate::preprocess::strip) type Eights = Direct<Eight, GROUP>;

/// Which of the windows, for the compiler.
const FOURS: u8 = 0;
const TWOS: u8 = 1;
const ONES: u8 = 2;

/// A line straight from the frame.
pub(in crate::preprocess::strip) fn direct(
    strips: &Strips,
    tables: &Eights,
    plan: &Plan,
    down: usize,
    frame: &[u8],
    scratch: &mut Scratch,
    line: &mut Line<'_>,
) {
    debug_assert!(is_available());
    let groups = 0..line.count.div_ceil(2 * GROUP) * 2;
    let mix = |groups: Range<usize>, mixtures: &mut Mixtures| {
        tables.mix(strips, down, mixtures, |group, shares, taps, out| {
            let run = mixed_as(out.len(), group.windows, taps.len());
            // SAFETY: there are tables only where `is_available` said so.
            unsafe { run(group, shares, taps, frame, groups.clone(), out) }
        });
    };
    let colours = colours_of(strips, plan);
    write(plan, groups, &mut scratch.mixtures, line, mix, colours);
}

/// What mixes the samples of a group: some of the steps of these rows of the frame.
type Run =
    unsafe fn(&Group<Eight, GROUP>, Shares<'_>, &[RowTap], &[u8], Range<usize>, &mut [Numbers]);

/// What mixes so many samples of so many rows.
fn mixed_as(samples: usize, windows: usize, rows: usize) -> Run {
    match samples {
        1 => mixed_of::<1>(windows, rows),
        2 => mixed_of::<2>(windows, rows),
        _ => mixed_of::<3>(windows, rows),
    }
}

fn mixed_of<const N: usize>(windows: usize, rows: usize) -> Run {
    match (windows, rows) {
        (0, 1) => mixed::<N, FOURS, 1>,
        (0, _) => mixed::<N, FOURS, 2>,
        (1, 1) => mixed::<N, TWOS, 1>,
        (1, _) => mixed::<N, TWOS, 2>,
        (_, 1) => mixed::<N, ONES, 1>,
        (_, _) => mixed::<N, ONES, 2>,
    }
}

/// `N` samples of a group, out of `T` rows.
#[target_feature(enable = "avx2,fma")]
fn mixed<const N: usize, const R: u8, const T: usize>(
    group: &Group<Eight, GROUP>,
    shares: Shares<'_>,
    taps: &[RowTap],
    frame: &[u8],
    eights: Range<usize>,
    out: &mut [Numbers],
) {
    let (Some(taps), Some(out)) = (taps.first_chunk::<T>(), out.first_chunk_mut::<N>()) else {
        return;
    };
    let rows = taps.map(|tap| tap.at);
    if rows.iter().any(|row| row + group.end > frame.len()) {
        return;
    }
    let mut row_weights = [_mm256_setzero_si256(); T];
    for (out, tap) in row_weights.iter_mut().zip(taps) {
        *out = weight(tap.weight);
    }
    let starts = group.starts.get(eights.clone()).unwrap_or_default();
    let tables = group.tables.as_chunks::<N>().0;
    let tables = tables.get(eights.clone()).unwrap_or_default();
    let [shares, others] = shares.map(|of| of.get(eights.clone()).unwrap_or_default());
    let all = starts.iter().zip(tables).zip(shares.iter().zip(others));
    for (index, ((starts, tables), (shares, others))) in all.enumerate() {
        let mut read = [[_mm256_setzero_si256(); 2]; T];
        for row in 0..T {
            // SAFETY: the windows of this group end at `end`, which is inside the frame in each of these rows.
            read[row] = unsafe { windows::<R>(frame, rows[row], starts) };
        }
        for sample in 0..N {
            let shares = if N == 3 && sample > 0 { others } else { shares };
            // SAFETY: 32 readable bytes, aligned as `Eight` is.
            let table = unsafe { _mm256_load_si256(tables[sample].0.as_ptr().cast()) };
            let mut sum = picked::<R>(table, read[0]);
            if T == 1 {
                sum = halved(sum);
            } else {
                let other = picked::<R>(table, read[T - 1]);
                sum = _mm256_add_epi16(high(sum, row_weights[0]), high(other, row_weights[T - 1]));
            }
            let mixed = _mm256_madd_epi16(sum, load_words(shares));
            if let Some(out) = out[sample].0.as_chunks_mut().0.get_mut(index) {
                put_numbers(out, mixed);
            }
        }
    }
}

/// The registers of a row: of [`FOURS`] twice the same one.
///
/// # Safety
/// The windows of `row` from each start lie inside `frame`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn windows<const R: u8>(frame: &[u8], row: usize, starts: &[u32; GROUP]) -> [__m256i; 2] {
    let [a, b, c, d, e, f, g, h] = *starts;
    if R == ONES {
        // SAFETY: by this function's requirement.
        let first = unsafe { quarters(frame, row, [a, b, e, f]) };
        // SAFETY: as above.
        return [first, unsafe { quarters(frame, row, [c, d, g, h]) }];
    }
    // SAFETY: as above.
    let first = unsafe { halves(frame, row + a as usize, row + e as usize) };
    if R == FOURS {
        return [first; 2];
    }
    // SAFETY: as above.
    let second = unsafe { halves(frame, row + c as usize, row + g as usize) };
    [first, second]
}

/// Eight bytes from each of four places.
///
/// # Safety
/// They lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn quarters(bytes: &[u8], row: usize, [a, b, c, d]: [u32; 4]) -> __m256i {
    // SAFETY: inside `bytes`, by this function's requirement.
    let low = unsafe { two(bytes, row + a as usize, row + b as usize) };
    // SAFETY: as above.
    let high = unsafe { two(bytes, row + c as usize, row + d as usize) };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

/// Eight bytes from each of two places.
///
/// # Safety
/// They lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn two(bytes: &[u8], low: usize, high: usize) -> __m128i {
    debug_assert!(low.max(high) + WIDTH / 2 <= bytes.len());
    // SAFETY: inside `bytes`, by this function's requirement.
    let low = unsafe { bytes.as_ptr().add(low) };
    // SAFETY: as above.
    let high = unsafe { bytes.as_ptr().add(high) };
    // SAFETY: eight readable bytes; the load needs no alignment.
    let low = unsafe { _mm_loadl_epi64(low.cast()) };
    let low = _mm_castsi128_pd(low);
    // SAFETY: as above.
    _mm_castpd_si128(unsafe { _mm_loadh_pd(low, high.cast()) })
}

/// The two columns of eight positions.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn picked<const R: u8>(table: __m256i, [first, second]: [__m256i; 2]) -> __m256i {
    let low = _mm256_shuffle_epi8(first, table);
    if R == FOURS {
        return low;
    }
    // The third and the fourth of each four positions.
    _mm256_blend_epi32::<0b1100_1100>(low, _mm256_shuffle_epi8(second, table))
}
