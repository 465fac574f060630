//! Words, names and paths.

use super::parser::{Refused, ValueParser};
use crate::limits::MAX_NAME;
use crate::profile::reader::diagnostic::Hint;
use crate::profile::reader::meant::meant;
use crate::profile::reader::text::{alternatives, in_quotes};

/// Longest path that is accepted, the kernel's PATH_MAX.
const MAX_PATH_BYTES: usize = 4096;

/// Words of a choice that a message lists; the documentation has them all.
const SHOWN_WORDS: usize = 8;

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
    let all = in_quotes(words.iter().map(|(word, _)| *word));
    let (some, more) = (
        &all[..all.len().min(SHOWN_WORDS)],
        all.len().saturating_sub(SHOWN_WORDS),
    );
    let brief = format!("{} or one of {more} others", some.join(", "));
    let parser = ValueParser::new(alternatives(&all), move |value| {
        let text = value.as_str().ok_or_else(Refused::default)?;
        let found = words.iter().find(|(word, _)| *word == text);
        let hint = || {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            meant(text, &words).map(|word| Hint::Similar(word.into()))
        };
        found.map(|(_, out)| *out).ok_or_else(|| Refused {
            hint: hint(),
            ..Refused::default()
        })
    });
    match more {
        0 => parser,
        _ => parser.briefly(brief),
    }
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
        &format!("a name of 1 to {MAX_NAME} letters a-z A-Z, digits, `-`, `_` and `.`"),
        |text| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain)
        },
    )
}

/// What a person reads as a class.
pub fn label() -> ValueParser<String> {
    let expected = format!("text of 1 to {MAX_NAME} bytes without control characters");
    text(&expected, |text| {
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
