//! Loads and products that several steps share.

use crate::preprocess::kernels::sizes::GROUP;
use std::arch::asm;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_castpd_si128, _mm_castsi128_pd, _mm_loadh_pd, _mm_loadl_epi64,
    _mm_loadu_si128, _mm256_castsi128_si256, _mm256_cvtepi32_ps, _mm256_inserti128_si256,
    _mm256_loadu_si256, _mm256_set1_epi16, _mm256_srli_epi16, _mm256_storeu_ps,
};

/// Whether this machine has the instructions. No processor has AVX2 without F16C; an emulated one may.
pub(in crate::preprocess::kernels) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// The upper halves of the products. An instruction by name: out of the intrinsic and a weight that stays
/// the same, the compiler makes several times as many, on 32 bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn high(samples: __m256i, weight: __m256i) -> __m256i {
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
pub(super) fn weight(weight: u16) -> __m256i {
    _mm256_set1_epi16(weight.cast_signed())
}

/// Sixteen bytes from each of two places.
///
/// # Safety
/// Both lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn halves(bytes: &[u8], low: usize, high: usize) -> __m256i {
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
pub(super) fn halved(value: __m256i) -> __m256i {
    _mm256_srli_epi16::<1>(value)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load_words(lanes: &[i32; GROUP]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

/// The sums of a group as numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store_numbers(out: &mut [f32; GROUP], sums: __m256i) {
    let numbers = _mm256_cvtepi32_ps(sums);
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), numbers) }
}

/// Eight bytes from each of four places.
///
/// # Safety
/// They lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn quarters(bytes: &[u8], row: usize, [a, b, c, d]: [u32; 4]) -> __m256i {
    // SAFETY: inside `bytes`, by this function's requirement.
    let low = unsafe { two(bytes, row + a as usize, row + b as usize) };
    // SAFETY: as above.
    let high = unsafe { two(bytes, row + c as usize, row + d as usize) };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

/// Eight bytes from each of two places.
///
/// # Safety
/// They lie inside `bytes`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn two(bytes: &[u8], low: usize, high: usize) -> __m128i {
    debug_assert!(low.max(high) + 8 <= bytes.len());
    // SAFETY: inside `bytes`, by this function's requirement.
    let low = unsafe { bytes.as_ptr().add(low) };
    // SAFETY: as above.
    let high = unsafe { bytes.as_ptr().add(high) };
    // SAFETY: eight readable bytes; the load needs no alignment.
    let low = unsafe { _mm_loadl_epi64(low.cast()) };
    let low = _mm_castsi128_pd(low);
    // SAFETY: as above.
    _mm_castpd_si128(unsafe { _mm_loadh_pd(low, high.cast()) })
}
