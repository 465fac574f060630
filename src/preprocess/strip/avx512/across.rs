//! The second half of the strips: sixteen positions at once.

use super::Tables;
use super::direct::mixed_as;
use super::mix::mix;
use super::windows::LANES;
use crate::infer::TensorType;
use crate::preprocess::plan::Plan;
use crate::preprocess::strip::mixtures::{BATCH, Mixtures, write};
use crate::preprocess::strip::{Channel, GROUP, Line, Out, Scratch, Strips, Tile, avx2};
use std::arch::x86_64::{
    __m512, __m512i, _MM_FROUND_TO_NEAREST_INT, _mm_storeu_si128, _mm256_storeu_si256,
    _mm512_and_si512, _mm512_castsi512_si256, _mm512_cvtepi32_epi8, _mm512_cvtps_epi32,
    _mm512_cvtps_ph, _mm512_extracti32x4_epi32, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_max_ps, _mm512_min_ps, _mm512_or_si512, _mm512_permutex2var_ps,
    _mm512_permutexvar_epi8, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512,
    _mm512_slli_epi32, _mm512_storeu_ps,
};
use std::ops::Range;

/// As [`crate::preprocess::strip::portable::across`].
pub(in crate::preprocess::strip) fn across(
    strips: &Strips,
    tables: &Tables,
    plan: &Plan,
    tile: &Tile,
    scratch: &mut Scratch,
    line: &mut Line<'_>,
) {
    let windows = &tables.windows;
    if windows.iter().any(|windows| windows.reach.is_none()) {
        return avx2::across(strips, plan, tile, scratch, line);
    }
    let Scratch { samples, mixtures } = scratch;
    let groups = tile.group..tile.end;
    let mix = |groups: Range<usize>, mixtures: &mut Mixtures| {
        for (index, fetch) in strips.fetches.iter().enumerate() {
            let windows = &windows[fetch.class()];
            let sixteens = halved(groups.clone());
            mix(windows, sixteens, &samples[index], &mut mixtures[index]);
        }
    };
    let colours = colours_of(strips, plan, &strips.channels);
    write(plan, groups, mixtures, line, mix, colours);
}

/// A line straight from the frame.
pub(in crate::preprocess::strip) fn direct(
    strips: &Strips,
    tables: &Tables,
    plan: &Plan,
    down: usize,
    frame: &[u8],
    scratch: &mut Scratch,
    line: &mut Line<'_>,
) {
    let Some(direct) = &tables.direct else { return };
    let groups = 0..line.count.div_ceil(LANES) * 2;
    let mix = |groups: Range<usize>, mixtures: &mut Mixtures| {
        let sixteens = halved(groups);
        direct.mix(strips, down, mixtures, |group, shares, taps, out| {
            let run = mixed_as(out.len(), group.windows, taps.len());
            // SAFETY: there are tables only where `is_available` said so.
            unsafe { run(group, shares, taps, frame, sixteens.clone(), out) }
        });
    };
    let mixtures = &mut scratch.mixtures;
    let colours = colours_of(strips, plan, &tables.finer);
    write(plan, groups, mixtures, line, mix, colours);
}

/// The sixteens of an even number of eights.
const fn halved(groups: Range<usize>) -> Range<usize> {
    groups.start / 2..groups.end / 2
}

/// Makes pixels of mixtures.
#[inline(always)]
fn colours_of(
    strips: &Strips,
    plan: &Plan,
    channels: &[Channel; 3],
) -> impl Fn(&Mixtures, Out<'_>) {
    let run = match (strips.fetches.len(), plan.channels, plan.planes) {
        (1, 1, _) => colours_as::<1, 1, 1>(plan.kind),
        (1, _, 1) => colours_as::<1, 3, 1>(plan.kind),
        (1, _, _) => colours_as::<1, 3, 3>(plan.kind),
        (3, 1, _) => colours_as::<3, 1, 1>(plan.kind),
        (3, _, 1) => colours_as::<3, 3, 1>(plan.kind),
        (3, _, _) => colours_as::<3, 3, 3>(plan.kind),
        (_, 1, _) => colours_as::<4, 1, 1>(plan.kind),
        (_, _, 1) => colours_as::<4, 3, 1>(plan.kind),
        (_, _, _) => colours_as::<4, 3, 3>(plan.kind),
    };
    // SAFETY: there are tables only where `is_available` said so.
    move |mixtures, out| unsafe { run(channels, mixtures, out) }
}

