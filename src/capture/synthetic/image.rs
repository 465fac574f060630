//! An image over which the camera's window moves: real content for machines without a camera.
//!
//! The image is enlarged by whole numbers and converted once, for all cameras that show it alike; a frame is a copy of
//! rows.

use super::frame_clock::{Paint, UnarmedPainted};
use super::paint::{chroma_samples, convert, luma_sample, stream_format};
use crate::frame::{PixelFormat, StreamFormat};
use crate::limits::MAX_SCALE;
use ::image::ImageDecoder as _;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest side of an image, enlarged or not.
const MAX_CANVAS_PX: u32 = 16_384;
/// Pixels of the largest image: the largest picture of a camera.
const MAX_IMAGE_PX: u64 = 8192 * 8192;
/// Bytes of the largest file: an image of that size without compression.
const MAX_FILE_BYTES: u64 = MAX_IMAGE_PX * 4;

/// What the image source is to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfig {
    /// PNG or JPEG file.
    pub path: PathBuf,
    /// Whole-number enlargement, at least 1.
    pub scale: u32,
    /// Pixels that the window moves from frame to frame, in each direction.
    pub pan_px: u32,
    /// Sample layout.
    pub pixel: PixelFormat,
    /// Width of the window, 16..=8192.
    pub width_px: u32,
    /// Height of the window, 16..=8192.
    pub height_px: u32,
    /// Time between frames, at least 1 ns.
    pub interval_ns: u64,
    /// Frames are due when CLOCK_MONOTONIC less this is a whole multiple of the interval; an interval after the start
    /// and so on when absent.
    pub phase_ns: Option<u64>,
}

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// It is no regular file.
    #[error("{}: found no regular file, expected a PNG or JPEG image", path.display())]
    NoFile {
        /// What was named.
        path: PathBuf,
    },
    /// It is no PNG or JPEG, or a damaged one.
    #[error("{}: expected a PNG or JPEG image: {error}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: ::image::ImageError,
    },
    /// Its header names more pixels than any camera has; they were not read.
    #[error(
        "{}: found an image of {}x{}, expected at most {MAX_CANVAS_PX} pixels a side and {MAX_IMAGE_PX} in all; scale it",
        path.display(), image_px.0, image_px.1
    )]
    Large {
        /// The file.
        path: PathBuf,
        /// Width and height of the image.
        image_px: (u32, u32),
    },
    /// The file is larger than any such image.
    #[error("{}: found a file of {bytes} bytes, expected an image of at most {MAX_FILE_BYTES}", path.display())]
    LargeFile {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The window does not fit into the enlarged image, or that is too large.
    #[error(
        "{}: an image of {}x{} at scale {scale} does not serve a window of {}x{}: {}",
        path.display(), image_px.0, image_px.1, window_px.0, window_px.1, advice(scales)
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Width and height of the image.
        image_px: (u32, u32),
        /// Width and height of the window.
        window_px: (u32, u32),
        /// The scale that was found.
        scale: u32,
        /// Scales that would do; empty when none does.
        scales: RangeInclusive<u32>,
    },
}

fn advice(scales: &RangeInclusive<u32>) -> String {
    match (scales.start(), scales.end()) {
        _ if scales.is_empty() => {
            format!("no scale of 1 to {MAX_SCALE} does; choose a smaller window")
        }
        (least, most) if least == most => format!("expected a scale of {least}"),
        (least, most) => format!("expected a scale of {least} to {most}"),
    }
}

/// An enlarged and converted image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// Sample layout: BT.709, limited range; red, green and blue in full range.
    pub pixel: PixelFormat,
    /// Width in pixels: the image's times the scale.
    pub width_px: u32,
    /// Height in pixels: the image's times the scale.
    pub height_px: u32,
    /// Bytes from row to row of the first plane.
    pub stride_bytes: u32,
    /// The samples: `pixel.image_bytes(stride_bytes, height_px)`.
    pub bytes: Box<[u8]>,
}

