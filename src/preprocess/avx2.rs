//! The kernel for x86-64 with AVX2 and FMA: eight columns at once.
//!
//! One 32-bit gather brings a tap pair's samples, where a table made at arming says by how much to shift
//! each out of the word: NV12 needs one for the luma and one for the chroma of both taps, YUYV one for
//! each tap.
#![allow(unsafe_code)]

use super::colour::{Channel, Conversion};
use super::plan::{Columns, Layout, Plan, Row};
use crate::frame::PixelFormat;
use crate::infer::TensorType;
use std::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _mm_prefetch, _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128,
    _mm256_and_si256, _mm256_castsi256_si128, _mm256_cvtepi32_ps, _mm256_cvtps_epi32,
    _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_i32gather_epi32, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_max_ps, _mm256_min_ps, _mm256_or_si256, _mm256_permute2f128_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_srlv_epi32, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_ps,
};

/// Columns worked on at once.
const LANES: usize = 8;
/// Bytes that one gather reads for each lane.
const WORD: usize = 4;

/// Whether this machine has the instructions.
fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Where each column's words lie in a row, and how far to shift them. Padded like the plan's columns.
///
/// Holding one proves that the machine has the instructions, and that each word lies inside a row of the
/// spans it was made for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Words {
    pixel: PixelFormat,
    /// NV12: luma of both taps, chroma of both taps. YUYV: first tap, second tap.
    at: [Box<[[i32; LANES]]>; 2],
    /// Bits: luma of the first tap, luma of the second, chroma of the first, chroma of the second.
    shift: [Box<[[i32; LANES]]>; 4],
}

/// `values` in groups of lanes.
fn lanes(values: impl Iterator<Item = usize>) -> Option<Box<[[i32; LANES]]>> {
    let values: Vec<i32> = values
        .map(|value| i32::try_from(value).ok())
        .collect::<Option<_>>()?;
    Some(values.as_chunks().0.into())
}

impl Words {
    /// `None` where the machine lacks the instructions, or rows are too short for a word.
    pub(super) fn new(pixel: PixelFormat, columns: &Columns, layout: &Layout) -> Option<Self> {
        if !is_available() {
            return None;
        }
        let &Layout {
            luma_step,
            luma_span,
            chroma_span,
            ..
        } = layout;
        let spans = match pixel {
            PixelFormat::Nv12 => [luma_span, chroma_span],
            PixelFormat::Yuyv => [luma_span, luma_span],
        };
        let last = spans.map(|span| span.checked_sub(WORD));
        let last = [last[0]?, last[1]?];
        let luma = || columns.luma.iter().map(|&at| at as usize);
        let chroma = |tap: usize| columns.chroma[tap].iter().map(|&at| at as usize);
        match pixel {
            PixelFormat::Nv12 => {
                let base = |index: usize, at: usize| at.min(last[index]);
                let luma_shift =
                    |further: usize| luma().map(move |at| (at + further - base(0, at)) * 8);
                let chroma_shift = |tap: usize| {
                    chroma(0)
                        .zip(chroma(tap))
                        .map(move |(first, at)| (at - base(1, first)) * 8)
                };
                Some(Self {
                    pixel,
                    at: [
                        lanes(luma().map(|at| base(0, at)))?,
                        lanes(chroma(0).map(|at| base(1, at)))?,
                    ],
                    shift: [
                        lanes(luma_shift(0))?,
                        lanes(luma_shift(luma_step))?,
                        lanes(chroma_shift(0))?,
                        lanes(chroma_shift(1))?,
                    ],
                })
            }
            PixelFormat::Yuyv => {
                // A row is whole pairs of four bytes, and a pair is a word.
                let luma_at = |tap: usize| luma().map(move |at| at + tap * luma_step);
                let word = |tap: usize| luma_at(tap).map(|at| (at / WORD * WORD).min(last[0]));
                let shift = |tap: usize| luma_at(tap).map(|at| at % WORD * 8);
                let chroma_shift = |tap: usize| chroma(tap).map(|at| at % WORD * 8);
                Some(Self {
                    pixel,
                    at: [lanes(word(0))?, lanes(word(1))?],
                    shift: [
                        lanes(shift(0))?,
                        lanes(shift(1))?,
                        lanes(chroma_shift(0))?,
                        lanes(chroma_shift(1))?,
                    ],
                })
            }
        }
    }
}

