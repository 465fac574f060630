//! Elements of the strips to mixtures: sixteen positions at once.

use super::load_words;
use super::windows::{LANES, ONE, Pick, Reach, TWO, TWO_EACH, WORDS, Windows};
use crate::preprocess::strip::STRIP;
use crate::preprocess::strip::mixtures::Numbers;
use std::arch::x86_64::{
    __m512i, _mm512_cvtepi32_ps, _mm512_dpwssd_epi32, _mm512_mask_blend_epi32,
    _mm512_permutex2var_epi16, _mm512_permutexvar_epi16, _mm512_setzero_si512, _mm512_store_ps,
};
use std::ops::Range;

/// Mixes `sixteens` of positions of one kind of sample.
pub(super) fn mix(
    windows: &Windows,
    sixteens: Range<usize>,
    strip: &[i16; STRIP],
    out: &mut Numbers,
) {
    let run = match (windows.reach, windows.steps) {
        (Some(Reach::One), 1) => mixed::<ONE, 1>,
        (Some(Reach::One), _) => mixed::<ONE, 0>,
        (Some(Reach::Two), 1) => mixed::<TWO, 1>,
        (Some(Reach::Two), _) => mixed::<TWO, 0>,
        (Some(Reach::TwoEach), 1) => mixed::<TWO_EACH, 1>,
        _ => mixed::<TWO_EACH, 0>,
    };
    // SAFETY: there are tables only where `is_available` said so.
    unsafe { run(windows, sixteens, strip, out) }
}

/// `T` is the number of steps: 1, or 0 for any other.
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn mixed<const R: u8, const T: usize>(
    windows: &Windows,
    sixteens: Range<usize>,
    strip: &[i16; STRIP],
    out: &mut Numbers,
) {
    let picks = windows.picks.get(sixteens.start * windows.steps..);
    let mut picks = picks.unwrap_or_default();
    let starts = windows.starts.get(sixteens).unwrap_or_default();
    let out = out.0.as_chunks_mut::<LANES>().0;
    for (&[at, other], out) in starts.iter().zip(out) {
        let words = registers::<R>(strip, at);
        let others = match R {
            TWO_EACH => registers::<R>(strip, other),
            _ => words,
        };
        let mut sum = _mm512_setzero_si512();
        // With a number known to the compiler there is no loop.
        let steps = if T == 0 { windows.steps } else { T };
        let Some((some, rest)) = picks.split_at_checked(steps) else {
            return;
        };
        for pick in some {
            sum = step::<R>(sum, words, others, pick);
        }
        picks = rest;
        let numbers = _mm512_cvtepi32_ps(sum);
        // SAFETY: 64 writable bytes, aligned as `Numbers` are.
        unsafe { _mm512_store_ps(out.as_mut_ptr(), numbers) }
    }
}

/// Adds two elements of each position, out of the registers of one group and of the other.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn step<const R: u8>(
    sum: __m512i,
    words: [__m512i; 2],
    others: [__m512i; 2],
    Pick { index, weights }: &Pick,
) -> __m512i {
    let index = load_words(index);
    let words = match R {
        ONE => _mm512_permutexvar_epi16(index, words[0]),
        TWO => _mm512_permutex2var_epi16(words[0], index, words[1]),
        _ => {
            let low = _mm512_permutex2var_epi16(words[0], index, words[1]);
            let high = _mm512_permutex2var_epi16(others[0], index, others[1]);
            _mm512_mask_blend_epi32(0xff00, low, high)
        }
    };
    _mm512_dpwssd_epi32(sum, words, load_words(weights))
}

/// The elements from `at`, in one or two registers.
#[inline]
#[target_feature(enable = "avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn registers<const R: u8>(strip: &[i16; STRIP], at: u32) -> [__m512i; 2] {
    let elements: Option<&[i16; 2 * WORDS]> =
        strip.get(at as usize..).and_then(<[i16]>::first_chunk);
    let Some((low, high)) = elements.and_then(|elements| elements.split_first_chunk()) else {
        return [_mm512_setzero_si512(); 2];
    };
    let low = load_words(low);
    match high.first_chunk() {
        Some(high) if R != ONE => [low, load_words(high)],
        _ => [low; 2],
    }
}
