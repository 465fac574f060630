//! What an experiment found: a table to read, rows for programs, a plot.

use super::machine;
use plotters::prelude::{
    BLACK, ChartBuilder, EmptyElement, IntoDrawingArea as _, IntoLogRange as _, LineSeries,
    PathElement, RGBColor, Rectangle, SVGBackend, SeriesLabelPosition, Text, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, TextStyle};
use serde_json::{Value, json};
use std::fmt;

/// Why an experiment gave no figures.
#[derive(Debug)]
pub enum BenchError {
    /// A setting that cannot be measured, and what can.
    Setting(String),
    /// The machine refused something, in its own words.
    Machine(String),
    /// A file could not be written.
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}

impl BenchError {
    /// What the machine refused, in its own words.
    pub(super) fn machine(error: impl fmt::Display) -> Self {
        Self::Machine(error.to_string())
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(what) | Self::Machine(what) => f.write_str(what),
            Self::File { path, reason } => write!(f, "{}: {reason}", path.display()),
        }
    }
}

impl std::error::Error for BenchError {}

/// Columns and rows of text. The first column is aligned to the left, the others to the right.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// A line above it; may be empty.
    pub(super) title: String,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
                widest.max(self.columns[column].chars().count())
            })
            .collect();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for (column, (cell, &width)) in cells.zip(&widths).enumerate() {
                if column == 0 {
                    text += &format!("{cell:<width$}");
                } else {
                    text += &format!("  {cell:>width$}");
                }
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(&mut self.columns.iter().copied())?;
        self.rows
            .iter()
            .try_for_each(|row| line(&mut row.iter().map(String::as_str)))
    }
}

/// A plot of the figures.
#[derive(Clone, Debug)]
pub(super) enum Plot {
    /// One bar a row.
    Bars {
        /// What a bar's length says, with its unit.
        axis: String,
        /// Lengths are compared by their logarithms.
        logarithmic: bool,
        /// Name and length of each bar.
        bars: Vec<(String, f64)>,
        /// A line across the bars: name and value.
        limit: Option<(String, f64)>,
    },
    /// One line a series.
    Lines {
        /// What x says, with its unit.
        x_axis: String,
        /// What y says, with its unit.
        y_axis: String,
        /// y is drawn by its logarithm.
        logarithmic: bool,
        /// Name and points of each line, by rising x.
        series: Vec<(String, Vec<(f64, f64)>)>,
    },
}

/// What an experiment found.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) bench: &'static str,
    /// The question it answers, one line.
    pub(super) question: String,
    /// Conditions and settings, name and value.
    pub(super) conditions: Vec<(&'static str, String)>,
    pub(super) tables: Vec<Table>,
    /// What follows from the figures, and what was not measured.
    pub(super) notes: Vec<String>,
    pub(super) rows: Value,
    pub(super) plot: Plot,
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
    #[must_use]
    pub fn json(&self) -> Value {
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
    pub fn write_svg(&self, path: &std::path::Path) -> Result<(), BenchError> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|reason| BenchError::File {
            path: path.into(),
            reason,
        })?;
        std::fs::write(path, svg).map_err(|error| BenchError::File {
            path: path.into(),
            reason: error.to_string(),
        })
    }

    fn draw(&self, svg: &mut String) -> Result<(), String> {
        let drawn = match &self.plot {
            Plot::Bars {
                axis,
                logarithmic,
                bars,
                limit,
            } => {
                let height = 110 + 34 * u32::try_from(bars.len()).unwrap_or(64).min(64);
                let root = SVGBackend::with_string(svg, (WIDTH_PX, height)).into_drawing_area();
                draw_bars(
                    &root,
                    &self.question,
                    axis,
                    *logarithmic,
                    bars,
                    limit.as_ref(),
                )
            }
            Plot::Lines {
                x_axis,
                y_axis,
                logarithmic,
                series,
            } => {
                let root = SVGBackend::with_string(svg, (WIDTH_PX, 480)).into_drawing_area();
                draw_lines(
                    &root,
                    &self.question,
                    [x_axis, y_axis],
                    *logarithmic,
                    series,
                )
            }
        };
        drawn.map_err(|error| error.to_string())
    }
}

