//! Half precision, for processors that do not convert it and for what is read one by one.
//!
//! Written here and not taken from the `half` crate, which the tests hold it against: that would bring four
//! more crates into the program for two functions.
//!
//! # Source
//! IEEE 754-2019: binary16, and rounding to nearest, ties to even.

/// A number in half precision, as a float16 tensor stores it: 1 bit of sign, 5 of exponent, 10 of fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half(u16);

/// Bits of a fraction of single precision that half precision does not have.
const DROPPED: u32 = 13;
/// What the exponents of the two formats are apart, in single precision's place.
const BIAS: u32 = (127 - 15) << 23;
/// The smallest step of half precision, 2^-24.
const STEP: f32 = f32::from_bits((127 - 24) << 23);

impl Half {
    /// The greatest finite number.
    pub const MAX: f32 = 65_504.0;

    /// The nearest number, of two the even one. What is half a step beyond [`Half::MAX`] is infinite; not a
    /// number stays so.
    #[must_use]
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // Fifteen bits, and the sign's.
    pub fn nearest(value: f32) -> Self {
        const NORMAL: u32 = BIAS + (1 << 23);
        const BEYOND: u32 = BIAS + (31 << 23);
        const INFINITE: u32 = 0x7f80_0000;
        let sign = value.to_bits() >> 16 & 0x8000;
        let bits = value.abs().to_bits();
        let half = match bits {
            // The steps of single precision from one half on are those of half precision near zero.
            0..NORMAL => (f32::from_bits(bits) + 0.5).to_bits() - 0.5_f32.to_bits(),
            // A carry goes on into the exponent, up to infinity's.
            NORMAL..BEYOND => {
                (bits - BIAS + (1 << (DROPPED - 1)) - 1 + (bits >> DROPPED & 1)) >> DROPPED
            }
            BEYOND..=INFINITE => 0x7c00,
            _ => 0x7e00,
        };
        Self((sign | half) as u16)
    }

    /// The same number in single precision.
    #[must_use]
    #[inline]
    pub fn real(self) -> f32 {
        let wide = u32::from(self.0 & 0x7fff) << DROPPED;
        let real = match self.0 & 0x7c00 {
            0 => f32::from(self.0 & 0x3ff) * STEP,
            // Infinite, or not a number: from the greatest exponent of the one to that of the other.
            0x7c00 => f32::from_bits(wide + 2 * BIAS),
            _ => f32::from_bits(wide + BIAS),
        };
        f32::from_bits(real.to_bits() | u32::from(self.0 & 0x8000) << 16)
    }

    /// Its bytes in memory.
    #[must_use]
    #[inline]
    pub const fn to_ne_bytes(self) -> [u8; 2] {
        self.0.to_ne_bytes()
    }

    /// The number whose bytes in memory these are.
    #[must_use]
    #[inline]
    pub const fn from_ne_bytes(bytes: [u8; 2]) -> Self {
        Self(u16::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits by the crate, of not a number only that it is.
    fn expected(value: f32) -> u16 {
        half::f16::from_f32(value).to_bits()
    }

    #[track_caller]
    fn compare(value: f32) {
        let found = Half::nearest(value);
        if value.is_nan() {
            assert!(found.real().is_nan(), "{value:?} is {found:?}");
        } else {
            assert_eq!(
                found.0,
                expected(value),
                "{value:e} {:08x}",
                value.to_bits()
            );
        }
    }

    #[test]
    fn every_half_is_the_same_number_in_single_precision_and_comes_back() {
        let mut numbers = 0;
        for bits in 0..=u16::MAX {
            let (found, crates) = (Half(bits).real(), half::f16::from_bits(bits).to_f32());
            assert_eq!(found.is_nan(), crates.is_nan(), "{bits:04x}");
            if !found.is_nan() {
                assert_eq!(found.to_bits(), crates.to_bits(), "{bits:04x}");
                assert_eq!(Half::nearest(found).0, bits);
                numbers += 1;
            }
        }
        assert_eq!(numbers, 2 * (31 * 1024 + 1), "all but what is not a number");
    }

    #[test]
    fn what_lies_between_two_halves_goes_to_the_nearer_one_and_from_the_middle_to_the_even_one() {
        let mut compared = 0;
        for bits in 0..0x7c00_u16 {
            let (low, high) = (Half(bits).real(), Half(bits + 1).real());
            // Beyond the greatest one the next would be 65536.
            let high = if high.is_finite() { high } else { 65_536.0 };
            let middle = low.midpoint(high);
            for value in [
                low,
                middle.next_down(),
                middle,
                middle.next_up(),
                high.next_down(),
            ] {
                compare(value);
                compare(-value);
                compared += 2;
            }
        }
        assert_eq!(compared, 31 * 1024 * 10);
    }

    #[test]
    fn every_exponent_of_single_precision_and_what_is_not_a_number_are_as_the_crate_has_them() {
        for exponent in 0..=255_u32 {
            for fraction in [
                0, 1, 0xfff, 0x1000, 0x1001, 0x2000, 0x3000, 0x40_0000, 0x7f_ffff,
            ] {
                for sign in [0, 1 << 31] {
                    compare(f32::from_bits(sign | exponent << 23 | fraction));
                }
            }
        }
        assert!(Half::nearest(Half::MAX).real().is_finite());
        assert!(Half::nearest(65_519.99).real().is_finite());
        assert!(Half::nearest(65_520.0).real().is_infinite());
    }
}
