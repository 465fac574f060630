//! Where the keys of a file stand, for what is found wrong with a value after the reading.

use super::place::Place;
use std::fmt;

/// The keys of every table that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    file: String,
    keys: Vec<Known>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    table: &'static str,
    /// What other tables call its table; empty where there is one.
    name: String,
    key: &'static str,
    line: usize,
}

/// Where a key stands. `Display` gives `file:line: key`, as a fault of the reading does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    /// The file, as it was named to the reader.
    pub file: String,
    /// Line of its value, or of its table's header where it is absent.
    pub line: usize,
    /// The key with its table, e.g. `camera.capture-core`.
    pub key: String,
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key } = self;
        write!(f, "{file}:{line}: {key}")
    }
}

impl Places {
    /// Of a file by its name.
    pub(in crate::profile) fn of_file(file: &str) -> Self {
        let (file, keys) = (file.to_owned(), Vec::new());
        Self { file, keys }
    }

    /// Notes the keys of one table.
    pub(in crate::profile) fn add(&mut self, at: &Place<'_>) {
        for (key, line) in at.lines() {
            self.keys.push(Known {
                table: at.table(),
                name: at.name.clone(),
                key,
                line,
            });
        }
    }

    /// Where a key of a table stands; `name` is the table's own, empty where there is one of its kind.
    #[must_use]
    pub fn of(&self, table: &str, name: &str, key: &str) -> KeyPlace {
        let its =
            |known: &&Known| (known.table, known.name.as_str(), known.key) == (table, name, key);
        KeyPlace {
            file: self.file.clone(),
            line: self.keys.iter().find(its).map_or(1, |known| known.line),
            key: format!("{table}.{key}"),
        }
    }
}
