//! `yuv` and `fast_image_resize` beside `pinsight-bench preprocess`: the same images to the same
//! tensors, on one thread.
//!
//! ```text
//! preprocess-peers PASSES                                   times every case: one JSON row a line
//! preprocess-peers FORMAT SIDE float32|uint8|int8 PASSES    makes one tensor so often, for what counts instructions
//! ```
//! No crate of theirs reads raw Bayer frames: `RG10` becomes an image of its squares of 2 x 2 pixels by a plain loop,
//! and `fast_image_resize` resizes its 16-bit pixels.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use std::hint::black_box;
use std::time::Instant;
use yuv::{
    YuvBiPlanarImage, YuvConversionMode, YuvPackedImage, YuvRange, YuvStandardMatrix,
    yuv_nv12_to_rgb, yuyv422_to_rgb,
};

const WIDTH: u32 = 1920;
const HEIGHT: u32 = 1080;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [format, side, tensor, passes] = &arguments[..] {
        let side = side.parse().expect("a side in pixels");
        let mut pass = passes_of(format, side, "bilinear", tensor);
        for _ in 0..passes.parse().expect("a number of passes") {
            pass();
        }
        return;
    }
    let passes = arguments.first().map_or(41, |passes| passes.parse().expect("a number of passes"));
    for tensor in ["float32", "uint8"] {
        for resample in ["bilinear", "area", "nearest"] {
            for format in ["NV12", "YUYV"] {
                for side in [300, 640] {
                    let (p50_ns, least_ns) = time(passes, format, side, resample, tensor);
                    println!(
                        "{{\"design\": \"yuv+fast_image_resize\", \"format\": \"{format}\", \"side_px\": {side}, \
                         \"tensor\": \"{tensor}\", \"resample\": \"{resample}\", \"p50_ns\": {p50_ns}, \
                         \"least_ns\": {least_ns}}}"
                    );
                }
            }
        }
    }
}

/// Median and least nanoseconds.
fn time(passes: usize, format: &str, side: u32, resample: &str, tensor: &str) -> (u128, u128) {
    let mut pass = passes_of(format, side, resample, tensor);
    pass();
    let mut times: Vec<u128> = (0..passes)
        .map(|_| {
            let start = Instant::now();
            pass();
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    (times[passes / 2], times[0])
}

/// What makes one tensor. Every buffer exists before: nothing is allocated in a pass.
fn passes_of(format: &str, side: u32, resample: &str, tensor: &str) -> Box<dyn FnMut()> {
    let mut state = 1_u64;
    let frame: Vec<u8> = (0..WIDTH * HEIGHT * 2)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect();
    let algorithm = match resample {
        // Two columns and two rows a pixel, without a prefilter, as ours.
        "bilinear" => ResizeAlg::Interpolation(FilterType::Bilinear),
        "area" => ResizeAlg::Convolution(FilterType::Box),
        _ => ResizeAlg::Nearest,
    };
    let options = ResizeOptions::new().resize_alg(algorithm).use_alpha(false);
    let mut resizer = Resizer::new();
    let elements = (side * side * 3) as usize;
    let (mut floats, mut signed) = (vec![0_f32; elements], vec![0_i8; elements]);
    let tensor = tensor.to_owned();
    if format == "RG10" {
        let mut rgb = vec![0_u16; (WIDTH / 2 * HEIGHT / 2 * 3) as usize];
        let mut small = Image::new(side, side, PixelType::U16x3);
        return Box::new(move || {
            squares(black_box(&frame), &mut rgb);
            // SAFETY: every bit pattern of the same memory is two bytes, which need no alignment.
            let bytes = unsafe { rgb.align_to::<u8>().1 };
            let whole = ImageRef::new(WIDTH / 2, HEIGHT / 2, bytes, PixelType::U16x3).expect("a whole image");
            resizer.resize(&whole, &mut small, &options).expect("the same pixels");
            let words = small.buffer().as_chunks().0.iter().map(|&word| u16::from_ne_bytes(word));
            if tensor == "float32" {
                for (float, word) in floats.iter_mut().zip(words) {
                    *float = f32::from(word) * (1.0 / 1023.0);
                }
                black_box(&floats);
            } else {
                // Ten bits to eight.
                for (byte, word) in signed.iter_mut().zip(words) {
                    *byte = (word >> 2) as u8 as i8 ^ i8::MIN;
                }
                black_box(&signed);
            }
        });
    }
    let format = format.to_owned();
    let mut rgb = vec![0; (WIDTH * HEIGHT * 3) as usize];
    let mut small = Image::new(side, side, PixelType::U8x3);
    Box::new(move || {
        convert(&format, black_box(&frame), &mut rgb);
        let whole = ImageRef::new(WIDTH, HEIGHT, &rgb, PixelType::U8x3).expect("a whole image");
        resizer.resize(&whole, &mut small, &options).expect("the same pixels");
        if tensor == "float32" {
            for (float, byte) in floats.iter_mut().zip(small.buffer()) {
                *float = f32::from(*byte) * (1.0 / 255.0);
            }
            black_box(&floats);
        } else if tensor == "int8" {
            for (signed, byte) in signed.iter_mut().zip(small.buffer()) {
                *signed = *byte as i8 ^ i8::MIN;
            }
            black_box(&signed);
        }
        black_box(&small);
    })
}

/// Red, the mean of both greens, and blue of each square of two rows of words.
fn squares(frame: &[u8], rgb: &mut [u16]) {
    let words = frame.as_chunks::<2>().0;
    let rows = words.chunks_exact(2 * WIDTH as usize);
    for (rows, out) in rows.zip(rgb.chunks_exact_mut(WIDTH as usize / 2 * 3)) {
        let (upper, lower) = rows.split_at(WIDTH as usize);
        let squares = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        for (([r, g], [h, b]), out) in squares.zip(out.as_chunks_mut::<3>().0) {
            let [r, g, h, b] = [r, g, h, b].map(|word| u16::from_ne_bytes(*word) & 1023);
            *out = [r, (g + h + 1) / 2, b];
        }
    }
}

fn convert(format: &str, frame: &[u8], rgb: &mut [u8]) {
    let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt709);
    let pixels = (WIDTH * HEIGHT) as usize;
    if format == "NV12" {
        let image = YuvBiPlanarImage {
            y_plane: &frame[..pixels],
            y_stride: WIDTH,
            uv_plane: &frame[pixels..pixels * 3 / 2],
            uv_stride: WIDTH,
            width: WIDTH,
            height: HEIGHT,
        };
        yuv_nv12_to_rgb(&image, rgb, WIDTH * 3, range, matrix, YuvConversionMode::Balanced)
    } else {
        let image = YuvPackedImage { yuy: frame, yuy_stride: WIDTH * 2, width: WIDTH, height: HEIGHT };
        yuyv422_to_rgb(&image, rgb, WIDTH * 3, range, matrix)
    }
    .expect("sizes that fit");
}
