//! The plain computation in double precision that the kernels are held against.

use crate::frame::{Encoding, PixelFormat, Quantization, StreamFormat};
use crate::infer::TensorInfo;
use crate::preprocess::Preparation;
use crate::profile::{Channels, Fit, Resample, Rotate};

/// What the samples of one pixel are, in units of eight bits; of Bayer formats, of one square.
enum Pixel {
    Ycbcr([f64; 3]),
    Grey(f64),
    Rgb([f64; 3]),
}

/// Written from the kernel's format descriptions, apart from the table that the kernels go by.
fn pixel(format: &StreamFormat, frame: &[u8], x: usize, y: usize) -> Pixel {
    let (stride, height) = (format.stride_bytes as usize, format.height_px as usize);
    let byte = |at: usize| f64::from(frame[at]);
    let word = |at: usize| u32::from(frame[at]) | u32::from(frame[at + 1]) << 8;
    // A sample of `bits` in units of eight bits.
    let eight = |value: u32, bits: i32| match format.colour.quantization {
        Quantization::Limited => f64::from(value) * 2_f64.powi(8 - bits),
        Quantization::Full => f64::from(value) * 255.0 / (2_f64.powi(bits) - 1.0),
    };
    let row = y * stride;
    let pair = row + x / 2 * 4;
    let second = height * stride;
    let bytes = |a: usize, b: usize, c: usize| [byte(a), byte(b), byte(c)];
    let name = format.pixel.name();
    let rgb32 = |order: &str| {
        let at = |colour| row + x * 4 + order.find(colour).unwrap();
        Pixel::Rgb(bytes(at('r'), at('g'), at('b')))
    };
    let half = second + y / 2 * stride + x / 2 * 2;
    let quarter = |plane: usize| {
        let rows = height.div_ceil(2);
        second + plane * rows * (stride / 2) + y / 2 * (stride / 2) + x / 2
    };
    match name {
        "NV12" | "NM12" => Pixel::Ycbcr(bytes(row + x, half, half + 1)),
        "NV21" | "NM21" => Pixel::Ycbcr(bytes(row + x, half + 1, half)),
        "NV16" | "NM16" => {
            let pair = second + row + x / 2 * 2;
            Pixel::Ycbcr(bytes(row + x, pair, pair + 1))
        }
        "YU12" | "YM12" => Pixel::Ycbcr(bytes(row + x, quarter(0), quarter(1))),
        "YV12" | "YM21" => Pixel::Ycbcr(bytes(row + x, quarter(1), quarter(0))),
        "YUYV" => Pixel::Ycbcr(bytes(pair + x % 2 * 2, pair + 1, pair + 3)),
        "YVYU" => Pixel::Ycbcr(bytes(pair + x % 2 * 2, pair + 3, pair + 1)),
        "UYVY" => Pixel::Ycbcr(bytes(pair + 1 + x % 2 * 2, pair, pair + 2)),
        "VYUY" => Pixel::Ycbcr(bytes(pair + 1 + x % 2 * 2, pair + 2, pair)),
        "GREY" => Pixel::Grey(byte(row + x)),
        "Y10" => Pixel::Grey(eight(word(row + 2 * x) & 0x3ff, 10)),
        "Y12" => Pixel::Grey(eight(word(row + 2 * x) & 0xfff, 12)),
        "Y16" => Pixel::Grey(eight(word(row + 2 * x), 16)),
        "RGB3" => Pixel::Rgb(bytes(row + 3 * x, row + 3 * x + 1, row + 3 * x + 2)),
        "BGR3" => Pixel::Rgb(bytes(row + 3 * x + 2, row + 3 * x + 1, row + 3 * x)),
        "XR24" | "AR24" | "BGR4" => rgb32("bgrx"),
        "RX24" | "RA24" => rgb32("xbgr"),
        "XB24" | "AB24" => rgb32("rgbx"),
        "BX24" | "BA24" | "RGB4" => rgb32("xrgb"),
        "RGBP" => {
            let word = word(row + 2 * x);
            let (r, g, b) = (word >> 11, word >> 5 & 63, word & 31);
            Pixel::Rgb([eight(r, 5), eight(g, 6), eight(b, 5)])
        }
        _ => {
            let (order, bits) = match name {
                "BA81" => ("bggr", 8),
                "GBRG" => ("gbrg", 8),
                "GRBG" => ("grbg", 8),
                "RGGB" => ("rggb", 8),
                "BG10" => ("bggr", 10),
                "GB10" => ("gbrg", 10),
                "BA10" => ("grbg", 10),
                "RG10" => ("rggb", 10),
                "BG12" => ("bggr", 12),
                "GB12" => ("gbrg", 12),
                "BA12" => ("grbg", 12),
                "RG12" => ("rggb", 12),
                "BYR2" => ("bggr", 16),
                "GB16" => ("gbrg", 16),
                "GR16" => ("grbg", 16),
                "RG16" => ("rggb", 16),
                "pBAA" => ("bggr", -10),
                "pGAA" => ("gbrg", -10),
                "pgAA" => ("grbg", -10),
                "pRAA" => ("rggb", -10),
                other => panic!("no format {other}"),
            };
            let mut sum = [0.0; 3];
            for (index, colour) in order.chars().enumerate() {
                let (px, row) = (2 * x + index % 2, (2 * y + index / 2) * stride);
                let value = match bits {
                    8 => byte(row + px),
                    10 | 12 | 16 => eight(word(row + 2 * px) & ((1 << bits) - 1), bits),
                    _ => {
                        let group = row + px / 4 * 5;
                        let low = u32::from(frame[group + 4]) >> (px % 4 * 2) & 3;
                        eight(u32::from(frame[group + px % 4]) * 4 + low, 10)
                    }
                };
                match colour {
                    'r' => sum[0] = value,
                    'g' => sum[1] += value / 2.0,
                    _ => sum[2] = value,
                }
            }
            Pixel::Rgb(sum)
        }
    }
}

