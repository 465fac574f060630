//! The kernels against a plain computation in f64, written from the standards and not from the kernels.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Small pixel coordinates.

mod aim;
#[cfg(target_arch = "x86_64")]
mod direct;

use super::{Kernel, Plan, PlanError, Preparation, RunError};
use crate::board::{Channels, Fit, InputRange, Resample, Rotate, View};
use crate::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use crate::infer::{TensorInfo, TensorType};
use half::f16;
use proptest::prelude::{
    ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::select;

fn format(
    pixel: PixelFormat,
    width_px: u32,
    height_px: u32,
    stride_bytes: u32,
    colour: Colour,
) -> StreamFormat {
    let size_bytes = u32::try_from(pixel.image_bytes(stride_bytes, height_px)).unwrap();
    StreamFormat {
        pixel,
        width_px,
        height_px,
        stride_bytes,
        size_bytes,
        colour,
        interval_ns: 0,
    }
}

fn tensor(height: usize, width: usize, channels: usize, kind: TensorType) -> TensorInfo {
    let (scale, zero_point) = match kind {
        TensorType::F32 | TensorType::F16 => (0.0, 0),
        TensorType::U8 => (2.0 / 255.0, 128),
        TensorType::I8 => (2.0 / 255.0, 0),
    };
    TensorInfo {
        name: "input".into(),
        shape: vec![1, height, width, channels],
        kind,
        scale,
        zero_point,
    }
}

/// The same with a plane for each channel.
fn planar(info: TensorInfo) -> TensorInfo {
    let [one, height, width, channels] = info.shape[..] else {
        panic!("four dimensions")
    };
    TensorInfo {
        shape: vec![one, channels, height, width],
        ..info
    }
}

/// Height, width, channels, and whether each of these has a plane: written apart from what plans go by.
fn sides(info: &TensorInfo) -> ([usize; 3], bool) {
    let shape: [usize; 4] = info.shape[..].try_into().unwrap();
    let [_, a, b, c] = shape;
    let is_channels = |count: usize| count == 1 || count == 3;
    if is_channels(a) && !is_channels(c) {
        ([b, c, a], true)
    } else {
        ([a, b, c], false)
    }
}

/// Repeatable noise: colours far outside the gamut included.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..bytes)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect()
}

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
fn is_bayer(pixel: PixelFormat) -> bool {
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
fn reference(
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

fn halves(bytes: &[u8]) -> Vec<f16> {
    let numbers = bytes.as_chunks().0.iter();
    numbers.map(|&b| f16::from_ne_bytes(b)).collect()
}

/// The tensor's stored bytes as real values.
fn reals(info: &TensorInfo, bytes: &[u8]) -> Vec<f64> {
    let dequantised = |q: i32| f64::from(info.scale) * f64::from(q - info.zero_point);
    match info.kind {
        TensorType::F32 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from(f32::from_ne_bytes(b)))
            .collect(),
        TensorType::F16 => halves(bytes).iter().map(|half| half.to_f64()).collect(),
        TensorType::U8 => bytes.iter().map(|&b| dequantised(i32::from(b))).collect(),
        TensorType::I8 => bytes
            .iter()
            .map(|&b| dequantised(i32::from(b.cast_signed())))
            .collect(),
    }
}

/// Largest difference of `plan`'s tensor from the reference, in steps of 1/255 of the range: of the
/// channel's, or where the tensor itself stores steps, of the widest.
fn steps_off(
    plan: &Plan,
    info: &TensorInfo,
    range: InputRange,
    frame: &[u8],
    expected: &[f64],
) -> f64 {
    let mut out = vec![0xAA; info.bytes()];
    plan.run(frame, &mut out).unwrap();
    let ([height, width, channels], is_planar) = sides(info);
    let steps = [0, 1, 2].map(|c| f64::from((range.of(c)[1] - range.of(c)[0]).abs()) / 255.0);
    let widest = steps.into_iter().fold(0.0, f64::max);
    let step = |element: usize| match info.kind {
        TensorType::F32 if is_planar => steps[element / (height * width)],
        TensorType::F32 => steps[element % channels],
        _ => widest,
    };
    let found = reals(info, &out);
    assert_eq!(found.len(), expected.len());
    found
        .iter()
        .zip(expected)
        .enumerate()
        .map(|(element, (a, b))| (a - b).abs() / step(element))
        .fold(0.0, f64::max)
}

fn kernels(plan: &Plan) -> Vec<Plan> {
    Kernel::ALL
        .into_iter()
        .filter_map(|kernel| plan.clone().with_kernel(kernel))
        .collect()
}

#[derive(Clone, Debug)]
struct Case {
    format: StreamFormat,
    info: TensorInfo,
    preparation: Preparation,
    seed: u64,
}

/// What tensors of -1..=1 store, the widest of each two wide.
const RANGES: [InputRange; 4] = [
    InputRange::One([-1.0, 1.0]),
    InputRange::One([1.0, -1.0]),
    InputRange::Each([[-1.0, 1.0], [0.75, -0.5], [0.125, 1.0]]),
    InputRange::Each([[0.5, 0.0], [-0.875, 0.875], [1.0, -1.0]]),
];

fn cases() -> impl Strategy<Value = Case> {
    let colour = (
        select(vec![Encoding::Bt601, Encoding::Bt709, Encoding::Bt2020]),
        select(vec![Quantization::Limited, Quantization::Full]),
    );
    let camera = (
        select(PixelFormat::RAW.to_vec()),
        prop_oneof![3 => 2_u32..90, 1 => 90_u32..400],
        2_u32..70,
        0_u32..9,
        colour,
    );
    let target = (
        1_usize..50,
        1_usize..50,
        select(vec![1_usize, 3]),
        select(vec![
            TensorType::F32,
            TensorType::F16,
            TensorType::U8,
            TensorType::I8,
        ]),
        any::<bool>(),
    );
    let preparation = (
        select(vec![Fit::Letterbox, Fit::Stretch, Fit::Crop]),
        select(vec![Resample::Bilinear, Resample::Nearest, Resample::Area]),
        select(vec![Channels::Rgb, Channels::Bgr, Channels::Grey]),
        select(RANGES.to_vec()),
    );
    let view = (
        select(vec![
            Rotate::None,
            Rotate::Quarter,
            Rotate::Half,
            Rotate::ThreeQuarters,
        ]),
        any::<bool>(),
        proptest::option::of((any::<[u16; 4]>(),)),
    );
    (camera, target, preparation, view, any::<u64>()).prop_map(
        |(camera, target, preparation, view, seed)| {
            let (pixel, width, height, padding, (encoding, quantization)) = camera;
            let least = if is_bayer(pixel) { 4 } else { 2 };
            let (width, height) = (width.max(least), height.max(least));
            let stride =
                u32::try_from(pixel.row_bytes(width.next_multiple_of(2))).unwrap() + padding;
            let (tensor_height, tensor_width, channels, kind, in_planes) = target;
            let (fit, resample, order, range) = preparation;
            // A crop's nearest pixel lies on a border now and then, where rounding decides.
            let fit = if resample == Resample::Nearest && fit == Fit::Crop {
                Fit::Stretch
            } else {
                fit
            };
            let range = match range {
                InputRange::Each(_) if channels == 1 => RANGES[0],
                range => range,
            };
            let (rotate, mirror, region) = view;
            let part = |start: u16, size: u16, whole: u32| {
                let whole = whole / 2;
                let start = u32::from(start) % whole;
                [2 * start, 2 * (1 + u32::from(size) % (whole - start))]
            };
            let region_px = region.map(|([x, y, w, h],)| {
                let ([x, w], [y, h]) = (part(x, w, width), part(y, h, height));
                [x, y, w, h]
            });
            Case {
                format: format(
                    pixel,
                    width,
                    height,
                    stride,
                    Colour {
                        encoding,
                        quantization,
                    },
                ),
                info: if in_planes && !matches!(tensor_width, 1 | 3) {
                    planar(tensor(tensor_height, tensor_width, channels, kind))
                } else {
                    tensor(tensor_height, tensor_width, channels, kind)
                },
                preparation: Preparation {
                    fit,
                    // Nearest pixels of a turned picture lie on a border now and then, too.
                    resample,
                    channels: order,
                    range,
                    view: View {
                        region_px,
                        rotate: if resample == Resample::Nearest {
                            Rotate::None
                        } else {
                            rotate
                        },
                        mirror: mirror && resample != Resample::Nearest,
                    },
                },
                seed,
            }
        },
    )
}

/// How far a kernel may be from the plain computation in f64, in steps of 1/255: the fast ones round the
/// shares of up to 64 rows and columns.
fn bound(kernel: Kernel, resample: Resample, kind: TensorType) -> f64 {
    let exact = match (kernel, resample) {
        (Kernel::Scalar, _) => 0.001,
        // Of 64 rows each half a unit of 32768 at most: a quarter of a step, in limited range 0.29.
        (_, Resample::Area) => 0.3,
        _ => 0.1,
    };
    match kind {
        TensorType::F32 => exact,
        // Near the ends of -1..=1 the numbers are 2^-11 apart, and a step is 2/255.
        TensorType::F16 => exact + 255.0 / 2.0 * 2_f64.powi(-12),
        // A whole number is half a step away, and a step where the exact value lies between two.
        TensorType::U8 | TensorType::I8 => exact + 0.5,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_kernel_is_within_a_step_of_the_plain_computation(case in cases()) {
        let Case { format, info, preparation, seed } = case;
        let plan = Plan::prepared(&format, &info, &preparation).unwrap();
        let frame = noise(plan.frame_bytes(), seed);
        let expected = reference(&format, &info, &preparation, &frame);
        for plan in kernels(&plan) {
            let off = steps_off(&plan, &info, preparation.range, &frame, &expected);
            let bound = bound(plan.kernel(), preparation.resample, info.kind);
            prop_assert!(off <= bound, "{}: {off} steps, at most {bound}", plan.kernel().name());
        }
    }

    #[test]
    fn the_fast_kernels_are_equal_but_for_the_last_bits(case in cases()) {
        let Case { format, info, preparation, seed } = case;
        let plan = Plan::prepared(&format, &info, &preparation).unwrap();
        let frame = noise(plan.frame_bytes(), seed);
        let of = |plan: Plan| {
            let mut out = vec![0x55; plan.tensor_bytes()];
            plan.run(&frame, &mut out).unwrap();
            reals(&info, &out)
        };
        let Some(portable) = plan.clone().with_kernel(Kernel::Portable) else {
            return Ok(());
        };
        let portable = of(portable);
        let others = [Kernel::Scalar, Kernel::Avx512Direct];
        for plan in kernels(&plan).into_iter().filter(|plan| !others.contains(&plan.kernel())) {
            let name = plan.kernel().name();
            for (found, expected) in of(plan).into_iter().zip(&portable) {
                // The tensor's own step where the number lies between two.
                let bound = match info.kind {
                    TensorType::F32 => 4e-6,
                    TensorType::F16 => 2_f64.powi(-11),
                    TensorType::U8 | TensorType::I8 => 2.0 / 255.0 + 1e-6,
                };
                prop_assert!((found - expected).abs() <= bound, "{name}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn a_float16_tensor_is_the_float32_one_rounded_to_nearest_on_each_kernel(
        case in cases(),
        white in select(vec![1.0_f32, 255.0, 2e-6, 6e4]),
    ) {
        let Case { format, info, mut preparation, seed } = case;
        preparation.range = InputRange::One([0.0, white]);
        let tensor = |kind| TensorInfo { kind, scale: 0.0, zero_point: 0, ..info.clone() };
        let plan = Plan::prepared(&format, &tensor(TensorType::F16), &preparation).unwrap();
        let wide = Plan::prepared(&format, &tensor(TensorType::F32), &preparation).unwrap();
        let frame = noise(plan.frame_bytes(), seed);
        for (plan, wide) in kernels(&plan).into_iter().zip(kernels(&wide)) {
            prop_assert_eq!(plan.kernel(), wide.kernel());
            let (mut found, mut numbers) = (vec![0x55; plan.tensor_bytes()], vec![0x55; wide.tensor_bytes()]);
            plan.run(&frame, &mut found).unwrap();
            wide.run(&frame, &mut numbers).unwrap();
            let (numbers, _) = numbers.as_chunks();
            let expected: Vec<f16> = numbers.iter().map(|&b| f16::from_f32(f32::from_ne_bytes(b))).collect();
            prop_assert_eq!(halves(&found), expected, "{}", plan.kernel().name());
        }
    }

    #[test]
    fn planes_have_the_numbers_of_pixels_bit_for_bit_on_each_kernel(case in cases(), width in 4_usize..70) {
        let Case { format, info, preparation, seed } = case;
        let ([height, _, channels], _) = sides(&info);
        let pixels = TensorInfo { shape: vec![1, height, width, channels], ..info };
        let planes = planar(pixels.clone());
        let of_pixels = Plan::prepared(&format, &pixels, &preparation).unwrap();
        let of_planes = Plan::prepared(&format, &planes, &preparation).unwrap();
        prop_assert_eq!(of_planes.mapping(), of_pixels.mapping());
        let frame = noise(of_pixels.frame_bytes(), seed);
        for (of_planes, of_pixels) in kernels(&of_planes).into_iter().zip(kernels(&of_pixels)) {
            prop_assert_eq!(of_planes.kernel(), of_pixels.kernel());
            let (mut found, mut numbers) = (vec![0x55; planes.bytes()], vec![0xAA; pixels.bytes()]);
            of_planes.run(&frame, &mut found).unwrap();
            of_pixels.run(&frame, &mut numbers).unwrap();
            let numbers: Vec<&[u8]> = numbers.chunks_exact(pixels.kind.bytes()).collect();
            let plane = |channel| numbers.iter().skip(channel).step_by(channels).copied();
            let expected: Vec<u8> = (0..channels).flat_map(plane).flatten().copied().collect();
            prop_assert!(found == expected, "{}", of_planes.kernel().name());
        }
    }

    #[test]
    fn a_frame_of_any_length_is_refused_or_read_without_panic(case in cases(), cut in 0_usize..200) {
        let Case { format, info, preparation, seed } = case;
        let plan = Plan::prepared(&format, &info, &preparation).unwrap();
        let length = (plan.frame_bytes() + 100).saturating_sub(cut);
        let frame = noise(length, seed);
        let mut out = vec![0x55; plan.tensor_bytes()];
        for plan in kernels(&plan) {
            prop_assert_eq!(plan.run(&frame, &mut out).is_ok(), length >= plan.frame_bytes());
        }
    }
}

fn simple(fit: Fit, resample: Resample) -> Preparation {
    Preparation {
        fit,
        resample,
        channels: Channels::Rgb,
        range: InputRange::One([-1.0, 1.0]),
        view: View::default(),
    }
}

#[test]
fn each_format_is_right_at_its_least_size_odd_sizes_and_the_longest_rows_on_each_kernel() {
    let fast = kernels(&demo()).len();
    let mut runs = 0;
    for pixel in PixelFormat::RAW {
        for (width, height, padding) in [
            (4, 4, 0),
            (5, 7, 3),
            (33, 6, 1),
            (8191, 5, 0),
            (65_535, 4, 0),
        ] {
            let stride = u32::try_from(pixel.row_bytes(width)).unwrap() + padding;
            let format = format(pixel, width, height, stride, HD);
            let frame = noise(format.size_bytes as usize, u64::from(width));
            for (kind, channels, resample) in [
                (TensorType::F32, 3, Resample::Bilinear),
                (TensorType::F32, 3, Resample::Area),
                (TensorType::F16, 3, Resample::Bilinear),
                (TensorType::F16, 1, Resample::Area),
                (TensorType::I8, 3, Resample::Bilinear),
                (TensorType::U8, 1, Resample::Area),
            ] {
                // The plain kernel and the reference read each of millions of pixels.
                if resample == Resample::Area && width > 8191 {
                    continue;
                }
                let mut info = tensor(9, 83, channels, kind);
                if kind == TensorType::I8 || (kind, resample) == (TensorType::F32, Resample::Area) {
                    info = planar(info);
                }
                let preparation = simple(Fit::Stretch, resample);
                let plan = Plan::prepared(&format, &info, &preparation).unwrap();
                let expected = reference(&format, &info, &preparation, &frame);
                let kernels = kernels(&plan);
                // Positions of more than 64 columns are none's but the plain one's.
                let wide = if resample == Resample::Area {
                    5000
                } else {
                    10_000
                };
                assert!(
                    kernels.len() + 1 >= fast || width > wide,
                    "{pixel:?} {width}"
                );
                for plan in kernels {
                    let off = steps_off(&plan, &info, preparation.range, &frame, &expected);
                    let bound = bound(plan.kernel(), resample, kind);
                    assert!(
                        off <= bound,
                        "{pixel:?} {width} {resample:?} {}: {off}",
                        plan.kernel().name()
                    );
                    runs += 1;
                }
            }
        }
    }
    assert!(
        runs >= 6 * PixelFormat::RAW.len() * (5 + 3 * (fast - 2)),
        "{runs}"
    );
}

#[test]
fn extreme_crops_are_right_on_each_kernel() {
    let mut runs = 0;
    for (name, region) in [
        ("NV12", [1900, 1060, 20, 20]),
        ("NV12", [0, 538, 1920, 2]),
        ("YUYV", [958, 0, 2, 1080]),
        ("RGB3", [2, 4, 1916, 1074]),
        ("RG10", [1918, 1078, 2, 2]),
    ] {
        let pixel = PixelFormat::ALL
            .into_iter()
            .find(|pixel| pixel.name() == name)
            .unwrap();
        let stride = u32::try_from(pixel.row_bytes(1920)).unwrap();
        let format = format(pixel, 1920, 1080, stride, HD);
        let frame = noise(format.size_bytes as usize, 5);
        for resample in [Resample::Bilinear, Resample::Area, Resample::Nearest] {
            let mut info = tensor(31, 47, 3, TensorType::F32);
            if region[0] % 4 == 0 {
                info = planar(info);
            }
            let mut preparation = simple(Fit::Stretch, resample);
            preparation.view.region_px = Some(region);
            let plan = Plan::prepared(&format, &info, &preparation).unwrap();
            let expected = reference(&format, &info, &preparation, &frame);
            for plan in kernels(&plan) {
                let off = steps_off(&plan, &info, preparation.range, &frame, &expected);
                let bound = bound(plan.kernel(), resample, info.kind);
                assert!(
                    off <= bound,
                    "{name} {region:?} {resample:?} {}: {off}",
                    plan.kernel().name()
                );
                runs += 1;
            }
        }
    }
    assert!(runs >= 5 * 3 * 2);
}

#[test]
fn a_line_of_as_many_rows_as_a_fast_kernel_takes_is_right_of_bayer_squares_too() {
    let info = tensor(1, 1, 1, TensorType::F32);
    let preparation = simple(Fit::Stretch, Resample::Area);
    for (pixel, block) in [(PixelFormat::Grey, 1), (PixelFormat::Sbggr8, 2)] {
        for rows in [32, 33, 63, 64, 65] {
            let format = format(pixel, 4, rows * block, 4, HD);
            let plan = Plan::prepared(&format, &info, &preparation).unwrap();
            let frame = noise(plan.frame_bytes(), u64::from(rows));
            let expected = reference(&format, &info, &preparation, &frame);
            let kernels = kernels(&plan);
            assert_eq!(kernels.len() > 1, rows <= 64, "{pixel:?} {rows}");
            for plan in kernels {
                let off = steps_off(&plan, &info, preparation.range, &frame, &expected);
                let bound = bound(plan.kernel(), Resample::Area, info.kind);
                let kernel = plan.kernel().name();
                assert!(off <= bound, "{pixel:?} {rows} {kernel}: {off}");
            }
        }
    }
}

const HD: Colour = Colour {
    encoding: Encoding::Bt709,
    quantization: Quantization::Limited,
};

fn demo() -> Plan {
    let format = format(PixelFormat::Nv12, 1920, 1080, 1920, HD);
    Plan::new(
        &format,
        &tensor(128, 128, 3, TensorType::F32),
        Fit::Letterbox,
        [-1.0, 1.0],
    )
    .unwrap()
}

#[test]
fn a_frame_needs_every_byte_up_to_its_last_sample_and_no_more() {
    let plan = demo();
    assert_eq!(plan.frame_bytes(), 1920 * 1080 * 3 / 2);
    let mut out = vec![0; plan.tensor_bytes()];
    let frame = noise(plan.frame_bytes(), 1);
    let before = out.clone();
    let error = plan.run(&frame[1..], &mut out).unwrap_err();
    assert_eq!(
        error,
        RunError::FrameShort {
            found_bytes: 3_110_399,
            needed_bytes: 3_110_400
        }
    );
    assert_eq!(out, before, "the tensor is untouched");
    let error = plan.run(&frame, &mut out[4..]).unwrap_err();
    assert_eq!(
        error,
        RunError::TensorSize {
            found_bytes: 196_604,
            needed_bytes: 196_608
        }
    );
}

#[test]
fn bars_are_black_and_kept_when_only_the_picture_is_written() {
    let plan = demo();
    let frame = vec![235; plan.frame_bytes()];
    let mut whole = vec![0; plan.tensor_bytes()];
    plan.run(&frame, &mut whole).unwrap();
    let mut parts = vec![0; plan.tensor_bytes()];
    plan.fill_bars(&mut parts).unwrap();
    plan.run_picture(&frame, &mut parts).unwrap();
    assert_eq!(whole, parts);
    let value = |row: usize| f32::from_ne_bytes(whole.as_chunks().0[row * 128 * 3]);
    assert_eq!([value(0), value(27), value(100), value(127)], [-1.0; 4]);
    assert!(value(28) > -1.0 && value(99) > -1.0);
}

#[test]
fn pillar_bars_stand_at_both_sides_of_a_tall_picture() {
    let format = format(PixelFormat::Yuyv, 40, 80, 80, HD);
    let info = tensor(16, 16, 1, TensorType::U8);
    let plan = Plan::new(&format, &info, Fit::Letterbox, [-1.0, 1.0]).unwrap();
    let mut out = vec![77; plan.tensor_bytes()];
    plan.run(&vec![235; plan.frame_bytes()], &mut out).unwrap();
    let row: Vec<u8> = out[..16].to_vec();
    assert_eq!(
        row,
        [
            1, 1, 1, 1, 255, 255, 255, 255, 255, 255, 255, 255, 1, 1, 1, 1
        ]
    );
}

#[test]
fn white_and_black_are_the_ends_of_the_range() {
    for (pixel, quantization, black, white) in [
        (PixelFormat::Nv12, Quantization::Limited, 16, 235),
        (PixelFormat::Nv12, Quantization::Full, 0, 255),
        (PixelFormat::Yuyv, Quantization::Limited, 16, 235),
    ] {
        let colour = Colour {
            encoding: Encoding::Bt601,
            quantization,
        };
        let format = format(
            pixel,
            64,
            48,
            u32::try_from(pixel.row_bytes(64)).unwrap(),
            colour,
        );
        let info = tensor(24, 32, 3, TensorType::F32);
        let plan = Plan::new(&format, &info, Fit::Stretch, [0.0, 255.0]).unwrap();
        for (luma, expected) in [(black, 0.0), (white, 255.0)] {
            let mut frame = vec![128; plan.frame_bytes()];
            match pixel {
                PixelFormat::Nv12 => frame[..64 * 48].fill(luma),
                _ => frame.iter_mut().step_by(2).for_each(|y| *y = luma),
            }
            let mut out = vec![0; plan.tensor_bytes()];
            for plan in kernels(&plan) {
                plan.run(&frame, &mut out).unwrap();
                let off = reals(&info, &out)
                    .iter()
                    .map(|v| (v - expected).abs())
                    .fold(0.0, f64::max);
                let bound = if plan.kernel() == Kernel::Scalar {
                    1e-3
                } else {
                    0.02
                };
                assert!(off < bound, "{pixel:?} {quantization:?}: {off}");
            }
        }
    }
}

#[test]
fn the_fastest_kernel_of_the_machine_is_chosen_and_tested() {
    let names: Vec<&str> = kernels(&demo())
        .iter()
        .map(|plan| plan.kernel().name())
        .collect();
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        assert!(
            names.ends_with(&["avx2", "portable", "scalar"]),
            "{names:?}"
        );
    }
    #[cfg(target_arch = "aarch64")]
    assert_eq!(names, ["neon", "portable", "scalar"]);
    assert_eq!(demo().kernel().name(), names[0]);
}

#[test]
fn points_of_the_tensor_come_back_in_camera_pixels() {
    let plan = demo();
    assert_eq!(plan.to_camera(0.5, 0.5), [960.0, 540.0]);
    assert_eq!(plan.to_camera(0.0, 28.0 / 128.0), [0.0, 0.0]);
    assert_eq!(plan.mapping().camera_px(), [1920.0, 1080.0]);
}

#[test]
fn a_centre_crop_fills_the_tensor_and_its_points_come_back_in_camera_pixels() {
    let format = format(PixelFormat::Nv12, 1920, 1080, 1920, HD);
    let info = tensor(96, 96, 3, TensorType::F32);
    let plan = Plan::new(&format, &info, Fit::Crop, [0.0, 1.0]).unwrap();
    // The middle square of 1080 pixels starts 420 pixels from the left.
    assert_eq!(plan.to_camera(0.0, 0.0), [420.0, 0.0]);
    assert_eq!(plan.to_camera(1.0, 1.0), [1500.0, 1080.0]);
    assert_eq!(plan.mapping().size_to_camera(0.5, 0.5), [540.0, 540.0]);
    let mut out = vec![0; plan.tensor_bytes()];
    plan.run(&vec![235; plan.frame_bytes()], &mut out).unwrap();
    assert!(
        reals(&info, &out).iter().all(|&value| value > 0.0),
        "no bars"
    );
}

#[test]
fn what_does_not_go_together_is_named_with_what_was_found() {
    let good = format(PixelFormat::Nv12, 64, 48, 64, HD);
    let info = tensor(16, 16, 3, TensorType::F32);
    let plan = |format: &StreamFormat, info: &TensorInfo, range| {
        Plan::new(format, info, Fit::Stretch, range)
    };
    let unit = [0.0, 1.0];
    assert!(plan(&good, &info, unit).is_ok());

    let flat = TensorInfo {
        shape: vec![1, 16, 48],
        ..info.clone()
    };
    assert_eq!(
        plan(&good, &flat, unit),
        Err(PlanError::Shape {
            found: vec![1, 16, 48]
        })
    );
    let four = TensorInfo {
        shape: vec![1, 16, 16, 4],
        ..info.clone()
    };
    assert!(matches!(
        plan(&good, &four, unit),
        Err(PlanError::Shape { .. })
    ));
    let batch = TensorInfo {
        shape: vec![2, 16, 16, 3],
        ..info.clone()
    };
    assert!(matches!(
        plan(&good, &batch, unit),
        Err(PlanError::Shape { .. })
    ));

    let line = StreamFormat {
        height_px: 1,
        ..good
    };
    assert_eq!(
        plan(&line, &info, unit),
        Err(PlanError::Picture {
            width_px: 64,
            height_px: 1,
            least_px: 2
        })
    );
    let narrow = StreamFormat {
        stride_bytes: 63,
        ..good
    };
    assert_eq!(
        plan(&narrow, &info, unit),
        Err(PlanError::Stride {
            found_bytes: 63,
            needed_bytes: 64
        })
    );
    let small = StreamFormat {
        size_bytes: 4607,
        ..good
    };
    assert_eq!(
        plan(&small, &info, unit),
        Err(PlanError::Buffer {
            found_bytes: 4607,
            needed_bytes: 4608
        })
    );

    let mut outside = simple(Fit::Stretch, Resample::Area);
    outside.view.region_px = Some([0, 40, 64, 10]);
    assert_eq!(
        Plan::prepared(&good, &info, &outside)
            .unwrap_err()
            .to_string(),
        "region: found [0, 40, 64, 10], expected [x, y, width, height] inside the picture of 64 x 48 pixels"
    );

    assert_eq!(
        plan(&good, &info, [1.0, 1.0]),
        Err(PlanError::Range { found: [1.0, 1.0] })
    );
    assert!(matches!(
        plan(&good, &info, [0.0, f32::NAN]),
        Err(PlanError::Range { .. })
    ));

    let int8 = tensor(16, 16, 3, TensorType::I8);
    assert_eq!(
        plan(
            &good,
            &TensorInfo {
                scale: 0.0,
                ..int8.clone()
            },
            unit
        ),
        Err(PlanError::Scale { found: 0.0 })
    );
    assert!(plan(&good, &int8, [-1.0, 1.0]).is_ok());
    let error = plan(&good, &int8, [0.0, 255.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input-range: found [0.0, 255.0], expected a range inside [-1.0039, 0.9961], which is all that the input \
         tensor stores"
    );
}

#[test]
fn each_channel_has_its_own_black_and_white_in_the_tensors_order_bars_included() {
    // ImageNet's, as PyTorch's models have them.
    let ranges = [[-2.118, 2.249], [-2.036, 2.429], [-1.804, 2.640]];
    let format = format(PixelFormat::Nv12, 32, 16, 32, HD);
    let info = tensor(16, 16, 3, TensorType::F32);
    for order in [Channels::Rgb, Channels::Bgr, Channels::Grey] {
        let mut preparation = simple(Fit::Letterbox, Resample::Bilinear);
        preparation.channels = order;
        preparation.range = InputRange::Each(ranges);
        let plan = Plan::prepared(&format, &info, &preparation).unwrap();
        for plan in kernels(&plan) {
            // Beyond white: clamped to it, in each channel.
            for (luma, end) in [(0, 0), (255, 1)] {
                let mut frame = vec![128; plan.frame_bytes()];
                frame[..32 * 16].fill(luma);
                let mut out = vec![0; plan.tensor_bytes()];
                plan.run(&frame, &mut out).unwrap();
                let (numbers, _) = out.as_chunks();
                for (index, &number) in numbers.iter().enumerate() {
                    let (row, range) = (index / 48, ranges[index % 3]);
                    let is_bar = !(4..12).contains(&row);
                    let expected = if is_bar { range[0] } else { range[end] };
                    let found = f32::from_ne_bytes(number);
                    let kernel = plan.kernel().name();
                    assert!(found == expected, "{order:?} {kernel} {index}: {found}");
                }
            }
        }
    }
    let refused = |info: &TensorInfo, ranges| {
        let mut preparation = simple(Fit::Stretch, Resample::Bilinear);
        preparation.range = InputRange::Each(ranges);
        let plan = Plan::prepared(&format, info, &preparation);
        plan.unwrap_err().to_string()
    };
    assert_eq!(
        refused(&tensor(16, 16, 1, TensorType::F32), [[0.0, 1.0]; 3]),
        "input-range: found [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], expected [black, white]: the input tensor has \
         one channel"
    );
    assert_eq!(
        refused(&info, [[0.0, 1.0], [0.0, 1.0], [0.5, 0.5]]),
        "input-range: found [0.5, 0.5], expected two different finite numbers"
    );
}

#[test]
fn a_float16_tensor_stores_no_more_than_65504() {
    let good = format(PixelFormat::Nv12, 64, 48, 64, HD);
    let info = tensor(16, 16, 3, TensorType::F16);
    for range in [[-65_504.0, 65_504.0], [0.0, 255.0]] {
        let plan = Plan::new(&good, &info, Fit::Letterbox, range).unwrap();
        for plan in kernels(&plan) {
            for luma in [0, 255] {
                let mut out = vec![0; plan.tensor_bytes()];
                plan.run(&vec![luma; plan.frame_bytes()], &mut out).unwrap();
                let inside = |half: &f16| (range[0]..=range[1]).contains(&half.to_f32());
                assert!(halves(&out).iter().all(inside), "{}", plan.kernel().name());
            }
        }
    }
    let error = Plan::new(&good, &info, Fit::Stretch, [0.0, 65_505.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input-range: found [0.0, 65505.0], expected a range inside [-65504.0000, 65504.0000], which is all that \
         the input tensor stores"
    );
}

#[test]
fn an_int8_tensor_of_step_one_stores_the_sample_less_128() {
    let format = format(
        PixelFormat::Nv12,
        32,
        32,
        32,
        Colour {
            encoding: Encoding::Bt601,
            quantization: Quantization::Full,
        },
    );
    let info = TensorInfo {
        scale: 1.0 / 128.0,
        zero_point: 0,
        ..tensor(32, 32, 1, TensorType::I8)
    };
    let plan = Plan::new(&format, &info, Fit::Stretch, [-1.0, 127.0 / 128.0]).unwrap();
    let frame = noise(plan.frame_bytes(), 9);
    for plan in kernels(&plan) {
        let mut out = vec![0; plan.tensor_bytes()];
        plan.run(&frame, &mut out).unwrap();
        let expected: Vec<u8> = frame[..1024].iter().map(|y| y.wrapping_sub(128)).collect();
        assert_eq!(out, expected, "{}", plan.kernel().name());
    }
}

#[test]
fn a_point_of_a_turned_mirrored_part_comes_back_where_it_was() {
    // One bright pixel, found in the tensor, and followed back.
    let format = format(PixelFormat::Grey, 64, 48, 64, HD);
    let info = tensor(60, 80, 1, TensorType::F32);
    let (x, y) = (41, 30);
    let mut frame = vec![16; format.size_bytes as usize];
    frame[y * 64 + x] = 235;
    for rotate in [
        Rotate::None,
        Rotate::Quarter,
        Rotate::Half,
        Rotate::ThreeQuarters,
    ] {
        for mirror in [false, true] {
            for fit in [Fit::Letterbox, Fit::Stretch, Fit::Crop] {
                let mut preparation = simple(fit, Resample::Area);
                preparation.view = View {
                    region_px: Some([30, 20, 20, 16]),
                    rotate,
                    mirror,
                };
                let plan = Plan::prepared(&format, &info, &preparation).unwrap();
                let mut out = vec![0; plan.tensor_bytes()];
                plan.run(&frame, &mut out).unwrap();
                let values = reals(&info, &out);
                let brightest = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]));
                let at = brightest.unwrap();
                let [u, v] = [(at % 80) as f32 + 0.5, (at / 80) as f32 + 0.5];
                let [found_x, found_y] = plan.to_camera(u / 80.0, v / 60.0);
                assert_eq!(
                    [found_x.floor(), found_y.floor()],
                    [x as f32, y as f32],
                    "{preparation:?}"
                );
            }
        }
    }
}
