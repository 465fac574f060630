//! What a key takes: each parser states it in words, and reads a TOML value by it.

mod numbers;

pub use numbers::{
    even, float, integer, one_of, or_zero, power_of_two, real, share, single, whole,
};

use super::diagnostic::Hint;
use super::text::{alternatives, describe, elements, in_quotes, similar};
use crate::limits::MAX_NAME;
use std::fmt::Debug;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::DeValue;

/// Longest path that is accepted, the kernel's PATH_MAX.
const MAX_PATH_BYTES: usize = 4096;

type Parse<T> = dyn Fn(&DeValue<'_>) -> Result<T, Refused>;

/// The values of a key.
pub struct ValueParser<T> {
    expected: String,
    parse: Box<Parse<T>>,
}

/// A value that a key does not take.
#[derive(Debug, Default)]
pub struct Refused {
    /// Byte range of the part that is wrong, where it is not the whole value.
    pub span: Option<Range<usize>>,
    /// What is there, where it is not simply the value.
    pub found: Option<String>,
    /// What could be meant.
    pub hint: Option<Hint>,
}

impl Refused {
    /// A value of which something else is shown.
    pub fn found(found: impl Into<String>) -> Self {
        Self {
            found: Some(found.into()),
            ..Self::default()
        }
    }

    /// A part of a value.
    pub fn at(part: &Spanned<DeValue<'_>>, found: impl Into<String>) -> Self {
        Self {
            span: Some(part.span()),
            ..Self::found(found)
        }
    }
}

impl<T: 'static> ValueParser<T> {
    /// `expected` are the values in words that follow "expected".
    pub fn new(
        expected: impl Into<String>,
        parse: impl Fn(&DeValue<'_>) -> Result<T, Refused> + 'static,
    ) -> Self {
        Self {
            expected: expected.into(),
            parse: Box::new(parse),
        }
    }

    /// Of which nothing else is said than that they are others.
    pub fn of(
        expected: impl Into<String>,
        parse: impl Fn(&DeValue<'_>) -> Option<T> + 'static,
    ) -> Self {
        Self::new(expected, move |value| {
            parse(value).ok_or_else(Refused::default)
        })
    }

    /// The same values, made into something else.
    pub fn map<U: 'static>(self, map: impl Fn(T) -> U + 'static) -> ValueParser<U> {
        ValueParser {
            expected: self.expected,
            parse: Box::new(move |value| (self.parse)(value).map(&map)),
        }
    }
}

impl<T> ValueParser<T> {
    pub fn expected(&self) -> &str {
        &self.expected
    }

    pub fn parse(&self, value: &DeValue<'_>) -> Result<T, Refused> {
        (self.parse)(value)
    }
}

/// An enum whose values are words of a profile.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every value, by its word.
            pub(in crate::profile) const ALL: &[(&str, Self)] = &[$(($word, Self::$variant),)+];

            /// As profiles write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}
pub(in crate::profile) use words;

/// One of these words.
pub fn choice<T: Copy>(words: &'static [(&'static str, T)]) -> ValueParser<T> {
    let names = || words.iter().map(|(word, _)| *word);
    ValueParser::new(alternatives(&in_quotes(names())), move |value| {
        let text = value.as_str().ok_or_else(Refused::default)?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, out)| *out).ok_or_else(|| Refused {
            hint: similar(text, words.iter().map(|(word, _)| *word))
                .map(|word| Hint::Similar(word.into())),
            ..Refused::default()
        })
    })
}

/// `true` or `false`.
pub fn truth() -> ValueParser<bool> {
    ValueParser::of("true or false", |value| value.as_bool())
}

/// Text that a test accepts.
pub fn text(expected: &str, test: fn(&str) -> bool) -> ValueParser<String> {
    ValueParser::of(expected, move |value| {
        value.as_str().filter(|text| test(text)).map(str::to_owned)
    })
}

/// A name: short, and without anything that a log line, a file name or JSON would have to escape.
pub fn name() -> ValueParser<String> {
    text(
        "a name of 1 to 48 letters a-z A-Z, digits, `-`, `_` and `.`",
        |text| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain)
        },
    )
}

