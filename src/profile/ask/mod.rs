//! One table of a profile, asked key by key: whoever asks for a key declares it.
//!
//! The keys that were asked for are the keys that the table has. From the same questions come the
//! values, the faults, the refusal of unknown keys, and the list of keys that the documentation is
//! compared with. A faulty key yields a stand-in (its default or its example), so that the reading goes
//! on and finds every other fault; the stand-in is never returned, because a profile with a fault is
//! not.

mod key;

use crate::profile::fault::{Hint, Problem};
use crate::profile::rules::{describe, printable, similar};
use crate::profile::sink::{Sink, TOP};
use key::Key;
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table that is being asked.
#[derive(Debug)]
pub(super) struct Table<'s, 't> {
    sink: &'s Sink<'t>,
    header: &'static str,
    /// Byte of the header; what is missing is reported there.
    offset: usize,
    entries: Option<&'s DeTable<'t>>,
    /// Keys asked for, the byte of each one's value, and whether it may be relied on.
    asked: Vec<Asked>,
    /// Keys that are missing, reported at the end unless a misspelt one explains them.
    missing: Vec<(&'static str, Problem)>,
    /// The path of this table without brackets, for messages.
    prefix: &'static str,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    name: &'static str,
    offset: usize,
    sound: bool,
}

/// What is left of a table that has been read: where its values stand, and which may be relied on.
#[derive(Debug)]
pub(super) struct Places {
    asked: Vec<Asked>,
    offset: usize,
    prefix: &'static str,
}

impl<'s, 't> Table<'s, 't> {
    /// The table under a header such as `[memory]` or `[[camera]]`; `""` is the top of the file. Without
    /// `entries` it is absent, and every key has its default.
    pub(super) fn new(
        sink: &'s Sink<'t>,
        header: &'static str,
        offset: usize,
        entries: Option<&'s DeTable<'t>>,
    ) -> Self {
        let prefix = header.trim_matches(['[', ']']);
        Self {
            sink,
            header,
            offset,
            entries,
            asked: Vec::new(),
            missing: Vec::new(),
            prefix,
        }
    }

