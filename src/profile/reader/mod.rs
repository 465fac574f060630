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
mod lines;
mod meant;
mod place;
mod places;
mod table;
mod tables;
pub mod text;
pub mod values;

pub use collector::{Absent, KeyDoc, MAX_FAULTS};
pub use diagnostic::{Fault, Hint, Problem};
pub use file::{LoadError, load};
pub use place::{Located, Place};
pub use places::{KeyPlace, Places};
pub use table::Table;
pub use tables::Tables;

use collector::{Certain, Collector};
use lines::Lines;
use std::ops::Range;
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
    let lines = Lines::new(text);
    let collector = match errors.is_empty() {
        true => Collector::new(file, text),
        false => Collector::certain(file, text, certain(&lines, text, &errors)),
    };
    let value = Table::top(&collector, document.get_ref(), &read);
    let (mut faults, mut more) = collector.into_faults();
    if errors.is_empty() && faults.is_empty() {
        return Ok(value);
    }
    let (syntax, more_syntax) = syntax(file, text, &lines, errors);
    faults.extend(syntax);
    more += more_syntax;
    // A syntax error first where both are at one place.
    let rank = |fault: &Fault| usize::from(fault.key != "syntax");
    faults.sort_by_key(|fault| (fault.line, fault.column, rank(fault)));
    name_the_right_table(&mut faults, &keys(read));
    Err(capped(faults, more))
}

/// Every key that `read` asks for, in its order.
pub fn keys<T>(read: impl Fn(&mut Table<'_>) -> T) -> Vec<KeyDoc> {
    let collector = Collector::of_keys();
    Table::top(&collector, &DeTable::new(), read);
    collector.into_keys()
}

/// What the syntax errors leave certain. One line may have many errors, and they come by place.
fn certain(lines: &Lines<'_>, text: &str, errors: &[Error]) -> Certain {
    let mut broken: Vec<Range<usize>> = Vec::new();
    for error in errors {
        let line = lines.around(error.span().unwrap_or(0..0).start);
        if broken.last() != Some(&line) {
            broken.push(line);
        }
    }
    broken.sort_by_key(|line| line.start);
    broken.dedup();
    let is_header = |line: &&Range<usize>| {
        let line = text.get(line.start..line.end.min(text.len()));
        line.is_some_and(|line| line.trim_start().starts_with('['))
    };
    // What the error's own line has is not certain either.
    let before = broken
        .iter()
        .find(is_header)
        .map_or(usize::MAX, |line| line.start);
    Certain { broken, before }
}

/// The syntax errors, the first ones by place, and how many there are behind them.
fn syntax(
    file: &str,
    text: &str,
    lines: &Lines<'_>,
    mut errors: Vec<Error>,
) -> (Vec<Fault>, usize) {
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let more = errors.len().saturating_sub(MAX_FAULTS);
    let fault = |error: &Error| {
        let span = error.span().unwrap_or(0..0);
        let (line, column) = lines.position(span.start);
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
    (errors.iter().take(MAX_FAULTS).map(fault).collect(), more)
}

/// No more faults than a person mends at once; behind them, how many there are.
fn capped(mut faults: Vec<Fault>, more: usize) -> Vec<Fault> {
    let count = faults.len().saturating_sub(MAX_FAULTS) + more;
    faults.truncate(MAX_FAULTS);
    if let Some(last) = faults.last().filter(|_| count > 0) {
        let last = Fault {
            problem: Problem::More { count },
            ..last.clone()
        };
        faults.push(last);
    }
    faults
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
