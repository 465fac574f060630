//! Places on a camera's picture, as zones and lines name them.

use super::camera::Camera;
use super::geometry::{Point, meets};
use super::reader::text::quoted;
use super::reader::values::{ValueParser, array, float, name, single};
use super::reader::{Hint, Located, Place, Table, Tables};
use crate::limits::MAX_SIDE_PX;
use toml::de::DeValue;

/// A point of the largest picture that there may be.
pub fn point() -> ValueParser<Point> {
    let expected =
        format!("a point [x, y] (pixels from the picture's upper left corner), 0 to {MAX_SIDE_PX}");
    let range = 0.0..=f64::from(MAX_SIDE_PX);
    let side = move |value: &DeValue<'_>| float(value).filter(|number| range.contains(number));
    array(&expected, side, |_| true).map(|point: [f64; 2]| point.map(single))
}

pub fn shown([x, y]: Point) -> String {
    format!("[{x}, {y}]")
}

/// Asks for the camera whose picture it is: the one that is named, or the only one.
pub fn camera<'c, 'a>(
    t: &mut Table<'_>,
    cameras: &'c Tables<'a, Camera>,
) -> Option<&'c Located<'a, Camera>> {
    let name = t
        .optional("camera", name(), "the only camera")
        .unwrap_or_default();
    cameras.refer(t, "camera", &name)
}

/// The size of a camera's picture, where it is sound.
pub fn size_px(camera: &Located<'_, Camera>) -> Option<(u32, u32)> {
    let sound = camera.at.sound(&["width-px", "height-px"]);
    sound.then_some((camera.width_px, camera.height_px))
}

/// What a point has to be.
pub fn on_the_picture(camera: &Camera) -> String {
    let Camera {
        name,
        width_px,
        height_px,
        ..
    } = camera;
    format!("a point on the picture of camera \"{name}\", 0 to {width_px} and 0 to {height_px}")
}

/// A zone, or a line of two points, that no box of what models see can reach: the picture's part that they see is
/// farther away than it is wide and high. (A box may reach past that part.)
pub fn check_reach(at: &Place<'_>, key: &str, points: &[Point], camera: &Located<'_, Camera>) {
    let Some(region) = camera
        .view
        .region_px
        .filter(|_| camera.at.sound(&["region"]))
    else {
        return;
    };
    let [left, top, width, height] = region;
    let from = [left.saturating_sub(width), top.saturating_sub(height)];
    let reach = [left + 2 * width - from[0], top + 2 * height - from[1]];
    if !meets(points, [from[0], from[1], reach[0], reach[1]]) {
        let found = "what is farther away than its own size from the `region`";
        let found = format!("{found} {region:?} of camera {}", quoted(&camera.name));
        let expected = "some of it nearer, as models see nothing but that region";
        let advice = "both are in pixels of the whole picture: move it, or make the region larger";
        at.fault_with(key, found, expected, Hint::Advice(advice.into()));
    }
}
