//! Where the faults and the keys of a reading are collected.

use crate::profile::fault::{Fault, Problem};
use std::cell::RefCell;

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

/// What the table without a header is called in messages.
pub(super) const TOP: &str = "the top of the file";

/// What an absent key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// A fault.
    Fault,
    /// This value, written as in TOML.
    Default(&'static str),
    /// What its documentation says.
    Derived,
}

/// Where faults and keys are collected.
#[derive(Debug)]
pub(super) struct Sink<'t> {
    file: &'t str,
    text: &'t str,
    faults: RefCell<Vec<Fault>>,
    keys: RefCell<Vec<KeyDoc>>,
}

impl<'t> Sink<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            faults: RefCell::default(),
            keys: RefCell::default(),
        }
    }

    /// Records a fault at a byte of the text.
    pub(super) fn fault(&self, offset: usize, key: String, problem: Problem) {
        let (line, column) = position(self.text, offset);
        self.faults.borrow_mut().push(Fault {
            file: self.file.into(),
            line,
            column,
            key,
            problem,
        });
    }

    /// Records that a key exists.
    pub(super) fn document(&self, key: KeyDoc) {
        let mut keys = self.keys.borrow_mut();
        if !keys
            .iter()
            .any(|known| (known.table, known.name) == (key.table, key.name))
        {
            keys.push(key);
        }
    }

    /// The faults, by place.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by(|a, b| (a.line, a.column, &a.key).cmp(&(b.line, b.column, &b.key)));
        faults
    }

    /// Every key that was asked for, once, in the order of the asking.
    pub(super) fn into_keys(self) -> Vec<KeyDoc> {
        self.keys.into_inner()
    }
}

/// Line and column (in characters) of a byte, both from 1.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text
        .as_bytes()
        .get(..offset.min(text.len()))
        .unwrap_or_default();
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (
        line,
        String::from_utf8_lossy(&before[line_start..])
            .chars()
            .count()
            + 1,
    )
}
