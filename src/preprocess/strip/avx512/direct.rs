//! Straight from the frame, sixteen positions at once: weighted with the share of column and row in one.

use super::windows::{LANES, ONE, TWO, TWO_EACH};
use crate::preprocess::strip::direct::{Direct, Group, Shares, Table, Window};
use crate::preprocess::strip::fetch::NOTHING;
use crate::preprocess::strip::mixtures::Numbers;
use crate::preprocess::strip::{GROUP, RowTap};
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
pub(super) const FINER: f32 = 128.0;

/// For each byte of the two words of sixteen positions the byte of the windows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Sixteen([[u8; 4]; LANES]);

impl Table for Sixteen {
    const LANES: usize = LANES;
    const NOTHING: Self = Self([[NOTHING; 4]; LANES]);
    /// In one register, in two, and each eight in two of their own.
    const WINDOWS: [Window; 3] = [
        Window {
            positions: LANES,
            bytes: WIDTH,
        },
        Window {
            positions: LANES,
            bytes: 2 * WIDTH,
        },
        Window {
            positions: GROUP,
            bytes: 2 * WIDTH,
        },
    ];
    const BYTES: usize = 2 * WIDTH;
    const COLUMNS: [usize; 2] = [0, 2];

    fn positions(&mut self) -> &mut [[u8; 4]] {
        &mut self.0
    }
}

/// Eights of the sixteen.
const HALVES: usize = 2;

/// What this kernel goes by.
pub(super) type Sixteens = Direct<Sixteen, HALVES>;

/// What mixes the samples of a group: some of the steps of these rows of the frame.
pub(super) type Run =
    unsafe fn(&Group<Sixteen, HALVES>, Shares<'_>, &[RowTap], &[u8], Range<usize>, &mut [Numbers]);

/// What mixes so many samples of so many rows.
pub(super) fn mixed_as(samples: usize, windows: usize, rows: usize) -> Run {
    match samples {
        1 => mixed_of::<1>(windows, rows),
        2 => mixed_of::<2>(windows, rows),
        _ => mixed_of::<3>(windows, rows),
    }
}

fn mixed_of<const N: usize>(windows: usize, rows: usize) -> Run {
    match (windows, rows) {
        (0, 1) => mixed::<N, ONE, 1>,
        (0, _) => mixed::<N, ONE, 2>,
        (1, 1) => mixed::<N, TWO, 1>,
        (1, _) => mixed::<N, TWO, 2>,
        (_, 1) => mixed::<N, TWO_EACH, 1>,
        (_, _) => mixed::<N, TWO_EACH, 2>,
    }
}

/// `N` samples of a group, out of `T` rows.
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn mixed<const N: usize, const R: u8, const T: usize>(
    group: &Group<Sixteen, HALVES>,
    weights: Shares<'_>,
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
    let [weights, others] = weights.map(|of| {
        let (of, _) = of.as_chunks();
        of.get(sixteens.clone()).unwrap_or_default()
    });
    let all = starts.iter().zip(tables).zip(weights.iter().zip(others));
    for (index, ((starts, tables), (weights, others))) in all.enumerate() {
        // SAFETY: the windows of this group end at `end`, which is inside the frame in each of these rows.
        let windows = rows.map(|row| unsafe { windows::<R>(frame, row, starts) });
        let mut shares = shared::<T>(weights, share);
        for sample in 0..N {
            if N == 3 && sample == 1 {
                shares = shared::<T>(others, share);
            }
            let table = loaded(&tables[sample]);
            let mut sum = _mm512_setzero_si512();
            for row in 0..T {
                sum = _mm512_dpwssd_epi32(sum, picked::<R>(table, windows[row]), shares[row]);
            }
            if let Some(out) = out[sample].0.as_chunks_mut::<LANES>().0.get_mut(index) {
                let numbers = _mm512_cvtepi32_ps(sum);
                // SAFETY: 64 writable bytes, aligned as `Numbers` are.
                unsafe { _mm512_store_ps(out.as_mut_ptr(), numbers) }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn loaded(Sixteen(table): &Sixteen) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(table.as_ptr().cast()) }
}

/// The weights of the columns in each row, the second of which has this share.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn shared<const T: usize>(weights: &[[i32; GROUP]; 2], share: __m512i) -> [__m512i; T] {
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
/// The windows of `row` from each start lie inside `frame`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
unsafe fn windows<const R: u8>(frame: &[u8], row: usize, starts: &[u32; HALVES]) -> [__m512i; 4] {
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
