//! One question to a table: a key, the condition under which it makes sense, its values, and what holds where it is
//! absent.

use super::collector::{Absent, KeyDoc};
use super::diagnostic::{Hint, Problem};
use super::place::Place;
use super::text::{alternatives, describe, in_quotes};
use super::values::ValueParser;
use toml::de::DeValue;

/// Keys of a table that make sense under one condition.
#[derive(Debug)]
pub struct Keys<'k, 'a> {
    at: &'k mut Place<'a>,
    belongs: Belongs,
    belongs_to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Belongs {
    Here,
    /// The key that decides has another value.
    Elsewhere,
    /// The key that decides is faulty itself.
    Unknown,
}

impl<'k, 'a> Keys<'k, 'a> {
    /// Under a condition: the key that decides, its values, and whether it has one of them.
    pub(super) fn new(at: &'k mut Place<'a>, only: Option<(&str, &[&str], bool)>) -> Self {
        let belongs = match only {
            Some((decider, ..)) if !at.sound(&[decider]) => Belongs::Unknown,
            Some((.., false)) => Belongs::Elsewhere,
            _ => Belongs::Here,
        };
        let belongs_to = only.map(|(decider, values, _)| {
            let values = in_quotes(values.iter().copied());
            format!("{decider} = {}", alternatives(&values))
        });
        Self {
            at,
            belongs,
            belongs_to,
        }
    }

    /// A value that must be there. `example` is one that would do, written as in TOML.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        values: ValueParser<T>,
        example: &'static str,
    ) -> T {
        let answer = self.answer(key, &values, Absent::Fault);
        if answer.is_none() && self.belongs == Belongs::Here && self.at.entry(key).is_none() {
            let expected = format!("{}; for example `{key} = {example}`", values.brief());
            self.at.missing.push((key, Problem::Missing { expected }));
        }
        answer.unwrap_or_else(|| literal(&values, example))
    }

    /// A value, or `default`, written as in TOML.
    pub fn or<T>(&mut self, key: &'static str, values: ValueParser<T>, default: &'static str) -> T {
        let answer = self.answer(key, &values, Absent::Default(default));
        answer.unwrap_or_else(|| literal(&values, default))
    }

    /// A value, where there is one. `otherwise` is what holds where there is none, in words.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        values: ValueParser<T>,
        otherwise: &'static str,
    ) -> Option<T> {
        self.answer(key, &values, Absent::Derived(otherwise))
    }

    /// Documents the key, then looks for it, reports what is wrong with it, and notes whether what the caller will
    /// make of the answer may be relied on.
    fn answer<T>(
        &mut self,
        name: &'static str,
        values: &ValueParser<T>,
        absent: Absent,
    ) -> Option<T> {
        let at = &mut *self.at;
        at.collector.document(KeyDoc {
            table: at.header,
            name,
            expected: values.expected().to_owned(),
            absent,
            belongs_to: self.belongs_to.clone(),
        });
        let Some(value) = at.entry(name) else {
            let sound = absent != Absent::Fault && self.belongs == Belongs::Here;
            let offset = at.offset;
            at.asked.push((name, offset, sound));
            return None;
        };
        let offset = value.span().start;
        let found = || describe(value.get_ref());
        let (start, problem) = match values.parse(value.get_ref()) {
            _ if self.belongs == Belongs::Elsewhere => {
                let belongs_to = self.belongs_to.clone().unwrap_or_default();
                (
                    offset,
                    Problem::Misplaced {
                        found: found(),
                        belongs_to,
                    },
                )
            }
            Ok(parsed) => {
                at.asked.push((name, offset, true));
                return Some(parsed);
            }
            Err(refused) => {
                let start = refused.span.map_or(offset, |span| span.start);
                let found = refused.found.unwrap_or_else(found);
                let hint = refused.hint.unwrap_or(Hint::None);
                (
                    start,
                    Problem::Value {
                        found,
                        expected: values.brief().to_owned(),
                        hint,
                    },
                )
            }
        };
        at.asked.push((name, offset, false));
        at.report(start, name, || problem);
        None
    }
}

/// The value of a default or an example of this program's own.
///
/// # Panics
/// When the key does not take it. Every key's literal is read each time its table is, so the tests see it.
fn literal<T>(values: &ValueParser<T>, text: &'static str) -> T {
    let value =
        DeValue::parse(text).unwrap_or_else(|error| panic!("`{text}` is not TOML: {error}"));
    let parsed = values.parse(value.get_ref());
    parsed.unwrap_or_else(|_| panic!("`{text}` is not {}", values.expected()))
}