/// The image enlarged by pixel replication and converted to NV12, BT.709, limited range. See
/// `image_to_canvas`.
#[must_use]
pub fn image_to_nv12(rgb: &[u8], width_px: u32, height_px: u32, scale: u32) -> Option<Canvas> {
    image_to_canvas(rgb, width_px, height_px, scale, PixelFormat::Nv12)
}

/// Enlarges an R'G'B' image (`width_px * height_px * 3` bytes, rows without gaps) by replicating
/// each pixel `scale` times both ways, and converts it. `None` when the lengths do not fit together or a
/// side of the result leaves 1..=16384.
///
/// For each pixel, in f64: `Y' = 0.2126 R + 0.7152 G + 0.0722 B`, luma `16 + Y' * 219 / 255`. For each
/// 2x2 block (NV12; 2x1 for YUYV) of the enlarged image, from the mean R, G, B of its pixels (at an
/// odd edge: of those that exist): `Cb = (B - Y') / 1.8556`, `Cr = (R - Y') / 1.5748`, chroma
/// `128 + C * 224 / 255`. Samples are `floor(value + 0.5)`, clamped to 0..=255. Bytes between the end of
/// a row and the stride are 0.
///
/// # Source
/// ITU-R BT.709-6, item 3.
fn image_to_canvas(
    rgb: &[u8],
    width_px: u32,
    height_px: u32,
    scale: u32,
    pixel: PixelFormat,
) -> Option<Canvas> {
    let original = RgbImage::new(rgb, width_px, height_px)?;
    let range = 1..=MAX_CANVAS_PX;
    let canvas_width = width_px
        .checked_mul(scale)
        .filter(|px| range.contains(px))?;
    let canvas_height = height_px
        .checked_mul(scale)
        .filter(|px| range.contains(px))?;
    let format = stream_format(pixel, canvas_width, canvas_height, 1)?;
    let mut bytes = vec![0; format.size_bytes as usize].into_boxed_slice();
    let (width, height) = (canvas_width as usize, canvas_height as usize);
    let stride = format.stride_bytes as usize;
    let scale = scale as usize;
    match pixel {
        PixelFormat::Nv12 => {
            let (luma, chroma) = bytes.split_at_mut(stride * height);
            for (y, row) in luma.chunks_exact_mut(stride).enumerate() {
                original.luma_row(y / scale, scale, row[..width].iter_mut());
            }
            for (y, row) in chroma.chunks_exact_mut(stride).enumerate() {
                let rows = 2 * y..(2 * y + 2).min(height);
                for (x, pair) in row
                    .as_chunks_mut()
                    .0
                    .iter_mut()
                    .enumerate()
                    .take(width.div_ceil(2))
                {
                    let columns = 2 * x..(2 * x + 2).min(width);
                    let (cb, cr) = original.chroma(columns, rows.clone(), scale);
                    *pair = [cb, cr];
                }
            }
        }
        PixelFormat::Yuyv => {
            for (y, row) in bytes.chunks_exact_mut(stride).enumerate() {
                original.luma_row(y / scale, scale, row.iter_mut().step_by(2).take(width));
                for (x, quad) in row
                    .as_chunks_mut::<4>()
                    .0
                    .iter_mut()
                    .enumerate()
                    .take(width.div_ceil(2))
                {
                    let columns = 2 * x..(2 * x + 2).min(width);
                    (quad[1], quad[3]) = original.chroma(columns, y..y + 1, scale);
                }
            }
        }
        _ => convert(&format, &mut bytes, |x, y| {
            original.pixels[y / scale * original.width + x / scale]
        }),
    }
    Some(Canvas {
        pixel,
        width_px: canvas_width,
        height_px: canvas_height,
        stride_bytes: format.stride_bytes,
        bytes,
    })
}

/// R'G'B' rows of an image.
struct RgbImage<'a> {
    pixels: &'a [[u8; 3]],
    width: usize,
}

impl<'a> RgbImage<'a> {
    fn new(rgb: &'a [u8], width_px: u32, height_px: u32) -> Option<Self> {
        let (pixels, rest) = rgb.as_chunks();
        let (width, height) = (width_px as usize, height_px as usize);
        let fits = width.checked_mul(height) == Some(pixels.len());
        (fits && rest.is_empty() && width > 0 && height > 0).then_some(Self { pixels, width })
    }

