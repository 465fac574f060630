//! What is wrong with a file, and where.

use super::text::similar;
use std::fmt;
use thiserror::Error;

/// One fault of a profile. `Display` gives `file:line: key: found …, expected …`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}{}: {}{problem}", column_of(problem, *column), key_of(problem, key))]
pub struct Fault {
    /// The profile, as it was named to the reader.
    pub file: String,
    /// Line, from 1. What is missing is reported at its table's header.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key with its table, e.g. `camera.rate-hz`; `syntax` where there is no key to speak of.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong at one place of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The text is not TOML.
    #[error("{message}")]
    Syntax {
        /// What the TOML parser says, behind the text that it stumbled over.
        message: String,
    },
    /// A key that its table does not have.
    #[error("found an unknown key, expected a key of {table}{hint}")]
    Unknown {
        /// The table, as a header or in words.
        table: &'static str,
        /// What could be meant.
        hint: Hint,
    },
    /// A key or table that must be there and is not.
    #[error("found nothing, expected {expected}")]
    Missing {
        /// What its value would be, and an example where there is one.
        expected: String,
    },
    /// A key that has no meaning beside another one's value.
    #[error("found {found}, expected no such key: it belongs to `{belongs_to}`")]
    Misplaced {
        /// The value that is there.
        found: String,
        /// The key and value that it belongs to.
        belongs_to: String,
    },
    /// A value of the wrong type, out of its range, or at odds with another one.
    #[error("found {found}, expected {expected}{hint}")]
    Value {
        /// The value that is there.
        found: String,
        /// The values that would do.
        expected: String,
        /// What could be meant.
        hint: Hint,
    },
    /// Not one fault, but how many there are behind the one before.
    #[error("and {count} more; mend these first")]
    More {
        /// How many.
        count: usize,
    },
}

impl Problem {
    /// A value that is refused.
    pub fn value(found: impl Into<String>, expected: impl Into<String>, hint: Hint) -> Self {
        let (found, expected) = (found.into(), expected.into());
        Self::Value {
            found,
            expected,
            hint,
        }
    }
}

/// What could be meant, where that can be guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// No guess.
    None,
    /// A similar word that would do.
    Similar(String),
    /// The table that has this key.
    Table(String),
    /// Nothing is similar; this is what there is.
    Choices(Vec<&'static str>),
    /// What to do, in words.
    Advice(String),
}

impl Hint {
    /// The candidate that `word` most likely means, if one is close.
    pub fn similar<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        similar(word, candidates).map_or(Self::None, |word| Self::Similar(word.into()))
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Similar(word) => write!(f, "; did you mean `{word}`?"),
            Self::Table(table) => write!(f, "; it is a key of {table}"),
            Self::Choices(words) => write!(f, "; there are {}", words.join(", ")),
            Self::Advice(text) => write!(f, "; {text}"),
        }
    }
}

/// The column as a message has it: only where a key does not lead to the place.
fn column_of(problem: &Problem, column: usize) -> String {
    match problem {
        Problem::Syntax { .. } => format!(":{column}"),
        _ => String::new(),
    }
}

/// The key as a message has it: none for what is not about one.
fn key_of(problem: &Problem, key: &str) -> String {
    match problem {
        Problem::More { .. } => String::new(),
        _ => format!("{key}: "),
    }
}
