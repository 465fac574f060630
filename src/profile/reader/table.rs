//! One table of a file, asked key by key: whoever asks for a key declares it.

use super::collector::Collector;
use super::diagnostic::{Hint, Problem};
use super::key::Keys;
use super::meant::meant;
use super::place::{Located, Place, title};
use super::tables::Tables;
use super::text::{describe, printable};
use super::values::{ValueParser, name};
use std::ops::{Deref, RangeInclusive};
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table that is being read.
#[derive(Debug)]
pub struct Table<'a> {
    at: Place<'a>,
}

impl<'a> Deref for Table<'a> {
    type Target = Place<'a>;
    fn deref(&self) -> &Place<'a> {
        &self.at
    }
}

impl<'a> Table<'a> {
    /// Reads the top of a file.
    pub(super) fn top<T>(
        collector: &'a Collector<'a>,
        entries: &'a DeTable<'a>,
        read: impl Fn(&mut Table<'_>) -> T,
    ) -> T {
        let at = Place::new(collector, "", 0, Some(entries));
        Self { at }.read(read).value
    }

    /// The keys that make sense in any case.
    fn always(&mut self) -> Keys<'_, 'a> {
        Keys::new(&mut self.at, None)
    }

    /// The keys that make sense only where `decider` (asked for before) has one of these values, which `holds` tells.
    pub fn only(&mut self, decider: &'static str, values: &[&str], holds: bool) -> Keys<'_, 'a> {
        Keys::new(&mut self.at, Some((decider, values, holds)))
    }

    /// A value that must be there. `example` is one that would do, written as in TOML.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        values: ValueParser<T>,
        example: &'static str,
    ) -> T {
        self.always().required(key, values, example)
    }

    /// A value, or `default`, written as in TOML.
    pub fn or<T>(&mut self, key: &'static str, values: ValueParser<T>, default: &'static str) -> T {
        self.always().or(key, values, default)
    }

    /// A value, where there is one. `otherwise` is what holds where there is none, in words.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        values: ValueParser<T>,
        otherwise: &'static str,
    ) -> Option<T> {
        self.always().optional(key, values, otherwise)
    }

    /// What other tables call this one.
    pub fn name(&mut self, example: &'static str) -> String {
        let name = self.required("name", name(), example);
        self.at.name.clone_from(&name);
        name
    }

    /// A path of the file: a relative one starts at the file's directory.
    pub fn join(&self, path: &str) -> PathBuf {
        self.at.collector.join(path)
    }

    /// A table below this one; with its defaults where the file does not have it.
    pub fn table<T>(
        &mut self,
        header: &'static str,
        read: impl Fn(&mut Table<'_>) -> T,
    ) -> Located<'a, T> {
        let key = header.trim_matches(['[', ']']);
        let (mut offset, mut entries) = (self.offset, None);
        if let Some(value) = self.entry(key) {
            offset = value.span().start;
            entries = value.get_ref().as_table();
            if entries.is_none() {
                let array = value.get_ref().as_array().into_iter().flatten();
                let found = match array.map(Spanned::get_ref).any(DeValue::is_table) {
                    true => format!("`[[{key}]]`"),
                    false => describe(value.get_ref()),
                };
                let expected = format!("one table, `{header}`");
                self.report(offset, key, || Problem::value(found, expected, Hint::None));
            }
        }
        self.at.asked.push((key, offset, true));
        let at = Place::new(self.at.collector, header, offset, entries);
        Table { at }.read(read)
    }

    /// The tables of an array below this one. Where each has a name, no two have the same.
    pub fn tables<T>(
        &mut self,
        header: &'static str,
        count: RangeInclusive<usize>,
        read: impl Fn(&mut Table<'_>) -> T,
    ) -> Tables<'a, T> {
        let key = header.trim_matches(['[', ']']);
        let found = self.entry(key);
        let offset = found.map_or(self.offset, |value| value.span().start);
        let array = found.and_then(|value| value.get_ref().as_array());
        let elements = array.into_iter().flatten();
        let tables: Vec<(usize, Option<&DeTable<'_>>)> = elements
            .filter(|each| each.get_ref().is_table())
            .map(|each| (each.span().start, each.get_ref().as_table()))
            .collect();
        let whole = array.is_none_or(|array| array.len() == tables.len());
        // What is beyond the limit is not read: it has one fault, that it is there.
        let (most, too_many) = (*count.end(), tables.len() > *count.end());
        let expected = format!("{} to {} tables `{header}`", count.start(), count.end());
        let problem = match found.map(Spanned::get_ref) {
            None if count.contains(&0) => None,
            None => Some(Problem::Missing { expected }),
            Some(DeValue::Array(_)) if whole && count.contains(&tables.len()) => None,
            Some(value) => {
                let found = match value {
                    DeValue::Table(_) => format!("`[{key}]`"),
                    DeValue::Array(array) if whole && !array.is_empty() => {
                        format!("{} tables", array.len())
                    }
                    other => describe(other),
                };
                Some(Problem::value(found, expected, Hint::None))
            }
        };
        self.at.asked.push((key, offset, problem.is_none()));
        if let Some(problem) = problem {
            self.report(offset, key, || problem);
        }
        let collector = self.at.collector;
        let tables = if collector.of_keys {
            vec![(0, None)]
        } else {
            tables
        };
        let tables = tables.into_iter().take(most).map(|(start, entries)| {
            let at = Place::new(collector, header, start, entries);
            Table { at }.read(&read)
        });
        Tables::new(header, tables.collect(), !too_many)
    }

    /// Reads it; what was not asked for is unknown.
    fn read<T>(mut self, read: impl Fn(&mut Table<'_>) -> T) -> Located<'a, T> {
        let value = read(&mut self);
        let names: Vec<&'static str> = self.asked.iter().map(|(name, ..)| *name).collect();
        for (key, _) in self.entries.into_iter().flatten() {
            let word: &str = key.get_ref();
            if names.contains(&word) {
                continue;
            }
            let similar = std::cell::Cell::new(None);
            let table = title(self.header);
            self.report(key.span().start, &printable(word), || {
                similar.set(meant(word, &names));
                let hint = match similar.get() {
                    Some(name) => Hint::Similar(name.into()),
                    None => Hint::Choices(names.clone()),
                };
                Problem::Unknown { table, hint }
            });
            let similar = similar.get();
            self.at.missing.retain(|(name, _)| Some(*name) != similar);
        }
        for (name, problem) in std::mem::take(&mut self.at.missing) {
            self.report(self.offset, name, || problem);
        }
        Located { value, at: self.at }
    }
}
