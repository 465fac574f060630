//! Reads a TOML file whose tables and keys its callers declare; knows nothing of what they mean.
//!
//! A caller asks a [`Table`] for each of its keys: by what is asked, the reader knows the keys that there are. The same
//! questions give the values, the faults, the refusal of unknown keys, and the list of keys that the documentation is
//! compared with. A faulty key gives a stand-in (its default or its example), so that the reading goes on and finds
//! every other fault; the stand-in is never returned, because a file with a fault gives no value.

mod collector;
mod diagnostic;
mod file;
mod key;
mod place;
mod table;
mod tables;
pub mod text;
pub mod values;

pub use collector::{Absent, KeyDoc};
pub use diagnostic::{Fault, Hint, Problem};
pub use file::{LoadError, load};
pub use place::{Located, Place};
pub use table::Table;
pub use tables::Tables;

use collector::Collector;
use diagnostic::position;
use text::printable;
use toml::de::{DeTable, Error};

/// Reads a text whose top `read` asks for its keys and tables. `file` names it in messages; its directory is where
/// relative paths start.
///
/// # Errors
/// Every fault of the text, by line; never empty. Where the text is not TOML, the faults of the parts that could be
/// read for certain are among them.
pub fn read<T>(
    file: &str,
    text: &str,
    read: impl Fn(&mut Table<'_>) -> T,
) -> Result<T, Vec<Fault>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let collector = Collector::new(file, text);
    let value = Table::top(&collector, document.get_ref(), &read);
    let mut faults = collector.into_faults();
    if !errors.is_empty() {
        faults = beside_syntax(file, text, &errors, faults);
    } else if faults.is_empty() {
        return Ok(value);
    }
    name_the_right_table(&mut faults, &keys(read));
    Err(faults)
}

/// Every key that `read` asks for, in its order.
pub fn keys<T>(read: impl Fn(&mut Table<'_>) -> T) -> Vec<KeyDoc> {
    let collector = Collector::of_keys();
    Table::top(&collector, &DeTable::new(), read);
    collector.into_keys()
}

/// The syntax errors, and of the other faults those that the errors cannot have caused: not that something is
/// missing, nothing on the lines of an error, and nothing after a broken table header, where keys are taken for
/// another table's.
fn beside_syntax(file: &str, text: &str, errors: &[Error], faults: Vec<Fault>) -> Vec<Fault> {
    let syntax = |error: &Error| {
        let span = error.span().unwrap_or(0..0);
        let (line, column) = position(text, span.start);
        let at = text.get(span).map(printable).filter(|at| !at.is_empty());
        let at = at.map(|at| format!("found `{at}`: ")).unwrap_or_default();
        let message = format!("{at}{}", error.message());
        let (file, key) = (file.into(), "syntax".into());
        Fault {
            file,
            line,
            column,
            key,
            problem: Problem::Syntax { message },
        }
    };
    let mut out: Vec<Fault> = errors.iter().map(syntax).collect();
    let broken: Vec<usize> = out.iter().map(|fault| fault.line).collect();
    let lines: Vec<&str> = text.lines().collect();
    let is_header = |line: &&usize| {
        lines
            .get(**line - 1)
            .is_some_and(|text| text.trim_start().starts_with('['))
    };
    let first_header = broken
        .iter()
        .filter(is_header)
        .min()
        .copied()
        .unwrap_or(usize::MAX);
    out.extend(faults.into_iter().filter(|fault| {
        let certain = matches!(
            fault.problem,
            Problem::Unknown { .. } | Problem::Value { .. }
        );
        certain && fault.line < first_header && !broken.contains(&fault.line)
    }));
    out.sort_by_key(|fault| (fault.line, fault.column));
    out
}

/// A key that stands in the wrong table is better explained by the table that has it than by a list.
fn name_the_right_table(faults: &mut [Fault], keys: &[KeyDoc]) {
    for fault in faults {
        let Problem::Unknown { hint, .. } = &mut fault.problem else {
            continue;
        };
        let name = fault.key.rsplit('.').next().unwrap_or_default();
        let right = keys.iter().find(|key| key.name == name);
        if let (Hint::Choices(_), Some(key)) = (&*hint, right) {
            *hint = Hint::Table(place::title(key.table).into());
        }
    }
}
