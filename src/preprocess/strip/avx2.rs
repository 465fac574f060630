//! The strips for x86-64 with AVX2, FMA and F16C.
#![allow(unsafe_code)]

use super::across::Across;
use super::fetch::{Fetch, REACH, Unpack, WINDOW};
use super::{BLOCK, GROUP, Line, Out, RowTap, STRIP, Scratch, Strips, Tile, start};
use crate::infer::TensorType;
use crate::preprocess::plan::Plan;
use std::arch::asm;
use std::arch::x86_64::{
    __m128i, __m256, __m256i, _MM_FROUND_TO_NEAREST_INT, _mm_cvtsi32_si128, _mm_loadu_si128,
    _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_castsi128_si256, _mm256_castsi256_si128,
    _mm256_cvtepi32_ps, _mm256_cvtps_epi32, _mm256_cvtps_ph, _mm256_extracti128_si256,
    _mm256_fmadd_ps, _mm256_hadd_epi32, _mm256_inserti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_max_ps, _mm256_min_ps, _mm256_mullo_epi16, _mm256_or_si256,
    _mm256_permute2f128_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_shuffle_ps,
    _mm256_sll_epi16, _mm256_slli_epi32, _mm256_srl_epi16, _mm256_srli_epi16, _mm256_storeu_ps,
    _mm256_storeu_si256,
};
use std::ops::Range;

/// Whether this machine has the instructions. No processor has AVX2 without F16C; an emulated one may.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// How the windows of a block lie.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Places {
    /// Both halves have one, the same.
    Same,
    /// The second half's follows the first's.
    Next,
    /// In any other way: two for each half.
    Four,
}

impl Places {
    const fn of(kind: &Fetch) -> Self {
        let [[low, _], [high, _]] = kind.windows;
        match (kind.double, high - low) {
            (false, 0) => Self::Same,
            (false, WINDOW) => Self::Next,
            _ => Self::Four,
        }
    }
}

/// As [`super::portable::down`].
pub(super) fn down(
    kind: &Fetch,
    frame: &[u8],
    taps: &[RowTap],
    blocks: Range<usize>,
    strip: &mut [i16; STRIP],
) {
    debug_assert!(is_available());
    let run = match (&kind.unpack, Places::of(kind)) {
        (Unpack::Byte, Places::Same) => fetched::<BYTE, SAME>,
        (Unpack::Byte, Places::Next) => fetched::<BYTE, NEXT>,
        (Unpack::Byte, Places::Four) => fetched::<BYTE, FOUR>,
        (Unpack::Word { .. }, Places::Next) => fetched::<WORD, NEXT>,
        (Unpack::Word { .. }, _) => fetched::<WORD, FOUR>,
        (Unpack::Packed10(_), _) => fetched::<PACKED10, FOUR>,
    };
    // SAFETY: a plan takes this kernel only after `is_available` said so.
    unsafe { run(kind, frame, taps, blocks, strip) }
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
    taps: &[RowTap],
    blocks: Range<usize>,
    strip: &mut [i16; STRIP],
) {
    let (mut right, mut left, mut factors) = (0, 0, _mm256_setzero_si256());
    match &kind.unpack {
        Unpack::Byte => {}
        Unpack::Word { right: r, left: l } => (right, left) = (*r as i32, *l as i32),
        Unpack::Packed10(table) => factors = load(&table.map(u16::cast_signed)),
    }
    let begin = weight(start(taps, kind.unpack.zeros()));
    let tables = Tables {
        first: load_bytes(&kind.tables[0]),
        second: load_bytes(&kind.tables[1]),
        right: _mm_cvtsi32_si128(right),
        left: _mm_cvtsi32_si128(left),
        factors,
    };
    let whole = blocks.end.min(kind.whole()).max(blocks.start);
    // The rows of whole blocks end inside the frame, or there are none.
    let inside = taps.iter().all(|tap| tap.at + kind.span <= frame.len());
    let out = strip.as_chunks_mut::<BLOCK>().0;
    let (out, ends) = out.split_at_mut((whole - blocks.start).min(out.len()));
    if inside {
        let at = blocks.start * kind.advance;
        match taps {
            [one] => {
                for (index, out) in out.iter_mut().enumerate() {
                    let at = at + index * kind.advance;
                    // SAFETY: a whole block's windows end inside its row, and the row inside the frame.
                    let sum = unsafe { sixteen::<U, P>(kind, &tables, frame, one.at + at) };
                    store_block(out, halved(sum));
                }
            }
            [one, other] => {
                let weights = [one, other].map(|tap| weight(tap.weight));
                for (index, out) in out.iter_mut().enumerate() {
                    let at = at + index * kind.advance;
                    // SAFETY: as above.
                    let a = unsafe { sixteen::<U, P>(kind, &tables, frame, one.at + at) };
                    // SAFETY: as above.
                    let b = unsafe { sixteen::<U, P>(kind, &tables, frame, other.at + at) };
                    let a = high(a, weights[0]);
                    let b = high(b, weights[1]);
                    store_block(out, _mm256_add_epi16(a, b));
                }
            }
            _ => {
                for (index, out) in out.iter_mut().enumerate() {
                    let at = at + index * kind.advance;
                    let mut sum = begin;
                    for tap in taps {
                        // SAFETY: as above.
                        let a = unsafe { sixteen::<U, P>(kind, &tables, frame, tap.at + at) };
                        sum = _mm256_add_epi16(sum, high(a, weight(tap.weight)));
                    }
                    store_block(out, sum);
                }
            }
        }
    }
    for (block, out) in (whole..blocks.end).zip(ends) {
        let mut sum = begin;
        for tap in taps {
            let mut end = [0; REACH];
            let row = frame.get(tap.at..tap.at + kind.span).unwrap_or_default();
            kind.copy(row, block, &mut end);
            // SAFETY: windows reach no further than `REACH`, which `Fetch::new` checked.
            let sample = unsafe { sixteen::<U, P>(kind, &tables, &end, 0) };
            sum = match taps.len() {
                1 => halved(sample),
                _ => _mm256_add_epi16(sum, high(sample, weight(tap.weight))),
            };
        }
        store_block(out, sum);
    }
}

