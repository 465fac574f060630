//! Pictures that lie on their side, against upright ones.

use super::{HD, format, kernels, noise, planar, simple, tensor};
use crate::frame::PixelFormat;
use crate::infer::TensorType;
use crate::preprocess::Plan;
use crate::profile::{Fit, Resample, Rotate};

#[test]
fn a_turned_and_mirrored_picture_is_the_upright_one_with_its_rows_as_columns_bit_for_bit_on_each_kernel()
 {
    // One line a band and many, a band that is cut off, several tiles, bars at both sides.
    for (camera_px, width, height, kind, in_planes) in [
        ([5000, 60], 37, 4096, TensorType::F32, false),
        ([5000, 60], 20, 2731, TensorType::F32, true),
        ([90, 40], 20, 4081, TensorType::F16, false),
        ([1280, 720], 300, 170, TensorType::U8, true),
        ([1280, 720], 100, 170, TensorType::I8, false),
        ([60, 2000], 1, 40, TensorType::F32, false),
        ([60, 2000], 40, 1, TensorType::F32, false),
    ] {
        for fit in [Fit::Stretch, Fit::Letterbox] {
            let [camera_width, camera_height] = camera_px;
            let stride = camera_width + 3;
            let format = format(PixelFormat::Nv12, camera_width, camera_height, stride, HD);
            let shaped = |height, width| {
                let info = tensor(height, width, 3, kind);
                if in_planes { planar(info) } else { info }
            };
            let mut preparation = simple(fit, Resample::Bilinear);
            let plan = |info, preparation| Plan::prepared(&format, &info, &preparation).unwrap();
            let upright = plan(shaped(width, height), preparation);
            preparation.view.rotate = Rotate::Quarter;
            preparation.view.mirror = true;
            let turned = plan(shaped(height, width), preparation);
            let frame = noise(upright.frame_bytes(), 5);
            let (planes, pixel) = match in_planes {
                true => (3, kind.bytes()),
                false => (1, 3 * kind.bytes()),
            };
            for (upright, turned) in kernels(&upright).iter().zip(kernels(&turned)) {
                assert_eq!(upright.kernel(), turned.kernel());
                let mut expected = vec![0x55; upright.tensor_bytes()];
                let mut found = vec![0xaa; turned.tensor_bytes()];
                upright.run(&frame, &mut expected).unwrap();
                turned.run(&frame, &mut found).unwrap();
                let places = (0..planes * height * width).map(|place| {
                    let (plane, y, x) = (
                        place / width / height,
                        place / width % height,
                        place % width,
                    );
                    (plane * width + x) * height + y
                });
                let expected = places.map(|place| &expected[place * pixel..][..pixel]);
                assert!(
                    found.chunks_exact(pixel).eq(expected),
                    "{camera_px:?} {width} {height} {kind:?} {fit:?} {}",
                    turned.kernel().name()
                );
            }
        }
    }
}