    /// Luma of the image's row `y`, each sample written `scale` times.
    fn luma_row<'b>(&self, y: usize, scale: usize, mut row: impl Iterator<Item = &'b mut u8>) {
        for [r, g, b] in &self.pixels[y * self.width..(y + 1) * self.width] {
            let luma = luma_sample(f64::from(*r), f64::from(*g), f64::from(*b));
            for sample in row.by_ref().take(scale) {
                *sample = luma;
            }
        }
    }

    /// Chroma of the mean of a block of the enlarged image.
    fn chroma(&self, columns: Range<usize>, rows: Range<usize>, scale: usize) -> (u8, u8) {
        let mut sum = [0_u32; 3];
        let mut count = 0_u32;
        for y in rows {
            for x in columns.clone() {
                let pixel = self.pixels[y / scale * self.width + x / scale];
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += u32::from(value);
                }
                count += 1;
            }
        }
        let [r, g, b] = sum.map(|sum| f64::from(sum) / f64::from(count.max(1)));
        chroma_samples(r, g, b)
    }
}

/// How far the window moves, and from where. It starts at the top, centred, and goes back and forth
/// along both axes at once. Its travel is at most a quarter of its own size, so that what the first
/// frame shows in its middle stays in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pan {
    step_px: u64,
    left_px: u64,
    travel_x_px: u64,
    travel_y_px: u64,
}

impl Pan {
    fn new(canvas: (u32, u32), window: (u32, u32), step_px: u32) -> Self {
        let slack = (
            u64::from(canvas.0 - window.0),
            u64::from(canvas.1 - window.1),
        );
        let travel_x_px = slack.0.min(u64::from(window.0 / 4));
        Self {
            step_px: u64::from(step_px),
            left_px: (slack.0 - travel_x_px) / 2,
            travel_x_px,
            travel_y_px: slack.1.min(u64::from(window.1 / 4)),
        }
    }

    /// Left and top of the window in frame `number`; both even.
    fn offset(&self, number: u64) -> (u64, u64) {
        let way = number.wrapping_mul(self.step_px);
        let swing = |travel: u64| match travel {
            0 => 0,
            _ => travel - (way % (2 * travel)).abs_diff(travel),
        };
        (
            (self.left_px + swing(self.travel_x_px)) & !1,
            swing(self.travel_y_px) & !1,
        )
    }
}

/// Copies the window at (`left`, `top`), both even, into `slot`, which holds at least one frame.
fn cut(canvas: &Canvas, format: &StreamFormat, (left, top): (u64, u64), slot: &mut [u8]) {
    let (Ok(left), Ok(top)) = (usize::try_from(left), usize::try_from(top)) else {
        return;
    };
    let Some(picture) = slot.get_mut(..format.size_bytes as usize) else {
        return;
    };
    let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let layout = format.pixel.layout();
    let plane_of = |index, stride, height| bytes(layout.plane_offset(index, stride, height));
    for (index, plane) in layout.planes().iter().enumerate() {
        let from = plane_of(index, canvas.stride_bytes, canvas.height_px);
        let to = plane_of(index, format.stride_bytes, format.height_px);
        let (Some(from), Some(to)) = (canvas.bytes.get(from..), picture.get_mut(to..)) else {
            return;
        };
        let skip_bytes = left / plane.group_px as usize * plane.group_bytes as usize;
        let row_bytes = bytes(plane.row_bytes(format.width_px));
        let rows = from
            .chunks_exact(bytes(plane.stride(canvas.stride_bytes)))
            .skip(top / plane.rows as usize);
        let into = to
            .chunks_exact_mut(bytes(plane.stride(format.stride_bytes)))
            .take(format.height_px.div_ceil(plane.rows) as usize);
        for (from, to) in rows.zip(into) {
            if let (Some(from), Some(to)) = (
                from.get(skip_bytes..skip_bytes + row_bytes),
                to.get_mut(..row_bytes),
            ) {
                to.copy_from_slice(from);
            }
        }
    }
}

/// The image before it has slots.
pub type UnarmedImage = UnarmedPainted<Image>;