/// The upper halves of the products. An instruction by name: out of the intrinsic and a weight that stays
/// the same, the compiler makes several times as many, on 32 bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn high(samples: __m256i, weight: __m256i) -> __m256i {
    let products;
    // SAFETY: AVX2 is there, and the instruction reads and writes these registers alone.
    unsafe {
        asm!(
            "vpmulhuw {products}, {samples}, {weight}",
            products = lateout(ymm_reg) products,
            samples = in(ymm_reg) samples,
            weight = in(ymm_reg) weight,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    products
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn weight(weight: u16) -> __m256i {
    _mm256_set1_epi16(weight.cast_signed())
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

/// Sixteen bytes from each of two places.
///
/// # Safety
/// Both lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn halves(bytes: &[u8], low: usize, high: usize) -> __m256i {
    // SAFETY: inside `bytes`, by this function's requirement.
    let low = unsafe { bytes.as_ptr().add(low) };
    // SAFETY: as above.
    let high = unsafe { bytes.as_ptr().add(high) };
    // SAFETY: sixteen readable bytes; the load needs no alignment.
    let low = unsafe { _mm_loadu_si128(low.cast()) };
    // SAFETY: as above.
    let high = unsafe { _mm_loadu_si128(high.cast()) };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

/// Of sixteen bits the upper fifteen.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn halved(value: __m256i) -> __m256i {
    _mm256_srli_epi16::<1>(value)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_block(out: &mut [i16; BLOCK], value: __m256i) {
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), value) }
}

/// As [`super::portable::across`].
pub(super) fn across(
    strips: &Strips,
    plan: &Plan,
    tile: &Tile,
    scratch: &Scratch,
    line: &mut Line<'_>,
) {
    debug_assert!(is_available());
    let run = match (strips.fetches.len(), plan.channels, plan.planes) {
        (1, 1, _) => groups::<1, 1, 1>,
        (1, _, 1) => groups::<1, 3, 1>,
        (1, _, _) => groups::<1, 3, 3>,
        (3, 1, _) => groups::<3, 1, 1>,
        (3, _, 1) => groups::<3, 3, 1>,
        (3, _, _) => groups::<3, 3, 3>,
        (_, 1, _) => groups::<4, 1, 1>,
        (_, _, 1) => groups::<4, 3, 1>,
        (_, _, _) => groups::<4, 3, 3>,
    };
    line.write(tile.group..tile.end, |groups, out| {
        // SAFETY: a plan takes this kernel only after `is_available` said so.
        unsafe { run(strips, plan, scratch, groups, out) };
    });
}

