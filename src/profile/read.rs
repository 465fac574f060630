//! From text to a checked [`Board`], or to every fault of the text at once.

use crate::limits::{MAX_EVENT_OUTPUTS, MAX_RULES, MAX_WORKERS};
use crate::profile::ask::Table;
use crate::profile::fault::{Fault, Hint, LoadError, Problem};
use crate::profile::rules::printable;
use crate::profile::sink::{KeyDoc, Sink, TOP, position};
use crate::profile::{Board, checks, keys};
use std::io::Read;
use std::path::Path;
use toml::de::{DeTable, Error};

/// The most that is read of a file: profiles are a few KiB, and `/dev/zero` is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads a profile from a file.
///
/// # Errors
/// The file cannot be read, is not text, or has faults: then all of them.
pub fn load(path: &Path) -> Result<Board, LoadError> {
    let unreadable = |error| LoadError::Unreadable {
        path: path.into(),
        error,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let read = file
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(LoadError::TooLarge {
            path: path.into(),
            limit_bytes: MAX_FILE_BYTES,
        });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        LoadError::NotText {
            path: path.into(),
            line,
        }
    })?;
    self::read(&path.to_string_lossy(), &text).map_err(LoadError::Faults)
}

/// Reads a profile from text. `file` names it in messages; its directory is where relative paths start.
///
/// # Errors
/// Every fault of the text, by line; never empty. Where the text is not TOML, the faults of the parts
/// that could be read for certain are among them.
pub fn read(file: &str, text: &str) -> Result<Board, Vec<Fault>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let sink = Sink::new(file, text);
    let base = Path::new(file).parent().unwrap_or(Path::new(""));
    let board = tables(&sink, document.get_ref(), base);
    let mut faults = sink.into_faults();
    if !errors.is_empty() {
        faults = beside_syntax(file, text, &errors, faults);
    } else if faults.is_empty() {
        return Ok(board);
    }
    name_the_right_table(&mut faults);
    Err(faults)
}

/// Every key that a profile may have, in the order of the reference.
#[must_use]
pub fn key_list() -> Vec<KeyDoc> {
    let text = "[[camera]]\n[[model]]\n[[worker]]\n[[zone]]\n[[line]]\n[[rule]]\n[[output]]\n";
    let (document, _) = DeTable::parse_recoverable(text);
    let sink = Sink::new("", text);
    tables(&sink, document.get_ref(), Path::new(""));
    sink.into_keys()
}

/// Reads every table and checks them. What comes back is a board only if the sink has no fault.
fn tables(sink: &Sink<'_>, document: &DeTable<'_>, base: &Path) -> Board {
    let mut t = Table::new(sink, "", 0, Some(document));
    let top = keys::top(&mut t);
    let (memory, _) = keys::memory(t.one("memory", "[memory]"));
    let cameras: Vec<_> = t
        .many("camera", "[[camera]]", keys::CAMERAS)
        .into_iter()
        .map(|table| keys::camera(table, base))
        .collect();
    let (capture, _) = keys::capture(t.one("capture", "[capture]"));
    let models: Vec<_> = t
        .many("model", "[[model]]", keys::MAX_MODELS)
        .into_iter()
        .map(|table| keys::model(table, base))
        .collect();
    let workers: Vec<_> = t
        .many("worker", "[[worker]]", MAX_WORKERS)
        .into_iter()
        .map(keys::worker)
        .collect();
    let (housekeeping, _) = keys::housekeeping(t.one("housekeeping", "[housekeeping]"));
    let tracker = keys::tracker(t.one("tracker", "[tracker]"));
    let mut zones: Vec<_> = t
        .some("zone", "[[zone]]", MAX_RULES)
        .into_iter()
        .map(keys::zone)
        .collect();
    let mut lines: Vec<_> = t
        .some("line", "[[line]]", MAX_RULES)
        .into_iter()
        .map(keys::line)
        .collect();
    let rules: Vec<_> = t
        .some("rule", "[[rule]]", MAX_RULES)
        .into_iter()
        .map(keys::rule)
        .collect();
    let outputs: Vec<_> = t
        .some("output", "[[output]]", MAX_EVENT_OUTPUTS)
        .into_iter()
        .map(keys::output)
        .collect();
    let places = t.finish();

    checks::top(sink, &top, &places);
    checks::cameras(sink, &cameras, &workers);
    checks::models(sink, &models);
    checks::workers(sink, &workers, &models, &cameras);
    checks::zones(sink, &mut zones, &cameras);
    checks::lines(sink, &mut lines, &cameras);
    let referred = checks::Referred {
        cameras: &cameras,
        models: &models,
        workers: &workers,
        zones: &zones,
        lines: &lines,
        tracker: &tracker,
    };
    let rules = checks::rules(sink, rules, &referred);
    checks::paces(sink, &cameras, &tracker, &rules);
    let outputs = checks::outputs(sink, outputs, &rules);
    Board {
        name: top.name,
        strict: top.strict,
        absent_core: top.absent_core,
        memory,
        cameras: cameras.into_iter().map(|(camera, _)| camera).collect(),
        capture,
        models: models.into_iter().map(|(model, _)| model).collect(),
        workers: workers.into_iter().map(|(worker, _)| worker).collect(),
        housekeeping,
        tracker: tracker.0,
        zones: zones.into_iter().map(|(zone, _)| zone).collect(),
        lines: lines.into_iter().map(|(line, _)| line).collect(),
        rules: rules.into_iter().map(|(rule, _)| rule).collect(),
        outputs,
    }
}

/// The syntax errors, and of the other faults those that the errors cannot have caused: not that
/// something is missing, nothing on the lines of an error, and nothing after a broken table header,
/// where keys are taken for another table's.
fn beside_syntax(file: &str, text: &str, errors: &[Error], faults: Vec<Fault>) -> Vec<Fault> {
    let mut out: Vec<Fault> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            let (line, column) = position(text, span.start);
            let at = text.get(span).map(printable).filter(|at| !at.is_empty());
            let at = at.map(|at| format!("`{at}`")).unwrap_or_default();
            let problem = Problem::Syntax {
                message: error.message().into(),
                at,
            };
            Fault {
                file: file.into(),
                line,
                column,
                key: "syntax".into(),
                problem,
            }
        })
        .collect();
    let broken: Vec<usize> = out.iter().map(|fault| fault.line).collect();
    let is_header = |line: &&usize| {
        text.lines()
            .nth(*line - 1)
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
fn name_the_right_table(faults: &mut [Fault]) {
    let keys = key_list();
    for fault in faults {
        let Problem::Unknown { hint, .. } = &mut fault.problem else {
            continue;
        };
        let name = fault.key.rsplit('.').next().unwrap_or_default();
        let tables: Vec<&str> = keys
            .iter()
            .filter(|key| key.name == name)
            .map(|key| key.table)
            .collect();
        if let (Hint::Choices(_), [table, ..]) = (&*hint, &*tables) {
            let table = if table.is_empty() { TOP } else { table };
            *hint = Hint::Table(table.into());
        }
    }
}
