//! Zones and lines on the camera's picture: what a sound polygon is, and where a point lies.
//!
//! Coordinates are pixels, y downwards. The tests of sides are made in double precision, which is exact for
//! the single-precision coordinates of pictures: a point is never on both sides of a line, nor on neither
//! by rounding.

/// Corners of one polygon.
pub const CORNERS: std::ops::RangeInclusive<usize> = 3..=16;

/// A point of a picture, in pixels: x to the right, y down.
pub type Point = [f32; 2];

/// On which side of the way from `a` to `b` the point lies: above 0 to the right as the picture shows it,
/// below 0 to the left, 0 on the line through both.
#[must_use]
pub fn side(a: Point, b: Point, point: Point) -> f64 {
    let [ax, ay] = a.map(f64::from);
    let [bx, by] = b.map(f64::from);
    let [px, py] = point.map(f64::from);
    (bx - ax) * (py - ay) - (by - ay) * (px - ax)
}

/// The straight way from `a` to `b` and the one from `c` to `d` have a point in common, their ends included.
#[must_use]
pub fn touch(a: Point, b: Point, c: Point, d: Point) -> bool {
    let (sc, sd) = (side(a, b, c), side(a, b, d));
    let (sa, sb) = (side(c, d, a), side(c, d, b));
    if sc == 0.0 && sd == 0.0 {
        // All on one line: their extents overlap or not.
        let overlap = |axis: usize| {
            a[axis].min(b[axis]) <= c[axis].max(d[axis])
                && c[axis].min(d[axis]) <= a[axis].max(b[axis])
        };
        return overlap(0) && overlap(1);
    }
    let apart = |one: f64, other: f64| (one > 0.0 && other > 0.0) || (one < 0.0 && other < 0.0);
    !apart(sc, sd) && !apart(sa, sb)
}

/// What is wrong with a polygon. Corners and edges are counted from 1, edge n from corner n to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PolygonFault {
    /// A corner outside the picture.
    Outside {
        /// Which.
        corner: usize,
        /// Where.
        at: Point,
    },
    /// Two edges that are not neighbours touch, or two neighbours lie on each other.
    Crossing {
        /// One edge.
        first: usize,
        /// The other.
        second: usize,
    },
    /// Two corners at one place.
    Repeated {
        /// One corner.
        first: usize,
        /// The other.
        second: usize,
    },
    /// All corners lie on one line, or nearly: less than a pixel's area.
    Flat,
}

/// Looks for the first fault of a polygon on a picture of this size.
///
/// # Errors
/// The fault; corners and edges by number.
pub fn check_polygon(corners: &[Point], size_px: (u32, u32)) -> Result<(), PolygonFault> {
    let count = corners.len();
    for (index, at) in corners.iter().enumerate() {
        if !is_inside(*at, size_px) {
            let (corner, at) = (index + 1, *at);
            return Err(PolygonFault::Outside { corner, at });
        }
    }
    for second in 0..count {
        if let Some(first) = corners[..second]
            .iter()
            .position(|corner| *corner == corners[second])
        {
            let (first, second) = (first + 1, second + 1);
            return Err(PolygonFault::Repeated { first, second });
        }
    }
    if let [first, second, rest @ ..] = corners
        && rest
            .iter()
            .all(|corner| side(*first, *second, *corner) == 0.0)
    {
        return Err(PolygonFault::Flat);
    }
    let edge = |index: usize| (corners[index], corners[(index + 1) % count]);
    for second in 1..count {
        for first in 0..second {
            let ((a, b), (c, d)) = (edge(first), edge(second));
            let bad = if second == first + 1 {
                // They share b: wrong only where the second one turns back onto the first.
                touches_again(a, b, d)
            } else if first == 0 && second + 1 == count {
                touches_again(c, d, b)
            } else {
                touch(a, b, c, d)
            };
            if bad {
                let (first, second) = (first + 1, second + 1);
                return Err(PolygonFault::Crossing { first, second });
            }
        }
    }
    if area(corners) < 1.0 {
        return Err(PolygonFault::Flat);
    }
    Ok(())
}

/// The way from `b` to `next` turns back onto the one from `a` to `b`.
fn touches_again(a: Point, b: Point, next: Point) -> bool {
    let dot = (0..2)
        .map(|axis| {
            (f64::from(b[axis]) - f64::from(a[axis])) * (f64::from(next[axis]) - f64::from(b[axis]))
        })
        .sum::<f64>();
    side(a, b, next) == 0.0 && dot < 0.0
}

