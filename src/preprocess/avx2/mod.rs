//! The kernel for x86-64 with AVX2 and FMA: eight columns at once.
//!
//! One 32-bit gather brings up to four bytes that lie together, and a table made at arming says by how
//! much to shift each sample out of the word: see [`Family`].
#![allow(unsafe_code)]

mod words;

use super::colour::Conversion;
use super::plan::Plan;
use super::sampling::Row;
use crate::frame::MAX_SAMPLES;
use crate::infer::TensorType;
use std::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _mm_prefetch, _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128,
    _mm256_and_si256, _mm256_castsi256_si128, _mm256_cvtepi32_ps, _mm256_cvtps_epi32,
    _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_i32gather_epi32, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_max_ps, _mm256_min_ps, _mm256_or_si256, _mm256_permute2f128_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_srlv_epi32, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_ps,
};

pub(super) use words::Words;
use words::{Family, Group, LANES, WORD, is_available};

/// Asks for the cache lines that `row` will read. Rows lie apart, so that the hardware's prefetcher,
/// which follows one sequence within a page, comes too late at the start of each.
pub(super) fn prefetch(plan: &Plan, frame: &[u8], row: &Row) {
    let count = plan.sampling.samples().len();
    for at in &row.at {
        for (index, (&start, &span)) in at.iter().zip(plan.sampling.span()).take(count).enumerate()
        {
            if at.iter().take(index).any(|&before| before == start) {
                continue;
            }
            for line in frame
                .get(start..start + span)
                .unwrap_or_default()
                .chunks(64)
            {
                // SAFETY: SSE is part of x86-64, and the address lies inside `frame`.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
            }
        }
    }
}

/// Writes the pixels of one output row into `line`.
pub(super) fn write_row(plan: &Plan, words: &Words, frame: &[u8], row: &Row, line: &mut [u8]) {
    debug_assert!(is_available());
    let run = match (words.family, plan.channels) {
        (Family::One, 3) => groups::<ONE, 3>,
        (Family::One, _) => groups::<ONE, 1>,
        (Family::Split, _) => groups::<SPLIT, 3>,
        (Family::Planar, _) => groups::<PLANAR, 3>,
        (Family::Pairs, _) => groups::<PAIRS, 3>,
        (Family::Rgb, 3) => groups::<RGB, 3>,
        (Family::Rgb, _) => groups::<RGB, 1>,
        (Family::Rgb565, 3) => groups::<RGB565, 3>,
        (Family::Rgb565, _) => groups::<RGB565, 1>,
        (Family::Bayer, 3) => groups::<BAYER, 3>,
        (Family::Bayer, _) => groups::<BAYER, 1>,
    };
    // SAFETY: the machine has AVX2 and FMA: a plan holds `Words` only after `is_available` said so.
    unsafe { run(plan, words, frame, row, line) }
}

/// One value for each lane.
type Lane = __m256;

/// The samples of one tap; those that the family has not are zero.
type Tap = [Lane; MAX_SAMPLES];

const ONE: u8 = Family::One as u8;
const SPLIT: u8 = Family::Split as u8;
const PLANAR: u8 = Family::Planar as u8;
const PAIRS: u8 = Family::Pairs as u8;
const RGB: u8 = Family::Rgb as u8;
const RGB565: u8 = Family::Rgb565 as u8;
const BAYER: u8 = Family::Bayer as u8;

/// Samples that a family has.
const fn samples(family: u8) -> usize {
    match family {
        ONE => 1,
        BAYER => 4,
        _ => 3,
    }
}

/// Of family `F`, with `C` channels.
#[target_feature(enable = "avx2,fma")]
fn groups<const F: u8, const C: usize>(
    plan: &Plan,
    words: &Words,
    frame: &[u8],
    row: &Row,
    line: &mut [u8],
) {
    let of = words.family.rows();
    let spans = plan.sampling.span();
    let bytes = |at: &[usize; MAX_SAMPLES], sample: usize| {
        frame.get(at[sample]..at[sample] + spans[sample])
    };
    let bytes = |at| Some([bytes(at, of[0])?, bytes(at, of[1])?, bytes(at, of[2])?]);
    let (Some(first), Some(second)) = (bytes(&row.at[0]), bytes(&row.at[1])) else {
        return;
    };

    let group_bytes = LANES * C * plan.kind.bytes();
    let row_weight = _mm256_set1_ps(row.weight);
    let mask = _mm256_set1_epi32(words.mask);
    let mut scratch = [0; LANES * 12];
    for (group, out) in line.chunks_mut(group_bytes).enumerate() {
        let Some(table) = words.groups.get(group) else {
            return;
        };
        let Some(weight) = plan.columns.weight.as_chunks().0.get(group) else {
            return;
        };
        let weight = load_ps(weight);
        // SAFETY: the rows have the spans that `words` was made for.
        let [left, right] = unsafe { fetch::<F>(table, first, mask) };
        let upper = mix::<C>(
            convert::<F, C>(plan, left),
            convert::<F, C>(plan, right),
            weight,
        );
        // SAFETY: as above.
        let [left, right] = unsafe { fetch::<F>(table, second, mask) };
        let lower = mix::<C>(
            convert::<F, C>(plan, left),
            convert::<F, C>(plan, right),
            weight,
        );
        let value = mix::<C>(upper, lower, row_weight);
        if out.len() == group_bytes {
            store::<C>(plan, value, out);
        } else if let Some(scratch) = scratch.get_mut(..group_bytes) {
            store::<C>(plan, value, scratch);
            out.copy_from_slice(scratch.get(..out.len()).unwrap_or_default());
        }
    }
}

