//! What black, white and the numbers between them are stored as.

use super::*;

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
