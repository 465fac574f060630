//! Colours and rectangles in the sample layouts that the synthetic sources make.

use crate::frame::{
    Colour, Component, Encoding, Model, PixelFormat, Quantization, Sample, Store, StreamFormat,
};
use std::ops::Range;

/// A colour as Y'CbCr samples, BT.709, limited range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ycbcr {
    /// Luma, 16..=235.
    pub y: u8,
    /// Blue difference, 16..=240, grey at 128.
    pub cb: u8,
    /// Red difference, 16..=240, grey at 128.
    pub cr: u8,
}

/// The colour that synthetic sources are in: BT.709; red, green and blue in full range, Y'CbCr and luma in
/// limited range.
pub(in crate::capture) const fn colour_of(pixel: PixelFormat) -> Colour {
    Colour {
        encoding: Encoding::Bt709,
        quantization: match pixel.layout().model {
            Model::Rgb | Model::Bayer => Quantization::Full,
            Model::Ycbcr | Model::Grey | Model::Compressed => Quantization::Limited,
        },
    }
}

/// `value` rounded half up and clamped to a sample.
fn sample(value: f64) -> u8 {
    // Clamped to 0..=255 just before.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    {
        (value + 0.5).floor().clamp(0.0, 255.0) as u8
    }
}

/// Y' of an R'G'B' colour in 0..=255, unscaled.
fn luma(r: f64, g: f64, b: f64) -> f64 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// The luma sample of an R'G'B' colour in 0..=255: `16 + Y' * 219 / 255`, rounded half up.
///
/// # Source
/// ITU-R BT.709-6, 3.2 and 3.4.
pub(super) fn luma_sample(r: f64, g: f64, b: f64) -> u8 {
    sample(16.0 + luma(r, g, b) * 219.0 / 255.0)
}

/// The chroma samples of an R'G'B' colour in 0..=255: `128 + (B' - Y') / 1.8556 * 224 / 255` and
/// `128 + (R' - Y') / 1.5748 * 224 / 255`, rounded half up.
///
/// # Source
/// ITU-R BT.709-6, 3.3 and 3.4.
pub(super) fn chroma_samples(r: f64, g: f64, b: f64) -> (u8, u8) {
    let y = luma(r, g, b);
    let cb = (b - y) / 1.8556;
    let cr = (r - y) / 1.5748;
    (
        sample(128.0 + cb * 224.0 / 255.0),
        sample(128.0 + cr * 224.0 / 255.0),
    )
}

impl Ycbcr {
    /// The colour of R'G'B' values in 0..=255.
    #[must_use]
    pub fn from_rgb(r: f64, g: f64, b: f64) -> Self {
        let (cb, cr) = chroma_samples(r, g, b);
        Self {
            y: luma_sample(r, g, b),
            cb,
            cr,
        }
    }

    /// R'G'B' in 0..=255, those outside of the gamut clamped: the inverse of [`Ycbcr::from_rgb`].
    fn to_rgb(self) -> [f64; 3] {
        let y = (f64::from(self.y) - 16.0) * 255.0 / 219.0;
        let cb = (f64::from(self.cb) - 128.0) * 255.0 / 224.0;
        let cr = (f64::from(self.cr) - 128.0) * 255.0 / 224.0;
        let (r, b) = (y + 1.5748 * cr, y + 1.8556 * cb);
        let g = (y - 0.2126 * r - 0.0722 * b) / 0.7152;
        [r, g, b].map(|value| value.clamp(0.0, 255.0))
    }
}

/// The value of a sample for an R'G'B' colour in 0..=255.
fn sample_of([r, g, b]: [f64; 3], sample: &Sample) -> u16 {
    let most = f64::from((1_u32 << sample.bits) - 1);
    // Clamped to 0..=most, of at most 16 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let full = |value: f64| (value / 255.0 * most + 0.5).floor().clamp(0.0, most) as u16;
    let limited = |value: u8| u16::from(value) << (sample.bits - 8);
    match sample.component {
        Component::Luma => limited(luma_sample(r, g, b)),
        Component::Cb => limited(chroma_samples(r, g, b).0),
        Component::Cr => limited(chroma_samples(r, g, b).1),
        Component::Red => full(r),
        Component::Green => full(g),
        Component::Blue => full(b),
    }
}

