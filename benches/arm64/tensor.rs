//! Makes one tensor so many times, for what counts instructions (`bench.py`): 1080p of noise, to a
//! square, three channels, bilinear.
//!
//! ```text
//! tensor FORMAT SIDE float32|int8 KERNEL PASSES
//! ```
//! Without a kernel of that name it ends with 3; `fastest` is the one that the program takes by itself.

use pinsight::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use pinsight::infer::{TensorInfo, TensorType};
use pinsight::preprocess::{Kernel, Plan, Preparation};
use pinsight::profile::{Channels, Fit, InputRange, Resample, View};
use std::hint::black_box;
use std::process::ExitCode;

const WIDTH_PX: u32 = 1920;
const HEIGHT_PX: u32 = 1080;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [format, side, tensor, kernel, passes] = &arguments[..] else {
        eprintln!("usage: tensor FORMAT SIDE float32|int8 KERNEL PASSES");
        return ExitCode::from(2);
    };
    let pixel = PixelFormat::ALL
        .into_iter()
        .find(|pixel| pixel.name() == format)
        .expect("the four-character code of a format");
    let plan = plan(pixel, side.parse().expect("a side in pixels"), tensor);
    let plan = match Kernel::ALL.into_iter().find(|of| of.name() == kernel) {
        Some(kernel) => plan.with_kernel(kernel),
        None => (kernel == "fastest").then_some(plan),
    };
    let Some(plan) = plan else {
        return ExitCode::from(3);
    };
    let mut state = 1_u64;
    let frame: Vec<u8> = (0..plan.frame_bytes())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect();
    let mut tensor = vec![0; plan.tensor_bytes()];
    for _ in 0..passes.parse().expect("a number of passes") {
        plan.run(black_box(&frame), black_box(&mut tensor))
            .expect("buffers of the plan's sizes");
    }
    println!("{}", plan.kernel().name());
    ExitCode::SUCCESS
}

fn plan(pixel: PixelFormat, side: usize, tensor: &str) -> Plan {
    let stride_bytes = u32::try_from(pixel.row_bytes(WIDTH_PX)).expect("a short row");
    let format = StreamFormat {
        pixel,
        width_px: WIDTH_PX,
        height_px: HEIGHT_PX,
        stride_bytes,
        size_bytes: u32::try_from(pixel.image_bytes(stride_bytes, HEIGHT_PX))
            .expect("a small image"),
        colour: Colour {
            encoding: Encoding::Bt709,
            quantization: Quantization::Limited,
        },
        interval_ns: 0,
    };
    let (kind, scale, zero_point) = match tensor {
        "float32" => (TensorType::F32, 0.0, 0),
        _ => (TensorType::I8, 1.0 / 255.0, -128),
    };
    let info = TensorInfo {
        name: "input".into(),
        shape: vec![1, side, side, 3],
        kind,
        scale,
        zero_point,
    };
    let preparation = Preparation {
        fit: Fit::Stretch,
        resample: Resample::Bilinear,
        channels: Channels::Rgb,
        range: InputRange::One([0.0, 1.0]),
        view: View::default(),
    };
    Plan::prepared(&format, &info, &preparation).expect("a format and a tensor that go together")
}
