//! One table of a profile, asked key by key: whoever asks for a key declares it.
//!
//! The keys that were asked for are the keys that the table has. From the same questions come the
//! values, the faults, the refusal of unknown keys, and the list of keys that the documentation is
//! compared with. A faulty key yields a stand-in (its default or its example), so that the reading goes
//! on and finds every other fault; the stand-in is never returned, because a profile with a fault is
//! not.

use crate::board::fault::{Fault, Hint, Problem};
use crate::board::rules::{Rule, describe, printable, similar};
use std::cell::RefCell;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
    fn document(&self, key: KeyDoc) {
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
        Key {
            table: self,
            name,
            belongs: Belongs::Here,
            belongs_to: None,
        }
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

    /// The tables of an array below this one.
    pub(super) fn many(
        &mut self,
        name: &'static str,
        header: &'static str,
        most: usize,
    ) -> Vec<Table<'s, 't>> {
        let expected = format!("1 to {most} tables `[[{name}]]`");
        let Some((offset, value)) = self.entry(name) else {
            self.note(name, self.offset, false);
            self.sink.fault(
                self.offset,
                name.into(),
                Problem::Missing {
                    expected,
                    example: String::new(),
                },
            );
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
        let sound = whole && (1..=most).contains(&tables.len());
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

/// A key that is being asked for.
#[derive(Debug)]
pub(super) struct Key<'a, 's, 't> {
    table: &'a mut Table<'s, 't>,
    name: &'static str,
    belongs: Belongs,
    belongs_to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Belongs {
    Here,
    /// The key that decides has a value to which this one says nothing.
    Elsewhere,
    /// The key that decides is faulty itself.
    Unknown,
}

impl Key<'_, '_, '_> {
    /// The key makes sense only where `decider` (asked for before) has this value, which `holds` tells.
    pub(super) fn only(mut self, decider: &'static str, value: &str, holds: bool) -> Self {
        self.belongs = match (self.table.is_sound(decider), holds) {
            (false, _) => Belongs::Unknown,
            (true, true) => Belongs::Here,
            (true, false) => Belongs::Elsewhere,
        };
        self.belongs_to = Some(format!("{decider} = \"{value}\""));
        self
    }

    /// The value, which must be there. `example` is one that would do, written as in TOML.
    pub(super) fn required<R: Rule>(mut self, rule: R, example: &'static str) -> R::Out {
        let answer = self.answer(&rule, Absent::Fault);
        if matches!(answer, Answer::Absent) && self.belongs == Belongs::Here {
            let example = format!("{} = {example}", self.name);
            let problem = Problem::Missing {
                expected: rule.expected(),
                example,
            };
            self.table.missing.push((self.name, problem));
        }
        match answer {
            Answer::Sound(value) => value,
            Answer::Absent | Answer::Faulty => literal(&rule, example),
        }
    }

    /// The value, or `default`, written as in TOML.
    pub(super) fn or<R: Rule>(mut self, rule: R, default: &'static str) -> R::Out {
        match self.answer(&rule, Absent::Default(default)) {
            Answer::Sound(value) => value,
            Answer::Absent | Answer::Faulty => literal(&rule, default),
        }
    }

    /// The value, where there is one.
    pub(super) fn optional<R: Rule>(mut self, rule: R) -> Option<R::Out> {
        match self.answer(&rule, Absent::Derived) {
            Answer::Sound(value) => Some(value),
            Answer::Absent | Answer::Faulty => None,
        }
    }

    /// Documents the key, then looks for it, reports what is wrong with it, and notes whether what the
    /// caller will make of the answer may be relied on.
    fn answer<R: Rule>(&mut self, rule: &R, absent: Absent) -> Answer<R::Out> {
        let table = &mut *self.table;
        table.sink.document(KeyDoc {
            table: table.header,
            name: self.name,
            expected: rule.expected(),
            absent,
            belongs_to: self.belongs_to.clone(),
        });
        let Some((offset, value)) = table.entry(self.name) else {
            let sound = absent != Absent::Fault && self.belongs == Belongs::Here;
            table.note(self.name, table.offset, sound);
            return Answer::Absent;
        };
        let (at, problem) = match (rule.take(value.get_ref()), self.belongs) {
            (_, Belongs::Elsewhere) => {
                let belongs_to = self.belongs_to.clone().unwrap_or_default();
                (
                    offset,
                    Problem::Misplaced {
                        found: describe(value.get_ref()),
                        belongs_to,
                    },
                )
            }
            (Ok(value), _) => {
                table.note(self.name, offset, true);
                return Answer::Sound(value);
            }
            (Err(refused), _) => {
                let found = refused.found.unwrap_or_else(|| describe(value.get_ref()));
                let hint = refused.hint.unwrap_or(Hint::None);
                let at = refused.span.map_or(offset, |span| span.start);
                (
                    at,
                    Problem::Value {
                        found,
                        expected: rule.expected(),
                        hint,
                    },
                )
            }
        };
        table.note(self.name, offset, false);
        table.sink.fault(at, table.path(self.name), problem);
        Answer::Faulty
    }
}

enum Answer<T> {
    Sound(T),
    Absent,
    Faulty,
}

/// The value of a default or an example of this program's own.
///
/// # Panics
/// When the rule refuses it. Every key's literal is read each time its table is, so the tests see it.
fn literal<R: Rule>(rule: &R, text: &'static str) -> R::Out {
    let value =
        DeValue::parse(text).unwrap_or_else(|error| panic!("`{text}` is not TOML: {error}"));
    rule.take(value.get_ref())
        .unwrap_or_else(|_| panic!("`{text}` is not {}", rule.expected()))
}

fn is_tables(value: &DeValue<'_>) -> bool {
    value
        .as_array()
        .is_some_and(|array| array.iter().any(|element| element.get_ref().is_table()))
}
