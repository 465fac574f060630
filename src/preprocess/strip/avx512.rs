//! The second half of the strips for x86-64 with AVX-512BW and VL: sixteen positions of two elements each
//! at once, picked by permutations of words. The first half is AVX2's: it waits for memory.
#![allow(unsafe_code)]

use super::across::{Across, WIDE};
use super::{GROUP, GROUP_BYTES, Line, STRIP, Scratch, Strips, Tile, avx2};
use crate::preprocess::plan::Plan;
use std::arch::x86_64::{
    __m256i, __m512, __m512i, _MM_FROUND_TO_NEAREST_INT, _mm256_loadu_si256, _mm256_storeu_si256,
    _mm512_and_si512, _mm512_castsi256_si512, _mm512_castsi512_si256, _mm512_cvtepi32_ps,
    _mm512_cvtps_epi32, _mm512_cvtps_ph, _mm512_extracti64x4_epi64, _mm512_fmadd_ps,
    _mm512_inserti64x4, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_max_ps, _mm512_min_ps,
    _mm512_or_si512, _mm512_permutex2var_epi16, _mm512_permutex2var_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_storeu_ps,
};

/// Whether this machine has the instructions.
pub(super) fn is_available() -> bool {
    avx2::is_available()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

/// As [`super::portable::across`], where [`Across::has_windows`].
pub(super) fn across(
    strips: &Strips,
    plan: &Plan,
    tile: &Tile,
    scratch: &Scratch,
    line: &mut Line<'_>,
) {
    debug_assert!(is_available());
    let run = match (
        strips.fetches.len(),
        plan.channels,
        !plan.kind.is_quantised(),
    ) {
        (1, 1, true) => pairs::<1, 1, true>,
        (1, 1, _) => pairs::<1, 1, false>,
        (1, _, true) => pairs::<1, 3, true>,
        (1, _, _) => pairs::<1, 3, false>,
        (3, 1, true) => pairs::<3, 1, true>,
        (3, 1, _) => pairs::<3, 1, false>,
        (3, _, true) => pairs::<3, 3, true>,
        (3, _, _) => pairs::<3, 3, false>,
        (_, 1, true) => pairs::<4, 1, true>,
        (_, 1, _) => pairs::<4, 1, false>,
        (_, _, true) => pairs::<4, 3, true>,
        (_, _, _) => pairs::<4, 3, false>,
    };
    // SAFETY: a plan takes this kernel only after `is_available` said so.
    unsafe { run(strips, plan, tile, scratch, line) }
}

/// Which of the sixteen reds and greens, and then of that and the blues, each number of three runs of
/// sixteen is. Numbers from 16 on are the second one's.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // Below 48.
const fn triples() -> [[[i32; 16]; 2]; 3] {
    let mut tables = [[[0; 16]; 2]; 3];
    let mut at = 0;
    while at < 48 {
        let (run, lane) = (at / 16, at % 16);
        let pixel = at as i32 / 3;
        tables[run][0][lane] = if at % 3 == 1 { 16 + pixel } else { pixel };
        tables[run][1][lane] = if at % 3 == 2 { 16 + pixel } else { lane as i32 };
        at += 1;
    }
    tables
}

/// Groups by twos.
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn pairs<const S: usize, const C: usize, const F: bool>(
    strips: &Strips,
    plan: &Plan,
    tile: &Tile,
    scratch: &Scratch,
    line: &mut Line<'_>,
) {
    const TRIPLES: [[[i32; 16]; 2]; 3] = triples();
    let conversion = &plan.conversion;
    let mut ones = [_mm512_set1_ps(0.0); C];
    let mut gains = [[_mm512_set1_ps(0.0); S]; C];
    for ((one, gains), channel) in ones.iter_mut().zip(&mut gains).zip(&strips.channels) {
        *one = _mm512_set1_ps(channel.one);
        for (gain, number) in gains.iter_mut().zip(channel.gain) {
            *gain = _mm512_set1_ps(number);
        }
    }
    let (low, high) = (
        _mm512_set1_ps(conversion.low),
        _mm512_set1_ps(conversion.high),
    );
    let least = _mm512_set1_ps(conversion.least);
    let greatest = _mm512_set1_ps(conversion.greatest);
    let mut triples = [[_mm512_setzero_si512(); 2]; 3];
    for (tables, constants) in triples.iter_mut().zip(&TRIPLES) {
        for (table, constant) in tables.iter_mut().zip(constants) {
            *table = load_numbers(constant);
        }
    }
    let mut across = [&strips.across[0]; S];
    for (across, fetch) in across.iter_mut().zip(&strips.fetches) {
        *across = &strips.across[fetch.class()];
    }
    // Bytes of sixteen numbers.
    let run = 2 * GROUP * plan.kind.bytes();
    for pair in tile.group / 2..tile.end.div_ceil(2) {
        let mut numbers = [_mm512_set1_ps(0.0); S];
        for sample in 0..S {
            let mixed = mixed(&scratch.samples[sample], across[sample], pair);
            numbers[sample] = _mm512_cvtepi32_ps(mixed);
        }
        let mut values = [_mm512_set1_ps(0.0); C];
        for channel in 0..C {
            let mut sum = ones[channel];
            for sample in 0..S {
                sum = _mm512_fmadd_ps(gains[channel][sample], numbers[sample], sum);
            }
            values[channel] = _mm512_min_ps(_mm512_max_ps(sum, low), high);
        }
        let mut pixels = [0; 2 * GROUP_BYTES];
        let whole = line.groups(2 * pair, 2);
        let is_whole = whole.is_some();
        let out = whole.unwrap_or(&mut pixels);
        if F {
            if C == 1 {
                store(out.get_mut(..run).unwrap_or_default(), values[0]);
            } else {
                let runs = out.chunks_exact_mut(run);
                for (out, [first, second]) in runs.zip(&triples) {
                    let two = _mm512_permutex2var_ps(values[0], *first, values[1 % C]);
                    store(out, _mm512_permutex2var_ps(two, *second, values[2 % C]));
                }
            }
        } else {
            let mut words = _mm512_setzero_si512();
            for channel in (0..C).rev() {
                let value = _mm512_min_ps(_mm512_max_ps(values[channel], least), greatest);
                let byte = _mm512_and_si512(_mm512_cvtps_epi32(value), _mm512_set1_epi32(0xff));
                words = _mm512_or_si512(_mm512_slli_epi32::<8>(words), byte);
            }
            let halves = [
                _mm512_castsi512_si256(words),
                _mm512_extracti64x4_epi64::<1>(words),
            ];
            for (out, half) in out.chunks_exact_mut(GROUP * C).zip(halves) {
                avx2::store_bytes::<C>(out, half);
            }
        }
        if !is_whole {
            let bytes = GROUP * C * plan.kind.bytes();
            let (one, other) = pixels.split_at(bytes);
            line.place(2 * pair, one);
            line.place(2 * pair + 1, other);
        }
    }
}

/// The mixtures of sixteen positions.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn mixed(strip: &[i16; STRIP], across: &Across, pair: usize) -> __m512i {
    let (Some(window), Some(weights)) = (
        across.windows.get(pair),
        across.pairs.as_chunks::<2>().0.get(pair),
    ) else {
        return _mm512_setzero_si512();
    };
    let Some(weights) = weights.as_flattened().first_chunk() else {
        return _mm512_setzero_si512();
    };
    let [index, other_index] = window.index;
    let words = if window.is_one {
        let index = join(load_half(&index), load_half(&other_index));
        picked(strip, window.at[0], index)
    } else {
        let one = picked(
            strip,
            window.at[0],
            _mm512_castsi256_si512(load_half(&index)),
        );
        let other = picked(
            strip,
            window.at[1],
            _mm512_castsi256_si512(load_half(&other_index)),
        );
        join(_mm512_castsi512_si256(one), _mm512_castsi512_si256(other))
    };
    _mm512_madd_epi16(words, load_numbers(weights))
}

/// Of the 64 elements from `at` those that `index` says.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn picked(strip: &[i16; STRIP], at: usize, index: __m512i) -> __m512i {
    let elements = strip.get(at..at + WIDE).unwrap_or_default();
    let ([low, high], []) = elements.as_chunks::<{ WIDE / 2 }>() else {
        return _mm512_setzero_si512();
    };
    _mm512_permutex2var_epi16(load(low), index, load(high))
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn join(low: __m256i, high: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn load(words: &[i16; 32]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn load_half(words: &[u16; 16]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn load_numbers(numbers: &[i32; 16]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

/// Sixteen numbers: in half precision, rounded to nearest, ties to even, where there is room for no more.
#[inline]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn store(out: &mut [u8], value: __m512) {
    if let Ok(out) = <&mut [u8; 64]>::try_from(&mut *out) {
        // SAFETY: 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr().cast(), value) }
    } else if let Ok(out) = <&mut [u8; 32]>::try_from(out) {
        let halves = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(value);
        // SAFETY: 32 writable bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), halves) }
    }
}
