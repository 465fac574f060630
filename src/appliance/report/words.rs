//! Numbers of the table.

use crate::columns::{Cell, wrap};
use crate::latency::Summary;
use std::fmt::{self, Display, Formatter};

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

/// A number in a column of seven, with as many of three decimals as it has room for.
pub(crate) struct Figure(pub(crate) f64);

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // As it is rounded.
        let decimals = match self.0 {
            small if small < 99.9995 => 3,
            larger if larger < 999.995 => 2,
            large if large < 9_999.95 => 1,
            _ => 0,
        };
        write!(f, "{:>7.decimals$}", self.0)
    }
}

/// One row of the latency table.
pub(crate) fn write_times(f: &mut Formatter<'_>, name: &str, row: &Summary) -> fmt::Result {
    write!(f, "  {}{:>9}", Cell(name, 20), row.count)?;
    let times = [row.p50, row.p90, row.p99, row.p999, row.p9999, row.max].map(ms);
    let figures = times.into_iter().chain([row.stddev / 1e6]);
    figures.map(Figure).try_for_each(|figure| figure.fmt(f))?;
    writeln!(f)
}

/// A line, or several where it is too long: each behind `indent` blanks.
pub(crate) fn write_line(
    f: &mut Formatter<'_>,
    indent: usize,
    text: fmt::Arguments<'_>,
) -> fmt::Result {
    write!(f, "{:indent$}", "")?;
    wrap(f, indent, indent + 2, &text.to_string())
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_figure_keeps_its_seven_columns_and_a_blank_before_it() {
        let of = |ms| Figure(ms).to_string();
        assert_eq!(of(0.057), "  0.057");
        assert_eq!(of(99.9994), " 99.999");
        assert_eq!(of(99.9996), " 100.00");
        assert_eq!(of(999.994), " 999.99");
        assert_eq!(of(4015.04), " 4015.0");
        assert_eq!(of(9_999.96), "  10000");
        assert_eq!(of(999_999.0), " 999999");
    }
}