/// The images that a board's cameras show. Those that show the same file at the same scale and in the same format share
/// one in memory.
#[derive(Debug, Default)]
pub struct Images(Vec<Shown>);

/// An image, and of what it was made.
#[derive(Debug)]
struct Shown {
    path: PathBuf,
    scale: u32,
    image_px: (u32, u32),
    canvas: Arc<Canvas>,
}

impl Images {
    /// Reads and converts the image, where no camera before this one shows it alike.
    ///
    /// # Errors
    /// A file that cannot be read or decoded, or sizes that do not fit together.
    pub fn open(&mut self, config: &ImageConfig) -> Result<UnarmedImage, ImageError> {
        let window_px = (config.width_px, config.height_px);
        let size_error = |image_px: (u32, u32)| ImageError::Size {
            path: config.path.clone(),
            image_px,
            window_px,
            scale: config.scale,
            scales: scales(image_px, window_px),
        };
        let serves = |image_px| match scales(image_px, window_px).contains(&config.scale) {
            true => Ok(()),
            false => Err(size_error(image_px)),
        };
        let alike = |shown: &&Shown| {
            (&shown.path, shown.scale, shown.canvas.pixel)
                == (&config.path, config.scale, config.pixel)
        };
        let (canvas, image_px, own_bytes) = match self.0.iter().find(alike) {
            Some(shown) => {
                serves(shown.image_px)?;
                (Arc::clone(&shown.canvas), shown.image_px, 0)
            }
            None => {
                let (rgb, width, height) = decode(&config.path, serves)?;
                let canvas = image_to_canvas(&rgb, width, height, config.scale, config.pixel)
                    .ok_or_else(|| size_error((width, height)))?;
                let own_bytes = canvas.bytes.len() as u64;
                let canvas = Arc::new(canvas);
                self.0.push(Shown {
                    path: config.path.clone(),
                    scale: config.scale,
                    image_px: (width, height),
                    canvas: Arc::clone(&canvas),
                });
                (canvas, (width, height), own_bytes)
            }
        };
        let interval_ns = config.interval_ns.max(1);
        let format = stream_format(config.pixel, config.width_px, config.height_px, interval_ns)
            .ok_or_else(|| size_error(image_px))?;
        let pan = Pan::new(
            (canvas.width_px, canvas.height_px),
            window_px,
            config.pan_px,
        );
        Ok(UnarmedPainted {
            format,
            painter: Image {
                canvas,
                pan,
                own_bytes,
            },
            phase_ns: config.phase_ns,
        })
    }
}

impl UnarmedPainted<Image> {
    /// Reads and converts the image, for this camera alone.
    ///
    /// # Errors
    /// As [`Images::open`].
    pub fn open(config: &ImageConfig) -> Result<Self, ImageError> {
        Images::default().open(config)
    }
}

/// Bytes that an image takes in memory, enlarged and converted, by its file's header; `None` where it cannot be shown.
#[must_use]
pub fn bytes_in_memory(path: &Path, scale: u32, pixel: PixelFormat) -> Option<u64> {
    let (_, (width, height)) = read_header(path).ok()?;
    let (width, height) = (width.checked_mul(scale)?, height.checked_mul(scale)?);
    Some(stream_format(pixel, width, height, 1)?.size_bytes.into())
}

/// The scales at which a window fits into an image.
fn scales(original: (u32, u32), window: (u32, u32)) -> RangeInclusive<u32> {
    let least = |window: u32, original: u32| window.div_ceil(original.max(1)).max(1);
    let most = (MAX_CANVAS_PX / original.0.max(original.1).max(1)).min(MAX_SCALE);
    least(window.0, original.0).max(least(window.1, original.1))..=most
}

