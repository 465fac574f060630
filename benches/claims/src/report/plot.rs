//! The figures as a picture (SVG): ours in colour, what it is compared with in grey, each by its name.

use super::figures::short;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    BLACK, Cartesian2d, ChartBuilder, ChartContext, Color as _, DashedLineSeries, EmptyElement,
    IntoDrawingArea as _, IntoFont as _, IntoLogRange as _, LineSeries, PathElement, RGBColor,
    Rectangle, SVGBackend, ShapeStyle, Text, TextStyle, WHITE,
};
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What is drawn.
#[derive(Clone, Debug)]
pub(crate) enum Plot {
    Bars {
        /// What a bar's length says, with its unit.
        axis: String,
        /// Lengths are compared by their logarithms.
        logarithmic: bool,
        bars: Vec<Bar>,
        /// A line across the bars: name and value.
        limit: Option<(String, f64)>,
    },
    Curves {
        /// What x says, with its unit.
        x_axis: String,
        /// What y says, with its unit.
        y_axis: String,
        /// y is drawn by its logarithm.
        logarithmic: bool,
        curves: Vec<Curve>,
    },
}

/// One bar of a plot.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) length: f64,
    /// It is what the product does, and not what it is compared with.
    pub(crate) ours: bool,
}

/// One curve of a plot.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// By rising x.
    pub(crate) points: Vec<(f64, f64)>,
    /// It is what the product does, and not what it is compared with.
    pub(crate) ours: bool,
}

impl Plot {
    /// The picture as the text of an SVG file.
    ///
    /// # Errors
    /// In the words of plotters.
    pub(crate) fn svg(&self, caption: &str) -> Result<String, String> {
        let mut svg = String::new();
        let drawn = match self {
            Self::Bars {
                axis,
                logarithmic,
                bars,
                limit,
            } => {
                let height_px = 110 + 34 * u32::try_from(bars.len()).unwrap_or(64).min(64);
                let root = area(&mut svg, height_px);
                draw_bars(&root, caption, axis, *logarithmic, bars, limit.as_ref())
            }
            Self::Curves {
                x_axis,
                y_axis,
                logarithmic,
                curves,
            } => {
                let root = area(&mut svg, CURVES_HEIGHT_PX);
                draw_curves(&root, caption, [x_axis, y_axis], *logarithmic, curves)
            }
        };
        drawn.map_err(|error| error.to_string())?;
        Ok(svg)
    }
}

type Area<'a> = plotters::drawing::DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Chart<'a, 'svg, Y> = ChartContext<'a, SVGBackend<'svg>, Cartesian2d<RangedCoordf64, Y>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

const WIDTH_PX: u32 = 960;
const CURVES_HEIGHT_PX: u32 = 480;
/// Between the plot and the picture's edge.
const MARGIN_PX: u32 = 12;
const FONT: &str = "sans-serif";
const FONT_PX: i32 = 14;
/// Width of a character of that size, about.
const CHARACTER_PX: u32 = 8;
/// From one name at the curves' ends to the next.
const LINE_PX: i32 = 17;
/// From a curve's end to its name.
const LEADER_PX: i32 = 16;

/// A blue that is told from grey by colour-blind readers, too (Okabe and Ito).
const OURS: RGBColor = RGBColor(0, 114, 178);
/// Shades that are told apart, and dark enough for a name on white.
const OTHERS: [RGBColor; 3] = [
    RGBColor(70, 70, 70),
    RGBColor(105, 105, 105),
    RGBColor(135, 135, 135),
];
const OTHER_BARS: RGBColor = RGBColor(170, 170, 170);
/// Lighter than any curve.
const GRID: RGBColor = RGBColor(225, 225, 225);

fn area(svg: &mut String, height_px: u32) -> Area<'_> {
    SVGBackend::with_string(svg, (WIDTH_PX, height_px)).into_drawing_area()
}

/// A name or a figure, vertically centred on its place.
fn words(colour: RGBColor, bold: bool, side: HPos) -> TextStyle<'static> {
    let style = if bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    (FONT, FONT_PX, style)
        .into_font()
        .color(&colour)
        .pos(Pos::new(side, VPos::Center))
}

fn longest_px<'a>(names: impl Iterator<Item = &'a String>) -> u32 {
    let characters = names.map(|name| name.chars().count()).max().unwrap_or(0);
    CHARACTER_PX * u32::try_from(characters).unwrap_or(64).min(64)
}

