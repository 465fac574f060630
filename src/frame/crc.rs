//! CRC-32C of the seven words of a header's facts, on the instruction that computes eight bytes of it.
//!
//! The general routine of the `crc32c` crate spends most of its time on the length and alignment of its
//! input, which are constant here; it computes the same where the instruction is missing.
//!
//! # Source
//! RFC 3720, appendix B.4 (Castagnoli polynomial). Intel SDM volume 2, CRC32; Arm ARM, CRC32CX.
#![allow(unsafe_code)]

/// CRC-32C of the words in little-endian order.
#[inline]
#[must_use]
pub(super) fn of(words: &[u64; 7]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has SSE4.2.
        return unsafe { with_instruction(words) };
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("crc") {
        // SAFETY: the processor has the CRC32 extension.
        return unsafe { with_instruction(words) };
    }
    without_instruction(words)
}

fn without_instruction(words: &[u64; 7]) -> u32 {
    words.iter().fold(0, |crc, word| {
        crc32c::crc32c_append(crc, &word.to_le_bytes())
    })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn with_instruction(words: &[u64; 7]) -> u32 {
    let start = u64::from(!0_u32);
    let crc = words.iter().fold(start, |crc, &word| {
        std::arch::x86_64::_mm_crc32_u64(crc, word)
    });
    // The instruction leaves the upper half zero.
    #[allow(clippy::cast_possible_truncation)]
    let crc = crc as u32;
    !crc
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "crc")]
fn with_instruction(words: &[u64; 7]) -> u32 {
    !words
        .iter()
        .fold(!0, |crc, &word| std::arch::aarch64::__crc32cd(crc, word))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_and_the_library_agree() {
        let mut words = [
            0,
            1,
            u64::MAX,
            0x0123_4567_89ab_cdef,
            1 << 63,
            42,
            0x8000_0001,
        ];
        for round in 0..200 {
            assert_eq!(of(&words), without_instruction(&words), "{words:x?}");
            let turned = words[round % 7].rotate_left(7) ^ round as u64;
            words[(round + 3) % 7] ^= turned;
        }
    }
}
