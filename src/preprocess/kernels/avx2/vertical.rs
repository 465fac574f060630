//! Rows to a row buffer, sixteen samples at once.

use super::registers::{halved, halves, high, is_available, weight};
use crate::preprocess::kernels::fetch::{Fetch, REACH, Unpack, WINDOW};
use crate::preprocess::kernels::scratch::RowBuffer;
use crate::preprocess::kernels::sizes::BLOCK;
use crate::preprocess::kernels::vertical::{WeightedRow, initial_sum};
use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi16, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_mullo_epi16, _mm256_or_si256,
    _mm256_set1_epi16, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sll_epi16,
    _mm256_srl_epi16, _mm256_storeu_si256,
};
use std::ops::Range;

/// How the windows of a block lie.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WindowPlaces {
    /// Both halves have one, the same.
    Same,
    /// The second half's follows the first's.
    Next,
    /// In any other way: two for each half.
    Four,
}

impl WindowPlaces {
    const fn of(kind: &Fetch) -> Self {
        let [[low, _], [high, _]] = kind.windows;
        match (kind.double, high - low) {
            (false, 0) => Self::Same,
            (false, WINDOW) => Self::Next,
            _ => Self::Four,
        }
    }
}

/// As [`crate::preprocess::kernels::portable::vertical`].
pub(in crate::preprocess::kernels) fn vertical(
    kind: &Fetch,
    frame: &[u8],
    rows: &[WeightedRow],
    blocks: Range<usize>,
    out: &mut RowBuffer,
) {
    debug_assert!(is_available());
    let run = match (&kind.unpack, WindowPlaces::of(kind)) {
        (Unpack::Byte, WindowPlaces::Same) => fetched::<BYTE, SAME>,
        (Unpack::Byte, WindowPlaces::Next) => fetched::<BYTE, NEXT>,
        (Unpack::Byte, WindowPlaces::Four) => fetched::<BYTE, FOUR>,
        (Unpack::Word { .. }, WindowPlaces::Next) => fetched::<WORD, NEXT>,
        (Unpack::Word { .. }, _) => fetched::<WORD, FOUR>,
        (Unpack::Packed10(_), _) => fetched::<PACKED10, FOUR>,
    };
    // SAFETY: a plan takes this kernel only after `is_available` said so.
    unsafe { run(kind, frame, rows, blocks, out) }
}

const BYTE: u8 = 0;
const WORD: u8 = 1;
const PACKED10: u8 = 2;
const SAME: u8 = 0;
const NEXT: u8 = 1;
const FOUR: u8 = 2;

/// The tables of a fetch, in registers.
struct Tables {
    first: __m256i,
    second: __m256i,
    right: __m128i,
    left: __m128i,
    factors: __m256i,
}

#[target_feature(enable = "avx2,fma")]
#[allow(clippy::cast_possible_wrap)] // Shifts of 0 to 15, factors of 1 to 64.
fn fetched<const U: u8, const P: u8>(
    kind: &Fetch,
    frame: &[u8],
    rows: &[WeightedRow],
    blocks: Range<usize>,
    out: &mut RowBuffer,
) {
    let (mut right, mut left, mut factors) = (0, 0, _mm256_setzero_si256());
    match &kind.unpack {
        Unpack::Byte => {}
        Unpack::Word { right: r, left: l } => (right, left) = (*r as i32, *l as i32),
        Unpack::Packed10(table) => factors = load(&table.map(u16::cast_signed)),
    }
    let begin = weight(initial_sum(rows, kind.unpack.zeros()));
    let tables = Tables {
        first: load_bytes(&kind.tables[0]),
        second: load_bytes(&kind.tables[1]),
        right: _mm_cvtsi32_si128(right),
        left: _mm_cvtsi32_si128(left),
        factors,
    };
    let whole = blocks.end.min(kind.whole()).max(blocks.start);
    // The rows of whole blocks end inside the frame, or there are none.
    let inside = rows.iter().all(|row| row.at + kind.span <= frame.len());
    let out = out.as_chunks_mut::<BLOCK>().0;
    let (out, ends) = out.split_at_mut((whole - blocks.start).min(out.len()));
    if inside {
        let at = blocks.start * kind.advance;
        match rows.len() {
            1 => whole_blocks::<U, P, 1>(kind, &tables, frame, rows, begin, at, out),
            2 => whole_blocks::<U, P, 2>(kind, &tables, frame, rows, begin, at, out),
            3 => whole_blocks::<U, P, 3>(kind, &tables, frame, rows, begin, at, out),
            4 => whole_blocks::<U, P, 4>(kind, &tables, frame, rows, begin, at, out),
            5 => whole_blocks::<U, P, 5>(kind, &tables, frame, rows, begin, at, out),
            _ => whole_blocks::<U, P, 0>(kind, &tables, frame, rows, begin, at, out),
        }
    }
    for (block, out) in (whole..blocks.end).zip(ends) {
        let mut sum = begin;
        for row in rows {
            let mut end = [0; REACH];
            let bytes = frame.get(row.at..row.at + kind.span).unwrap_or_default();
            kind.copy(bytes, block, &mut end);
            // SAFETY: windows reach no further than `REACH`, which `Fetch::new` checked.
            let sample = unsafe { sixteen::<U, P>(kind, &tables, &end, 0) };
            sum = match rows.len() {
                1 => halved(sample),
                _ => _mm256_add_epi16(sum, high(sample, weight(row.weight))),
            };
        }
        store_block(out, sum);
    }
}

