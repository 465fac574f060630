//! Filtered samples to pixels, eight at once.

use crate::infer::TensorType;
use crate::preprocess::kernels::gains::Gains;
use crate::preprocess::kernels::output_line::PlaneParts;
use crate::preprocess::kernels::scratch::Filtered;
use crate::preprocess::kernels::sizes::{BATCH, GROUP};
use crate::preprocess::kernels::tables::Tables;
use crate::preprocess::layout::TensorLayout;
use std::arch::x86_64::{
    __m256, __m256i, _MM_FROUND_TO_NEAREST_INT, _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128,
    _mm256_and_si256, _mm256_castsi256_si128, _mm256_cvtps_epi32, _mm256_cvtps_ph,
    _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps,
    _mm256_or_si256, _mm256_permute2f128_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_si256, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_storeu_si256,
};

/// What makes pixels of filtered samples: as many as it is given bytes for, at most a batch.
pub(super) fn colour(tables: &Tables, layout: &TensorLayout) -> impl Fn(&Filtered, PlaneParts<'_>) {
    let run = match (tables.fetches.len(), layout.channels, layout.planes) {
        (1, 1, _) => colours_as::<1, 1, 1>(layout.kind),
        (1, _, 1) => colours_as::<1, 3, 1>(layout.kind),
        (1, _, _) => colours_as::<1, 3, 3>(layout.kind),
        (3, 1, _) => colours_as::<3, 1, 1>(layout.kind),
        (3, _, 1) => colours_as::<3, 3, 1>(layout.kind),
        (3, _, _) => colours_as::<3, 3, 3>(layout.kind),
        (_, 1, _) => colours_as::<4, 1, 1>(layout.kind),
        (_, _, 1) => colours_as::<4, 3, 1>(layout.kind),
        (_, _, _) => colours_as::<4, 3, 3>(layout.kind),
    };
    // SAFETY: a plan takes these kernels only after `is_available` said so.
    move |filtered, out| unsafe { run(&tables.gains, filtered, out) }
}

/// What makes pixels of filtered samples.
type Run = unsafe fn(&[Gains; 3], &Filtered, PlaneParts<'_>);

/// Of `S` samples `C` channels in `P` planes.
const fn colours_as<const S: usize, const C: usize, const P: usize>(kind: TensorType) -> Run {
    match kind {
        TensorType::F32 => colours::<S, C, P, FLOATS>,
        TensorType::F16 => colours::<S, C, P, HALVES>,
        TensorType::U8 | TensorType::I8 => colours::<S, C, P, BYTES>,
    }
}

/// What is stored, by the bytes of it.
const FLOATS: usize = 4;
const HALVES: usize = 2;
const BYTES: usize = 1;

/// Writes pixels of `S` samples, `C` channels and `P` planes: as many as `out` has bytes for. Nothing is called for
/// them, so that what stays the same stays in registers.
#[target_feature(enable = "avx2,fma,f16c")]
fn colours<const S: usize, const C: usize, const P: usize, const K: usize>(
    gains: &[Gains; 3],
    filtered: &Filtered,
    out: PlaneParts<'_>,
) {
    let mut ones = [_mm256_set1_ps(0.0); C];
    let mut limits = [[_mm256_set1_ps(0.0); 2]; C];
    let mut factors = [[_mm256_set1_ps(0.0); S]; C];
    for channel in 0..C {
        let gains = &gains[channel];
        ones[channel] = _mm256_set1_ps(gains.one);
        limits[channel] = [_mm256_set1_ps(gains.low), _mm256_set1_ps(gains.high)];
        for (factor, gain) in factors[channel].iter_mut().zip(gains.gain) {
            *factor = _mm256_set1_ps(gain);
        }
    }
    let [first, second, third] = out;
    let bytes = GROUP * C / P * K;
    let mut second = second.chunks_exact_mut(bytes);
    let mut third = third.chunks_exact_mut(bytes);
    for (index, out) in (0..BATCH).zip(first.chunks_exact_mut(bytes)) {
        let mut numbers = [_mm256_set1_ps(0.0); S];
        for sample in 0..S {
            numbers[sample] = load_numbers(&filtered[sample].0[index]);
        }
        let mut values = [_mm256_set1_ps(0.0); C];
        for channel in 0..C {
            let mut sum = ones[channel];
            for sample in 0..S {
                sum = _mm256_fmadd_ps(factors[channel][sample], numbers[sample], sum);
            }
            let [low, high] = limits[channel];
            values[channel] = _mm256_min_ps(_mm256_max_ps(sum, low), high);
        }
        if P == 1 {
            store::<C, K>(values, out);
        } else {
            store::<1, K>([values[0]], out);
            store::<1, K>([values[1 % C]], second.next().unwrap_or_default());
            store::<1, K>([values[2 % C]], third.next().unwrap_or_default());
        }
    }
}

/// Writes eight pixels: `out` has exactly their bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store<const C: usize, const K: usize>(value: [__m256; C], out: &mut [u8]) {
    match (K, C) {
        (FLOATS, 3) => {
            if let ([a, b, c], []) = out.as_chunks_mut() {
                let [x, y, z] = interleave([value[0], value[1 % C], value[2 % C]]);
                store_ps(a, x);
                store_ps(b, y);
                store_ps(c, z);
            }
        }
        (FLOATS, _) => {
            if let Ok(out) = out.try_into() {
                store_ps(out, value[0]);
            }
        }
        (HALVES, 3) => {
            if let ([a, b, c], []) = out.as_chunks_mut() {
                let [x, y, z] = interleave([value[0], value[1 % C], value[2 % C]]);
                store_halves(a, x);
                store_halves(b, y);
                store_halves(c, z);
            }
        }
        (HALVES, _) => {
            if let Ok(out) = out.try_into() {
                store_halves(out, value[0]);
            }
        }
        _ => {
            let mut words = _mm256_setzero_si256();
            for channel in (0..C).rev() {
                let byte = quantised(value[channel]);
                words = _mm256_or_si256(_mm256_slli_epi32::<8>(words), byte);
            }
            store_bytes::<C>(out, words);
        }
    }
}

/// The lowest one or three bytes of each lane, one after the other: `out` has exactly these bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_bytes<const C: usize>(out: &mut [u8], words: __m256i) {
    if C == 3 {
        if let Ok(out) = out.try_into() {
            store_triples(out, words);
        }
        return;
    }
    let mut bytes = [[0_u8; 4]; GROUP];
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), words) };
    for (byte, word) in out.iter_mut().zip(bytes) {
        *byte = word[0];
    }
}

/// Rounded to nearest, ties to even, in the low byte of each lane; the others are 0.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn quantised(value: __m256) -> __m256i {
    _mm256_and_si256(_mm256_cvtps_epi32(value), _mm256_set1_epi32(0xff))
}

/// Eight reds, greens and blues as eight triples.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn interleave([r, g, b]: [__m256; 3]) -> [__m256; 3] {
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

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_numbers(lanes: &[f32; GROUP]) -> __m256 {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_ps(lanes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_ps(out: &mut [u8; GROUP * 4], value: __m256) {
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr().cast(), value) }
}

/// In half precision, rounded to nearest, ties to even.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store_halves(out: &mut [u8; GROUP * 2], value: __m256) {
    let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(value);
    // SAFETY: 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), halves) }
}

/// The three low bytes of each lane, one after the other.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_triples(out: &mut [u8; GROUP * 3], words: __m256i) {
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