const WIDTH_PX: u32 = 960;
/// Colours that stay apart in print and for colour-blind readers (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

type Area<'a> = plotters::drawing::DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_bars(
    root: &Area<'_>,
    caption: &str,
    axis: &str,
    logarithmic: bool,
    bars: &[(String, f64)],
    limit: Option<&(String, f64)>,
) -> Drawn {
    // Lengths are drawn on a linear axis of exponents, so that one code path serves both.
    let scaled = |value: f64| {
        if logarithmic {
            value.max(1e-9).log10()
        } else {
            value
        }
    };
    let lengths = bars
        .iter()
        .map(|bar| bar.1)
        .chain(limit.map(|limit| limit.1));
    let (mut least, mut most) = (f64::INFINITY, 0_f64);
    for length in lengths.filter(|&length| length > 0.0) {
        least = least.min(length);
        most = most.max(length);
    }
    let from = if logarithmic && least.is_finite() {
        scaled(least).floor() - 0.3
    } else {
        0.0
    };
    let to = if most > 0.0 {
        from + (scaled(most) - from) * 1.25
    } else {
        from + 1.0
    };
    root.fill(&WHITE)?;
    // The limit's name has a line of its own above the bars.
    let headroom = if limit.is_some() { 0.7 } else { 0.0 };
    let rows = i32::try_from(bars.len()).unwrap_or(i32::MAX);
    let mut chart = ChartBuilder::on(root)
        .caption(caption, ("sans-serif", 17).into_font())
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(190)
        .build_cartesian_2d(from..to, 0.0..f64::from(rows) + headroom)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_desc(axis)
        .x_label_formatter(&|value| {
            short(if logarithmic {
                10_f64.powf(*value)
            } else {
                *value
            })
        })
        .draw()?;
    let name =
        TextStyle::from(("sans-serif", 14).into_font()).pos(Pos::new(HPos::Right, VPos::Center));
    let figure =
        TextStyle::from(("sans-serif", 13).into_font()).pos(Pos::new(HPos::Left, VPos::Center));
    for (row, (label, length)) in (0..rows).zip(bars) {
        let y = f64::from(rows - row) - 0.5;
        let end = scaled(*length).max(from);
        let colour = COLOURS[usize::try_from(row).unwrap_or(0) % COLOURS.len()];
        chart.draw_series([Rectangle::new(
            [(from, y - 0.32), (end, y + 0.32)],
            colour.filled(),
        )])?;
        chart.draw_series([
            EmptyElement::at((end, y)) + Text::new(short(*length), (6, 0), figure.clone())
        ])?;
        chart.draw_series([
            EmptyElement::at((from, y)) + Text::new(label.clone(), (-8, 0), name.clone())
        ])?;
    }
    if let Some((label, value)) = limit {
        let x = scaled(*value);
        chart.draw_series([PathElement::new(
            [(x, 0.0), (x, f64::from(rows) + headroom)],
            BLACK.stroke_width(1),
        )])?;
        chart
            .draw_series([EmptyElement::at((x, f64::from(rows) + 0.3))
                + Text::new(label.clone(), (4, 0), figure)])?;
    }
    root.present()?;
    Ok(())
}

