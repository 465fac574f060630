//! Where the faults and the keys of a reading are collected.

use super::diagnostic::{Fault, Problem};
use super::lines::Lines;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Faults of one file that are reported, the first ones by place: who has mended so many reads it again. Of the others
/// there is the number.
pub const MAX_FAULTS: usize = 100;

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

/// The faults of a text with syntax errors that those cannot have caused: not that something is missing, nothing on the
/// lines of an error, and nothing after a broken table header, where keys are taken for another table's.
#[derive(Debug)]
pub struct Certain {
    /// Byte ranges of the lines of an error, by place.
    pub broken: Vec<Range<usize>>,
    /// Where the first broken header is.
    pub before: usize,
}

impl Certain {
    fn is_place(&self, offset: usize) -> bool {
        let index = self.broken.partition_point(|line| line.end <= offset);
        let on_broken = self
            .broken
            .get(index)
            .is_some_and(|line| line.contains(&offset));
        offset < self.before && !on_broken
    }
}

/// Where faults and keys are collected.
#[derive(Debug)]
pub struct Collector<'t> {
    file: &'t str,
    lines: Lines<'t>,
    /// Only the keys are wanted: of each array of tables there is one.
    pub of_keys: bool,
    /// Where the text is not TOML: which faults that cannot have caused.
    certain: Option<Certain>,
    /// The first ones, by place, key and order of finding: never more than are reported.
    faults: RefCell<BTreeMap<(usize, String, usize), Problem>>,
    /// Those behind them.
    more: Cell<usize>,
    keys: RefCell<Vec<KeyDoc>>,
}

impl<'t> Collector<'t> {
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            lines: Lines::new(text),
            of_keys: false,
            certain: None,
            faults: RefCell::default(),
            more: Cell::default(),
            keys: RefCell::default(),
        }
    }

    /// The file, as it was named to the reader.
    pub fn file(&self) -> &'t str {
        self.file
    }

    /// The line of a byte, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.line(offset)
    }

    /// The same for a text with syntax errors, of whose faults only those are kept that `certain` says.
    pub fn certain(file: &'t str, text: &'t str, certain: Certain) -> Self {
        Self {
            certain: Some(certain),
            ..Self::new(file, text)
        }
    }

    pub fn of_keys() -> Self {
        Self {
            of_keys: true,
            ..Self::new("", "")
        }
    }

    /// A path of the file: a relative one starts at the file's directory.
    pub fn join(&self, path: &str) -> PathBuf {
        Path::new(self.file)
            .parent()
            .unwrap_or(Path::new(""))
            .join(path)
    }

    /// Records a fault at a byte of the text. What is wrong is worked out only where it is reported: a file of a
    /// hundred thousand faults costs no more words than one of a hundred.
    pub fn fault(&self, offset: usize, key: String, problem: impl FnOnce() -> Problem) {
        let mut faults = self.faults.borrow_mut();
        let found = self.more.get() + faults.len();
        let place = (offset, key, found);
        if self
            .certain
            .as_ref()
            .is_some_and(|certain| !certain.is_place(offset))
        {
            return;
        }
        let full = faults.len() >= MAX_FAULTS;
        if full
            && faults
                .last_key_value()
                .is_some_and(|(last, _)| *last < place)
        {
            self.more.set(self.more.get() + 1);
            return;
        }
        let problem = problem();
        let is_certain = matches!(problem, Problem::Unknown { .. } | Problem::Value { .. });
        if self.certain.is_some() && !is_certain {
            return;
        }
        faults.insert(place, problem);
        if full {
            faults.pop_last();
            self.more.set(self.more.get() + 1);
        }
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

    /// The first faults, by place, and how many there are behind them.
    pub fn into_faults(self) -> (Vec<Fault>, usize) {
        let lines = self.lines;
        let faults = self.faults.into_inner().into_iter();
        let faults = faults.map(|((offset, key, _), problem)| {
            let (line, column) = lines.position(offset);
            let file = self.file.into();
            Fault {
                file,
                line,
                column,
                key,
                problem,
            }
        });
        (faults.collect(), self.more.get())
    }

    /// Every key that was asked for, once, in the order of the asking.
    pub fn into_keys(self) -> Vec<KeyDoc> {
        self.keys.into_inner()
    }
}
