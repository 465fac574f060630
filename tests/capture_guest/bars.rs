//! Whether pictures show vivid's colour bars, to the eye and to the model.

use crate::inside::camera::{CAMERA, Setting, USUAL, streaming};
use pinsight::capture::Ycbcr;
use pinsight::capture::synthetic::pattern::read_pixel;
use pinsight::frame::{Colour, Encoding, Model, PixelFormat, Quantization};
use pinsight::infer::{TensorInfo, TensorType};
use pinsight::preprocess::Plan;
use pinsight::profile::{Fit, Io};
use pinsight::sys::device::v4l2::cameras;
use std::path::Path;

/// Checks frames of vivid's 100 % colour bars, which it makes by BT.601 from sRGB, limited range, with
/// tables of its own that are off by 2.
pub(crate) fn shows_colour_bars(io: Io) {
    for pixel in USUAL {
        shows_bars_of(pixel, io);
    }
}

pub(crate) fn shows_bars_of(pixel: PixelFormat, io: Io) {
    let _bars = Setting::new(
        "test_pattern=1,osd_text_mode=2",
        "test_pattern=0,osd_text_mode=0",
    );
    // Of white, yellow, cyan, green, magenta, red, blue, black.
    let bars: [[u8; 3]; 8] = [
        [235, 128, 128],
        [210, 16, 146],
        [170, 166, 16],
        [145, 54, 34],
        [106, 202, 222],
        [81, 90, 240],
        [41, 240, 110],
        [16, 128, 128],
    ];
    {
        let mut stage = streaming(pixel, io);
        let format = stage.source.format();
        let colour = Colour {
            encoding: Encoding::Bt601,
            quantization: Quantization::Limited,
        };
        assert_eq!(format.colour, colour);
        for _ in 0..5 {
            let frame = stage.next_frame();
            for (index, [y, cb, cr]) in (0..).zip(bars) {
                for row in [10, 360, 719] {
                    let at = index * 160 + 80;
                    let found = read_pixel(&format, stage.picture(&frame), at, row).unwrap();
                    let near = |a: u8, b: u8| a.abs_diff(b) <= 3;
                    let Ycbcr {
                        y: found_y,
                        cb: found_cb,
                        cr: found_cr,
                    } = found;
                    assert!(
                        near(found_y, y) && near(found_cb, cb) && near(found_cr, cr),
                        "{pixel:?} bar {index}: found {found:?}, expected {y} {cb} {cr}"
                    );
                }
            }
            stage.queue(frame.slot).unwrap();
        }
    }
}

/// Formats that vivid has not.
pub(crate) const PACKED_10: [&str; 4] = ["pBAA", "pGAA", "pgAA", "pRAA"];

/// Checks the bars as the model would see them, in each format that this program reads and the camera
/// offers: all but `not_offered`.
pub(crate) fn shows_colour_bars_to_the_model(io: Io, not_offered: &[&str]) {
    let _bars = Setting::new(
        "test_pattern=1,osd_text_mode=2",
        "test_pattern=0,osd_text_mode=0",
    );
    let cameras = cameras();
    let camera = cameras.iter().find(|found| found.node == Path::new(CAMERA));
    let offered: Vec<PixelFormat> = camera
        .unwrap()
        .answer
        .as_ref()
        .unwrap()
        .formats
        .iter()
        .filter_map(|format| PixelFormat::from_fourcc(format.fourcc))
        .collect();
    let missing: Vec<&str> = PixelFormat::RAW
        .into_iter()
        .filter(|format| !offered.contains(format))
        .map(PixelFormat::name)
        .collect();
    assert_eq!(missing, not_offered);
    let info = TensorInfo {
        name: "input".into(),
        shape: vec![1, 45, 80, 3],
        kind: TensorType::F32,
        scale: 0.0,
        zero_point: 0,
    };
    let mut tensor = vec![0; info.bytes()];
    for pixel in offered {
        let mut stage = streaming(pixel, io);
        let format = stage.source.format();
        let full = pixel.layout().model != Model::Ycbcr;
        assert_eq!(format.colour.encoding, Encoding::Bt601, "{pixel:?}");
        assert_eq!(format.colour.quantization == Quantization::Full, full);
        let plan = Plan::new(&format, &info, Fit::Stretch, [0.0, 1.0]).unwrap();
        let frame = stage.next_frame();
        plan.run(stage.picture(&frame), &mut tensor).unwrap();
        let values = tensor.as_chunks::<12>().0;
        let grey = pixel.layout().model == Model::Grey;
        let mut most = 0.0_f32;
        for bar in 0..8 {
            // White, yellow, cyan, green, magenta, red, blue, black.
            let rgb = [2, 4, 1].map(|bit| if bar & bit == 0 { 1.0 } else { 0.0 });
            // vivid's grey is BT.709's luma of them, in full range.
            let luma = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
            let expected = if grey { [luma; 3] } else { rgb };
            for row in [1, 22, 43] {
                let found = values[row * 80 + bar * 10 + 5].as_chunks().0;
                for (found, expected) in found.iter().zip(expected) {
                    let off = (f32::from_ne_bytes(*found) - expected).abs();
                    assert!(off < 0.03, "{pixel:?} bar {bar} row {row}: off by {off}");
                    most = most.max(off);
                }
            }
        }
        println!(
            "{}: stride {}, off by {most:.4} at most",
            pixel.name(),
            format.stride_bytes
        );
    }
}