/// Blocks of which every row has all that is read, from byte `at` of each: of `T` rows, or of any number where that is
/// 0. With a number known to the compiler their weights stay in registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn whole_blocks<const U: u8, const P: u8, const T: usize>(
    kind: &Fetch,
    tables: &Tables,
    frame: &[u8],
    rows: &[WeightedRow],
    begin: __m256i,
    at: usize,
    out: &mut [[i16; BLOCK]],
) {
    let known = rows.first_chunk::<T>();
    let mut weights = [_mm256_setzero_si256(); T];
    for row in 0..T {
        weights[row] = known.map_or(begin, |rows| weight(rows[row].weight));
    }
    for (index, out) in out.iter_mut().enumerate() {
        let at = at + index * kind.advance;
        // SAFETY: a whole block's windows end inside its row, and the row inside the frame.
        let sixteen =
            |row: &WeightedRow| unsafe { sixteen::<U, P>(kind, tables, frame, row.at + at) };
        let mut sum = begin;
        match known {
            Some(rows) if T == 1 => sum = halved(sixteen(&rows[0])),
            Some(rows) if T > 1 => {
                for row in 0..T {
                    sum = _mm256_add_epi16(sum, high(sixteen(&rows[row]), weights[row]));
                }
            }
            _ => {
                for row in rows {
                    sum = _mm256_add_epi16(sum, high(sixteen(row), weight(row.weight)));
                }
            }
        }
        store_block(out, sum);
    }
}

/// Sixteen samples, set to sixteen bits.
///
/// # Safety
/// `bytes` goes on for `kind.reach` bytes from `at`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn sixteen<const U: u8, const P: u8>(
    kind: &Fetch,
    tables: &Tables,
    bytes: &[u8],
    at: usize,
) -> __m256i {
    debug_assert!(at + kind.reach <= bytes.len());
    let [[low, low_second], [high, high_second]] = kind.windows;
    let first = match P {
        // SAFETY: the windows end at most `kind.reach` bytes from `at`.
        SAME => unsafe { same(bytes, at + low) },
        // SAFETY: as above.
        NEXT => unsafe { next(bytes, at + low) },
        // SAFETY: as above.
        _ => unsafe { halves(bytes, at + low, at + high) },
    };
    let mut word = _mm256_shuffle_epi8(first, tables.first);
    if P == FOUR {
        // SAFETY: as above.
        let second = unsafe { halves(bytes, at + low_second, at + high_second) };
        word = _mm256_or_si256(word, _mm256_shuffle_epi8(second, tables.second));
    }
    match U {
        BYTE => word,
        WORD => _mm256_sll_epi16(_mm256_srl_epi16(word, tables.right), tables.left),
        _ => {
            let low = _mm256_mullo_epi16(word, tables.factors);
            let low = _mm256_and_si256(low, _mm256_set1_epi16(0x00c0));
            _mm256_or_si256(
                _mm256_and_si256(word, _mm256_set1_epi16(0xff00_u16.cast_signed())),
                low,
            )
        }
    }
}

/// Sixteen bytes, twice.
///
/// # Safety
/// They lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn same(bytes: &[u8], at: usize) -> __m256i {
    // SAFETY: inside `bytes`, by this function's requirement.
    let at = unsafe { bytes.as_ptr().add(at) };
    // SAFETY: sixteen readable bytes; the load needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(at.cast()) })
}

/// Thirty-two bytes.
///
/// # Safety
/// They lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn next(bytes: &[u8], at: usize) -> __m256i {
    // SAFETY: inside `bytes`, by this function's requirement.
    let at = unsafe { bytes.as_ptr().add(at) };
    // SAFETY: thirty-two readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_block(out: &mut [i16; BLOCK], value: __m256i) {
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(lanes: &[i16; BLOCK]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_bytes(lanes: &[u8; 2 * BLOCK]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}
