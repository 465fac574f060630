//! What does not go together is refused at arming.

use super::*;

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
