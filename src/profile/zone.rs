//! `[[zone]]`: a part of one camera's picture.

use super::camera::Camera;
use super::geometry::{CORNERS, Point, PolygonFault, check_polygon};
use super::picture::{camera, check_reach, on_the_picture, point, shown, size_px};
use super::reader::values::list;
use super::reader::{Located, Place, Table, Tables};

/// `[[zone]]`: a part of one camera's picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Unique among the zones.
    pub name: String,
    /// Name of its camera.
    pub camera: String,
    /// 3..=16 corners in pixels of the requested size: inside the picture, with an area, edges not crossing.
    pub corners_px: Vec<Point>,
}

pub fn read(t: &mut Table<'_>, cameras: &Tables<'_, Camera>) -> Zone {
    const EXAMPLE: &str = "[[100, 100], [500, 100], [500, 700], [100, 700]]";
    let name = t.name("\"doorway\"");
    let camera = camera(t, cameras);
    let corners_px = t.required("corners-px", list(point(), CORNERS), EXAMPLE);
    if let Some(camera) = camera.filter(|_| t.sound(&["corners-px"])) {
        check(t, &corners_px, camera);
    }
    Zone {
        name,
        camera: camera.map(|camera| camera.name.clone()).unwrap_or_default(),
        corners_px,
    }
}

fn check(at: &Place<'_>, corners_px: &[Point], camera: &Located<'_, Camera>) {
    let Some(size_px) = size_px(camera) else {
        return;
    };
    let Err(fault) = check_polygon(corners_px, size_px) else {
        return check_reach(at, "corners-px", corners_px, camera);
    };
    let expected = match fault {
        PolygonFault::Outside { .. } => on_the_picture(camera),
        PolygonFault::Repeated { .. } => {
            "each corner once; the last one need not repeat the first".into()
        }
        PolygonFault::Crossing { .. } => {
            "corners in the order in which one walks around the zone".into()
        }
        PolygonFault::Flat => "corners around an area of at least a pixel".into(),
    };
    let found = match fault {
        PolygonFault::Outside { corner, at } => format!("corner {corner} at {}", shown(at)),
        PolygonFault::Repeated { first, second } => {
            format!("corners {first} and {second} at one place")
        }
        PolygonFault::Crossing { first, second } => {
            format!("edges {first} and {second} that touch (edge n is from corner n to the next)")
        }
        PolygonFault::Flat => "corners on one line".into(),
    };
    at.fault("corners-px", found, expected);
}
