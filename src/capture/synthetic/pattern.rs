//! Colour bars with a moving block and the frame's number in them: for tests, and for machines without
//! a camera.
//!
//! ```text
//! +--+--+--+--+ ... +--+   strip: 32 cells of luma, cell i is bit i of the frame number
//! |white|yellow|cyan|green|magenta|red|blue|black|      BT.709, limited range
//! |              [#] ->                          |      a white block, 8 px further with each frame
//! ```

use super::frame_clock::{Paint, UnarmedPainted};
use super::paint::{Rect, Ycbcr, fill, read, stream_format};
use crate::frame::{PixelFormat, StreamFormat};

/// Rows of the strip that carries the frame number.
const STRIP_PX: usize = 16;
/// Bits of the frame number.
const NUMBER_BITS: usize = 32;
/// How far the block moves with each frame.
const BLOCK_STEP_PX: u64 = 8;
const WHITE: Ycbcr = Ycbcr {
    y: 235,
    cb: 128,
    cr: 128,
};
const BLACK: Ycbcr = Ycbcr {
    y: 16,
    cb: 128,
    cr: 128,
};

/// Brightness of the bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Level {
    /// R', G' and B' are 0 or 75 % (the usual bars; white is 75 % grey).
    #[default]
    Percent75,
    /// R', G' and B' are 0 or 100 %.
    Percent100,
}

/// What the pattern source is to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternConfig {
    /// Sample layout.
    pub pixel: PixelFormat,
    /// Width, 16..=8192.
    pub width_px: u32,
    /// Height, 16..=8192.
    pub height_px: u32,
    /// Time between frames, at least 1 ns.
    pub interval_ns: u64,
    /// Brightness.
    pub level: Level,
}

/// The size is outside of 16..=8192 in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {width_px}x{height_px}, expected 16 to 8192 each way")]
pub struct PatternSizeError {
    /// Width found.
    pub width_px: u32,
    /// Height found.
    pub height_px: u32,
}

/// The bar `index`, 0..=7 from the left: white, yellow, cyan, green, magenta, red, blue, black.
#[must_use]
pub fn bar(level: Level, index: usize) -> Ycbcr {
    let on = match level {
        Level::Percent75 => 191.25,
        Level::Percent100 => 255.0,
    };
    let channel = |bit: usize| if index & bit == 0 { on } else { 0.0 };
    Ycbcr::from_rgb(channel(2), channel(4), channel(1))
}

/// Where the block is in frame `number`: left, top and side in pixels.
fn block_at(format: &StreamFormat, number: u64) -> (u32, u32, u32) {
    let side = ((format.height_px / 8) & !1).clamp(2, format.width_px & !1);
    let travel = u64::from(format.width_px - side);
    let left = (number.wrapping_mul(BLOCK_STEP_PX) % (travel + 1)) & !1;
    (
        u32::try_from(left).unwrap_or(0),
        (format.height_px / 2) & !1,
        side,
    )
}

/// Width of one cell of the number strip, or `None` when the picture is too narrow for one.
fn cell_px(format: &StreamFormat) -> Option<usize> {
    let cell = (format.width_px as usize / NUMBER_BITS) & !1;
    (cell >= 2).then_some(cell)
}

/// The frame number in the strip of a picture of at least 64 pixels' width; `None` when a cell is
/// neither black nor white, or the picture is too narrow to carry one.
#[must_use]
pub fn read_number(format: &StreamFormat, picture: &[u8]) -> Option<u32> {
    let cell = u32::try_from(cell_px(format)?).ok()?;
    let mut number = 0;
    for (bit, centre) in (0..32_u32).map(|bit| (bit, bit * cell + cell / 2)) {
        match read(format, picture, centre, 4)?.y {
            0..64 => {}
            192.. => number |= 1 << bit,
            _ => return None,
        }
    }
    Some(number)
}

/// The samples at a pixel of a picture; `None` outside of it.
#[must_use]
pub fn read_pixel(format: &StreamFormat, picture: &[u8], x: u32, y: u32) -> Option<Ycbcr> {
    read(format, picture, x, y)
}

/// Bars alone, as one picture of `format.size_bytes`.
fn bars(format: &StreamFormat, level: Level) -> Box<[u8]> {
    let mut picture = vec![0; format.size_bytes as usize].into_boxed_slice();
    let width = format.width_px as usize;
    let bar_px = (width / 8) & !1;
    for index in 0..8 {
        let left = index * bar_px;
        let to_edge = if index == 7 { width - left } else { bar_px };
        let rect = Rect {
            left,
            top: 0,
            width: to_edge,
            height: format.height_px as usize,
        };
        fill(format, &mut picture, rect, bar(level, index));
    }
    picture
}

/// Paints frame `number` into `slot`, which holds at least one frame.
fn paint(format: &StreamFormat, bars: &[u8], number: u64, slot: &mut [u8]) {
    let Some(picture) = slot.get_mut(..bars.len()) else {
        return;
    };
    picture.copy_from_slice(bars);
    let (left, top, side) = block_at(format, number);
    let (left, top, side) = (left as usize, top as usize, side as usize);
    fill(
        format,
        picture,
        Rect {
            left,
            top,
            width: side,
            height: side,
        },
        WHITE,
    );
    if let Some(cell) = cell_px(format) {
        for bit in 0..NUMBER_BITS {
            let colour = if number >> bit & 1 == 1 { WHITE } else { BLACK };
            let rect = Rect {
                left: bit * cell,
                top: 0,
                width: cell,
                height: STRIP_PX,
            };
            fill(format, picture, rect, colour);
        }
    }
}

