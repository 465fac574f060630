//! What became of a file while it was written, as its name tells it.

/// What a look at the name of a file found.
#[derive(Debug)]
pub(crate) enum Look {
    /// It leads to the file that is written.
    Same,
    /// It did not; what it leads to now is written.
    Renewed(Change),
    /// It does not, and what is written now is found by nobody; why.
    Astray(Change, Box<dyn std::error::Error>),
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Vanished,
    Replaced,
    Truncated,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vanished => "the file vanished",
            Self::Replaced => "another file was put in its place",
            Self::Truncated => "the file was cut short",
        })
    }
}
