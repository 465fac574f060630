//! Rules for numbers.

use super::{Refused, Rule, alternatives, describe, quoted};
use crate::profile::{ClassThreshold, InputRange};
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::DeValue;

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

pub(super) fn float(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A whole number of something.
pub(in crate::profile) struct Whole<T> {
    range: RangeInclusive<u32>,
    what: &'static str,
    step: Step,
    out: std::marker::PhantomData<T>,
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Any,
    Even,
    PowerOfTwo,
}

fn stepped<T>(range: RangeInclusive<u32>, what: &'static str, step: Step) -> Whole<T> {
    Whole {
        range,
        what,
        step,
        out: std::marker::PhantomData,
    }
}

/// Any whole number of the range.
pub(in crate::profile) fn whole<T>(range: RangeInclusive<u32>, what: &'static str) -> Whole<T> {
    stepped(range, what, Step::Any)
}

/// The even numbers of the range.
pub(in crate::profile) fn even<T>(range: RangeInclusive<u32>, what: &'static str) -> Whole<T> {
    stepped(range, what, Step::Even)
}

/// The powers of two of the range.
pub(in crate::profile) fn power_of_two<T>(
    range: RangeInclusive<u32>,
    what: &'static str,
) -> Whole<T> {
    stepped(range, what, Step::PowerOfTwo)
}

impl<T: TryFrom<u32>> Rule for Whole<T> {
    type Out = T;
    fn expected(&self) -> String {
        let kind = match self.step {
            Step::Any => "a whole number",
            Step::Even => "an even number",
            Step::PowerOfTwo => "a power of two",
        };
        format!(
            "{kind} ({}), {} to {}",
            self.what,
            self.range.start(),
            self.range.end()
        )
    }
    fn take(&self, value: &DeValue<'_>) -> Result<T, Refused> {
        integer(value)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| self.range.contains(number))
            .filter(|number| match self.step {
                Step::Any => true,
                Step::Even => number.is_multiple_of(2),
                Step::PowerOfTwo => number.is_power_of_two(),
            })
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(Refused::default)
    }
}

/// A rule's numbers, or 0 for none.
pub(in crate::profile) struct OrZero<R>(R);

/// 0, or what `rule` accepts.
pub(in crate::profile) fn or_zero<R: Rule>(rule: R) -> OrZero<R> {
    OrZero(rule)
}

impl<R: Rule<Out: Default>> Rule for OrZero<R> {
    type Out = R::Out;
    fn expected(&self) -> String {
        format!("0, or {}", self.0.expected())
    }
    fn take(&self, value: &DeValue<'_>) -> Result<R::Out, Refused> {
        match integer(value) {
            Some(0) => Ok(R::Out::default()),
            _ => self.0.take(value),
        }
    }
}

/// A number that need not be whole.
pub(in crate::profile) struct Real {
    range: RangeInclusive<f64>,
    what: &'static str,
}

/// Any finite number of the range.
pub(in crate::profile) fn real(range: RangeInclusive<f64>, what: &'static str) -> Real {
    Real { range, what }
}

impl Rule for Real {
    type Out = f64;
    fn expected(&self) -> String {
        format!(
            "a number ({}), {} to {}",
            self.what,
            self.range.start(),
            self.range.end()
        )
    }
    fn take(&self, value: &DeValue<'_>) -> Result<f64, Refused> {
        float(value)
            .filter(|number| self.range.contains(number))
            .ok_or_else(Refused::default)
    }
}

/// One number of a few.
pub(in crate::profile) struct OneOf {
    numbers: &'static [u32],
    what: &'static str,
}

/// One of these numbers.
pub(in crate::profile) fn one_of(numbers: &'static [u32], what: &'static str) -> OneOf {
    OneOf { numbers, what }
}

impl Rule for OneOf {
    type Out = u64;
    fn expected(&self) -> String {
        let numbers: Vec<String> = self.numbers.iter().map(u32::to_string).collect();
        format!("{} ({})", alternatives(&numbers), self.what)
    }
    fn take(&self, value: &DeValue<'_>) -> Result<u64, Refused> {
        integer(value)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| self.numbers.contains(number))
            .map(u64::from)
            .ok_or_else(Refused::default)
    }
}

/// The same number in single precision: nearest, as the tensors hold it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the rules that use it have ranges well inside f32"
)]
pub(in crate::profile) fn single(number: f64) -> f32 {
    number as f32
}

/// The model's value of black and of white.
pub(in crate::profile) struct Ends;

