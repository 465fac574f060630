//! The tables of one kind, which others name.

use super::diagnostic::{Hint, Problem};
use super::place::{Located, Place};
use super::text::{quoted, some_quoted};
use std::ops::Deref;

/// All tables under one header, in the order of the file.
#[derive(Debug)]
pub struct Tables<'a, T> {
    header: &'static str,
    tables: Vec<Located<'a, T>>,
    /// The file has no more of them than were read.
    whole: bool,
}

impl<'a, T> Deref for Tables<'a, T> {
    type Target = [Located<'a, T>];
    fn deref(&self) -> &[Located<'a, T>] {
        &self.tables
    }
}

impl<'a, T> Tables<'a, T> {
    /// A name that is there twice is a fault.
    pub(super) fn new(header: &'static str, mut tables: Vec<Located<'a, T>>, whole: bool) -> Self {
        for (index, table) in tables.iter_mut().enumerate() {
            table.at.index = index;
        }
        let all = Self {
            header,
            tables,
            whole,
        };
        for (index, Located { at, .. }) in all.iter().enumerate() {
            let again =
                |other: &Located<'_, T>| other.at.sound(&["name"]) && other.at.name == at.name;
            if at.sound(&["name"]) && all[..index].iter().any(again) {
                let found = format!("{} again", quoted(&at.name));
                at.fault("name", found, "a name that no other table of its kind has");
            }
        }
        all
    }

    /// What they made.
    pub fn into_values(self) -> Vec<T> {
        self.tables.into_iter().map(|table| table.value).collect()
    }

    /// Whether all names may be relied on: otherwise a reference that finds nothing may be right.
    pub fn all_named(&self) -> bool {
        self.whole && self.iter().all(|table| table.at.sound(&["name"]))
    }

    /// Whether all were read: there are no more in the file than there may be.
    pub fn all_read(&self) -> bool {
        self.whole
    }

    /// The table with this name.
    pub fn find(&self, name: &str) -> Option<&Located<'a, T>> {
        self.iter()
            .find(|table| table.at.sound(&["name"]) && table.at.name == name)
    }

    /// The table that `key` of `from` means: by name, or the only one where no name is given. A name
    /// that no table has is a fault.
    pub fn refer(&self, from: &Place<'_>, key: &str, name: &str) -> Option<&Located<'a, T>> {
        if !from.sound(&[key]) {
            return None;
        }
        let given = from.given(key);
        let found = match &self[..] {
            [only] if !given => Some(only),
            _ if given => self.find(name),
            _ => None,
        };
        // Where there have to be tables and are none, that is reported already.
        if found.is_none() && self.all_named() && (!self.is_empty() || given) {
            self.unknown(
                from,
                key,
                given.then_some(name),
                &format!("the name of a {}", self.header),
            );
        }
        found
    }

    /// Reports a name that no table has.
    pub fn unknown(&self, from: &Place<'_>, key: &str, name: Option<&str>, expected: &str) {
        let names = || self.iter().map(|table| table.at.name.as_str());
        from.fault_by(key, || {
            let known = match self.is_empty() {
                true => "there is none".into(),
                false => some_quoted(names()),
            };
            let found = name.map_or("nothing".into(), quoted);
            let hint = name.map_or(Hint::None, |name| Hint::similar(name, names()));
            Problem::value(found, format!("{expected}: {known}"), hint)
        });
    }
}
