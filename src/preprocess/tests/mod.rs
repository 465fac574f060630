//! The kernels against a plain computation in f64, written from the standards and not from the kernels.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Small pixel coordinates.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod direct;
mod reference;
mod refusals;
mod regions;
mod transposed;
mod values;

use super::{Kernel, Plan, PlanError, Preparation, RunError};
use crate::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use crate::infer::{TensorInfo, TensorType};
use crate::profile::{Channels, Fit, InputRange, Resample, Rotate, View};
use half::f16;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use reference::{is_bayer, reference, sides};

/// Whether this machine has what the direct kernel takes.
#[cfg(target_arch = "x86_64")]
fn has_direct() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}
#[cfg(target_arch = "aarch64")]
const fn has_direct() -> bool {
    true
}

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
        // Of noise; flat pictures are further off, see below.
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
    #![proptest_config(crate::proptest_cases::cases(600))]

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
        for plan in kernels(&plan).into_iter().filter(|plan| plan.kernel() != Kernel::Scalar) {
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

/// The plan on each kernel, all of which are as close to the plain computation as they have to be.
#[track_caller]
fn close(
    format: &StreamFormat,
    info: &TensorInfo,
    preparation: &Preparation,
    frame: &[u8],
    what: &str,
) -> Vec<Plan> {
    let plan = Plan::prepared(format, info, preparation).unwrap();
    // Not a byte more than it needs.
    let frame = &frame[..plan.frame_bytes()];
    let expected = reference(format, info, preparation, frame);
    let kernels = kernels(&plan);
    for plan in &kernels {
        let off = steps_off(plan, info, preparation.range, frame, &expected);
        let bound = bound(plan.kernel(), preparation.resample, info.kind);
        assert!(off <= bound, "{what} {}: {off}", plan.kernel().name());
    }
    kernels
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
    // Straight from the frame there is not every image.
    let direct = [Kernel::Avx2Direct, Kernel::NeonDirect];
    let by_row_buffers = |kernels: &[Plan]| {
        let of = kernels.iter().map(Plan::kernel);
        of.filter(|kernel| !direct.contains(kernel)).count()
    };
    let fast = by_row_buffers(&kernels(&demo()));
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
                let what = format!("{pixel:?} {width} {resample:?}");
                let kernels = close(&format, &info, &preparation, &frame, &what);
                // Positions of more than 64 columns are none's but the plain one's.
                let wide = if resample == Resample::Area {
                    5000
                } else {
                    10_000
                };
                let found = by_row_buffers(&kernels);
                assert!(found == fast || width > wide, "{pixel:?} {width}");
                runs += found;
            }
        }
    }
    assert!(
        runs >= 6 * PixelFormat::RAW.len() * (5 + 3 * (fast - 1)),
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
            let what = format!("{name} {region:?} {resample:?}");
            runs += close(&format, &info, &preparation, &frame, &what).len();
        }
    }
    assert!(runs >= 5 * 3 * 2);
}

#[test]
fn a_line_of_many_rows_is_no_brighter_than_its_rows_on_each_kernel() {
    // Shares of 64 rows are powers of two, of 60 they are not.
    for rows in [64, 60, 32, 17] {
        for pixel in [PixelFormat::Nv12, PixelFormat::Y16, PixelFormat::Y10] {
            let stride = u32::try_from(pixel.row_bytes(96)).unwrap();
            let format = format(pixel, 96, rows, stride, HD);
            let info = tensor(1, 48, 3, TensorType::F32);
            let preparation = simple(Fit::Stretch, Resample::Area);
            let plan = Plan::prepared(&format, &info, &preparation).unwrap();
            let frame = noise(plan.frame_bytes(), u64::from(rows));
            let expected = reference(&format, &info, &preparation, &frame);
            for plan in kernels(&plan) {
                let mut out = vec![0; plan.tensor_bytes()];
                plan.run(&frame, &mut out).unwrap();
                let off = reals(&info, &out);
                let off = off
                    .iter()
                    .zip(&expected)
                    .map(|(found, expected)| found - expected);
                let mean = off.sum::<f64>() / expected.len() as f64 * 255.0;
                let name = plan.kernel().name();
                assert!(mean.abs() < 0.02, "{pixel:?} {rows} {name}: {mean} steps");
            }
        }
    }
}

#[test]
fn flat_pictures_of_many_rows_are_within_a_step_on_each_kernel() {
    // What products lose is not spread where all samples are alike, and luma and chroma add up.
    for rows in [17, 36, 60, 61, 63, 64] {
        for (pixel, luma, chroma) in [
            (PixelFormat::Nv12, 128, 128),
            (PixelFormat::Yuyv, 128, 128),
            (PixelFormat::Yuyv, 235, 112),
            (PixelFormat::Yuyv, 64, 128),
        ] {
            let stride = u32::try_from(pixel.row_bytes(96)).unwrap();
            let format = format(pixel, 96, rows, stride, HD);
            let info = tensor(1, 48, 3, TensorType::F32);
            let preparation = simple(Fit::Stretch, Resample::Area);
            let plan = Plan::prepared(&format, &info, &preparation).unwrap();
            let mut frame = vec![chroma; plan.frame_bytes()];
            match pixel {
                PixelFormat::Nv12 => frame[..96 * rows as usize].fill(luma),
                _ => frame.iter_mut().step_by(2).for_each(|y| *y = luma),
            }
            let expected = reference(&format, &info, &preparation, &frame);
            for plan in kernels(&plan) {
                let off = steps_off(&plan, &info, preparation.range, &frame, &expected);
                let name = plan.kernel().name();
                assert!(off < 0.85, "{pixel:?} {rows} {name}: {off} steps");
            }
        }
    }
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
fn the_fastest_kernel_of_the_machine_is_chosen_and_tested() {
    let names: Vec<&str> = kernels(&demo())
        .iter()
        .map(|plan| plan.kernel().name())
        .collect();
    #[cfg(target_arch = "x86_64")]
    if has_direct() {
        assert_eq!(names, ["avx2-direct", "avx2", "portable", "scalar"]);
    } else {
        assert_eq!(names, ["portable", "scalar"]);
    }
    #[cfg(target_arch = "aarch64")]
    assert_eq!(names, ["neon-direct", "neon", "portable", "scalar"]);
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