/// Asks for the cache lines that `row` will read. Rows lie apart, so that the hardware's prefetcher,
/// which follows one sequence within a page, comes too late at the start of each.
pub(super) fn prefetch(plan: &Plan, frame: &[u8], row: &Row) {
    let luma = row.luma.map(|at| (at, plan.luma_span));
    let chroma = row.chroma.map(|at| (at, plan.chroma_span));
    for (at, span) in luma.into_iter().chain(chroma) {
        for line in frame.get(at..at + span).unwrap_or_default().chunks(64) {
            // SAFETY: SSE is part of x86-64, and the address lies inside `frame`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
}

/// Writes the pixels of one output row into `line`.
pub(super) fn write_row(plan: &Plan, words: &Words, frame: &[u8], row: &Row, line: &mut [u8]) {
    debug_assert!(is_available());
    let run = match (words.pixel, plan.channels) {
        (PixelFormat::Nv12, 3) => groups::<true, 3>,
        (PixelFormat::Nv12, _) => groups::<true, 1>,
        (PixelFormat::Yuyv, 3) => groups::<false, 3>,
        (PixelFormat::Yuyv, _) => groups::<false, 1>,
    };
    // SAFETY: the machine has AVX2 and FMA: a plan holds `Words` only after `is_available` said so.
    unsafe { run(plan, words, frame, row, line) }
}

/// One value for each lane.
type Lane = __m256;

/// Y', Cb and Cr of one tap.
type Tap = [Lane; 3];

/// `C` channels.
#[target_feature(enable = "avx2,fma")]
fn groups<const NV12: bool, const C: usize>(
    plan: &Plan,
    words: &Words,
    frame: &[u8],
    row: &Row,
    line: &mut [u8],
) {
    let spans = if NV12 {
        [plan.luma_span, plan.chroma_span]
    } else {
        [plan.luma_span; 2]
    };
    let starts = |r: usize| {
        if NV12 {
            [row.luma[r], row.chroma[r]]
        } else {
            [row.luma[r]; 2]
        }
    };
    let bytes = |r: usize, i: usize| frame.get(starts(r)[i]..starts(r)[i] + spans[i]);
    let (Some(a0), Some(a1), Some(b0), Some(b1)) =
        (bytes(0, 0), bytes(0, 1), bytes(1, 0), bytes(1, 1))
    else {
        return;
    };

    let group_bytes = LANES * C * plan.kind.bytes();
    let row_weight = _mm256_set1_ps(row.weight);
    let mut scratch = [0; LANES * 12];
    for (group, out) in line.chunks_mut(group_bytes).enumerate() {
        let Some(table) = words.group(group) else {
            return;
        };
        let Some(weight) = plan.columns.weight.as_chunks().0.get(group) else {
            return;
        };
        let weight = load_ps(weight);
        // SAFETY: the rows have the spans that `words` was made for.
        let [left, right] = unsafe { fetch::<NV12>(&table, a0, a1) };
        let upper = mix::<C>(convert::<C>(plan, left), convert::<C>(plan, right), weight);
        // SAFETY: as above.
        let [left, right] = unsafe { fetch::<NV12>(&table, b0, b1) };
        let lower = mix::<C>(convert::<C>(plan, left), convert::<C>(plan, right), weight);
        let value = mix::<C>(upper, lower, row_weight);
        if out.len() == group_bytes {
            store::<C>(plan, value, out);
        } else if let Some(scratch) = scratch.get_mut(..group_bytes) {
            store::<C>(plan, value, scratch);
            out.copy_from_slice(scratch.get(..out.len()).unwrap_or_default());
        }
    }
}

/// One group's part of [`Words`].
struct Table<'a> {
    at: [&'a [i32; LANES]; 2],
    shift: [&'a [i32; LANES]; 4],
}

impl Words {
    #[inline]
    fn group(&self, index: usize) -> Option<Table<'_>> {
        let [s0, s1, s2, s3] = &self.shift;
        Some(Table {
            at: [self.at[0].get(index)?, self.at[1].get(index)?],
            shift: [
                s0.get(index)?,
                s1.get(index)?,
                s2.get(index)?,
                s3.get(index)?,
            ],
        })
    }
}

/// The samples of both taps of one group in one picture row.
///
/// # Safety
/// `first` and `second` have the spans that the table's `Words` was made for.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn fetch<const NV12: bool>(table: &Table<'_>, first: &[u8], second: &[u8]) -> [Tap; 2] {
    // SAFETY: `Words::new` left every index at most a word short of the span, which is `first`'s length.
    let a = unsafe { gather(first, table.at[0]) };
    // SAFETY: as above, with `second`.
    let b = unsafe { gather(second, table.at[1]) };
    let (luma, chroma) = if NV12 {
        ([a, a], [b, b])
    } else {
        ([a, b], [a, b])
    };
    let [y0, y1, c0, c1] = table.shift;
    [
        tap::<NV12>(luma[0], y0, chroma[0], c0),
        tap::<NV12>(luma[1], y1, chroma[1], c1),
    ]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn tap<const NV12: bool>(
    luma: __m256i,
    y: &[i32; LANES],
    chroma: __m256i,
    c: &[i32; LANES],
) -> Tap {
    let cb = _mm256_srlv_epi32(chroma, load(c));
    let cr = if NV12 {
        _mm256_srli_epi32::<8>(cb)
    } else {
        _mm256_srli_epi32::<16>(cb)
    };
    [
        sample(_mm256_srlv_epi32(luma, load(y))),
        sample(cb),
        sample(cr),
    ]
}

/// The low byte of each lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sample(word: __m256i) -> Lane {
    _mm256_cvtepi32_ps(_mm256_and_si256(word, _mm256_set1_epi32(0xff)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn convert<const C: usize>(plan: &Plan, tap: Tap) -> [Lane; C] {
    let mut out = [_mm256_setzero_ps(); C];
    for (out, k) in out.iter_mut().zip(&plan.conversion.channels) {
        *out = channel(&plan.conversion, k, tap);
    }
    out
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn channel(conversion: &Conversion, k: &Channel, [y, cb, cr]: Tap) -> Lane {
    let one = _mm256_fmadd_ps(_mm256_set1_ps(k.cr), cr, _mm256_set1_ps(k.one));
    let chroma = _mm256_fmadd_ps(_mm256_set1_ps(k.cb), cb, one);
    let value = _mm256_fmadd_ps(_mm256_set1_ps(k.y), y, chroma);
    clamp(value, conversion.low, conversion.high)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn clamp(value: Lane, low: f32, high: f32) -> Lane {
    _mm256_min_ps(
        _mm256_max_ps(value, _mm256_set1_ps(low)),
        _mm256_set1_ps(high),
    )
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn mix<const C: usize>(a: [Lane; C], b: [Lane; C], weight: Lane) -> [Lane; C] {
    let mut out = a;
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = _mm256_fmadd_ps(weight, _mm256_sub_ps(b, a), a);
    }
    out
}

/// Writes eight pixels: `out` has exactly their bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn store<const C: usize>(plan: &Plan, value: [Lane; C], out: &mut [u8]) {
    let Conversion {
        least, greatest, ..
    } = plan.conversion;
    match (plan.kind, C) {
        (TensorType::F32, 3) => {
            if let ([a, b, c], []) = out.as_chunks_mut() {
                let [x, y, z] = interleave([value[0], value[1 % C], value[2 % C]]);
                store_ps(a, x);
                store_ps(b, y);
                store_ps(c, z);
            }
        }
        (TensorType::F32, _) => {
            if let Ok(out) = out.try_into() {
                store_ps(out, value[0]);
            }
        }
        (TensorType::U8 | TensorType::I8, 3) => {
            let mut word = quantised(value[0], least, greatest);
            word = _mm256_or_si256(
                word,
                _mm256_slli_epi32::<8>(quantised(value[1 % C], least, greatest)),
            );
            word = _mm256_or_si256(
                word,
                _mm256_slli_epi32::<16>(quantised(value[2 % C], least, greatest)),
            );
            if let Ok(out) = out.try_into() {
                store_triples(out, word);
            }
        }
        (TensorType::U8 | TensorType::I8, _) => {
            let mut words = [[0; WORD]; LANES];
            store_words(&mut words, quantised(value[0], least, greatest));
            for (byte, word) in out.iter_mut().zip(words) {
                *byte = word[0];
            }
        }
    }
}

/// Rounded to nearest, ties to even, in the low byte of each lane; the others are 0.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn quantised(value: Lane, least: f32, greatest: f32) -> __m256i {
    _mm256_and_si256(
        _mm256_cvtps_epi32(clamp(value, least, greatest)),
        _mm256_set1_epi32(0xff),
    )
}

/// Eight reds, greens and blues as eight triples.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn interleave([r, g, b]: [Lane; 3]) -> [Lane; 3] {
    // Within each half (lanes 0..4 shown): even red and green, odd green and blue, even blue and odd red.
    let rg = _mm256_shuffle_ps::<0b10_00_10_00>(r, g); // r0 r2 g0 g2
    let gb = _mm256_shuffle_ps::<0b11_01_11_01>(g, b); // g1 g3 b1 b3
    let br = _mm256_shuffle_ps::<0b11_01_10_00>(b, r); // b0 b2 r1 r3
    let x = _mm256_shuffle_ps::<0b10_00_10_00>(rg, br); // r0 g0 b0 r1
    let y = _mm256_shuffle_ps::<0b11_01_10_00>(gb, rg); // g1 b1 r2 g2
    let z = _mm256_shuffle_ps::<0b11_01_11_01>(br, gb); // b2 r3 g3 b3
    [
        _mm256_permute2f128_ps::<0x20>(x, y),
        _mm256_permute2f128_ps::<0x30>(z, x),
        _mm256_permute2f128_ps::<0x31>(y, z),
    ]
}

/// The word at each offset of `row`.
///
/// # Safety
/// Each offset is at least 0 and at most a word short of `row`'s length.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn gather(row: &[u8], at: &[i32; LANES]) -> __m256i {
    let at = load(at);
    // SAFETY: each lane reads `WORD` bytes at its offset, inside `row` by this function's requirement;
    // the gather needs no alignment.
    unsafe { _mm256_i32gather_epi32::<1>(row.as_ptr().cast(), at) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(lanes: &[i32; LANES]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_ps(lanes: &[f32; LANES]) -> Lane {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_ps(out: &mut [u8; LANES * 4], value: Lane) {
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_words(out: &mut [[u8; WORD]; LANES], value: __m256i) {
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), value) }
}

/// The three low bytes of each lane, one after the other.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_triples(out: &mut [u8; LANES * 3], words: __m256i) {
    let squeeze = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    let low = _mm_shuffle_epi8(_mm256_castsi256_si128(words), squeeze);
    let high = _mm_shuffle_epi8(_mm256_extracti128_si256::<1>(words), squeeze);
    let mut halves = [[0_u8; 16]; 2];
    for (half, value) in halves.iter_mut().zip([low, high]) {
        // SAFETY: 16 writable bytes; the store needs no alignment.
        unsafe { _mm_storeu_si128(half.as_mut_ptr().cast(), value) };
    }
    out[..12].copy_from_slice(&halves[0][..12]);
    out[12..].copy_from_slice(&halves[1][..12]);
}