/// The format of a synthetic stream: rows padded to 64 bytes, so that strides are not always widths.
/// `None` when a frame would not fit 32 bits, and for a compressed format.
pub(in crate::capture) fn stream_format(
    pixel: PixelFormat,
    width_px: u32,
    height_px: u32,
    interval_ns: u64,
) -> Option<StreamFormat> {
    if pixel.is_compressed() {
        return None;
    }
    let stride = pixel
        .row_bytes(width_px.checked_next_multiple_of(2)?)
        .next_multiple_of(64);
    let stride_bytes = u32::try_from(stride).ok()?;
    let size_bytes = u32::try_from(pixel.image_bytes(stride_bytes, height_px)).ok()?;
    Some(StreamFormat {
        pixel,
        width_px,
        height_px,
        stride_bytes,
        size_bytes,
        colour: colour_of(pixel),
        interval_ns,
    })
}

/// A rectangle in pixels. All of it even.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rect {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

/// Where one of a format's samples lies in its pictures.
struct Place {
    sample: &'static Sample,
    store: Store,
    block: usize,
    plane: usize,
    stride: usize,
}

impl Place {
    fn all(format: &StreamFormat) -> impl Iterator<Item = Self> {
        let &StreamFormat {
            stride_bytes,
            height_px,
            ..
        } = format;
        let layout = format.pixel.layout();
        layout.samples().iter().map(move |sample| {
            let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
            let plane = layout.plane_offset(sample.plane, stride_bytes, height_px);
            Self {
                sample,
                store: layout.store,
                block: layout.block_px as usize,
                plane: bytes(plane),
                stride: bytes(layout.planes()[sample.plane].stride(stride_bytes)),
            }
        })
    }

    /// The sample's rows, or with the columns' extent its columns, that picture pixels `from..to` touch: of
    /// Bayer formats those in whole squares.
    fn touched(&self, from: usize, to: usize, shared: usize) -> Range<usize> {
        let (from, to) = (from / self.block, to / self.block);
        from / shared..to.div_ceil(shared)
    }

    /// The rows that picture rows `from..to` touch.
    fn rows(&self, from: usize, to: usize) -> Range<usize> {
        self.touched(from, to, self.sample.rows)
    }

    /// The columns that picture columns `from..to` touch.
    fn columns(&self, from: usize, to: usize) -> Range<usize> {
        self.touched(from, to, self.sample.px)
    }

    /// Start of a row, and the byte in it of a column.
    fn at(&self, column: usize, row: usize) -> (usize, usize) {
        let row = self.plane + (row * self.block + self.sample.line) * self.stride;
        let element = self.sample.first + column * self.sample.step;
        (row, self.store.byte(element))
    }