/// Red, green, blue as BT.601/709/2020 define them, 0..=1 in the gamut; or the luma.
fn colour_of(format: &StreamFormat, pixel: &Pixel, grey: bool) -> [f64; 3] {
    let (black, white, differences) = match format.colour.quantization {
        Quantization::Limited => (16.0, 219.0, 224.0),
        Quantization::Full => (0.0, 255.0, 255.0),
    };
    // E'b - E'y = cb * db and E'r - E'y = cr * dr, and E'y = kr E'r + kg E'g + kb E'b.
    let (kr, kg, kb, dr, db) = match format.colour.encoding {
        Encoding::Bt601 => (0.299, 0.587, 0.114, 1.402, 1.772),
        Encoding::Bt709 => (0.2126, 0.7152, 0.0722, 1.5748, 1.8556),
        Encoding::Bt2020 => (0.2627, 0.6780, 0.0593, 1.4746, 1.8814),
    };
    let unit = |value: f64| (value - black) / white;
    match *pixel {
        Pixel::Grey(y) => [unit(y); 3],
        Pixel::Ycbcr([y, ..]) if grey => [unit(y); 3],
        Pixel::Ycbcr([y, cb, cr]) => {
            let (cb, cr) = ((cb - 128.0) / differences, (cr - 128.0) / differences);
            let (r, b) = (unit(y) + dr * cr, unit(y) + db * cb);
            [r, (unit(y) - kr * r - kb * b) / kg, b]
        }
        Pixel::Rgb(rgb) => {
            let [r, g, b] = rgb.map(unit);
            if grey {
                [kr * r + kg * g + kb * b; 3]
            } else {
                [r, g, b]
            }
        }
    }
}

/// Whether pixels are taken as squares of 2 x 2.
pub(super) fn is_bayer(pixel: PixelFormat) -> bool {
    format!("{pixel:?}").starts_with('S')
}

/// The picture as it is looked at: the part that is seen, turned upright.
struct Upright {
    size: [usize; 2],
    /// Colours of the camera's grid, in the gamut and outside of it.
    colours: Vec<[f64; 3]>,
}

impl Upright {
    fn new(format: &StreamFormat, preparation: &Preparation, grey: bool, frame: &[u8]) -> Self {
        let block = if is_bayer(format.pixel) { 2 } else { 1 };
        let whole = [
            0,
            0,
            format.width_px / block * block,
            format.height_px / block * block,
        ];
        let region = preparation.view.region_px.unwrap_or(whole);
        let [left, top, w, h] = region.map(|px| (px / block) as usize);
        let view = preparation.view;
        let size = match view.rotate {
            Rotate::None | Rotate::Half => [w, h],
            Rotate::Quarter | Rotate::ThreeQuarters => [h, w],
        };
        let mut colours = vec![];
        for v in 0..size[1] {
            for u in 0..size[0] {
                let u = if view.mirror { size[0] - 1 - u } else { u };
                // Where the turned picture's pixel comes from: turned clockwise, the first column becomes
                // the first row, from right to left.
                let (x, y) = match view.rotate {
                    Rotate::None => (u, v),
                    Rotate::Quarter => (v, h - 1 - u),
                    Rotate::Half => (w - 1 - u, h - 1 - v),
                    Rotate::ThreeQuarters => (w - 1 - v, u),
                };
                let pixel = pixel(format, frame, left + x, top + y);
                colours.push(colour_of(format, &pixel, grey));
            }
        }
        Self { size, colours }
    }

    fn at(&self, x: f64, y: f64) -> [f64; 3] {
        let side = |value: f64, size: usize| value.clamp(0.0, size as f64 - 1.0) as usize;
        self.colours[side(y, self.size[1]) * self.size[0] + side(x, self.size[0])]
    }

