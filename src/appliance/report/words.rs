//! Numbers of the table.

use crate::latency::Summary;
use std::fmt::{self, Formatter};

/// Nanoseconds as milliseconds with three decimals, in a column.
#[allow(clippy::cast_precision_loss)] // for reading
pub(crate) fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Bytes in MiB, for reading.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// One row of the latency table.
pub(crate) fn write_times(f: &mut Formatter<'_>, name: &str, row: &Summary) -> fmt::Result {
    writeln!(
        f,
        "  {name:<22}{:>8}{:>9.3}{:>9.3}{:>9.3}{:>9.3}{:>9.3}{:>9.3}{:>9.3}",
        row.count,
        ms(row.p50),
        ms(row.p90),
        ms(row.p99),
        ms(row.p999),
        ms(row.p9999),
        ms(row.max),
        row.stddev / 1e6
    )
}