/// Writes the pixels of `groups`, of `S` samples, `C` channels and `P` planes: `out` has exactly their bytes.
/// Nothing is called for them, so that what stays the same stays in registers.
#[target_feature(enable = "avx2,fma,f16c")]
fn groups<const S: usize, const C: usize, const P: usize>(
    strips: &Strips,
    plan: &Plan,
    scratch: &Scratch,
    groups: Range<usize>,
    out: Out<'_>,
) {
    let mut ones = [_mm256_set1_ps(0.0); C];
    let mut limits = [[_mm256_set1_ps(0.0); 2]; C];
    let mut gains = [[_mm256_set1_ps(0.0); S]; C];
    for (index, channel) in strips.channels.iter().enumerate().take(C) {
        ones[index] = _mm256_set1_ps(channel.one);
        limits[index] = [_mm256_set1_ps(channel.low), _mm256_set1_ps(channel.high)];
        for (gain, number) in gains[index].iter_mut().zip(channel.gain) {
            *gain = _mm256_set1_ps(number);
        }
    }
    let mut across = [&strips.across[0]; S];
    for (across, fetch) in across.iter_mut().zip(&strips.fetches) {
        *across = &strips.across[fetch.class()];
    }
    let mut outs = out.map(|out| out.chunks_exact_mut(GROUP * C / P * plan.kind.bytes()));
    for group in groups {
        let mut numbers = [_mm256_set1_ps(0.0); S];
        for sample in 0..S {
            let strip = &scratch.samples[sample];
            let mixed = if across[sample].chunks == 0 {
                pairs(strip, across[sample], group)
            } else {
                runs(strip, across[sample], group)
            };
            numbers[sample] = _mm256_cvtepi32_ps(mixed);
        }
        let mut values = [_mm256_set1_ps(0.0); C];
        for channel in 0..C {
            let mut sum = ones[channel];
            for sample in 0..S {
                sum = _mm256_fmadd_ps(gains[channel][sample], numbers[sample], sum);
            }
            let [low, high] = limits[channel];
            values[channel] = _mm256_min_ps(_mm256_max_ps(sum, low), high);
        }
        if P == 1 {
            let [out, ..] = &mut outs;
            store::<C>(plan.kind, values, out.next().unwrap_or_default());
        } else {
            for (out, value) in outs.iter_mut().zip(values) {
                store::<1>(plan.kind, [value], out.next().unwrap_or_default());
            }
        }
    }
}

/// The mixtures of two elements each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pairs(strip: &[i16; STRIP], across: &Across, group: usize) -> __m256i {
    let (Some(starts), Some(weights)) = (across.starts.get(group), across.pairs.get(group)) else {
        return _mm256_setzero_si256();
    };
    let word = |lane: usize| {
        let at = strip.as_ptr().wrapping_add(starts[lane] as usize);
        // SAFETY: `Across::new` left every start eight elements short of the strip's end; the read needs no
        // alignment.
        unsafe { at.cast::<i32>().read_unaligned() }
    };
    // Eight reads are quicker than a gather.
    let words = _mm256_setr_epi32(
        word(0),
        word(1),
        word(2),
        word(3),
        word(4),
        word(5),
        word(6),
        word(7),
    );
    _mm256_madd_epi16(words, load_words(weights))
}

/// The mixtures of runs of elements.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn runs(strip: &[i16; STRIP], across: &Across, group: usize) -> __m256i {
    let mut sums = [_mm256_setzero_si256(); 4];
    let chunks = across.chunks;
    let weights = across
        .weights
        .get(group * chunks * GROUP..(group + 1) * chunks * GROUP);
    let (Some(starts), Some(weights)) = (across.starts.get(group), weights) else {
        return sums[0];
    };
    for (chunk, weights) in weights.as_chunks::<GROUP>().0.iter().enumerate() {
        for (index, (sum, weights)) in sums.iter_mut().zip(weights.as_chunks::<2>().0).enumerate() {
            let low = starts[index] as usize + 8 * chunk;
            let high = starts[index + 4] as usize + 8 * chunk;
            // SAFETY: `Across::new` left every start `8 * chunks` elements short of the strip's end.
            let elements = unsafe { halves(as_bytes(strip), 2 * low, 2 * high) };
            // SAFETY: two times eight numbers are 32 readable bytes; the load needs no alignment.
            let weights = unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(elements, weights));
        }
    }
    let [a, b, c, d] = sums;
    _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d))
}

#[inline]
fn as_bytes(strip: &[i16; STRIP]) -> &[u8; 2 * STRIP] {
    // SAFETY: every bit pattern of the same memory is two bytes, which need no alignment.
    unsafe { &*std::ptr::from_ref(strip).cast() }
}

/// Writes eight pixels: `out` has exactly their bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store<const C: usize>(kind: TensorType, value: [__m256; C], out: &mut [u8]) {
    match (kind, C) {
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
        (TensorType::F16, 3) => {
            if let ([a, b, c], []) = out.as_chunks_mut() {
                let [x, y, z] = interleave([value[0], value[1 % C], value[2 % C]]);
                store_halves(a, x);
                store_halves(b, y);
                store_halves(c, z);
            }
        }
        (TensorType::F16, _) => {
            if let Ok(out) = out.try_into() {
                store_halves(out, value[0]);
            }
        }
        (TensorType::U8 | TensorType::I8, _) => {
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
fn load(lanes: &[i16; BLOCK]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_words(lanes: &[i32; GROUP]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_bytes(lanes: &[u8; 2 * BLOCK]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
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
