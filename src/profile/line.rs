//! `[[line]]`: a line on one camera's picture, which is crossed.

use super::camera::Camera;
use super::geometry::{Point, is_inside};
use super::picture::{camera, check_reach, on_the_picture, point, shown, size_px};
use super::reader::{Located, Place, Table, Tables};

/// `[[line]]`: a line on one camera's picture, which is crossed.
#[derive(Clone, Debug, PartialEq)]
pub struct Tripwire {
    /// Unique among the lines.
    pub name: String,
    /// Name of its camera.
    pub camera: String,
    /// Where it begins, in pixels of the requested size, inside the picture.
    pub from_px: Point,
    /// Where it ends; another point.
    pub to_px: Point,
}

pub fn read(t: &mut Table<'_>, cameras: &Tables<'_, Camera>) -> Tripwire {
    let name = t.name("\"threshold\"");
    let camera = camera(t, cameras);
    let line = Tripwire {
        name,
        camera: camera.map(|camera| camera.name.clone()).unwrap_or_default(),
        from_px: t.required("from-px", point(), "[0, 540]"),
        to_px: t.required("to-px", point(), "[1920, 540]"),
    };
    check(t, &line, camera);
    line
}

fn check(at: &Place<'_>, line: &Tripwire, camera: Option<&Located<'_, Camera>>) {
    let mut on_it = true;
    for (key, point) in [("from-px", line.from_px), ("to-px", line.to_px)] {
        if let Some(camera) = camera
            && let Some(size_px) = size_px(camera)
            && at.sound(&[key])
            && !is_inside(point, size_px)
        {
            on_it = false;
            at.fault(key, shown(point), on_the_picture(camera));
        }
    }
    if !at.sound(&["from-px", "to-px"]) {
        return;
    }
    if line.from_px == line.to_px {
        at.fault("to-px", shown(line.to_px), "another point than from-px");
    } else if let Some(camera) = camera.filter(|_| on_it) {
        check_reach(at, "from-px", &[line.from_px, line.to_px], camera);
    }
}