/// The point lies on the picture, its edges included.
#[must_use]
pub fn is_inside(point: Point, (width_px, height_px): (u32, u32)) -> bool {
    let within = |value: f32, most: u32| (0.0..=f64::from(most)).contains(&f64::from(value));
    within(point[0], width_px) && within(point[1], height_px)
}

/// The polygon's area in square pixels.
fn area(corners: &[Point]) -> f64 {
    let origin = corners.first().copied().unwrap_or_default();
    let sum: f64 = corners
        .windows(2)
        .map(|pair| side(origin, pair[0], pair[1]))
        .sum();
    sum.abs() / 2.0
}

/// The point lies in the polygon: a ray to the right meets its edges an odd number of times. A point on an
/// edge belongs to exactly one of two polygons that share it.
#[must_use]
pub fn contains(corners: &[Point], point: Point) -> bool {
    let mut inside = false;
    let mut before = corners.last().copied().unwrap_or_default();
    for corner in corners.iter().copied() {
        let (low, high) = if before[1] < corner[1] {
            (before, corner)
        } else {
            (corner, before)
        };
        // Half open, so that a corner between two edges counts once.
        if low[1] <= point[1] && point[1] < high[1] && side(low, high, point) > 0.0 {
            inside = !inside;
        }
        before = corner;
    }
    inside
}

/// A polygon, or a line of two points, has a point in common with the part of the picture (left, top, width and
/// height), edges included.
#[must_use]
#[allow(clippy::cast_precision_loss)] // Sides of pictures are exact in single precision.
pub fn meets(points: &[Point], [left, top, width, height]: [u32; 4]) -> bool {
    let [x, y] = [left as f32, top as f32];
    let [right, bottom] = [(left + width) as f32, (top + height) as f32];
    let corners: [Point; 4] = [[x, y], [right, y], [right, bottom], [x, bottom]];
    let within = |[px, py]: Point| (x..=right).contains(&px) && (y..=bottom).contains(&py);
    points.iter().any(|point| within(*point))
        || contains(points, corners[0])
        || (0..points.len()).any(|index| {
            let (a, b) = (points[index], points[(index + 1) % points.len()]);
            (0..4).any(|side| touch(a, b, corners[side], corners[(side + 1) % 4]))
        })
}

#[cfg(test)]
mod tests {
    use super::{Point, PolygonFault, check_polygon, contains, meets, side, touch};
    use proptest::prelude::*;

    const SIZE: (u32, u32) = (640, 480);

    #[track_caller]
    fn fault(corners: &[Point]) -> PolygonFault {
        check_polygon(corners, SIZE).unwrap_err()
    }

    #[test]
    fn right_of_a_way_down_the_picture_is_the_smaller_x() {
        // Looking down the picture, the right hand is at its left edge.
        assert!(side([100.0, 0.0], [100.0, 480.0], [50.0, 240.0]) > 0.0);
        assert!(side([0.0, 100.0], [640.0, 100.0], [320.0, 200.0]) > 0.0);
    }

    #[test]
    fn a_zone_or_a_line_meets_a_part_of_the_picture_in_any_of_three_ways() {
        let part = [100, 100, 200, 100];
        let met = |points: &[Point]| meets(points, part);
        // A corner in it, all of it within the zone, and edges that pass through.
        assert!(met(&[[0.0, 0.0], [150.0, 150.0], [0.0, 480.0]]));
        assert!(met(&[
            [0.0, 0.0],
            [640.0, 0.0],
            [640.0, 480.0],
            [0.0, 480.0]
        ]));
        assert!(met(&[[0.0, 150.0], [640.0, 140.0], [640.0, 160.0]]));
        assert!(met(&[[200.0, 0.0], [200.0, 480.0]]));
        assert!(
            met(&[[300.0, 200.0], [640.0, 480.0]]),
            "its corner is part of it"
        );
        // Beside it, and around one of its corners.
        assert!(!met(&[[301.0, 0.0], [640.0, 0.0], [640.0, 480.0]]));
        assert!(!met(&[[0.0, 201.0], [640.0, 201.0]]));
        assert!(!met(&[[0.0, 0.0], [190.0, 0.0], [0.0, 190.0]]));
        assert!(!met(&[[250.0, 480.0], [640.0, 90.0]]));
    }

