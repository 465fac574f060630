//! What of a camera's picture is processed, and which way up.

use crate::limits::MAX_SIDE_PX;
use crate::profile::reader::Table;
use crate::profile::reader::values::{ValueParser, array, integer, one_of, truth};
use toml::de::DeValue;

/// What of a camera's picture is processed, and which way up: `region`, `rotate` and `mirror` of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Left edge, upper edge, width and height, in the camera's own pixels; the whole picture when absent.
    pub region_px: Option<[u32; 4]>,
    /// How far that is turned.
    pub rotate: Rotate,
    /// Left and right of the upright picture are exchanged.
    pub mirror: bool,
}

/// `rotate` of a camera: how far its picture is turned clockwise to be upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotate {
    /// Not at all.
    #[default]
    None,
    /// A quarter.
    Quarter,
    /// Upside down.
    Half,
    /// A quarter to the left.
    ThreeQuarters,
}

impl Rotate {
    /// Whether the camera's rows are columns of the upright picture.
    #[must_use]
    pub const fn is_sideways(self) -> bool {
        matches!(self, Self::Quarter | Self::ThreeQuarters)
    }

    const fn from_degrees(degrees: u32) -> Self {
        match degrees {
            90 => Self::Quarter,
            180 => Self::Half,
            270 => Self::ThreeQuarters,
            _ => Self::None,
        }
    }
}

impl View {
    /// Whether the upright picture runs against the camera's x, and against its y.
    #[must_use]
    pub const fn flipped(&self) -> [bool; 2] {
        match self.rotate {
            Rotate::None => [self.mirror, false],
            // Upright x runs against the camera's y.
            Rotate::Quarter => [false, !self.mirror],
            Rotate::Half => [!self.mirror, true],
            Rotate::ThreeQuarters => [true, self.mirror],
        }
    }

    pub(super) fn read(t: &mut Table<'_>) -> Self {
        let degrees = one_of(&[0, 90, 180, 270], "degrees");
        Self {
            region_px: t.optional("region", region(), "the whole picture"),
            rotate: t.or("rotate", degrees.map(Rotate::from_degrees), "0"),
            mirror: t.or("mirror", truth(), "false"),
        }
    }
}

/// A part of a camera's picture: even, because pixels share their colours by two, or are squares of two.
fn region() -> ValueParser<[u32; 4]> {
    let expected = format!(
        "left, top, width and height in the camera's pixels, even numbers, 0 to {MAX_SIDE_PX}, the last two above 0"
    );
    part(&expected, |side| {
        side.is_multiple_of(2) && *side <= MAX_SIDE_PX
    })
}

/// A part of a camera's sensor.
pub(super) fn crop() -> ValueParser<[u32; 4]> {
    let expected = format!(
        "left, top, width and height in the sensor's pixels, each 0 to {}, the last two above 0",
        u16::MAX
    );
    part(&expected, |_| true)
}

fn part(expected: &str, test: fn(&u32) -> bool) -> ValueParser<[u32; 4]> {
    let side = move |value: &DeValue<'_>| integer::<u16>(value).map(u32::from).filter(test);
    array(expected, side, |[.., width, height]| {
        *width > 0 && *height > 0
    })
}
