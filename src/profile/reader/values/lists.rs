//! Arrays, and tables of any names.

use super::parser::{Refused, ValueParser};
use crate::profile::reader::diagnostic::Hint;
use crate::profile::reader::text::{describe, elements};
use std::fmt::Debug;
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::DeValue;

/// Entries of a table of any names: more than any device has controls or any model classes.
const MAX_ENTRIES: usize = 1024;

/// What an array may have as elements.
pub trait Element: PartialEq + Debug + 'static {}
impl<T: PartialEq + Debug + 'static> Element for T {}

/// An array of elements that may repeat.
pub fn list<T: Element>(of: ValueParser<T>, length: RangeInclusive<usize>) -> ValueParser<Vec<T>> {
    elements_of("elements", of, length, |_, _| false)
}

/// An array of elements that differ.
pub fn distinct<T: Element>(
    of: ValueParser<T>,
    length: RangeInclusive<usize>,
) -> ValueParser<Vec<T>> {
    elements_of("different elements", of, length, |before, item| {
        before.contains(item)
    })
}

fn elements_of<T: Element>(
    kind: &str,
    element: ValueParser<T>,
    length: RangeInclusive<usize>,
    twice: fn(&[T], &T) -> bool,
) -> ValueParser<Vec<T>> {
    let (least, most, each) = (length.start(), length.end(), element.expected());
    let expected = format!("an array of {least} to {most} {kind}, each {each}");
    ValueParser::new(expected, move |value| {
        let array = value
            .as_array()
            .filter(|array| length.contains(&array.len()));
        let mut out = Vec::new();
        for part in array.ok_or_else(Refused::default)?.iter() {
            let item = element.parse(part.get_ref()).map_err(|refused| {
                let found = refused.found.unwrap_or_else(|| describe(part.get_ref()));
                let hint = refused.hint;
                Refused {
                    hint,
                    ..Refused::at(part, found)
                }
            })?;
            if twice(&out, &item) {
                return Err(Refused::at(part, format!("{item:?} twice")));
            }
            out.push(item);
        }
        Ok(out)
    })
}

/// An array of `N` elements that together pass a test.
pub fn array<T: 'static, const N: usize>(
    expected: &str,
    element: impl Fn(&DeValue<'_>) -> Option<T> + 'static,
    test: fn(&[T; N]) -> bool,
) -> ValueParser<[T; N]> {
    ValueParser::new(expected, move |value| {
        let array = value.as_array().ok_or_else(Refused::default)?;
        let parts = array.iter().map(|part| element(part.get_ref()));
        let parts: Option<Vec<T>> = parts.collect();
        let parts = parts.and_then(|parts| <[T; N]>::try_from(parts).ok());
        parts
            .filter(test)
            .ok_or_else(|| Refused::found(elements(array)))
    })
}

/// A table of any names, each with a value that `entry` makes something of. `shown` is how a message has a name.
pub fn entries<T: 'static>(
    expected: &str,
    shown: fn(&str) -> String,
    entry: impl Fn(&str, &DeValue<'_>) -> Option<T> + 'static,
) -> ValueParser<Vec<T>> {
    ValueParser::new(expected, move |value| {
        let table = value.as_table().ok_or_else(Refused::default)?;
        if table.len() > MAX_ENTRIES {
            let advice = format!("there may be {MAX_ENTRIES} at most");
            return Err(Refused {
                hint: Some(Hint::Advice(advice)),
                ..Refused::found(format!("a table of {}", table.len()))
            });
        }
        let each = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &str = AsRef::<str>::as_ref(name.get_ref());
            entry(name, value.get_ref()).ok_or_else(|| wrong_entry(&shown(name), value))
        };
        table.iter().map(each).collect()
    })
}

/// An entry of a table that is wrong, with its name as a message has it.
pub fn wrong_entry(name: &str, value: &Spanned<DeValue<'_>>) -> Refused {
    Refused::at(value, format!("{name} = {}", describe(value.get_ref())))
}