    fn put(&self, picture: &mut [u8], column: usize, row: usize, value: u16) {
        let (row, at) = self.at(column, row);
        let Some(row) = picture.get_mut(row..) else {
            return;
        };
        match self.store {
            Store::Byte => {
                if let Some(byte) = row.get_mut(at) {
                    *byte = value.to_le_bytes()[0];
                }
            }
            Store::Word => {
                if let Some(word) = row.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                    let mask = u16::MAX >> (16 - self.sample.bits) << self.sample.shift;
                    let others = u16::from_le_bytes(*word) & !mask;
                    *word = (others | value << self.sample.shift & mask).to_le_bytes();
                }
            }
            Store::Packed10 => {
                let (group, index) = (at / 5 * 5, at % 5);
                if let Some(bytes) = row.get_mut(group..group + 5) {
                    bytes[index] = (value >> 2).to_le_bytes()[0];
                    let low = (value & 3).to_le_bytes()[0];
                    bytes[4] = bytes[4] & !(3 << (2 * index)) | low << (2 * index);
                }
            }
        }
    }

    fn get(&self, picture: &[u8], column: usize, row: usize) -> Option<u16> {
        let (row, at) = self.at(column, row);
        let row = picture.get(row..)?;
        Some(match self.store {
            Store::Byte => u16::from(*row.get(at)?),
            Store::Word => {
                let word = u16::from_le_bytes(*row.get(at..)?.first_chunk()?);
                word >> self.sample.shift & u16::MAX >> (16 - self.sample.bits)
            }
            Store::Packed10 => {
                let low = *row.get(at / 5 * 5 + 4)? >> (at % 5 * 2) & 3;
                u16::from(*row.get(at)?) << 2 | u16::from(low)
            }
        })
    }
}

/// Fills `rect` of a picture. What lies outside of the picture is cut off.
pub(super) fn fill(format: &StreamFormat, picture: &mut [u8], rect: Rect, colour: Ycbcr) {
    let (width, height) = (format.width_px as usize, format.height_px as usize);
    let right = (rect.left + rect.width).min(width);
    let bottom = (rect.top + rect.height).min(height);
    if rect.left >= right || rect.top >= bottom {
        return;
    }
    for place in Place::all(format) {
        let value = match place.sample.component {
            Component::Luma => u16::from(colour.y) << (place.sample.bits - 8),
            Component::Cb => u16::from(colour.cb),
            Component::Cr => u16::from(colour.cr),
            _ => sample_of(colour.to_rgb(), place.sample),
        };
        for row in place.rows(rect.top, bottom) {
            for column in place.columns(rect.left, right) {
                place.put(picture, column, row, value);
            }
        }
    }
}

/// Converts a whole picture, whose pixels `rgb` gives as R'G'B' in 0..=255 by column and row. A sample
/// that several pixels share has the colour of their mean.
pub(super) fn convert(
    format: &StreamFormat,
    picture: &mut [u8],
    rgb: impl Fn(usize, usize) -> [u8; 3],
) {
    let (width, height) = (format.width_px as usize, format.height_px as usize);
    for place in Place::all(format) {
        let Sample {
            first,
            line,
            px,
            rows,
            ..
        } = *place.sample;
        let bayer = place.block == 2;
        for row in place.rows(0, height) {
            for column in place.columns(0, width) {
                let (xs, ys) = if bayer {
                    let (x, y) = (column * 2 + first, row * 2 + line);
                    (x..x + 1, y..y + 1)
                } else {
                    let (x, y) = (column * px, row * rows);
                    (x..(x + px).min(width), y..(y + rows).min(height))
                };
                let mut sum = [0_u32; 3];
                let mut count = 0_u32;
                for (x, y) in ys.flat_map(|y| xs.clone().map(move |x| (x, y))) {
                    for (sum, value) in sum.iter_mut().zip(rgb(x, y)) {
                        *sum += u32::from(value);
                    }
                    count += 1;
                }
                let mean = sum.map(|sum| f64::from(sum) / f64::from(count.max(1)));
                let value = sample_of(mean, place.sample);
                place.put(picture, column, row, value);
            }
        }
    }
}

