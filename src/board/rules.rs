//! What a value of a key may be: each rule states it in words, and reads a TOML value by it.

use crate::board::fault::Hint;
use crate::limits::MAX_NAME;
use std::fmt::Debug;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::DeValue;

/// Longest path that is accepted, the kernel's PATH_MAX.
const MAX_PATH_BYTES: usize = 4096;
/// Longest excerpt of a value in a message.
const MAX_EXCERPT: usize = 40;

/// What the values of a key are.
pub(super) trait Rule {
    /// The checked value.
    type Out;
    /// The values that are accepted, in words that follow "expected".
    fn expected(&self) -> String;
    /// Reads a value.
    fn take(&self, value: &DeValue<'_>) -> Result<Self::Out, Refused>;
}

/// A value that a rule does not accept.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Byte range of the part that is wrong, where it is not the whole value.
    pub(super) span: Option<Range<usize>>,
    /// What is there, where it is not simply the value.
    pub(super) found: Option<String>,
    /// What could be meant.
    pub(super) hint: Option<Hint>,
}

/// A value as it is quoted in a message.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => excerpt(&number.to_string()),
        DeValue::Float(number) => excerpt(&number.to_string()),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date or time".into(),
        DeValue::Array(array) if array.is_empty() => "an empty array".into(),
        DeValue::Array(array) => format!("an array of {}", array.len()),
        DeValue::Table(_) => "a table".into(),
    }
}

/// Text in quotes, without control characters, cut when it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text))
}

