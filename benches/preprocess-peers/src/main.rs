//! `yuv` and `fast_image_resize` beside `pinsight-bench preprocess`: the same pictures to the same
//! tensors, on one thread. Prints one JSON row a line; the argument is the number of passes.

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
    let passes = std::env::args().nth(1).map_or(41, |passes| passes.parse().expect("a number of passes"));
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

/// Median and least nanoseconds. Every buffer exists before: nothing is allocated in a pass.
fn time(passes: usize, format: &str, side: u32, resample: &str, tensor: &str) -> (u128, u128) {
    let mut state = 1_u64;
    let frame: Vec<u8> = (0..WIDTH * HEIGHT * 2)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect();
    let mut rgb = vec![0; (WIDTH * HEIGHT * 3) as usize];
    let mut small = Image::new(side, side, PixelType::U8x3);
    let mut floats = vec![0_f32; (side * side * 3) as usize];
    let algorithm = match resample {
        // Two taps each way, without a prefilter, as ours.
        "bilinear" => ResizeAlg::Interpolation(FilterType::Bilinear),
        "area" => ResizeAlg::Convolution(FilterType::Box),
        _ => ResizeAlg::Nearest,
    };
    let options = ResizeOptions::new().resize_alg(algorithm).use_alpha(false);
    let mut resizer = Resizer::new();
    let mut pass = || {
        convert(format, black_box(&frame), &mut rgb);
        let whole = ImageRef::new(WIDTH, HEIGHT, &rgb, PixelType::U8x3).expect("a whole picture");
        resizer.resize(&whole, &mut small, &options).expect("the same pixels");
        if tensor == "float32" {
            for (float, byte) in floats.iter_mut().zip(small.buffer()) {
                *float = f32::from(*byte) * (1.0 / 255.0);
            }
            black_box(&floats);
        }
        black_box(&small);
    };
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