/// The samples of both taps of one group in one picture row.
///
/// # Safety
/// `rows` have the spans that the table's `Words` was made for.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn fetch<const F: u8>(table: &Group, rows: [&[u8]; 3], mask: __m256i) -> [Tap; 2] {
    // SAFETY: `Words::new` left every index at most a word short of the span, which is the row's length.
    let a = unsafe { gather(rows[0], &table.at[0]) };
    let b = match F {
        ONE | RGB565 => a,
        // SAFETY: as above.
        _ => unsafe { gather(rows[1], &table.at[1]) },
    };
    let c = match F {
        // SAFETY: as above.
        PLANAR => unsafe { gather(rows[2], &table.at[2]) },
        _ => b,
    };
    let [p0, p1, q0, q1] = &table.shift;
    match F {
        SPLIT => [(p0, q0), (p1, q1)].map(|(luma, chroma)| {
            let pair = _mm256_srlv_epi32(b, load(chroma));
            let luma = _mm256_srlv_epi32(a, load(luma));
            tap(luma, pair, _mm256_srli_epi32::<8>(pair))
        }),
        PLANAR => [(p0, q0), (p1, q1)].map(|(luma, chroma)| {
            let chroma = load(chroma);
            tap(
                _mm256_srlv_epi32(a, load(luma)),
                _mm256_srlv_epi32(b, chroma),
                _mm256_srlv_epi32(c, chroma),
            )
        }),
        PAIRS => [(a, p0, q0), (b, p1, q1)].map(|(word, luma, chroma)| {
            let pair = _mm256_srlv_epi32(word, load(chroma));
            let luma = _mm256_srlv_epi32(word, load(luma));
            tap(luma, pair, _mm256_srli_epi32::<16>(pair))
        }),
        RGB => [(a, p0), (b, p1)].map(|(word, shift)| {
            let word = _mm256_srlv_epi32(word, load(shift));
            tap(
                word,
                _mm256_srli_epi32::<8>(word),
                _mm256_srli_epi32::<16>(word),
            )
        }),
        RGB565 => [p0, p1].map(|shift| {
            let word = _mm256_srlv_epi32(a, load(shift));
            let field =
                |word, mask| _mm256_cvtepi32_ps(_mm256_and_si256(word, _mm256_set1_epi32(mask)));
            [
                field(word, 0x1f),
                field(_mm256_srli_epi32::<5>(word), 0x3f),
                field(_mm256_srli_epi32::<11>(word), 0x1f),
                _mm256_setzero_ps(),
            ]
        }),
        BAYER => [p0, p1].map(|shift| {
            let shift = load(shift);
            let (upper, lower) = (_mm256_srlv_epi32(a, shift), _mm256_srlv_epi32(b, shift));
            [
                sample(upper),
                sample(_mm256_srli_epi32::<8>(upper)),
                sample(lower),
                sample(_mm256_srli_epi32::<8>(lower)),
            ]
        }),
        _ => [p0, p1].map(|shift| {
            let value = _mm256_and_si256(_mm256_srlv_epi32(a, load(shift)), mask);
            let zero = _mm256_setzero_ps();
            [_mm256_cvtepi32_ps(value), zero, zero, zero]
        }),
    }
}

/// The low byte of each lane of three words.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tap(a: __m256i, b: __m256i, c: __m256i) -> Tap {
    [sample(a), sample(b), sample(c), _mm256_setzero_ps()]
}

/// The low byte of each lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sample(word: __m256i) -> Lane {
    _mm256_cvtepi32_ps(_mm256_and_si256(word, _mm256_set1_epi32(0xff)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn convert<const F: u8, const C: usize>(plan: &Plan, tap: Tap) -> [Lane; C] {
    let mut out = [_mm256_setzero_ps(); C];
    for (out, k) in out.iter_mut().zip(&plan.conversion.channels) {
        let mut value = _mm256_set1_ps(k.one);
        for index in (0..samples(F)).rev() {
            value = _mm256_fmadd_ps(_mm256_set1_ps(k.gain[index]), tap[index], value);
        }
        *out = clamp(value, plan.conversion.low, plan.conversion.high);
    }
    out
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