/// What reads an image, and the width and height that its header names. No pixel is read.
fn read_header(path: &Path) -> Result<(impl ::image::ImageDecoder, (u32, u32)), ImageError> {
    let open = |error| ImageError::Open {
        path: path.to_owned(),
        error,
    };
    // A device or a FIFO is no image, may never end, and may never open.
    let metadata = std::fs::metadata(path).map_err(open)?;
    if !metadata.is_file() {
        let path = path.into();
        return Err(ImageError::NoFile { path });
    }
    let bytes = metadata.len();
    if bytes > MAX_FILE_BYTES {
        let path = path.into();
        return Err(ImageError::LargeFile { path, bytes });
    }
    let reader = ::image::ImageReader::open(path).map_err(open)?;
    let reader = reader.with_guessed_format().map_err(open)?;
    let decoder = reader.into_decoder().map_err(undecoded(path))?;
    let image_px @ (width, height) = decoder.dimensions();
    if width.max(height) > MAX_CANVAS_PX || u64::from(width) * u64::from(height) > MAX_IMAGE_PX {
        let path = path.into();
        return Err(ImageError::Large { path, image_px });
    }
    Ok((decoder, image_px))
}

fn undecoded(path: &Path) -> impl Fn(::image::ImageError) -> ImageError {
    move |error| ImageError::Decode {
        path: path.to_owned(),
        error,
    }
}

/// The image's R'G'B' samples, width and height. Its header is enough to refuse it: `serves` is asked with the width and
/// height that it names before any pixel is read.
fn decode(
    path: &Path,
    serves: impl FnOnce((u32, u32)) -> Result<(), ImageError>,
) -> Result<(Vec<u8>, u32, u32), ImageError> {
    let (decoder, image_px) = read_header(path)?;
    serves(image_px)?;
    let decoded = ::image::DynamicImage::from_decoder(decoder)
        .map_err(undecoded(path))?
        .into_rgb8();
    let (width, height) = decoded.dimensions();
    Ok((decoded.into_raw(), width, height))
}

/// The image, and where the window is.
#[derive(Debug)]
pub struct Image {
    canvas: Arc<Canvas>,
    pan: Pan,
    /// Bytes of the canvas, where no other camera accounts for it.
    own_bytes: u64,
}

