//! The first half of the strips: thirty-two samples at once.

use super::fetch::{Fetch, Upper, WINDOW};
use super::{Tables, load, load_words};
use crate::preprocess::strip::fetch::Unpack;
use crate::preprocess::strip::{BLOCK, RowTap, Scratch, Strips, Tile, start};
use std::arch::asm;
use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_cvtsi32_si128, _mm256_loadu_si256, _mm256_storeu_si256,
    _mm512_add_epi16, _mm512_and_si512, _mm512_castsi256_si512, _mm512_castsi512_si256,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
    _mm512_maskz_permutexvar_epi8, _mm512_mullo_epi16, _mm512_or_si512, _mm512_set1_epi16,
    _mm512_setzero_si512, _mm512_sll_epi16, _mm512_srl_epi16, _mm512_srli_epi16,
    _mm512_storeu_si512,
};
use std::ops::Range;

/// As [`crate::preprocess::strip::portable::down`], of every kind of sample of line `down`.
pub(in crate::preprocess::strip) fn down(
    strips: &Strips,
    tables: &Tables,
    tile: &Tile,
    down: usize,
    frame: &[u8],
    scratch: &mut Scratch,
) {
    for fetch in &tables.fetches {
        let taps = strips.taps(down, fetch.sample);
        let blocks = strips.fetches[fetch.sample].blocks(tile);
        let rest = scratch.samples.get_mut(fetch.sample..).unwrap_or_default();
        let Some((strip, others)) = rest.split_first_mut() else {
            continue;
        };
        let run = match fetch.upper {
            Upper::Next => run_of::<NEXT>(fetch, taps.len()),
            Upper::Nothing => run_of::<NOTHING>(fetch, taps.len()),
            Upper::Other(_) => run_of::<OTHER>(fetch, taps.len()),
        };
        let other: &mut [i16] = match fetch.upper {
            Upper::Other(other) => match others.get_mut(other - fetch.sample - 1) {
                Some(other) => other,
                None => continue,
            },
            Upper::Next | Upper::Nothing => &mut [],
        };
        // SAFETY: there are tables only where `is_available` said so.
        unsafe { run(fetch, frame, taps, blocks, strip, other) }
    }
}

/// What fills the strips of one fetch.
type Run = unsafe fn(&Fetch, &[u8], &[RowTap], Range<usize>, &mut [i16], &mut [i16]);

fn run_of<const W: u8>(fetch: &Fetch, taps: usize) -> Run {
    let is_narrow = fetch.bytes <= WINDOW / 2;
    match (&fetch.unpack, taps) {
        (Unpack::Byte, 1) => fetched::<BYTE, 1, W>,
        (Unpack::Byte, 2) if is_narrow => fetched::<NARROW, 2, W>,
        (Unpack::Byte, 2) => fetched::<BYTE, 2, W>,
        (Unpack::Byte, _) => fetched::<BYTE, 0, W>,
        (Unpack::Word { .. }, 1) => fetched::<WORD, 1, W>,
        (Unpack::Word { .. }, _) => fetched::<WORD, 0, W>,
        (Unpack::Packed10(_), 1) => fetched::<PACKED10, 1, W>,
        (Unpack::Packed10(_), _) => fetched::<PACKED10, 0, W>,
    }
}

const BYTE: u8 = 0;
const WORD: u8 = 1;
const PACKED10: u8 = 2;
/// Bytes of half a window.
const NARROW: u8 = 3;
/// The kinds of [`Upper`].
const NOTHING: u8 = 0;
const NEXT: u8 = 1;
const OTHER: u8 = 2;

/// What brings thirty-two samples out of a window, in registers.
struct Picker {
    table: __m512i,
    mask: u64,
    right: __m128i,
    left: __m128i,
    factors: __m512i,
}

/// `T` is the number of row taps: 1, 2, or 0 for any other. `W` is which of [`Upper`].
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn fetched<const U: u8, const T: usize, const W: u8>(
    fetch: &Fetch,
    frame: &[u8],
    taps: &[RowTap],
    blocks: Range<usize>,
    strip: &mut [i16],
    other: &mut [i16],
) {
    let (right, left) = match fetch.unpack {
        Unpack::Word { right, left } => (right.cast_signed(), left.cast_signed()),
        Unpack::Byte | Unpack::Packed10(_) => (0, 0),
    };
    let picker = Picker {
        table: load(&fetch.table),
        mask: fetch.mask,
        right: _mm_cvtsi32_si128(right),
        left: _mm_cvtsi32_si128(left),
        factors: load_words(&fetch.factors),
    };
    let begin = weight(start(taps, fetch.unpack.zeros()));
    let start = blocks.start * fetch.advance + fetch.least;
    let (count, advance) = match W {
        NEXT => (blocks.len().div_ceil(2), 2 * fetch.advance),
        _ => (blocks.len(), fetch.advance),
    };
    // Windows that end inside the frame.
    let last = taps.iter().map(|tap| tap.at + start).max().unwrap_or(0);
    let whole = match frame.len().checked_sub(last + WINDOW) {
        Some(room) => (room / advance + 1).min(count),
        None => 0,
    };
    for index in 0..whole {
        let at = start + index * advance;
        let words = summed::<T>(taps, begin, |tap| {
            // SAFETY: the last of these windows ends inside the frame, and the others before it.
            let window = unsafe { window::<U>(frame, tap.at + at) };
            picked::<U>(&picker, window)
        });
        store::<W>(strip, other, index, words);
    }
    for index in whole..count {
        let at = start + index * advance;
        let words = summed::<T>(taps, begin, |tap| {
            picked::<U>(&picker, end(frame, tap.at + at))
        });
        store::<W>(strip, other, index, words);
    }
}

