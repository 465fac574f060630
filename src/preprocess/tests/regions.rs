//! Plans that are moved from part to part of the picture, against the plain computation and against plans that
//! are made for each part.

use super::{
    Case, bound, cases, format, is_bayer, kernels, noise, reference, simple, steps_off, tensor,
};
use crate::frame::{Colour, PixelFormat};
use crate::infer::TensorType;
use crate::preprocess::{Kernel, Plan};
use crate::profile::{Fit, Resample};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

/// A part of what a case looks at, by shares of its sides: whole squares of a Bayer picture.
fn part(case: &Case, from: [f64; 2], size: [f64; 2]) -> [u32; 4] {
    let block = if is_bayer(case.format.pixel) { 2 } else { 1 };
    let whole = [case.format.width_px, case.format.height_px];
    let region = case.preparation.view.region_px;
    let [x, y, width, height] = region.unwrap_or([0, 0, whole[0], whole[1]]);
    let along = |start: u32, length: u32, axis: usize| {
        let (start, length) = (start / block, length / block);
        let first = (f64::from(length - 1) * from[axis]) as u32;
        let count = 1 + (f64::from(length - first - 1) * size[axis]) as u32;
        [(start + first) * block, count * block]
    };
    let ([x, width], [y, height]) = (along(x, width, 0), along(y, height, 1));
    [x, y, width, height]
}

proptest! {
    #![proptest_config(crate::proptest_cases::cases(200))]

    #[test]
    fn a_plan_that_is_aimed_is_as_one_that_is_made_for_that_part(
        case in cases(),
        parts in proptest::collection::vec(([0.0..1.0, 0.0..1.0], [0.0..1.0, 0.0..1.0]), 3),
    ) {
        let Case { format, info, preparation, seed } = &case;
        let mut moved = Plan::movable(format, info, preparation).unwrap();
        let frame = noise(moved.frame_bytes(), *seed);
        let run = |plan: &Plan| {
            let mut out = vec![0x55; plan.tensor_bytes()];
            plan.run(&frame, &mut out).unwrap();
            out
        };
        prop_assert_eq!(run(&moved), run(&Plan::prepared(format, info, preparation).unwrap()), "whole");
        // The first one again at the end: nothing is left of those between.
        for (from, size) in parts.iter().chain(&parts[..1]) {
            let part = part(&case, *from, *size);
            moved.set_region(part).unwrap();
            let mut of_part = *preparation;
            of_part.view.region_px = Some(part);
            let made = Plan::prepared(format, info, &of_part).unwrap();
            prop_assert_eq!(moved.mapping(), made.mapping());
            prop_assert_eq!(moved.kernel(), made.kernel());
            let expected = reference(format, info, &of_part, &frame);
            let (moved, made) = (kernels(&moved), kernels(&made));
            prop_assert_eq!(moved.len(), made.len());
            for (moved, made) in moved.iter().zip(&made) {
                prop_assert!(run(moved) == run(made), "{part:?} {}", moved.kernel().name());
                let off = steps_off(moved, info, preparation.range, &frame, &expected);
                let bound = bound(moved.kernel(), preparation.resample, info.kind);
                prop_assert!(off <= bound, "{}: {off} steps, at most {bound}", moved.kernel().name());
            }
        }
    }
}

#[test]
fn a_clone_of_a_plan_has_as_much_room_to_be_moved_in() {
    let format = format(PixelFormat::Nv12, 1920, 1080, 1920, Colour::default());
    let info = tensor(128, 128, 3, TensorType::F32);
    let mut preparation = simple(Fit::Letterbox, Resample::Bilinear);
    let mut plan = Plan::movable(&format, &info, &preparation).unwrap();
    plan.set_region([0, 0, 128, 1000]).unwrap();
    let mut clone = plan.clone();
    clone.set_region([0, 0, 1000, 128]).unwrap();
    preparation.view.region_px = Some([0, 0, 1000, 128]);
    let made = Plan::prepared(&format, &info, &preparation).unwrap();
    assert_eq!(clone.kernel(), made.kernel());
    let frame = noise(made.frame_bytes(), 3);
    let run = |plan: &Plan| {
        let mut out = vec![0; plan.tensor_bytes()];
        plan.run(&frame, &mut out).unwrap();
        out
    };
    assert!(run(&clone) == run(&made));
}

#[test]
fn a_part_that_reaches_beyond_the_view_is_cut_and_one_outside_it_is_refused() {
    let format = format(PixelFormat::Nv12, 640, 480, 640, Colour::default());
    let info = tensor(64, 64, 3, TensorType::F32);
    let mut preparation = simple(Fit::Letterbox, Resample::Bilinear);
    preparation.view.region_px = Some([100, 100, 400, 300]);
    let mut plan = Plan::movable(&format, &info, &preparation).unwrap();
    plan.set_region([450, 350, 200, 200]).unwrap();
    assert_eq!(plan.to_camera(0.0, 0.0), [450.0, 350.0]);
    assert_eq!(plan.to_camera(1.0, 1.0), [500.0, 400.0]);
    let before = plan.clone();
    for part in [
        [0, 0, 100, 480],
        [501, 200, 9, 9],
        [200, 200, 0, 9],
        [u32::MAX; 4],
    ] {
        assert_eq!(plan.set_region(part).unwrap_err().region_px, part);
        assert_eq!(plan, before);
    }
    let mut fixed = Plan::prepared(&format, &info, &preparation).unwrap();
    assert!(
        fixed.set_region([200, 200, 50, 50]).is_err(),
        "it has no room to be moved"
    );
}

#[test]
fn where_a_part_has_too_many_pixels_for_the_fast_kernels_the_plain_one_serves_and_they_come_back() {
    // 2048 rows into 16: more than 64 of each.
    let format = format(PixelFormat::Grey, 2048, 2048, 2048, Colour::default());
    let info = tensor(16, 16, 1, TensorType::U8);
    let mut plan = Plan::movable(&format, &info, &simple(Fit::Stretch, Resample::Area)).unwrap();
    assert_eq!(plan.kernel(), Kernel::Scalar);
    assert!(plan.clone().with_kernel(Kernel::Portable).is_none());
    plan.set_region([1024, 1024, 900, 900]).unwrap();
    assert_ne!(plan.kernel(), Kernel::Scalar);
    plan.set_region([0, 0, 2048, 2048]).unwrap();
    assert_eq!(plan.kernel(), Kernel::Scalar);
}
