//! What a value of a key may be: each rule states it in words, and reads a TOML value by it.

mod delegate;
mod numbers;
mod points;
mod words;

pub(super) use delegate::DelegateOrPlugin;
pub(super) use numbers::{
    ClassThresholds, Duty, Ends, Whole, crop, even, one_of, or_zero, power_of_two, real, region,
    single, whole,
};
pub(super) use points::point;
pub(super) use words::{Controls, Sha256, device, label, name, node, path};

use crate::profile::fault::Hint;
use std::fmt::Debug;
use std::ops::{Range, RangeInclusive};
use toml::de::DeValue;

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

/// "a, b or c".
pub(super) fn alternatives(words: &[String]) -> String {
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