    /// The mean of the colours over a rectangle, exactly.
    fn mean(&self, from: [f64; 2], to: [f64; 2]) -> [f64; 3] {
        let mut sum = [0.0; 3];
        let mut whole = 0.0;
        let overlap = |pixel: f64, axis: usize| {
            ((pixel + 1.0).min(to[axis]) - pixel.max(from[axis])).max(0.0)
        };
        for y in (from[1].floor() as usize)..=(to[1].ceil() as usize) {
            for x in (from[0].floor() as usize)..=(to[0].ceil() as usize) {
                let (x, y) = (x as f64, y as f64);
                let area = overlap(x, 0) * overlap(y, 1);
                if area > 0.0 {
                    let colour = self.at(x, y);
                    sum = std::array::from_fn(|c| sum[c] + area * colour[c]);
                    whole += area;
                }
            }
        }
        sum.map(|value| value / whole)
    }
}

/// The tensor in real values.
pub(super) fn reference(
    format: &StreamFormat,
    info: &TensorInfo,
    preparation: &Preparation,
    frame: &[u8],
) -> Vec<f64> {
    let ([height, width, channels], is_planar) = sides(info);
    let &Preparation {
        fit,
        resample,
        range,
        channels: order,
        ..
    } = preparation;
    let grey = channels == 1 || order == Channels::Grey;
    let upright = Upright::new(format, preparation, grey, frame);
    let [w, h] = upright.size.map(|size| size as f64);
    let (picture_w, picture_h) = match fit {
        Fit::Stretch | Fit::Crop => (width, height),
        Fit::Letterbox => {
            let scale = (width as f64 / w).min(height as f64 / h);
            (
                ((w * scale).round() as usize).max(1),
                ((h * scale).round() as usize).max(1),
            )
        }
    };
    let (left, top) = ((width - picture_w) / 2, (height - picture_h) / 2);
    // Pixels of the grid, along x and y, of which the picture is made; the grid's pixels are square.
    let (part_w, part_h) = if fit == Fit::Crop {
        let aspect = width as f64 / height as f64;
        (w.min(h * aspect), h.min(w / aspect))
    } else {
        (w, h)
    };
    let start = [(w - part_w) / 2.0, (h - part_h) / 2.0];
    let step = [part_w / picture_w as f64, part_h / picture_h as f64];
    let mut out = vec![];
    for row in 0..height {
        for column in 0..width {
            let inside =
                (left..left + picture_w).contains(&column) && (top..top + picture_h).contains(&row);
            let at = [
                column.wrapping_sub(left) as f64,
                row.wrapping_sub(top) as f64,
            ];
            let colour = match resample {
                _ if !inside => [0.0; 3],
                // The pixel that the middle of this one lies in.
                Resample::Nearest => {
                    let pixel = |axis: usize, size: usize, count: usize| {
                        // Whole numbers where the whole side is seen.
                        if start[axis] == 0.0 {
                            ((2 * at[axis] as usize + 1) * size / (2 * count)) as f64
                        } else {
                            (start[axis] + (at[axis] + 0.5) * step[axis]).floor()
                        }
                    };
                    upright.at(
                        pixel(0, upright.size[0], picture_w),
                        pixel(1, upright.size[1], picture_h),
                    )
                }
                Resample::Bilinear => {
                    let [sx, sy] =
                        [0, 1].map(|axis| start[axis] + (at[axis] + 0.5) * step[axis] - 0.5);
                    let (x, y) = (sx.floor(), sy.floor());
                    let (fx, fy) = (sx - x, sy - y);
                    let corners = [
                        ((1.0 - fx) * (1.0 - fy), upright.at(x, y)),
                        (fx * (1.0 - fy), upright.at(x + 1.0, y)),
                        ((1.0 - fx) * fy, upright.at(x, y + 1.0)),
                        (fx * fy, upright.at(x + 1.0, y + 1.0)),
                    ];
                    std::array::from_fn(|c| {
                        corners.iter().map(|(share, value)| share * value[c]).sum()
                    })
                }
                Resample::Area => {
                    let edge = |further: f64| {
                        [0, 1].map(|axis| start[axis] + (at[axis] + further) * step[axis])
                    };
                    upright.mean(edge(0.0), edge(1.0))
                }
            };
            for c in 0..channels {
                let [black, white] = range.of(c).map(f64::from);
                let c = if order == Channels::Bgr { 2 - c } else { c };
                let unit = colour[c].clamp(0.0, 1.0);
                out.push(black + unit * (white - black));
            }
        }
    }
    if is_planar {
        let plane = |channel| out.iter().skip(channel).step_by(channels).copied();
        out = (0..channels).flat_map(plane).collect();
    }
    out
}

/// Height, width, channels, and whether each of these has a plane: written apart from what plans go by.
pub(super) fn sides(info: &TensorInfo) -> ([usize; 3], bool) {
    let shape: [usize; 4] = info.shape[..].try_into().unwrap();
    let [_, a, b, c] = shape;
    let is_channels = |count: usize| count == 1 || count == 3;
    if is_channels(a) && !is_channels(c) {
        ([b, c, a], true)
    } else {
        ([a, b, c], false)
    }
}