    #[test]
    fn each_kind_of_a_bad_polygon_is_named() {
        assert_eq!(
            fault(&[[0.0, 0.0], [640.0, 0.0], [640.0, 481.0]]),
            PolygonFault::Outside {
                corner: 3,
                at: [640.0, 481.0]
            }
        );
        assert!(matches!(
            fault(&[[0.0, f32::NAN], [1.0, 0.0], [1.0, 1.0]]),
            PolygonFault::Outside { corner: 1, .. }
        ));
        assert_eq!(
            fault(&[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [9.0, 0.0]]),
            PolygonFault::Repeated {
                first: 2,
                second: 4
            }
        );
        assert_eq!(
            fault(&[[0.0, 0.0], [100.0, 100.0], [300.0, 300.0]]),
            PolygonFault::Flat
        );
        assert_eq!(
            fault(&[[0.0, 0.0], [1.0, 0.5], [2.0, 1.5], [1.0, 0.75]]),
            PolygonFault::Flat
        );
        // Hourglasses, with halves that are equal and that are not.
        for lower in [50.0, 100.0] {
            assert_eq!(
                fault(&[[0.0, 0.0], [100.0, 100.0], [100.0, 0.0], [0.0, lower]]),
                PolygonFault::Crossing {
                    first: 1,
                    second: 3
                }
            );
        }
        // A spike that turns back onto its own edge.
        assert_eq!(
            fault(&[
                [0.0, 0.0],
                [100.0, 0.0],
                [50.0, 0.0],
                [50.0, 50.0],
                [0.0, 50.0]
            ]),
            PolygonFault::Crossing {
                first: 1,
                second: 2
            }
        );
        // The same at the first corner.
        assert_eq!(
            fault(&[
                [0.0, 0.0],
                [100.0, 0.0],
                [100.0, 50.0],
                [200.0, 50.0],
                [200.0, 0.0]
            ]),
            PolygonFault::Crossing {
                first: 1,
                second: 5
            }
        );
        let whole = [[0.0, 0.0], [640.0, 0.0], [640.0, 480.0], [0.0, 480.0]];
        assert_eq!(check_polygon(&whole, SIZE), Ok(()));
        // Not convex is sound.
        let arrow = [[0.0, 0.0], [300.0, 200.0], [0.0, 400.0], [100.0, 200.0]];
        assert_eq!(check_polygon(&arrow, SIZE), Ok(()));
        assert!(!contains(&arrow, [50.0, 200.0]));
        assert!(contains(&arrow, [150.0, 200.0]));
    }

    #[test]
    fn ways_that_meet_at_an_end_touch() {
        assert!(touch([0.0, 0.0], [2.0, 2.0], [2.0, 2.0], [4.0, 0.0]));
        assert!(touch([0.0, 0.0], [4.0, 0.0], [3.0, 0.0], [9.0, 0.0]));
        assert!(!touch([0.0, 0.0], [2.0, 0.0], [3.0, 0.0], [9.0, 0.0]));
        assert!(!touch([0.0, 0.0], [2.0, 0.0], [1.0, 1.0], [1.0, 3.0]));
    }

    proptest! {

        #![proptest_config(crate::proptest_cases::cases(256))]
        #[test]
        fn a_point_belongs_to_exactly_one_half_of_a_cut_rectangle(
            x in 0_u16..400, y in 0_u16..400, cut_top in 1_u16..400, cut_bottom in 1_u16..400,
        ) {
            let [x, y, top, bottom] = [x, y, cut_top, cut_bottom].map(f32::from);
            let left = [[0.0, 0.0], [top, 0.0], [bottom, 400.0], [0.0, 400.0]];
            let right = [[top, 0.0], [400.0, 0.0], [400.0, 400.0], [bottom, 400.0]];
            prop_assert!(contains(&left, [x, y]) ^ contains(&right, [x, y]));
        }

        #[test]
        fn a_star_shaped_polygon_is_sound_and_contains_its_middle(
            radii in prop::collection::vec(20.0_f32..200.0, 3..=16),
        ) {
            let count = radii.len();
            let corners: Vec<Point> = (0_u16..).zip(&radii).map(|(index, radius)| {
                let angle = f32::from(index) / f32::from(u16::try_from(count).unwrap()) * std::f32::consts::TAU;
                [320.0 + radius * angle.cos(), 240.0 + radius * angle.sin()]
            }).collect();
            prop_assert_eq!(check_polygon(&corners, SIZE), Ok(()));
            prop_assert!(contains(&corners, [320.0, 240.0]));
            prop_assert!(!contains(&corners, [10.0, 10.0]));
        }
    }
}
