//! Half precision as float16 tensors store it: what preprocessing and postprocessing expect of the library.

use half::f16;

#[test]
fn every_half_is_the_same_number_in_single_precision_and_comes_back() {
    let mut numbers = 0;
    for bits in 0..=u16::MAX {
        let found = f16::from_bits(bits);
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 0x3ff));
        // IEEE 754-2019, binary16.
        let size = match exponent {
            0 => fraction * 2_f32.powi(-24),
            31 if fraction == 0.0 => f32::INFINITY,
            31 => f32::NAN,
            _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
        };
        let expected = if bits & 0x8000 == 0 { size } else { -size };
        assert_eq!(found.to_f32().is_nan(), expected.is_nan(), "{bits:04x}");
        if !expected.is_nan() {
            assert_eq!(found.to_f32().to_bits(), expected.to_bits(), "{bits:04x}");
            assert_eq!(f16::from_f32(expected).to_bits(), bits);
            numbers += 1;
        }
    }
    assert_eq!(numbers, 2 * (31 * 1024 + 1), "all but what is not a number");
}

#[test]
fn what_lies_between_two_halves_goes_to_the_nearer_one_and_from_the_middle_to_the_even_one() {
    let mut compared = 0;
    for bits in 0..0x7c00_u16 {
        let (low, high) = (
            f16::from_bits(bits).to_f32(),
            f16::from_bits(bits + 1).to_f32(),
        );
        // Beyond the greatest one the next would be 65536.
        let high = if high.is_finite() { high } else { 65_536.0 };
        let middle = low.midpoint(high);
        for (value, expected) in [
            (low, bits),
            (middle.next_down(), bits),
            (middle, bits + bits % 2),
            (middle.next_up(), bits + 1),
            (high.next_down(), bits + 1),
        ] {
            assert_eq!(f16::from_f32(value).to_bits(), expected, "{value:e}");
            assert_eq!(
                f16::from_f32(-value).to_bits(),
                expected | 0x8000,
                "-{value:e}"
            );
            compared += 2;
        }
    }
    assert_eq!(compared, 31 * 1024 * 10);
}

#[test]
fn what_is_too_small_is_zero_too_great_infinite_and_not_a_number_stays_so() {
    for sign in [0, 1 << 31] {
        for exponent in 0..102_u32 {
            for fraction in [0, 1, 0x1000, 0x3000, 0x7f_ffff] {
                let value = f32::from_bits(sign | exponent << 23 | fraction);
                assert_eq!(f16::from_f32(value).to_bits() & 0x7fff, 0, "{value:e}");
            }
        }
        for exponent in 143..=255_u32 {
            for fraction in [0, 1, 0xfff, 0x1000, 0x2000, 0x40_0000, 0x7f_ffff] {
                let value = f32::from_bits(sign | exponent << 23 | fraction);
                let found = f16::from_f32(value);
                if value.is_nan() {
                    assert!(found.is_nan() && found.to_f32().is_nan(), "{value:?}");
                } else {
                    assert!(found.is_infinite(), "{value:e}");
                    assert_eq!(found.is_sign_negative(), value.is_sign_negative());
                }
            }
        }
    }
    assert!(f16::from_f32(65_504.0).is_finite() && f16::from_f32(65_519.99).is_finite());
    assert!(f16::from_f32(65_520.0).is_infinite());
}
