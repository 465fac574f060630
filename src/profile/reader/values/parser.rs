//! What a key takes, stated in words and read from a TOML value.

use crate::profile::reader::diagnostic::Hint;
use std::ops::Range;
use toml::Spanned;
use toml::de::DeValue;

type Parse<T> = dyn Fn(&DeValue<'_>) -> Result<T, Refused>;

/// The values of a key.
pub struct ValueParser<T> {
    expected: String,
    /// The same in fewer words, where they are many.
    brief: Option<String>,
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
            brief: None,
            parse: Box::new(parse),
        }
    }

    /// With fewer words for a message than the documentation has.
    pub fn briefly(self, brief: String) -> Self {
        let brief = Some(brief);
        Self { brief, ..self }
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
            brief: self.brief,
            parse: Box::new(move |value| (self.parse)(value).map(&map)),
        }
    }
}

impl<T> ValueParser<T> {
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// As a message has them.
    pub fn brief(&self) -> &str {
        self.brief.as_deref().unwrap_or(&self.expected)
    }

    pub fn parse(&self, value: &DeValue<'_>) -> Result<T, Refused> {
        (self.parse)(value)
    }
}