/// What makes pixels of mixtures.
type Run = unsafe fn(&[Channel; 3], &Mixtures, Out<'_>);

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

/// Which of the sixteen reds and greens, and then of that and the blues, each number of three runs of
/// sixteen is. Numbers from 16 on are the second one's.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // Below 48.
const TRIPLES: [[[i32; LANES]; 2]; 3] = {
    let mut tables = [[[0; LANES]; 2]; 3];
    let mut at = 0;
    while at < 3 * LANES {
        let (run, lane) = (at / LANES, at % LANES);
        let pixel = at as i32 / 3;
        tables[run][0][lane] = if at % 3 == 1 { 16 + pixel } else { pixel };
        tables[run][1][lane] = if at % 3 == 2 { 16 + pixel } else { lane as i32 };
        at += 1;
    }
    tables
};

/// Which byte of sixteen numbers of four bytes each of 48 is: the three lower ones.
#[allow(clippy::cast_possible_truncation)] // Below 64.
const SQUEEZE: [u8; 4 * LANES] = {
    let mut table = [0; 4 * LANES];
    let mut at = 0;
    while at < 3 * LANES {
        table[at] = (at / 3 * 4 + at % 3) as u8;
        at += 1;
    }
    table
};

/// Makes pixels of mixtures: as many as `out` has bytes for, a whole number of sixteens. Nothing is called
/// for them, so that what stays the same stays in registers.
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn colours<const S: usize, const C: usize, const P: usize, const K: usize>(
    channels: &[Channel; 3],
    mixtures: &Mixtures,
    out: Out<'_>,
) {
    let mut ones = [_mm512_set1_ps(0.0); C];
    let mut limits = [[_mm512_set1_ps(0.0); 2]; C];
    let mut gains = [[_mm512_set1_ps(0.0); S]; C];
    for (index, channel) in channels.iter().enumerate().take(C) {
        ones[index] = _mm512_set1_ps(channel.one);
        limits[index] = [_mm512_set1_ps(channel.low), _mm512_set1_ps(channel.high)];
        for (gain, number) in gains[index].iter_mut().zip(channel.gain) {
            *gain = _mm512_set1_ps(number);
        }
    }
    let mut triples = [[_mm512_setzero_si512(); 2]; 3];
    for (tables, constants) in triples.iter_mut().zip(&TRIPLES) {
        for (table, constant) in tables.iter_mut().zip(constants) {
            *table = load_numbers(constant);
        }
    }
    let squeeze = super::load(&SQUEEZE);
    let [first, second, third] = out.map(|out| out.chunks_exact_mut(LANES * C / P * K));
    let mut others = [second, third];
    let mut sixteens = [&[[0.0; LANES]; BATCH * GROUP / LANES]; S];
    for (sixteens, of) in sixteens.iter_mut().zip(mixtures) {
        if let ([all], []) = of.0.as_chunks().0.as_chunks() {
            *sixteens = all;
        }
    }
    for (index, out) in first.take(BATCH * GROUP / LANES).enumerate() {
        let mut numbers = [_mm512_set1_ps(0.0); S];
        for sample in 0..S {
            numbers[sample] = load_lanes(&sixteens[sample][index]);
        }
        let mut values = [_mm512_set1_ps(0.0); C];
        for channel in 0..C {
            let mut sum = ones[channel];
            for sample in 0..S {
                sum = _mm512_fmadd_ps(gains[channel][sample], numbers[sample], sum);
            }
            let [low, high] = limits[channel];
            values[channel] = _mm512_min_ps(_mm512_max_ps(sum, low), high);
        }
        if P > 1 {
            let others = others.each_mut().map(|out| out.next().unwrap_or_default());
            for (out, value) in std::iter::once(out).chain(others).zip(values) {
                if K != BYTES {
                    store::<K>(out, value);
                } else if let Some(out) = out.first_chunk_mut() {
                    store_bytes(out, _mm512_cvtps_epi32(value));
                }
            }
            continue;
        }
        match (K, C) {
            (FLOATS | HALVES, 1) => store::<K>(out, values[0]),
            (FLOATS | HALVES, _) => {
                let runs = out.chunks_exact_mut(LANES * K);
                for (out, [first, second]) in runs.zip(&triples) {
                    let two = _mm512_permutex2var_ps(values[0], *first, values[1 % C]);
                    store::<K>(out, _mm512_permutex2var_ps(two, *second, values[2 % C]));
                }
            }
            (_, 1) => {
                if let Some(out) = out.first_chunk_mut() {
                    store_bytes(out, _mm512_cvtps_epi32(values[0]));
                }
            }
            _ => {
                let mut words = _mm512_setzero_si512();
                for value in values.into_iter().rev() {
                    let byte = _mm512_and_si512(_mm512_cvtps_epi32(value), _mm512_set1_epi32(0xff));
                    words = _mm512_or_si512(_mm512_slli_epi32::<8>(words), byte);
                }
                if let Some(out) = out.first_chunk_mut() {
                    store_triples(out, _mm512_permutexvar_epi8(squeeze, words));
                }
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn load_lanes(numbers: &[f32; LANES]) -> __m512 {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn load_numbers(numbers: &[i32; LANES]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

/// Sixteen numbers, as they are or in half precision, rounded to nearest, ties to even.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn store<const K: usize>(out: &mut [u8], value: __m512) {
    if K == HALVES {
        let halves = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(value);
        if let Ok(out) = <&mut [u8; HALVES * LANES]>::try_from(out) {
            // SAFETY: 32 writable bytes; the store needs no alignment.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), halves) }
        }
    } else if let Ok(out) = <&mut [u8; FLOATS * LANES]>::try_from(out) {
        // SAFETY: 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr().cast(), value) }
    }
}

/// The lowest byte of each number.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn store_bytes(out: &mut [u8; LANES], numbers: __m512i) {
    let bytes = _mm512_cvtepi32_epi8(numbers);
    // SAFETY: 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) }
}

/// The lower 48 bytes.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn store_triples(out: &mut [u8; 3 * LANES], bytes: __m512i) {
    let (low, high) = out.split_at_mut(2 * LANES);
    let first = _mm512_castsi512_si256(bytes);
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(low.as_mut_ptr().cast(), first) };
    let last = _mm512_extracti32x4_epi32::<2>(bytes);
    // SAFETY: 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(high.as_mut_ptr().cast(), last) };
}
