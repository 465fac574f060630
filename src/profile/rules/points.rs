//! Rules for places on a picture.

use super::numbers::{elements, float, single};
use super::{Refused, Rule};
use crate::profile::geometry::Point;
use toml::de::DeValue;

/// A point of a picture.
pub(in crate::profile) struct Place;

/// A point of the largest picture that there may be.
pub(in crate::profile) fn point() -> Place {
    Place
}

impl Rule for Place {
    type Out = Point;
    fn expected(&self) -> String {
        "a point [x, y] (pixels from the picture's upper left corner), 0 to 8192".into()
    }
    fn take(&self, value: &DeValue<'_>) -> Result<Point, Refused> {
        let array = value.as_array().ok_or_else(Refused::default)?;
        let point = match &**array {
            [x, y] => float(x.get_ref()).zip(float(y.get_ref())),
            _ => None,
        };
        point
            .map(|(x, y)| [x, y])
            .filter(|point| point.iter().all(|number| (0.0..=8192.0).contains(number)))
            .map(|point| point.map(single))
            .ok_or_else(|| Refused {
                found: Some(elements(array)),
                ..Refused::default()
            })
    }
}
