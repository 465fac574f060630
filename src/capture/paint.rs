//! Colours and rectangles in the sample layouts that the synthetic sources make.

use crate::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};

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

/// The colour that synthetic sources are in.
pub(super) const BT709_LIMITED: Colour = Colour {
    encoding: Encoding::Bt709,
    quantization: Quantization::Limited,
};

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
}

/// The format of a synthetic stream: rows padded to 64 bytes, so that strides are not always widths.
/// `None` when a frame would not fit 32 bits.
pub(super) fn stream_format(
    pixel: PixelFormat,
    width_px: u32,
    height_px: u32,
    interval_ns: u64,
) -> Option<StreamFormat> {
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
        colour: BT709_LIMITED,
        interval_ns,
    })
}

/// A rectangle in pixels. Left and width are even; for NV12, top and height as well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rect {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

/// Fills `rect` of a picture. What lies outside of the picture is cut off.
pub(super) fn fill(format: &StreamFormat, picture: &mut [u8], rect: Rect, colour: Ycbcr) {
    let stride = format.stride_bytes as usize;
    let (width, height) = (format.width_px as usize, format.height_px as usize);
    let right = (rect.left + rect.width).min(width);
    let bottom = (rect.top + rect.height).min(height);
    if rect.left >= right || rect.top >= bottom {
        return;
    }
    let Ycbcr { y, cb, cr } = colour;
    match format.pixel {
        PixelFormat::Nv12 => {
            let (luma, chroma) = picture.split_at_mut(stride * height);
            for row in luma.chunks_exact_mut(stride).take(bottom).skip(rect.top) {
                row[rect.left..right].fill(y);
            }
            let chroma_right = right.next_multiple_of(2);
            let chroma_rows = chroma.chunks_exact_mut(stride);
            for row in chroma_rows.take(bottom.div_ceil(2)).skip(rect.top / 2) {
                for pair in row[rect.left..chroma_right].as_chunks_mut().0 {
                    *pair = [cb, cr];
                }
            }
        }
        PixelFormat::Yuyv => {
            let right = right.next_multiple_of(2);
            for row in picture.chunks_exact_mut(stride).take(bottom).skip(rect.top) {
                for quad in row[rect.left * 2..right * 2].as_chunks_mut().0 {
                    *quad = [y, cb, y, cr];
                }
            }
        }
    }
}

/// The samples at a pixel; `None` outside of the picture or of `picture`'s bytes.
pub(super) fn read(format: &StreamFormat, picture: &[u8], x: u32, y: u32) -> Option<Ycbcr> {
    if x >= format.width_px || y >= format.height_px {
        return None;
    }
    let stride = format.stride_bytes as usize;
    let (x, y) = (x as usize, y as usize);
    let get = |at: usize| picture.get(at).copied();
    match format.pixel {
        PixelFormat::Nv12 => {
            let chroma = stride * format.height_px as usize + stride * (y / 2) + (x & !1);
            Some(Ycbcr {
                y: get(stride * y + x)?,
                cb: get(chroma)?,
                cr: get(chroma + 1)?,
            })
        }
        PixelFormat::Yuyv => {
            let pair = stride * y + (x & !1) * 2;
            Some(Ycbcr {
                y: get(stride * y + x * 2)?,
                cb: get(pair + 1)?,
                cr: get(pair + 3)?,
            })
        }
    }
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
        for pixel in PixelFormat::ALL {
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
                    assert_eq!(
                        read(&format, &picture, x, y),
                        Some(expected),
                        "{pixel:?} {x} {y}"
                    );
                }
            }
            assert_eq!(read(&format, &picture, 34, 0), None);
            assert_eq!(read(&format, &picture, 0, 17), None);
        }
    }
}