impl Paint for Image {
    fn own_bytes(&self) -> u64 {
        self.own_bytes
    }
    fn io(&self) -> String {
        "image".to_owned()
    }
    fn same(&self, earlier: u64, later: u64) -> bool {
        self.pan.offset(earlier) == self.pan.offset(later)
    }
    fn paint(&self, format: &StreamFormat, number: u64, bytes: &mut [u8]) {
        cut(&self.canvas, format, self.pan.offset(number), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::synthetic::forged::{forged_jpeg, forged_png};
    use crate::capture::synthetic::paint::read;
    use proptest::prelude::*;

    /// The documented formula once more, sample by sample, from the enlarged image.
    fn reference(
        rgb: &[u8],
        width: usize,
        height: usize,
        scale: usize,
        block: (usize, usize),
        at: (usize, usize),
    ) -> [u8; 3] {
        let pixel = |x: usize, y: usize| {
            let at = (y / scale * width + x / scale) * 3;
            [
                f64::from(rgb[at]),
                f64::from(rgb[at + 1]),
                f64::from(rgb[at + 2]),
            ]
        };
        let y_of = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let round = |value: f64| (value + 0.5).floor().clamp(0.0, 255.0) as u8;
        let (mut sum, mut count) = ([0.0; 3], 0.0);
        for dy in 0..block.1 {
            for dx in 0..block.0 {
                let (x, y) = (at.0 / block.0 * block.0 + dx, at.1 / block.1 * block.1 + dy);
                if x < width * scale && y < height * scale {
                    for (sum, value) in sum.iter_mut().zip(pixel(x, y)) {
                        *sum += value;
                    }
                    count += 1.0;
                }
            }
        }
        let mean = sum.map(|sum: f64| sum / count);
        let y_mean = y_of(mean);
        [
            round(16.0 + y_of(pixel(at.0, at.1)) * 219.0 / 255.0),
            round(128.0 + (mean[2] - y_mean) / 1.8556 * 224.0 / 255.0),
            round(128.0 + (mean[0] - y_mean) / 1.5748 * 224.0 / 255.0),
        ]
    }

    fn original(width: u32, height: u32, seed: u64) -> Vec<u8> {
        let mut state = seed;
        (0..width * height * 3)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect()
    }

    proptest! {
        #![proptest_config(crate::proptest_cases::cases(48))]
        #[test]
        fn a_converted_image_has_the_documented_samples(
            width in 1..23_u32, height in 1..23_u32, scale in 1..5_u32, nv12: bool, seed: u64,
        ) {
            let rgb = original(width, height, seed);
            let (pixel, block) = if nv12 { (PixelFormat::Nv12, (2, 2)) } else { (PixelFormat::Yuyv, (2, 1)) };
            let canvas = image_to_canvas(&rgb, width, height, scale, pixel).unwrap();
            let format = stream_format(pixel, canvas.width_px, canvas.height_px, 1).unwrap();
            prop_assert_eq!((canvas.width_px, canvas.height_px), (width * scale, height * scale));
            for y in 0..height * scale {
                for x in 0..width * scale {
                    let found = read(&format, &canvas.bytes, x, y).unwrap();
                    let at = (x as usize, y as usize);
                    let expected = reference(&rgb, width as usize, height as usize, scale as usize, block, at);
                    prop_assert_eq!([found.y, found.cb, found.cr], expected, "at {} {}", x, y);
                }
            }
        }

        #[test]
        fn the_window_stays_on_the_canvas_and_moves_by_the_step_at_most(
            window in (16..3000_u32, 16..3000_u32), slack in (0..3000_u32, 0..3000_u32),
            step in 0..64_u32, number in 0..100_000_u64,
        ) {
            let canvas = (window.0 + slack.0, window.1 + slack.1);
            let pan = Pan::new(canvas, window, step);
            let ((left, top), (next_left, next_top)) = (pan.offset(number), pan.offset(number + 1));
            prop_assert!(left % 2 == 0 && top % 2 == 0);
            prop_assert!(left + u64::from(window.0) <= u64::from(canvas.0));
            prop_assert!(top + u64::from(window.1) <= u64::from(canvas.1));
            // Offsets are rounded down to even numbers, which adds at most one pixel.
            prop_assert!(left.abs_diff(next_left) <= u64::from(step) + 1);
            prop_assert!(top.abs_diff(next_top) <= u64::from(step) + 1);
        }
    }

    #[test]
    fn a_cut_window_equals_the_canvas_at_its_offset() {
        for pixel in PixelFormat::RAW {
            let rgb = original(40, 30, 7);
            let canvas = image_to_canvas(&rgb, 40, 30, 2, pixel).unwrap();
            let whole = stream_format(pixel, 80, 60, 1).unwrap();
            for (width, height) in [(16, 16), (33, 21), (64, 50)] {
                let format = stream_format(pixel, width, height, 1).unwrap();
                let mut slot = vec![0; format.size_bytes as usize];
                cut(&canvas, &format, (8, 10), &mut slot);
                // Of a Bayer picture, what is in whole squares.
                let block = pixel.layout().block_px;
                for y in 0..height / block * block {
                    for x in 0..width / block * block {
                        let expected = read(&whole, &canvas.bytes, x + 8, y + 10);
                        assert_eq!(read(&format, &slot, x, y), expected, "{pixel:?} at {x} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_middle_of_the_first_frame_stays_in_view() {
        let pan = Pan::new((2048, 2048), (1920, 1080), 8);
        for number in 0..1000 {
            let (left, top) = pan.offset(number);
            assert!(
                left <= 128 && top <= 270,
                "frame {number} is at {left} {top}"
            );
        }
        assert_eq!(pan.offset(0), (0, 0));
        assert_eq!(pan.offset(16), (128, 128));
    }

    #[test]
    fn a_window_larger_than_the_image_names_the_scales_that_would_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo.png");
        ::image::RgbImage::new(100, 50).save(&path).unwrap();
        let config = ImageConfig {
            path,
            scale: 2,
            pan_px: 2,
            pixel: PixelFormat::Nv12,
            width_px: 300,
            height_px: 200,
            interval_ns: 1,
            phase_ns: None,
        };
        let Err(ImageError::Size { scales, .. }) = UnarmedImage::open(&config) else {
            panic!("a size error");
        };
        assert_eq!(scales, 4..=MAX_SCALE);
        assert!(UnarmedImage::open(&ImageConfig { scale: 4, ..config }).is_ok());
    }

    #[test]
    fn an_image_of_extreme_size_is_refused_by_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let open = |bytes: &[u8]| {
            let path = folder.path().join("photo");
            std::fs::write(&path, bytes).unwrap();
            UnarmedImage::open(&ImageConfig {
                path,
                scale: 1,
                pan_px: 2,
                pixel: PixelFormat::Nv12,
                width_px: 64,
                height_px: 64,
                interval_ns: 1,
                phase_ns: None,
            })
        };
        for bytes in [forged_png(65_535, 65_535), forged_jpeg(65_535, 65_535)] {
            let error = open(&bytes).unwrap_err();
            let words = "found an image of 65535x65535, expected at most 16384 pixels a side";
            assert!(error.to_string().contains(words), "{error}");
        }
        // Within what there may be, and not what the window wants: the pixels are missing and nobody asks for them.
        for bytes in [forged_png(32, 16_000), forged_jpeg(32, 16_000)] {
            let error = open(&bytes).unwrap_err();
            assert!(matches!(error, ImageError::Size { .. }), "{error}");
        }
        assert!(matches!(
            open(&forged_png(64, 64)),
            Err(ImageError::Decode { .. })
        ));
        // Longer than any image, and of no bytes on the disk.
        let long = std::fs::File::create(folder.path().join("photo")).unwrap();
        long.set_len(MAX_FILE_BYTES + 1).unwrap();
        let path = folder.path().join("photo");
        assert!(matches!(
            decode(&path, |_| Ok(())),
            Err(ImageError::LargeFile { .. })
        ));
    }

    #[test]
    fn cameras_that_show_an_image_alike_share_it_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo.png");
        ::image::RgbImage::new(100, 50).save(&path).unwrap();
        let config = ImageConfig {
            path: path.clone(),
            scale: 2,
            pan_px: 2,
            pixel: PixelFormat::Nv12,
            width_px: 128,
            height_px: 64,
            interval_ns: 1,
            phase_ns: None,
        };
        let mut images = Images::default();
        let first = images.open(&config).unwrap();
        let held = first.painter.own_bytes();
        assert_eq!(held, first.painter.canvas.bytes.len() as u64);
        assert_eq!(bytes_in_memory(&path, 2, PixelFormat::Nv12), Some(held));
        // Another window over it, at other times, is the same image.
        let alike = ImageConfig {
            width_px: 64,
            phase_ns: Some(0),
            ..config.clone()
        };
        let second = images.open(&alike).unwrap();
        assert!(Arc::ptr_eq(&first.painter.canvas, &second.painter.canvas));
        assert_eq!(second.painter.own_bytes(), 0, "it is counted once");
        let wide = ImageConfig {
            width_px: 400,
            ..config.clone()
        };
        assert!(matches!(images.open(&wide), Err(ImageError::Size { .. })));
        for other in [
            ImageConfig {
                scale: 3,
                ..config.clone()
            },
            ImageConfig {
                pixel: PixelFormat::Yuyv,
                ..config
            },
        ] {
            let other = images.open(&other).unwrap();
            assert!(!Arc::ptr_eq(&first.painter.canvas, &other.painter.canvas));
            assert!(other.painter.own_bytes() > 0);
        }
    }

    #[test]
    fn a_file_that_is_no_image_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo.png");
        std::fs::write(&path, b"not a picture").unwrap();
        let config = ImageConfig {
            path: path.clone(),
            scale: 1,
            pan_px: 2,
            pixel: PixelFormat::Nv12,
            width_px: 64,
            height_px: 64,
            interval_ns: 1,
            phase_ns: None,
        };
        let error = UnarmedImage::open(&config).unwrap_err();
        assert!(matches!(error, ImageError::Decode { .. }));
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        let missing = ImageConfig {
            path: folder.path().join("absent.jpg"),
            ..config
        };
        assert!(matches!(
            UnarmedImage::open(&missing),
            Err(ImageError::Open { .. })
        ));
    }
}