/// What a person reads as a class.
pub fn label() -> ValueParser<String> {
    text("text of 1 to 48 bytes without control characters", |text| {
        (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control)
    })
}

/// A path to a file.
pub fn path() -> ValueParser<String> {
    text(
        "a path; a relative one starts at this file's directory",
        is_path,
    )
}

/// A device by its path.
pub fn device_node() -> ValueParser<String> {
    text("an absolute path of a device", |text| {
        is_path(text) && text.starts_with('/')
    })
}

/// Whether the kernel could take it.
pub fn is_path(text: &str) -> bool {
    (1..MAX_PATH_BYTES).contains(&text.len()) && !text.contains('\0')
}

/// An array of elements that may repeat.
pub fn list<T>(element: ValueParser<T>, length: RangeInclusive<usize>) -> ValueParser<Vec<T>>
where
    T: PartialEq + Debug + 'static,
{
    elements_of(element, length, false)
}

/// An array of elements that differ.
pub fn distinct<T>(element: ValueParser<T>, length: RangeInclusive<usize>) -> ValueParser<Vec<T>>
where
    T: PartialEq + Debug + 'static,
{
    elements_of(element, length, true)
}

fn elements_of<T: PartialEq + Debug + 'static>(
    element: ValueParser<T>,
    length: RangeInclusive<usize>,
    distinct: bool,
) -> ValueParser<Vec<T>> {
    let (least, most) = (length.start(), length.end());
    let kind = if distinct {
        "different elements"
    } else {
        "elements"
    };
    let expected = format!(
        "an array of {least} to {most} {kind}, each {}",
        element.expected()
    );
    ValueParser::new(expected, move |value| {
        let array = value
            .as_array()
            .filter(|array| length.contains(&array.len()));
        let mut out = Vec::new();
        for part in array.ok_or_else(Refused::default)?.iter() {
            let item = element.parse(part.get_ref()).map_err(|refused| Refused {
                hint: refused.hint,
                ..Refused::at(
                    part,
                    refused.found.unwrap_or_else(|| describe(part.get_ref())),
                )
            })?;
            if distinct && out.contains(&item) {
                return Err(Refused::at(part, format!("{item:?} twice")));
            }
            out.push(item);
        }
        Ok(out)
    })
}

/// An array of `N` elements that together pass a test.
pub fn array<T: 'static, const N: usize>(
    expected: &str,
    element: impl Fn(&DeValue<'_>) -> Option<T> + 'static,
    test: fn(&[T; N]) -> bool,
) -> ValueParser<[T; N]> {
    ValueParser::new(expected, move |value| {
        let array = value.as_array().ok_or_else(Refused::default)?;
        let parts = array.iter().map(|part| element(part.get_ref()));
        let parts: Option<Vec<T>> = parts.collect();
        let parts = parts.and_then(|parts| <[T; N]>::try_from(parts).ok());
        parts
            .filter(test)
            .ok_or_else(|| Refused::found(elements(array)))
    })
}

/// A table of any names, each with a value that `entry` makes something of. `shown` is how a message has a name.
pub fn entries<T: 'static>(
    expected: &str,
    shown: fn(&str) -> String,
    entry: impl Fn(&str, &DeValue<'_>) -> Option<T> + 'static,
) -> ValueParser<Vec<T>> {
    ValueParser::new(expected, move |value| {
        let table = value.as_table().ok_or_else(Refused::default)?;
        let each = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &str = AsRef::<str>::as_ref(name.get_ref());
            entry(name, value.get_ref()).ok_or_else(|| wrong_entry(&shown(name), value))
        };
        table.iter().map(each).collect()
    })
}

/// An entry of a table that is wrong, with its name as a message has it.
pub fn wrong_entry(name: &str, value: &Spanned<DeValue<'_>>) -> Refused {
    Refused::at(value, format!("{name} = {}", describe(value.get_ref())))
}
