//! A promise in the proof: what was promised, whether it was kept, and what mends it.

use crate::columns::wrap;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::{self, Formatter};

/// Where the words of a line begin.
const INDENT: usize = 8;

/// One promise.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Promise {
    /// As `[promises]` of the profile names it.
    pub name: &'static str,
    /// It was kept.
    pub kept: bool,
    /// The profile holds the run to it.
    pub demanded: bool,
    /// What was promised, in words.
    pub promise: &'static str,
    /// What was measured, in `unit`.
    pub measured: f64,
    /// The most that would have kept it.
    pub bound: f64,
    /// Unit of `measured` and `bound`.
    pub unit: &'static str,
    /// What was found, in words.
    pub found: String,
    /// What to do about it; nothing where it was kept.
    pub mend: Option<String>,
}

impl Promise {
    /// A promise that nothing of a kind happens.
    #[allow(clippy::cast_precision_loss)] // for reading
    pub(super) fn none_of(
        (name, demanded): (&'static str, bool),
        promise: &'static str,
        (count, unit): (u64, &'static str),
        mend: impl FnOnce() -> String,
    ) -> Self {
        Self {
            name,
            kept: count == 0,
            demanded,
            promise,
            measured: count as f64,
            bound: 0.0,
            unit,
            found: match count {
                0 => String::new(),
                count => format!("{count} {unit}"),
            },
            mend: (count > 0).then(mend),
        }
    }

    /// The line of the table, and what mends it.
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = if self.kept { "PASS" } else { "FAIL" };
        let colon = if self.found.is_empty() { "" } else { ": " };
        let demand = match (self.kept, self.demanded) {
            (false, true) => " (demanded)",
            _ => "",
        };
        let text = format!("{}{colon}{}{demand}", self.promise, self.found);
        write!(f, "  {verdict}  ")?;
        wrap(f, INDENT, INDENT + 2, &text)?;
        let Some(mend) = &self.mend else {
            return Ok(());
        };
        write!(f, "{:INDENT$}> ", "")?;
        wrap(f, INDENT + 2, INDENT + 2, mend)
    }
}

pub(crate) fn write(f: &mut Formatter<'_>, promises: &[Promise]) -> fmt::Result {
    promises.iter().try_for_each(|promise| promise.write(f))
}
