//! Where the faults and the keys of a reading are collected.

use super::diagnostic::{Fault, Problem, position};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// A key that profiles have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// Its table as a header, e.g. `[[camera]]`; empty for the top of the file.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The values that it takes: the words of the error's "expected …".
    pub expected: String,
    /// What holds where it is absent.
    pub absent: Absent,
    /// The key and value that it belongs to, where it does not always make sense.
    pub belongs_to: Option<String>,
}

/// What an absent key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// A fault.
    Fault,
    /// This value, written as in TOML.
    Default(&'static str),
    /// What these words say.
    Derived(&'static str),
}

/// Where faults and keys are collected.
#[derive(Debug, Default)]
pub struct Collector<'t> {
    file: &'t str,
    text: &'t str,
    /// Only the keys are wanted: of each array of tables there is one.
    pub of_keys: bool,
    faults: RefCell<Vec<Fault>>,
    keys: RefCell<Vec<KeyDoc>>,
}

impl<'t> Collector<'t> {
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            ..Self::default()
        }
    }

    pub fn of_keys() -> Self {
        Self {
            of_keys: true,
            ..Self::default()
        }
    }

    /// A path of the file: a relative one starts at the file's directory.
    pub fn join(&self, path: &str) -> PathBuf {
        Path::new(self.file)
            .parent()
            .unwrap_or(Path::new(""))
            .join(path)
    }

    /// Records a fault at a byte of the text.
    pub fn fault(&self, offset: usize, key: String, problem: Problem) {
        let (line, column) = position(self.text, offset);
        let file = self.file.into();
        self.faults.borrow_mut().push(Fault {
            file,
            line,
            column,
            key,
            problem,
        });
    }

    /// Records that a key exists.
    pub fn document(&self, key: KeyDoc) {
        let mut keys = self.keys.borrow_mut();
        if !keys
            .iter()
            .any(|known| (known.table, known.name) == (key.table, key.name))
        {
            keys.push(key);
        }
    }

    /// The faults, by place.
    pub fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by(|a, b| (a.line, a.column, &a.key).cmp(&(b.line, b.column, &b.key)));
        faults
    }

    /// Every key that was asked for, once, in the order of the asking.
    pub fn into_keys(self) -> Vec<KeyDoc> {
        self.keys.into_inner()
    }
}