fn draw_lines(
    root: &Area<'_>,
    caption: &str,
    [x_axis, y_axis]: [&str; 2],
    logarithmic: bool,
    series: &[(String, Vec<(f64, f64)>)],
) -> Drawn {
    let points = || series.iter().flat_map(|line| line.1.iter());
    let x_from = points()
        .map(|point| point.0)
        .fold(f64::INFINITY, f64::min)
        .min(1e300);
    let x_to = points().map(|point| point.0).fold(x_from + 1e-9, f64::max);
    let y_to = points().map(|point| point.1).fold(1e-9, f64::max) * 1.1;
    let least = points()
        .map(|point| point.1)
        .filter(|&y| y > 0.0)
        .fold(y_to, f64::min);
    root.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(root);
    builder
        .caption(caption, ("sans-serif", 17).into_font())
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(70);
    // The two axes are of different types, so the rest is written once for both.
    macro_rules! draw_on {
        ($y_range:expr) => {{
            let mut chart = builder.build_cartesian_2d(x_from..x_to, $y_range)?;
            chart
                .configure_mesh()
                .x_desc(x_axis)
                .y_desc(y_axis)
                .x_label_formatter(&|x| short(*x))
                .y_label_formatter(&|y| short(*y))
                .draw()?;
            for (index, (label, points)) in series.iter().enumerate() {
                let colour = COLOURS[index % COLOURS.len()];
                chart
                    .draw_series(LineSeries::new(
                        points.iter().copied(),
                        colour.stroke_width(2),
                    ))?
                    .label(label)
                    .legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3))
                    });
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .draw()?;
        }};
    }
    if logarithmic {
        draw_on!((least * 0.8..y_to).log_scale());
    } else {
        draw_on!(0.0..y_to);
    }
    root.present()?;
    Ok(())
}

/// A figure in few characters.
pub(super) fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e9 {
        format!("{:.3}G", value / 1e9)
    } else if magnitude >= 1e6 {
        format!("{:.2}M", value / 1e6)
    } else if magnitude >= 1e4 {
        format!("{:.1}k", value / 1e3)
    } else if magnitude >= 100.0 || value == value.trunc() {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// Nanoseconds as milliseconds.
pub(super) fn ms(ns: u64) -> String {
    format!("{:.2}", milliseconds(ns))
}

/// Nanoseconds as milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a figure to be read, not to be added up"
)]
pub(super) fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// `value` over `base`; a dash where there is nothing to compare with.
pub(super) fn ratio(value: f64, base: f64) -> String {
    if base > 0.0 {
        format!("{:.3}", value / base)
    } else {
        "-".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(plot: Plot) -> Report {
        Report {
            bench: "test",
            question: "which is longer?".into(),
            conditions: vec![("cameras", "8".into())],
            tables: vec![Table {
                title: String::new(),
                columns: vec!["design", "ms"],
                rows: vec![
                    vec!["a".into(), "1.00".into()],
                    vec!["longer".into(), "10.00".into()],
                ],
            }],
            notes: vec!["a note".into()],
            rows: json!([{"design": "a"}]),
            plot,
        }
    }

    #[test]
    fn columns_line_up_whatever_their_width() {
        let text = report(Plot::Bars {
            axis: String::new(),
            logarithmic: false,
            bars: Vec::new(),
            limit: None,
        })
        .tables[0]
            .to_string();
        assert_eq!(text, "design     ms\na        1.00\nlonger  10.00\n");
    }

    #[test]
    fn every_kind_of_plot_is_a_whole_svg_that_names_its_series() {
        let bars = vec![("first".to_owned(), 0.0), ("second".to_owned(), 1e6)];
        let lines = vec![
            ("first".to_owned(), vec![(0.0, 1.0), (1.0, 300.0)]),
            ("second".to_owned(), Vec::new()),
        ];
        let mut plots = Vec::new();
        for logarithmic in [false, true] {
            plots.push(Plot::Bars {
                axis: "ms".into(),
                logarithmic,
                bars: bars.clone(),
                limit: Some(("limit".into(), 10.0)),
            });
            plots.push(Plot::Lines {
                x_axis: "x".into(),
                y_axis: "y".into(),
                logarithmic,
                series: lines.clone(),
            });
        }
        for plot in plots {
            let mut svg = String::new();
            report(plot)
                .draw(&mut svg)
                .expect("a string takes any plot");
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            assert!(svg.contains("first") && svg.contains("second"));
        }
    }

    #[test]
    fn json_has_the_keys_that_programs_read() {
        let json = report(Plot::Bars {
            axis: String::new(),
            logarithmic: false,
            bars: Vec::new(),
            limit: None,
        })
        .json();
        for key in ["bench", "version", "machine", "settings", "rows", "notes"] {
            assert!(json.get(key).is_some(), "{key}");
        }
    }
}