    /// Asks for a key.
    pub(super) fn key(&mut self, name: &'static str) -> Key<'_, 's, 't> {
        Key::new(self, name)
    }

    /// A table below this one: its header's byte and its entries.
    pub(super) fn one(&mut self, name: &'static str, header: &'static str) -> Table<'s, 't> {
        let found = self.entry(name);
        self.note(name, found.map_or(self.offset, |(offset, _)| offset), true);
        match found {
            None => Table::new(self.sink, header, self.offset, None),
            Some((offset, value)) => match value.get_ref() {
                DeValue::Table(entries) => Table::new(self.sink, header, offset, Some(entries)),
                other => {
                    let found = if is_tables(other) {
                        format!("`[[{name}]]`")
                    } else {
                        describe(other)
                    };
                    let expected = format!("one table, `[{name}]`");
                    self.sink.fault(
                        offset,
                        name.into(),
                        Problem::Value {
                            found,
                            expected,
                            hint: Hint::None,
                        },
                    );
                    Table::new(self.sink, header, offset, None)
                }
            },
        }
    }

    /// The tables of an array below this one, at least one.
    pub(super) fn many(
        &mut self,
        name: &'static str,
        header: &'static str,
        most: usize,
    ) -> Vec<Table<'s, 't>> {
        self.array(name, header, 1..=most)
    }

    /// The tables of an array below this one, which may be absent.
    pub(super) fn some(
        &mut self,
        name: &'static str,
        header: &'static str,
        most: usize,
    ) -> Vec<Table<'s, 't>> {
        self.array(name, header, 0..=most)
    }

    fn array(
        &mut self,
        name: &'static str,
        header: &'static str,
        count: RangeInclusive<usize>,
    ) -> Vec<Table<'s, 't>> {
        let (least, most) = (count.start(), count.end());
        let expected = format!("{least} to {most} tables `[[{name}]]`");
        let Some((offset, value)) = self.entry(name) else {
            self.note(name, self.offset, *least == 0);
            if *least > 0 {
                self.sink.fault(
                    self.offset,
                    name.into(),
                    Problem::Missing {
                        expected,
                        example: String::new(),
                    },
                );
            }
            return Vec::new();
        };
        let tables: Vec<_> = match value.get_ref() {
            DeValue::Array(array) => array
                .iter()
                .filter_map(|element| Some((element.span().start, element.get_ref().as_table()?)))
                .map(|(offset, entries)| Table::new(self.sink, header, offset, Some(entries)))
                .collect(),
            _ => Vec::new(),
        };
        let whole = value
            .get_ref()
            .as_array()
            .is_some_and(|array| array.len() == tables.len());
        let sound = whole && count.contains(&tables.len());
        self.note(name, offset, sound);
        if !sound {
            let found = match value.get_ref() {
                DeValue::Table(_) => format!("`[{name}]`"),
                DeValue::Array(array) if whole && !array.is_empty() => {
                    format!("{} tables", array.len())
                }
                other => describe(other),
            };
            self.sink.fault(
                offset,
                name.into(),
                Problem::Value {
                    found,
                    expected,
                    hint: Hint::None,
                },
            );
        }
        tables
    }

    /// Ends the reading: what was not asked for is unknown.
    pub(super) fn finish(mut self) -> Places {
        let names: Vec<&'static str> = self.asked.iter().map(|asked| asked.name).collect();
        for (key, _) in self.entries.into_iter().flat_map(DeTable::iter) {
            let word: &str = key.get_ref();
            if names.contains(&word) {
                continue;
            }
            let similar = similar(word, names.iter().copied());
            self.missing.retain(|(name, _)| Some(*name) != similar);
            let hint = match similar {
                Some(name) => Hint::Similar(name.into()),
                None => Hint::Choices(names.clone()),
            };
            self.sink.fault(
                key.span().start,
                self.path(&printable(word)),
                Problem::Unknown {
                    table: self.title(),
                    hint,
                },
            );
        }
        for (name, problem) in std::mem::take(&mut self.missing) {
            self.sink.fault(self.offset, self.path(name), problem);
        }
        Places {
            asked: self.asked,
            offset: self.offset,
            prefix: self.prefix,
        }
    }

    fn entry(&self, name: &str) -> Option<(usize, &'s Spanned<DeValue<'t>>)> {
        let (_, value) = self.entries?.get_key_value(name)?;
        Some((value.span().start, value))
    }

    fn note(&mut self, name: &'static str, offset: usize, sound: bool) {
        self.asked.push(Asked {
            name,
            offset,
            sound,
        });
    }

    fn title(&self) -> String {
        if self.header.is_empty() {
            TOP.into()
        } else {
            self.header.into()
        }
    }

    fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    fn is_sound(&self, name: &str) -> bool {
        self.asked
            .iter()
            .any(|asked| asked.name == name && asked.sound)
    }
}

impl Places {
    /// Whether all these keys' values may be relied on.
    pub(super) fn sound(&self, names: &[&str]) -> bool {
        names.iter().all(|name| {
            self.asked
                .iter()
                .any(|asked| asked.name == *name && asked.sound)
        })
    }

    /// Whether the profile has this key.
    pub(super) fn given(&self, name: &str) -> bool {
        // What is absent stands at the header, where no value can be.
        self.asked
            .iter()
            .any(|asked| asked.name == name && asked.offset != self.offset)
    }

    /// Records that a key's value is at odds with another one.
    pub(super) fn fault(
        &self,
        sink: &Sink<'_>,
        name: &str,
        found: String,
        expected: String,
        hint: Hint,
    ) {
        let asked = self.asked.iter().find(|asked| asked.name == name);
        let offset = asked.map_or(self.offset, |asked| asked.offset);
        let key = if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        };
        sink.fault(
            offset,
            key,
            Problem::Value {
                found,
                expected,
                hint,
            },
        );
    }
}

fn is_tables(value: &DeValue<'_>) -> bool {
    value
        .as_array()
        .is_some_and(|array| array.iter().any(|element| element.get_ref().is_table()))
}
