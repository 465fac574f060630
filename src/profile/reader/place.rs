//! Where a table's values stand, and which of them may be relied on.

use super::collector::Collector;
use super::diagnostic::{Hint, Problem};
use std::ops::Deref;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table that is being read or was: where its values stand, and which may be relied on.
#[derive(Debug)]
pub struct Place<'a> {
    pub(super) collector: &'a Collector<'a>,
    /// Such as `[memory]` or `[[camera]]`; empty for the top of the file.
    pub(super) header: &'static str,
    /// Byte of the header; what is missing is reported there.
    pub(super) offset: usize,
    /// Keys asked for, the byte of each one's value, and whether it may be relied on.
    pub(super) asked: Vec<(&'static str, usize, bool)>,
    /// What other tables call this one, where it has a name.
    pub(super) name: String,
    /// Its place among the tables of its kind.
    pub index: usize,
    /// `None` where the file does not have it: then every key has its default.
    pub(super) entries: Option<&'a DeTable<'a>>,
    /// Keys that are missing, reported at the end unless a misspelt one explains them.
    pub(super) missing: Vec<(&'static str, Problem)>,
}

/// What a table made, with where it stands.
#[derive(Debug)]
pub struct Located<'a, T> {
    pub value: T,
    pub at: Place<'a>,
}

impl<T> Deref for Located<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'a> Place<'a> {
    pub(super) fn new(
        collector: &'a Collector<'a>,
        header: &'static str,
        offset: usize,
        entries: Option<&'a DeTable<'a>>,
    ) -> Self {
        let (asked, missing, name, index) = (Vec::new(), Vec::new(), String::new(), 0);
        Self {
            collector,
            header,
            offset,
            asked,
            name,
            index,
            entries,
            missing,
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries?.get(key)
    }

    /// Whether all these keys' values may be relied on.
    pub fn sound(&self, names: &[&str]) -> bool {
        let sound = |name| {
            self.asked
                .iter()
                .any(|(asked, _, sound)| asked == name && *sound)
        };
        names.iter().all(sound)
    }

    /// Whether the file has this key.
    pub fn given(&self, name: &str) -> bool {
        // What is absent stands at the header, where no value can be.
        self.asked
            .iter()
            .any(|(asked, at, _)| *asked == name && *at != self.offset)
    }

    /// Records that a key's value is at odds with another one.
    pub fn fault(&self, key: &str, found: impl Into<String>, expected: impl Into<String>) {
        self.fault_with(key, found, expected, Hint::None);
    }

    /// The same, with what could be meant.
    pub fn fault_with(
        &self,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: Hint,
    ) {
        self.fault_by(key, || Problem::value(found, expected, hint));
    }

    /// The same, worked out only where it is reported: for what there may be many of.
    pub fn fault_by(&self, key: &str, problem: impl FnOnce() -> Problem) {
        let asked = self.asked.iter().find(|(asked, ..)| *asked == key);
        let offset = asked.map_or(self.offset, |(_, at, _)| *at);
        self.report(offset, key, problem);
    }

    /// Name of its table, without brackets.
    pub(super) fn table(&self) -> &'static str {
        self.header.trim_matches(['[', ']'])
    }

    /// Its keys, each with the line of its value, or of the header where it is absent.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let asked = self.asked.iter();
        asked.map(|(key, at, _)| (*key, self.collector.line(*at)))
    }

    /// The file that it stands in.
    pub fn file(&self) -> &str {
        self.collector.file()
    }

    pub(super) fn report(&self, offset: usize, key: &str, problem: impl FnOnce() -> Problem) {
        let table = self.table();
        let dot = if table.is_empty() { "" } else { "." };
        self.collector
            .fault(offset, format!("{table}{dot}{key}"), problem);
    }
}

/// What a table is called in messages.
pub fn title(header: &'static str) -> &'static str {
    if header.is_empty() {
        "the top of the file"
    } else {
        header
    }
}
