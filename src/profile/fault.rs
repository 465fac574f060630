//! What is wrong with a profile, and where.

use std::fmt;
use std::path::PathBuf;

/// One fault of a profile. `Display` gives `file:line: key: found …, expected …`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The text is not TOML.
    Syntax {
        /// What the TOML parser says.
        message: String,
        /// The text that it stumbled over; may be empty.
        at: String,
    },
    /// A key that its table does not have.
    Unknown {
        /// The table, as a header or in words.
        table: String,
        /// What could be meant.
        hint: Hint,
    },
    /// A key or table that must be there and is not.
    Missing {
        /// What its value would be.
        expected: String,
        /// A value that would do.
        example: String,
    },
    /// A key that says nothing beside another one's value.
    Misplaced {
        /// The value that is there.
        found: String,
        /// The key and value that it belongs to.
        belongs_to: String,
    },
    /// A value of the wrong type, out of its range, or at odds with another one.
    Value {
        /// The value that is there.
        found: String,
        /// The values that would do.
        expected: String,
        /// What could be meant.
        hint: Hint,
    },
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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if let Problem::Syntax { .. } = self.problem {
            write!(f, ":{}", self.column)?;
        }
        write!(f, ": {}: {}", self.key, self.problem)
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { message, at } if at.is_empty() => f.write_str(message),
            Self::Syntax { message, at } => write!(f, "found {at}: {message}"),
            Self::Unknown { table, hint } => {
                write!(f, "found an unknown key, expected a key of {table}{hint}")
            }
            Self::Missing { expected, example } if example.is_empty() => {
                write!(f, "found nothing, expected {expected}")
            }
            Self::Missing { expected, example } => {
                write!(
                    f,
                    "found nothing, expected {expected}; for example `{example}`"
                )
            }
            Self::Misplaced { found, belongs_to } => {
                write!(
                    f,
                    "found {found}, expected no such key: it belongs to `{belongs_to}`"
                )
            }
            Self::Value {
                found,
                expected,
                hint,
            } => write!(f, "found {found}, expected {expected}{hint}"),
        }
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

/// A profile could not be had from a file.
#[derive(Debug)]
pub enum LoadError {
    /// The file could not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is too large to be a profile.
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The file is not UTF-8.
    NotText {
        /// The file.
        path: PathBuf,
        /// Line of the first byte that is not, from 1.
        line: usize,
    },
    /// The profile has faults: all of them, by line. Never empty.
    Faults(Vec<Fault>),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "{}: cannot be read: {error}", path.display())
            }
            Self::TooLarge { path, limit_bytes } => {
                write!(
                    f,
                    "{}: found more than {limit_bytes} bytes, expected a profile",
                    path.display()
                )
            }
            Self::NotText { path, line } => {
                write!(
                    f,
                    "{}:{line}: found bytes that are not UTF-8, expected TOML",
                    path.display()
                )
            }
            Self::Faults(faults) => {
                for (index, fault) in faults.iter().enumerate() {
                    if index > 0 {
                        f.write_str("\n")?;
                    }
                    fault.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { error, .. } => Some(error),
            _ => None,
        }
    }
}