/// The samples at a pixel; `None` outside of the picture or of `picture`'s bytes. Samples of more than
/// eight bits are cut to eight; red, green and blue are converted; grey has no colour differences.
pub(super) fn read(format: &StreamFormat, picture: &[u8], x: u32, y: u32) -> Option<Ycbcr> {
    if x >= format.width_px || y >= format.height_px {
        return None;
    }
    let (x, y) = (x as usize, y as usize);
    let mut found = Ycbcr {
        y: 0,
        cb: 128,
        cr: 128,
    };
    let mut rgb = [0.0; 3];
    for place in Place::all(format) {
        let Sample { px, rows, bits, .. } = *place.sample;
        let (column, row) = (x / place.block / px, y / place.block / rows);
        let value = place.get(picture, column, row)?;
        let full = f64::from(value) * 255.0 / f64::from((1_u32 << bits) - 1);
        let eight = || (value >> (bits - 8)).to_le_bytes()[0];
        match place.sample.component {
            Component::Luma => found.y = eight(),
            Component::Cb => found.cb = eight(),
            Component::Cr => found.cr = eight(),
            Component::Red => rgb[0] = full,
            Component::Green => rgb[1] = full,
            Component::Blue => rgb[2] = full,
        }
    }
    let [r, g, b] = rgb;
    Some(match format.pixel.layout().model {
        Model::Ycbcr | Model::Grey => found,
        Model::Rgb | Model::Bayer => Ycbcr::from_rgb(r, g, b),
        Model::Compressed => return None,
    })
}

/// Whether two colours are the same, as far as a format can say: RGB formats round twice, those of five
/// bits to eight units, and grey has no colour differences.
#[cfg(test)]
pub(super) fn alike(pixel: PixelFormat, a: Ycbcr, b: Ycbcr) -> bool {
    let within = |a: u8, b: u8, units| a.abs_diff(b) <= units;
    let units = match pixel.layout().model {
        Model::Ycbcr | Model::Grey => 0,
        _ if pixel == PixelFormat::Rgb565 => 8,
        _ => 2,
    };
    let differences = pixel.layout().model != Model::Grey;
    within(a.y, b.y, units)
        && (!differences || within(a.cb, b.cb, units) && within(a.cr, b.cr, units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primaries_have_the_samples_that_bt_709_gives_them() {
        let cases = [
            ([255, 255, 255], [235, 128, 128]),
            ([255, 255, 0], [219, 16, 138]),
            ([0, 255, 255], [188, 154, 16]),
            ([0, 255, 0], [173, 42, 26]),
            ([255, 0, 255], [78, 214, 230]),
            ([255, 0, 0], [63, 102, 240]),
            ([0, 0, 255], [32, 240, 118]),
            ([0, 0, 0], [16, 128, 128]),
        ];
        for ([r, g, b], [y, cb, cr]) in cases {
            let found = Ycbcr::from_rgb(f64::from(r), f64::from(g), f64::from(b));
            assert_eq!(found, Ycbcr { y, cb, cr }, "of R'G'B' {r} {g} {b}");
        }
    }

    #[test]
    fn a_filled_rectangle_reads_back_and_leaves_the_rest() {
        for pixel in PixelFormat::RAW {
            let format = stream_format(pixel, 34, 17, 1).unwrap();
            let mut picture = vec![0; format.size_bytes as usize];
            let black = Ycbcr {
                y: 16,
                cb: 128,
                cr: 128,
            };
            let red = Ycbcr {
                y: 63,
                cb: 102,
                cr: 240,
            };
            let whole = Rect {
                left: 0,
                top: 0,
                width: 1000,
                height: 1000,
            };
            fill(&format, &mut picture, whole, black);
            fill(
                &format,
                &mut picture,
                Rect {
                    left: 4,
                    top: 2,
                    width: 6,
                    height: 4,
                },
                red,
            );
            for y in 0..17 {
                for x in 0..34 {
                    let inside = (4..10).contains(&x) && (2..6).contains(&y);
                    let expected = if inside { red } else { black };
                    // Of an odd row, a Bayer picture has no whole square.
                    if y == 16 && pixel.layout().model == Model::Bayer {
                        continue;
                    }
                    let found = read(&format, &picture, x, y).unwrap();
                    assert!(
                        alike(pixel, found, expected),
                        "{pixel:?} {x} {y}: found {found:?}, expected {expected:?}"
                    );
                }
            }
            assert_eq!(read(&format, &picture, 34, 0), None);
            assert_eq!(read(&format, &picture, 0, 17), None);
        }
    }
}