/// The sum of `begin` and what the row taps bring, each with its weight. One or two bring all of it.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn summed<const T: usize>(
    taps: &[RowTap],
    begin: __m512i,
    of: impl Fn(&RowTap) -> __m512i,
) -> __m512i {
    match (T, taps) {
        (1, [one]) => _mm512_srli_epi16::<1>(of(one)),
        (2, [one, other]) => _mm512_add_epi16(
            upper_halves(of(one), weight(one.weight)),
            upper_halves(of(other), weight(other.weight)),
        ),
        _ => {
            let mut sum = begin;
            for tap in taps {
                sum = _mm512_add_epi16(sum, upper_halves(of(tap), weight(tap.weight)));
            }
            sum
        }
    }
}

/// The upper halves of the products. An instruction by name: out of the intrinsic and a weight that stays
/// the same, the compiler makes several times as many, on 32 bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn upper_halves(samples: __m512i, weight: __m512i) -> __m512i {
    let products;
    // SAFETY: AVX-512BW is there, and the instruction reads and writes these registers alone.
    unsafe {
        asm!(
            "vpmulhuw {products}, {samples}, {weight}",
            products = lateout(zmm_reg) products,
            samples = in(zmm_reg) samples,
            weight = in(zmm_reg) weight,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    products
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn weight(weight: u16) -> __m512i {
    _mm512_set1_epi16(weight.cast_signed())
}

/// Thirty-two samples of a window, set to sixteen bits.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn picked<const U: u8>(picker: &Picker, window: __m512i) -> __m512i {
    let words = _mm512_maskz_permutexvar_epi8(picker.mask, picker.table, window);
    match U {
        BYTE | NARROW => words,
        WORD => _mm512_sll_epi16(_mm512_srl_epi16(words, picker.right), picker.left),
        _ => {
            let low = _mm512_mullo_epi16(words, picker.factors);
            let low = _mm512_and_si512(low, _mm512_set1_epi16(0x00c0));
            let high = _mm512_set1_epi16(0xff00_u16.cast_signed());
            _mm512_or_si512(_mm512_and_si512(words, high), low)
        }
    }
}

/// What the tables name of sixty-four bytes.
///
/// # Safety
/// They lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
unsafe fn window<const U: u8>(bytes: &[u8], at: usize) -> __m512i {
    debug_assert!(at + WINDOW <= bytes.len());
    // SAFETY: inside `bytes`, by this function's requirement.
    let at = unsafe { bytes.as_ptr().add(at) };
    if U == NARROW {
        // Half as many bytes lie in one cache line more often.
        // SAFETY: 32 readable bytes; the load needs no alignment.
        return _mm512_castsi256_si512(unsafe { _mm256_loadu_si256(at.cast()) });
    }
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(at.cast()) }
}

/// What there is of sixty-four bytes, and zeros.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn end(bytes: &[u8], at: usize) -> __m512i {
    let rest = bytes.get(at..).unwrap_or_default();
    let mask = match rest.len() {
        0 => return _mm512_setzero_si512(),
        length @ 1..WINDOW => u64::MAX >> (WINDOW - length),
        _ => u64::MAX,
    };
    // SAFETY: the mask has no more bits than there are bytes, and no other byte is accessed.
    unsafe { _mm512_maskz_loadu_epi8(mask, rest.as_ptr().cast()) }
}

/// Stores block `index`, or of [`Upper::Next`] blocks `2 * index` and the next.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn store<const W: u8>(strip: &mut [i16], other: &mut [i16], index: usize, words: __m512i) {
    if W == NEXT {
        if let Some(out) = strip.as_chunks_mut().0.get_mut(index) {
            store_both(out, words);
        }
        return;
    }
    if let Some(out) = strip.as_chunks_mut().0.get_mut(index) {
        store_block(out, _mm512_castsi512_si256(words));
    }
    if W == OTHER
        && let Some(out) = other.as_chunks_mut().0.get_mut(index)
    {
        store_block(out, _mm512_extracti64x4_epi64::<1>(words));
    }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn store_both(out: &mut [i16; 2 * BLOCK], words: __m512i) {
    // SAFETY: 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), words) }
}

#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn store_block(out: &mut [i16; BLOCK], words: __m256i) {
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), words) }
}