/// Text without control characters, cut when it is long.
pub(super) fn printable(text: &str) -> String {
    excerpt(&text.escape_debug().to_string())
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

fn float(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `true` or `false`.
pub(super) struct Truth;

impl Rule for Truth {
    type Out = bool;
    fn expected(&self) -> String {
        "true or false".into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<bool, Refused> {
        value.as_bool().ok_or_else(Refused::default)
    }
}

/// A whole number of something.
pub(super) struct Whole<T> {
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
pub(super) fn whole<T>(range: RangeInclusive<u32>, what: &'static str) -> Whole<T> {
    stepped(range, what, Step::Any)
}

/// The even numbers of the range.
pub(super) fn even<T>(range: RangeInclusive<u32>, what: &'static str) -> Whole<T> {
    stepped(range, what, Step::Even)
}

/// The powers of two of the range.
pub(super) fn power_of_two<T>(range: RangeInclusive<u32>, what: &'static str) -> Whole<T> {
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

/// A number that need not be whole.
pub(super) struct Real {
    range: RangeInclusive<f64>,
    what: &'static str,
}

/// Any finite number of the range.
pub(super) fn real(range: RangeInclusive<f64>, what: &'static str) -> Real {
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

/// A rule's result put into another type, or a smaller one.
pub(super) struct Mapped<R, F> {
    rule: R,
    map: F,
}

/// `rule`, and then `map`.
pub(super) fn mapped<R: Rule, U, F: Fn(R::Out) -> U>(rule: R, map: F) -> Mapped<R, F> {
    Mapped { rule, map }
}

impl<R: Rule, U, F: Fn(R::Out) -> U> Rule for Mapped<R, F> {
    type Out = U;
    fn expected(&self) -> String {
        self.rule.expected()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<U, Refused> {
        self.rule.take(value).map(&self.map)
    }
}

/// The same number in single precision: nearest, as the tensors hold it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the rules that use it have ranges well inside f32"
)]
pub(super) fn single(number: f64) -> f32 {
    number as f32
}

/// One word of a few.
pub(super) struct Choice<T: 'static>(&'static [(&'static str, T)]);

/// One of these words.
pub(super) fn choice<T>(words: &'static [(&'static str, T)]) -> Choice<T> {
    Choice(words)
}

impl<T: Copy> Rule for Choice<T> {
    type Out = T;
    fn expected(&self) -> String {
        let words: Vec<String> = self
            .0
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        alternatives(&words)
    }
    fn take(&self, value: &DeValue<'_>) -> Result<T, Refused> {
        let text = value.as_str().ok_or_else(Refused::default)?;
        if let Some((_, out)) = self.0.iter().find(|(word, _)| *word == text) {
            return Ok(*out);
        }
        let hint = similar(text, self.0.iter().map(|(word, _)| *word));
        Err(Refused {
            hint: hint.map(|word| Hint::Similar(word.into())),
            ..Refused::default()
        })
    }
}

/// One number of a few.
pub(super) struct OneOf {
    numbers: &'static [u32],
    what: &'static str,
}

/// One of these numbers.
pub(super) fn one_of(numbers: &'static [u32], what: &'static str) -> OneOf {
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

/// Text that a test accepts.
pub(super) struct Text {
    expected: &'static str,
    test: fn(&str) -> bool,
}

impl Rule for Text {
    type Out = String;
    fn expected(&self) -> String {
        self.expected.into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<String, Refused> {
        let text = value
            .as_str()
            .filter(|text| (self.test)(text))
            .ok_or_else(Refused::default)?;
        Ok(text.to_owned())
    }
}

/// A name: short, and without anything that a log line, a file name or JSON would have to escape.
pub(super) fn name() -> Text {
    Text {
        expected: "a name of 1 to 48 letters a-z A-Z, digits, `-`, `_` and `.`",
        test: |text| {
            (1..=MAX_NAME).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        },
    }
}

/// What a person reads as a class.
pub(super) fn label() -> Text {
    Text {
        expected: "text of 1 to 48 bytes without control characters",
        test: |text| (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control),
    }
}

/// A path to a file.
pub(super) fn path() -> Text {
    Text {
        expected: "a path; a relative one starts at this file's directory",
        test: is_path,
    }
}

/// A path to a device.
pub(super) fn device() -> Text {
    Text {
        expected: "an absolute path of a device",
        test: |text| text.starts_with('/') && is_path(text),
    }
}

fn is_path(text: &str) -> bool {
    (1..MAX_PATH_BYTES).contains(&text.len()) && !text.contains('\0')
}

/// The SHA-256 of a file.
pub(super) struct Sha256;

impl Rule for Sha256 {
    type Out = [u8; 32];
    fn expected(&self) -> String {
        "64 hexadecimal digits, as `sha256sum` prints them".into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<[u8; 32], Refused> {
        let text = value.as_str().ok_or_else(Refused::default)?;
        if text.len() != 64 {
            let found = format!("text of {} characters", text.chars().count());
            return Err(Refused {
                found: Some(found),
                ..Refused::default()
            });
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| {
                char::from(pair[at])
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
            };
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err(Refused::default());
            };
            *byte = high << 4 | low;
        }
        Ok(digest)
    }
}

/// An array whose elements follow one rule.
pub(super) struct List<R> {
    element: R,
    length: RangeInclusive<usize>,
    distinct: bool,
}

/// An array of elements that may repeat.
pub(super) fn list<R: Rule>(element: R, length: RangeInclusive<usize>) -> List<R> {
    List {
        element,
        length,
        distinct: false,
    }
}

/// An array of elements that differ.
pub(super) fn distinct<R: Rule>(element: R, length: RangeInclusive<usize>) -> List<R> {
    List {
        element,
        length,
        distinct: true,
    }
}

impl<R: Rule<Out: PartialEq + Debug>> Rule for List<R> {
    type Out = Vec<R::Out>;
    fn expected(&self) -> String {
        let (least, most) = (self.length.start(), self.length.end());
        let count = if least == most {
            least.to_string()
        } else {
            format!("{least} to {most}")
        };
        let kind = if self.distinct {
            "different elements"
        } else {
            "elements"
        };
        format!(
            "an array of {count} {kind}, each {}",
            self.element.expected()
        )
    }
    fn take(&self, value: &DeValue<'_>) -> Result<Self::Out, Refused> {
        let array = value.as_array().ok_or_else(Refused::default)?;
        if !self.length.contains(&array.len()) {
            return Err(Refused::default());
        }
        let mut out = Vec::with_capacity(array.len());
        for element in array.iter() {
            let at = |found: String, hint: Option<Hint>| Refused {
                span: Some(element.span()),
                found: Some(found),
                hint,
            };
            let item = self.element.take(element.get_ref()).map_err(|refused| {
                at(
                    refused.found.unwrap_or_else(|| describe(element.get_ref())),
                    refused.hint,
                )
            })?;
            if self.distinct && out.contains(&item) {
                return Err(at(format!("{item:?} twice"), None));
            }
            out.push(item);
        }
        Ok(out)
    }
}

/// The model's value of black and of white.
pub(super) struct Ends;

impl Rule for Ends {
    type Out = [f32; 2];
    fn expected(&self) -> String {
        "two different numbers (of black, of white), each -1024 to 1024".into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<[f32; 2], Refused> {
        let ends = |array: &[Spanned<DeValue<'_>>]| match array {
            [black, white] => Some([float(black.get_ref())?, float(white.get_ref())?].map(single)),
            _ => None,
        };
        value
            .as_array()
            .and_then(|array| ends(array))
            .filter(|[black, white]| {
                black != white && black.abs() <= 1024.0 && white.abs() <= 1024.0
            })
            .ok_or_else(|| Refused {
                found: value.as_array().map(|array| elements(array)),
                ..Refused::default()
            })
    }
}

fn elements(array: &[Spanned<DeValue<'_>>]) -> String {
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

/// "a, b or c".
fn alternatives(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The candidate that `word` most likely means, if one is close.
///
/// # Source
/// Jaro-Winkler similarity favours a common beginning, which is what a forgotten unit leaves.
pub(super) fn similar<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Below this a guess misleads more often than it helps.
    const CLOSE: f64 = 0.82;
    let plain = |text: &str| text.to_lowercase().replace(['_', ' '], "-");
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, &plain(candidate)), candidate))
        .filter(|(score, _)| *score >= CLOSE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