fn draw_bars(
    root: &Area<'_>,
    caption: &str,
    axis: &str,
    logarithmic: bool,
    bars: &[Bar],
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
        .map(|bar| bar.length)
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
        .caption(caption, (FONT, 17).into_font())
        .margin(MARGIN_PX)
        .x_label_area_size(44)
        .y_label_area_size(24 + longest_px(bars.iter().map(|bar| &bar.name)))
        .build_cartesian_2d(from..to, 0.0..f64::from(rows) + headroom)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .x_desc(axis)
        .x_label_formatter(&|value| {
            short(if logarithmic {
                10_f64.powf(*value)
            } else {
                *value
            })
        })
        .draw()?;
    for (row, bar) in (0..rows).zip(bars) {
        let y = f64::from(rows - row) - 0.5;
        let end = scaled(bar.length).max(from);
        let colour = if bar.ours { OURS } else { OTHER_BARS };
        let text = if bar.ours { OURS } else { OTHERS[0] };
        let name = Text::new(
            bar.name.clone(),
            (-8, 0),
            words(text, bar.ours, HPos::Right),
        );
        let figure = Text::new(short(bar.length), (6, 0), words(text, bar.ours, HPos::Left));
        chart.draw_series([Rectangle::new(
            [(from, y - 0.32), (end, y + 0.32)],
            colour.filled(),
        )])?;
        chart.draw_series([EmptyElement::at((end, y)) + figure])?;
        chart.draw_series([EmptyElement::at((from, y)) + name])?;
    }
    if let Some((label, value)) = limit {
        let x = scaled(*value);
        let across = [(x, 0.0), (x, f64::from(rows) + headroom)];
        let name = Text::new(label.clone(), (4, 0), words(BLACK, false, HPos::Left));
        chart.draw_series([PathElement::new(across, BLACK.stroke_width(1))])?;
        chart.draw_series([EmptyElement::at((x, f64::from(rows) + 0.3)) + name])?;
    }
    root.present()?;
    Ok(())
}

fn draw_curves(
    root: &Area<'_>,
    caption: &str,
    axes: [&str; 2],
    logarithmic: bool,
    curves: &[Curve],
) -> Drawn {
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
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
    let names_px = longest_px(curves.iter().map(|curve| &curve.name));
    let mut builder = ChartBuilder::on(root);
    builder
        .caption(caption, (FONT, 17).into_font())
        .margin(MARGIN_PX)
        .margin_right(MARGIN_PX + LEADER_PX.unsigned_abs() + names_px)
        .x_label_area_size(44)
        .y_label_area_size(70);
    // The two scales are of different types.
    if logarithmic {
        let y_range = (least * 0.8..y_to).log_scale();
        fill_chart(
            root,
            builder.build_cartesian_2d(x_from..x_to, y_range)?,
            axes,
            curves,
        )?;
    } else {
        fill_chart(
            root,
            builder.build_cartesian_2d(x_from..x_to, 0.0..y_to)?,
            axes,
            curves,
        )?;
    }
    root.present()?;
    Ok(())
}

fn fill_chart<Y>(
    root: &Area<'_>,
    mut chart: Chart<'_, '_, Y>,
    [x_axis, y_axis]: [&str; 2],
    curves: &[Curve],
) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .x_desc(x_axis)
        .y_desc(y_axis)
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| short(*y))
        .draw()?;
    // Ours last: it lies above the others.
    let order = {
        let mut order: Vec<usize> = (0..curves.len()).collect();
        order.sort_by_key(|&index| curves[index].ours);
        order
    };
    for index in order {
        let Curve { points, ours, .. } = &curves[index];
        let style = stroke(index, *ours);
        let points = points.iter().copied();
        if *ours || index % 2 == 0 {
            chart.draw_series(LineSeries::new(points, style))?;
        } else {
            chart.draw_series(DashedLineSeries::new(points, 7, 4, style))?;
        }
    }
    let (_, rows) = chart.plotting_area().get_pixel_range();
    let ends: Vec<(i32, i32)> = curves
        .iter()
        .map(|curve| match curve.points.last() {
            Some(point) => chart.backend_coord(point),
            None => (0, rows.end),
        })
        .collect();
    name_ends(root, curves, &ends, rows.end)
}

