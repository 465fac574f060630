//! What was found: tables to read, rows for programs, a plot.

pub(crate) mod figures;
mod plot;
mod table;

pub(crate) use plot::{Bar, Curve, Plot};
pub(crate) use table::Table;

use crate::error::BenchError;
use crate::harness::machine;
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;

/// What one claim's experiment found.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// The subcommand.
    pub(crate) bench: &'static str,
    /// The question it answers, one line.
    pub(crate) question: String,
    /// Conditions and settings, name and value.
    pub(crate) conditions: Vec<(&'static str, String)>,
    pub(crate) tables: Vec<Table>,
    /// What follows from the figures, and what was not measured.
    pub(crate) notes: Vec<String>,
    pub(crate) rows: Value,
    pub(crate) plot: Plot,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.question)?;
        for (name, value) in machine::conditions().iter().chain(&self.conditions) {
            writeln!(f, "  {name}: {value}")?;
        }
        for table in &self.tables {
            writeln!(f)?;
            if !table.title.is_empty() {
                writeln!(f, "{}", table.title)?;
            }
            write!(f, "{table}")?;
        }
        writeln!(f)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

impl Report {
    /// The same for programs: `bench`, `version`, `machine`, `settings`, `rows`, `notes`.
    pub(crate) fn json(&self) -> Value {
        let object = |pairs: &[(&'static str, String)]| {
            Value::Object(
                pairs
                    .iter()
                    .map(|(name, value)| ((*name).into(), value.as_str().into()))
                    .collect(),
            )
        };
        json!({
            "bench": self.bench,
            "version": env!("CARGO_PKG_VERSION"),
            "machine": object(&machine::conditions()),
            "settings": object(&self.conditions),
            "rows": self.rows,
            "notes": self.notes,
        })
    }

    /// Writes the plot as SVG.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write_svg(&self, path: &Path) -> Result<(), BenchError> {
        let svg = self
            .plot
            .svg(&self.question)
            .map_err(|error| BenchError::file(path, error))?;
        std::fs::write(path, svg).map_err(|error| BenchError::file(path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::{Plot, Report};

    #[test]
    fn json_has_the_keys_that_programs_read() {
        let report = Report {
            bench: "test",
            question: "which is longer?".into(),
            conditions: vec![("cameras", "8".into())],
            tables: Vec::new(),
            notes: vec!["a note".into()],
            rows: serde_json::json!([{"design": "a"}]),
            plot: Plot::Bars {
                axis: String::new(),
                logarithmic: false,
                bars: Vec::new(),
                limit: None,
            },
        };
        for key in ["bench", "version", "machine", "settings", "rows", "notes"] {
            assert!(report.json().get(key).is_some(), "{key}");
        }
    }
}
