//! Numbers.

use super::parser::ValueParser;
use crate::profile::reader::text::alternatives;
use std::fmt::Display;
use std::ops::RangeInclusive;
use toml::de::DeValue;

/// What a whole number can be read into.
pub trait Number: TryFrom<i128> + PartialOrd + Display + Copy + 'static {}
impl<T: TryFrom<i128> + PartialOrd + Display + Copy + 'static> Number for T {}

/// A whole number, if it is one.
pub fn integer<T: Number>(value: &DeValue<'_>) -> Option<T> {
    let number = value.as_integer()?;
    let number = i128::from_str_radix(number.as_str(), number.radix()).ok()?;
    T::try_from(number).ok()
}

/// A finite number, if it is one.
pub fn float(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn number<T: Number>(
    kind: &str,
    range: RangeInclusive<T>,
    what: &str,
    test: fn(u128) -> bool,
) -> ValueParser<T> {
    let expected = format!("{kind} ({what}), {} to {}", range.start(), range.end());
    ValueParser::of(expected, move |value| {
        integer(value).filter(|number| test(*number))?;
        integer(value).filter(|number| range.contains(number))
    })
}

/// Any whole number of the range.
pub fn whole<T: Number>(range: RangeInclusive<T>, what: &str) -> ValueParser<T> {
    number("a whole number", range, what, |_| true)
}

/// The even numbers of the range.
pub fn even<T: Number>(range: RangeInclusive<T>, what: &str) -> ValueParser<T> {
    number("an even number", range, what, |number| {
        number.is_multiple_of(2)
    })
}

/// The powers of two of the range.
pub fn power_of_two<T: Number>(range: RangeInclusive<T>, what: &str) -> ValueParser<T> {
    number("a power of two", range, what, u128::is_power_of_two)
}

/// 0, or what `other` takes.
pub fn or_zero<T: Number + Default>(other: ValueParser<T>) -> ValueParser<T> {
    let expected = format!("0, or {}", other.expected());
    ValueParser::new(expected, move |value| match integer::<i128>(value) {
        Some(0) => Ok(T::default()),
        _ => other.parse(value),
    })
}

/// One of these numbers.
pub fn one_of<T: Number>(numbers: &'static [T], what: &str) -> ValueParser<T> {
    let known: Vec<String> = numbers.iter().map(T::to_string).collect();
    let expected = format!("{} ({what})", alternatives(&known));
    ValueParser::of(expected, |value| {
        integer(value).filter(|number| numbers.contains(number))
    })
}

/// Any finite number of the range.
pub fn real(range: RangeInclusive<f64>, what: &str) -> ValueParser<f64> {
    let expected = format!("a number ({what}), {} to {}", range.start(), range.end());
    ValueParser::of(expected, move |value| {
        float(value).filter(|number| range.contains(number))
    })
}

/// A part of a whole.
pub fn share(what: &str) -> ValueParser<f32> {
    real(0.0..=1.0, what).map(single)
}

/// The same number in single precision: nearest, as the tensors hold it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the ranges of its keys are well inside f32"
)]
pub fn single(number: f64) -> f32 {
    number as f32
}