impl Rule for Ends {
    type Out = InputRange;
    fn expected(&self) -> String {
        "two different numbers (of black, of white), each -1024 to 1024, or such a pair for each of three channels"
            .into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<InputRange, Refused> {
        let array = value.as_array().ok_or_else(Refused::default)?;
        if let [one, two, three] = &array[..] {
            let pair = |element: &Spanned<DeValue<'_>>| {
                let array = element.get_ref().as_array();
                array.and_then(|array| ends(array)).ok_or_else(|| Refused {
                    span: Some(element.span()),
                    found: Some(
                        array.map_or_else(|| describe(element.get_ref()), |array| elements(array)),
                    ),
                    hint: None,
                })
            };
            return Ok(InputRange::Each([pair(one)?, pair(two)?, pair(three)?]));
        }
        ends(array).map(InputRange::One).ok_or_else(|| Refused {
            found: Some(elements(array)),
            ..Refused::default()
        })
    }
}

/// Black and white.
fn ends(array: &[Spanned<DeValue<'_>>]) -> Option<[f32; 2]> {
    let end = |value: &Spanned<DeValue<'_>>| {
        let end = float(value.get_ref()).map(single);
        end.filter(|end| end.abs() <= 1024.0)
    };
    match array {
        [black, white] => {
            let ends = [end(black)?, end(white)?];
            (ends[0] != ends[1]).then_some(ends)
        }
        _ => None,
    }
}

/// A part of a period in which something is done.
pub(in crate::profile) struct Duty;

impl Rule for Duty {
    type Out = [u64; 2];
    fn expected(&self) -> String {
        "two whole numbers (ms judged, ms of the period), 1 to 86400000, the first not above the second"
            .into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<[u64; 2], Refused> {
        let side = |element: &Spanned<DeValue<'_>>| {
            let number = integer(element.get_ref()).and_then(|number| u64::try_from(number).ok());
            number.filter(|number| (1..=86_400_000).contains(number))
        };
        let sides = |array: &[Spanned<DeValue<'_>>]| match array {
            [on, period] => Some([side(on)?, side(period)?]),
            _ => None,
        };
        value
            .as_array()
            .and_then(|array| sides(array))
            .filter(|[on, period]| on <= period)
            .ok_or_else(|| Refused {
                found: value.as_array().map(|array| elements(array)),
                ..Refused::default()
            })
    }
}

/// Scores by label.
pub(in crate::profile) struct ClassThresholds;

impl Rule for ClassThresholds {
    type Out = Vec<ClassThreshold>;
    fn expected(&self) -> String {
        "a table of labels, each with a number (score), 0 to 1".into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<Self::Out, Refused> {
        let table = value.as_table().ok_or_else(Refused::default)?;
        let mut out = Vec::new();
        for (label, score) in table {
            let label: &str = label.get_ref().as_ref();
            let number = float(score.get_ref()).filter(|number| (0.0..=1.0).contains(number));
            let number = number.ok_or_else(|| Refused {
                span: Some(score.span()),
                found: Some(format!("{} = {}", quoted(label), describe(score.get_ref()))),
                hint: None,
            })?;
            out.push(ClassThreshold {
                label: label.to_owned(),
                score: single(number),
            });
        }
        Ok(out)
    }
}

/// A part of a picture: left, top, width and height.
pub(in crate::profile) struct Part {
    expected: &'static str,
    even: bool,
}

/// A part of a camera's sensor.
pub(in crate::profile) fn crop() -> Part {
    Part {
        expected: "left, top, width and height in the sensor's pixels, each 0 to 65535, the last two above 0",
        even: false,
    }
}

/// A part of a camera's picture: even, because pixels share their colours by two, or are squares of two.
pub(in crate::profile) fn region() -> Part {
    Part {
        expected: "left, top, width and height in the camera's pixels, even numbers, 0 to 8192, the last two above 0",
        even: true,
    }
}

impl Rule for Part {
    type Out = [u32; 4];
    fn expected(&self) -> String {
        self.expected.into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<[u32; 4], Refused> {
        let side = |element: &Spanned<DeValue<'_>>| {
            let number = integer(element.get_ref()).and_then(|number| u32::try_from(number).ok());
            number.filter(|number| *number <= 65_535 && !(self.even && number % 2 == 1))
        };
        let sides = |array: &[Spanned<DeValue<'_>>]| match array {
            [left, top, width, height] => {
                Some([side(left)?, side(top)?, side(width)?, side(height)?])
            }
            _ => None,
        };
        value
            .as_array()
            .and_then(|array| sides(array))
            .filter(|[.., width, height]| *width > 0 && *height > 0)
            .ok_or_else(|| Refused {
                found: value.as_array().map(|array| elements(array)),
                ..Refused::default()
            })
    }
}

pub(super) fn elements(array: &[Spanned<DeValue<'_>>]) -> String {
    let shown: Vec<String> = array
        .iter()
        .take(4)
        .map(|element| describe(element.get_ref()))
        .collect();
    let more = if array.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    format!("[{}{more}]", shown.join(", "))
}