/// The pattern before it has slots.
pub type UnarmedPattern = UnarmedPainted<Pattern>;

impl UnarmedPainted<Pattern> {
    /// Prepares the bars.
    ///
    /// # Errors
    /// A size out of range.
    pub fn new(config: PatternConfig) -> Result<Self, PatternSizeError> {
        let PatternConfig {
            pixel,
            width_px,
            height_px,
            interval_ns,
            level,
        } = config;
        let error = PatternSizeError {
            width_px,
            height_px,
        };
        let range = 16..=8192;
        if !range.contains(&width_px) || !range.contains(&height_px) {
            return Err(error);
        }
        let format = stream_format(pixel, width_px, height_px, interval_ns.max(1)).ok_or(error)?;
        Ok(Self {
            format,
            painter: Pattern {
                bars: bars(&format, level),
            },
            phase_ns: None,
        })
    }
}

/// The pattern's bars.
#[derive(Debug)]
pub struct Pattern {
    bars: Box<[u8]>,
}

impl Paint for Pattern {
    fn own_bytes(&self) -> u64 {
        self.bars.len() as u64
    }
    fn io(&self) -> String {
        "pattern".to_owned()
    }
    fn paint(&self, format: &StreamFormat, number: u64, bytes: &mut [u8]) {
        paint(format, &self.bars, number, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bar that the column `x` of a picture of `width_px` shows below the strip.
    fn bar_at(width_px: u32, x: u32) -> usize {
        let bar_px = (width_px as usize / 8) & !1;
        (x as usize).checked_div(bar_px).unwrap_or(0).min(7)
    }
    use crate::capture::synthetic::paint::alike;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn config(pixel: PixelFormat, width_px: u32, height_px: u32) -> PatternConfig {
        PatternConfig {
            pixel,
            width_px,
            height_px,
            interval_ns: 1,
            level: Level::Percent75,
        }
    }

    #[test]
    fn bars_at_75_percent_have_their_published_samples() {
        let published = [
            (180, 128, 128),
            (168, 44, 136),
            (145, 147, 44),
            (133, 63, 52),
            (63, 193, 204),
            (51, 109, 212),
            (28, 212, 120),
            (16, 128, 128),
        ];
        for (index, (y, cb, cr)) in published.into_iter().enumerate() {
            assert_eq!(
                bar(Level::Percent75, index),
                Ycbcr { y, cb, cr },
                "bar {index}"
            );
        }
        assert_eq!(bar(Level::Percent100, 0), WHITE);
        assert_eq!(bar(Level::Percent100, 7), BLACK);
    }

    #[test]
    fn a_frame_shows_every_bar_the_block_and_its_number() {
        for pixel in PixelFormat::RAW {
            let unarmed = UnarmedPattern::new(config(pixel, 640, 360)).unwrap();
            let mut slot = vec![0; unarmed.format.size_bytes as usize];
            for number in [0, 1, 77, 0x8000_0001, 0xFFFF_FFFF] {
                paint(&unarmed.format, &unarmed.painter.bars, number, &mut slot);
                let read = read_number(&unarmed.format, &slot);
                assert_eq!(read, u32::try_from(number).ok(), "{pixel:?}");
                for index in 0..8 {
                    let x = 80 * u32::try_from(index).unwrap() + 40;
                    assert_eq!(bar_at(640, x), index);
                    let found = read_pixel(&unarmed.format, &slot, x, 300).unwrap();
                    assert!(
                        alike(pixel, found, bar(Level::Percent75, index)),
                        "{pixel:?} bar {index}: {found:?}"
                    );
                }
                let (left, top, side) = block_at(&unarmed.format, number);
                let centre = (left + side / 2, top + side / 2);
                let found = read_pixel(&unarmed.format, &slot, centre.0, centre.1).unwrap();
                assert!(alike(pixel, found, WHITE), "{pixel:?} block: {found:?}");
            }
        }
    }

    #[test]
    fn a_size_out_of_range_is_refused() {
        for (width_px, height_px) in [(15, 16), (16, 15), (8193, 16), (16, 8193)] {
            let error = UnarmedPattern::new(config(PixelFormat::Nv12, width_px, height_px));
            assert_eq!(
                error.err(),
                Some(PatternSizeError {
                    width_px,
                    height_px
                })
            );
        }
    }

    proptest! {
        #![proptest_config(crate::proptest_cases::cases(64))]
        #[test]
        fn every_size_is_painted_within_its_slot_and_carries_its_number(
            pixel in select(PixelFormat::RAW.to_vec()), width_px in 16..400_u32, height_px in 16..200_u32, number: u32,
        ) {
            let unarmed = UnarmedPattern::new(config(pixel, width_px, height_px)).unwrap();
            let mut slot = vec![0; unarmed.format.size_bytes as usize];
            paint(&unarmed.format, &unarmed.painter.bars, u64::from(number), &mut slot);
            let expected = (width_px >= 64).then_some(number);
            prop_assert_eq!(read_number(&unarmed.format, &slot), expected);
        }
    }
}
