//! The second half of the strips: eight positions at once.

use super::colours::{colours_of, put_numbers};
use super::{halves, is_available, load_words};
use crate::preprocess::plan::Plan;
use crate::preprocess::strip::across::Across;
use crate::preprocess::strip::mixtures::{Mixtures, Numbers, write};
use crate::preprocess::strip::{GROUP, Line, STRIP, Scratch, Strips, Tile};
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_hadd_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_setr_epi32, _mm256_setzero_si256,
};
use std::ops::Range;

/// As [`crate::preprocess::strip::portable::across`].
pub(in crate::preprocess::strip) fn across(
    strips: &Strips,
    plan: &Plan,
    tile: &Tile,
    scratch: &mut Scratch,
    line: &mut Line<'_>,
) {
    debug_assert!(is_available());
    let Scratch { samples, mixtures } = scratch;
    let mix = |groups: Range<usize>, mixtures: &mut Mixtures| {
        let of = samples.iter().zip(mixtures);
        for ((strip, out), fetch) in of.zip(&strips.fetches) {
            let across = &strips.across[fetch.class()];
            // SAFETY: a plan takes this kernel only after `is_available` said so.
            unsafe { mixed(strip, across, groups.clone(), out) };
        }
    };
    let colours = colours_of(strips, plan);
    write(plan, tile.group..tile.end, mixtures, line, mix, colours);
}

/// The mixtures of some groups of positions of one kind of sample.
#[target_feature(enable = "avx2,fma")]
fn mixed(strip: &[i16; STRIP], across: &Across, groups: Range<usize>, out: &mut Numbers) {
    let out = out.0.as_chunks_mut().0;
    if across.chunks == 0 {
        for (group, out) in groups.zip(out) {
            put_numbers(out, pairs(strip, across, group));
        }
    } else {
        for (group, out) in groups.zip(out) {
            put_numbers(out, runs(strip, across, group));
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