/// Writes each curve's name beside its end.
fn name_ends(root: &Area<'_>, curves: &[Curve], ends: &[(i32, i32)], bottom_px: i32) -> Drawn {
    let right = ends.iter().map(|end| end.0).max().unwrap_or(0) + LEADER_PX;
    let heights: Vec<i32> = ends.iter().map(|end| end.1).collect();
    let places = apart(&heights, bottom_px);
    for (index, ((curve, &end), place)) in curves.iter().zip(ends).zip(places).enumerate() {
        let colour = colour(index, curve.ours);
        if !curve.points.is_empty() {
            let leader = PathElement::new([end, (right - 3, place)], colour.stroke_width(1));
            root.draw(&leader)?;
        }
        let style = words(colour, curve.ours, HPos::Left);
        root.draw(&Text::new(curve.name.clone(), (right, place), style))?;
    }
    Ok(())
}

fn colour(index: usize, ours: bool) -> RGBColor {
    if ours {
        OURS
    } else {
        OTHERS[index % OTHERS.len()]
    }
}

fn stroke(index: usize, ours: bool) -> ShapeStyle {
    colour(index, ours).stroke_width(if ours { 4 } else { 1 })
}

/// Heights for the names of curves that end at these, in the same order: a line apart, the lowest not below
/// `bottom`, each as near to its curve's end as the others leave it.
fn apart(ends: &[i32], bottom: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by_key(|&index| ends[index]);
    let mut places = ends.to_vec();
    // Downwards from the highest, then upwards from the lowest where that went too far.
    let mut least = i32::MIN;
    for &index in &order {
        places[index] = places[index].max(least);
        least = places[index] + LINE_PX;
    }
    let mut most = bottom;
    for &index in order.iter().rev() {
        places[index] = places[index].min(most);
        most = places[index] - LINE_PX;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::{Bar, Curve, LINE_PX, OURS, Plot, apart};

    fn bar(name: &str, length: f64, ours: bool) -> Bar {
        let name = name.to_owned();
        Bar { name, length, ours }
    }

    fn curve(name: &str, points: &[(f64, f64)], ours: bool) -> Curve {
        Curve {
            name: name.to_owned(),
            points: points.to_vec(),
            ours,
        }
    }

    #[test]
    fn every_kind_of_plot_is_a_whole_svg_that_names_its_series() {
        let mut plots = Vec::new();
        for logarithmic in [false, true] {
            plots.push(Plot::Bars {
                axis: "ms".into(),
                logarithmic,
                bars: vec![bar("first", 0.0, false), bar("second", 1e6, true)],
                limit: Some(("limit".into(), 10.0)),
            });
            plots.push(Plot::Curves {
                x_axis: "x".into(),
                y_axis: "y".into(),
                logarithmic,
                curves: vec![
                    curve("first", &[(0.0, 1.0), (1.0, 300.0)], true),
                    curve("second", &[], false),
                ],
            });
        }
        for plot in plots {
            let svg = plot
                .svg("which is longer?")
                .expect("a string takes any plot");
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            assert!(svg.contains("first") && svg.contains("second"));
        }
    }

    #[test]
    fn only_ours_has_a_colour_and_it_is_drawn_above_the_others() {
        let points = [(0.0, 1.0), (1.0, 300.0)];
        let svg = Plot::Curves {
            x_axis: String::new(),
            y_axis: String::new(),
            logarithmic: true,
            curves: vec![
                curve("ours", &points, true),
                curve("first", &points, false),
                curve("second", &points, false),
            ],
        }
        .svg("")
        .unwrap();
        let colour = format!("#{:02X}{:02X}{:02X}", OURS.0, OURS.1, OURS.2);
        let curves: Vec<&str> = svg
            .lines()
            .filter(|line| line.starts_with("<polyline") && line.contains("fill=\"none\""))
            .collect();
        let bold: Vec<usize> = (0..curves.len())
            .filter(|&index| curves[index].contains("stroke-width=\"4\""))
            .collect();
        assert_eq!(bold.len(), 1, "{svg}");
        for (index, line) in curves.iter().enumerate() {
            let is_ours = line.contains(&colour);
            assert_eq!(is_ours && index <= bold[0], index == bold[0], "{line}");
        }
    }

    #[test]
    fn names_of_curves_that_end_close_together_do_not_lie_on_each_other() {
        let bottom = 400;
        for ends in [
            vec![],
            vec![10],
            vec![399, 400, 398],
            vec![200, 200, 201, 60, 399],
        ] {
            let places = apart(&ends, bottom);
            let mut sorted = places.clone();
            sorted.sort_unstable();
            assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= LINE_PX));
            assert!(places.iter().all(|&place| place <= bottom));
        }
        assert_eq!(apart(&[300, 100], bottom), [300, 100], "they have the room");
    }
}
