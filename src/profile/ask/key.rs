//! One question to a table: a key, the condition under which it makes sense, its rule, and what holds
//! where it is absent.

use super::Table;
use crate::profile::fault::{Hint, Problem};
use crate::profile::rules::{Rule, alternatives, describe};
use crate::profile::sink::{Absent, KeyDoc};
use toml::de::DeValue;

/// A key that is being asked for.
#[derive(Debug)]
pub(in crate::profile) struct Key<'a, 's, 't> {
    table: &'a mut Table<'s, 't>,
    name: &'static str,
    belongs: Belongs,
    belongs_to: Option<String>,
}

impl<'a, 's, 't> Key<'a, 's, 't> {
    pub(super) fn new(table: &'a mut Table<'s, 't>, name: &'static str) -> Self {
        Self {
            table,
            name,
            belongs: Belongs::Here,
            belongs_to: None,
        }
    }
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
    pub(in crate::profile) fn only(self, decider: &'static str, value: &str, holds: bool) -> Self {
        self.only_any(decider, &[value], holds)
    }

    /// The key makes sense only where `decider` has one of these values, which `holds` tells.
    pub(in crate::profile) fn only_any(
        mut self,
        decider: &'static str,
        values: &[&str],
        holds: bool,
    ) -> Self {
        self.belongs = match (self.table.is_sound(decider), holds) {
            (false, _) => Belongs::Unknown,
            (true, true) => Belongs::Here,
            (true, false) => Belongs::Elsewhere,
        };
        let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        self.belongs_to = Some(format!("{decider} = {}", alternatives(&values)));
        self
    }

    /// The value, which must be there. `example` is one that would do, written as in TOML.
    pub(in crate::profile) fn required<R: Rule>(
        mut self,
        rule: R,
        example: &'static str,
    ) -> R::Out {
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
    pub(in crate::profile) fn or<R: Rule>(mut self, rule: R, default: &'static str) -> R::Out {
        match self.answer(&rule, Absent::Default(default)) {
            Answer::Sound(value) => value,
            Answer::Absent | Answer::Faulty => literal(&rule, default),
        }
    }

    /// The value, where there is one.
    pub(in crate::profile) fn optional<R: Rule>(mut self, rule: R) -> Option<R::Out> {
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
