use super::*;
use crate::profile::BoxUnit;

/// Boxes of one grid cell each, for an input of 128 x 64: 16 x 8, 8 x 4 and 4 x 2.
const CELLS: usize = 168;

const THREE: Settings = Settings::new(profile::Decoder::Yolo, 3);
const PIXELS: fn() -> Settings = || Settings {
    box_unit: BoxUnit::Pixel,
    ..THREE
};

fn input() -> TensorInfo {
    tensor("images", &[1, 64, 128, 3], TensorType::F32)
}

/// An output of zeros, to be written into.
struct Head {
    shape: [usize; 3],
    /// Whether boxes stand side by side.
    transposed: bool,
    values: Vec<f32>,
}

impl Head {
    fn new(boxes: usize, columns: usize, transposed: bool) -> Self {
        let shape = if transposed {
            [1, columns, boxes]
        } else {
            [1, boxes, columns]
        };
        Self {
            shape,
            transposed,
            values: vec![0.0; boxes * columns],
        }
    }

    fn put(&mut self, row: usize, values: &[f32]) {
        let [_, rows, columns] = self.shape;
        for (column, &value) in values.iter().enumerate() {
            let at = if self.transposed {
                column * columns + row
            } else {
                row * columns + column
            };
            assert!(at < rows * columns);
            self.values[at] = value;
        }
    }

    fn decoder(&self, settings: &Settings) -> Result<Decoder, DecoderError> {
        let output = tensor("Identity", &self.shape, TensorType::F32);
        Decoder::new(settings, &input(), &[output])
    }

    fn decode(&self, settings: &Settings) -> (Detections, DecodeStats) {
        let mut detections = Detections::new();
        let stats = self
            .decoder(settings)
            .unwrap()
            .decode(&[&bytes(&self.values)], &WIDE(), &mut detections)
            .unwrap();
        (detections, stats)
    }
}

#[test]
fn family_and_order_are_told_by_the_shape() {
    for (boxes, columns, transposed, expected) in [
        (
            CELLS,
            7,
            true,
            "v8 or v11, without objectness: 168 boxes of 7 values, values before boxes",
        ),
        (
            CELLS,
            7,
            false,
            "v8 or v11, without objectness: 168 boxes of 7 values, boxes before values",
        ),
        (
            3 * CELLS,
            8,
            false,
            "v5, with objectness: 504 boxes of 8 values, boxes before values",
        ),
        (
            3 * CELLS,
            8,
            true,
            "v5, with objectness: 504 boxes of 8 values, values before boxes",
        ),
        // 64 is a multiple of 64: a fourth grid of 2 x 1 cells can be there.
        (
            CELLS + 2,
            7,
            true,
            "v8 or v11, without objectness: 170 boxes of 7 values, values before boxes",
        ),
    ] {
        let decoder = Head::new(boxes, columns, transposed)
            .decoder(&THREE)
            .unwrap();
        assert_eq!(
            decoder.layout(),
            format!("{expected}, in shares of the input")
        );
    }
}

#[test]
fn boxes_come_back_in_camera_pixels_whatever_their_unit_and_order() {
    for transposed in [false, true] {
        for (settings, unit) in [(THREE, [1.0, 1.0]), (PIXELS(), [128.0, 64.0])] {
            let mut head = Head::new(CELLS, 7, transposed);
            let [w, h] = unit;
            head.put(5, &[0.5 * w, 0.5 * h, 0.25 * w, 0.125 * h, 0.1, 0.2, 0.9]);
            let (detections, stats) = head.decode(&settings);
            let [found] = detections[..] else {
                panic!("one box: {detections:?}")
            };
            assert_eq!((found.class, stats.candidates, stats.refused), (2, 1, 0));
            near(found.score, 0.9);
            near(found.x_px, 960.0 - 240.0);
            near(found.y_px, 540.0 - 120.0);
            near(found.width_px, 480.0);
            near(found.height_px, 240.0);
        }
    }
}

#[test]
fn objectness_weighs_the_classes_of_v5() {
    let mut head = Head::new(3 * CELLS, 8, false);
    head.put(0, &[0.5, 0.5, 0.2, 0.2, 0.8, 0.1, 0.75, 0.2]);
    head.put(9, &[0.2, 0.2, 0.1, 0.1, 0.6, 0.7, 0.1, 0.1]);
    head.put(11, &[0.8, 0.8, 0.1, 0.1, 0.1, 1.0, 1.0, 1.0]);
    let (detections, stats) = head.decode(&THREE);
    assert_eq!((detections.len(), stats.candidates), (1, 1));
    assert_eq!(detections[0].class, 1);
    near(detections[0].score, 0.6);
    let lower = Settings {
        class_thresholds: vec![(0, 0.4)],
        ..THREE
    };
    let (detections, _) = head.decode(&lower);
    let seen: Vec<_> = detections.iter().map(|d| d.class).collect();
    assert_eq!(seen, [1, 0]);
}

#[test]
fn a_wrong_unit_shows_as_refused_boxes() {
    let mut in_pixels = Head::new(CELLS, 7, true);
    in_pixels.put(5, &[64.0, 32.0, 20.0, 20.0, 0.9, 0.0, 0.0]);
    let (detections, stats) = in_pixels.decode(&THREE);
    assert_eq!((detections.len(), stats.refused), (0, 1));
    let mut in_shares = Head::new(CELLS, 7, true);
    in_shares.put(5, &[0.5, 0.5, 0.2, 0.2, 0.9, 0.0, 0.0]);
    let (detections, stats) = in_shares.decode(&PIXELS());
    assert_eq!((detections.len(), stats.refused), (0, 1));
}

#[test]
fn a_quantised_output_that_cannot_hold_pixels_is_refused() {
    let output = TensorInfo {
        scale: 1.0 / 200.0,
        zero_point: -128,
        ..tensor("Identity", &[1, 7, CELLS], TensorType::I8)
    };
    let outputs = std::slice::from_ref(&output);
    let error = Decoder::new(&PIXELS(), &input(), outputs).unwrap_err();
    assert!(
        error.to_string().ends_with("set box-unit = \"input\""),
        "{error}"
    );
    let mut decoder = Decoder::new(&THREE, &input(), outputs).unwrap();
    let stored = |real: f32| {
        #[allow(clippy::cast_possible_truncation)]
        let step = (real * 200.0).round() as i16 - 128;
        i8::try_from(step).unwrap().cast_unsigned()
    };
    let mut bytes = vec![stored(0.0); 7 * CELLS];
    for (column, real) in [0.5, 0.5, 0.25, 0.25, 0.1, 0.85, 0.1]
        .into_iter()
        .enumerate()
    {
        bytes[column * CELLS + 100] = stored(real);
    }
    let mut detections = Detections::new();
    decoder.decode(&[&bytes], &WIDE(), &mut detections).unwrap();
    let [found] = detections[..] else {
        panic!("one box: {detections:?}")
    };
    assert_eq!(found.class, 1);
    near(found.score, 0.85);
    near(found.x_px, 720.0);
}

#[test]
fn values_that_are_no_numbers_are_counted_and_never_boxes() {
    let mut head = Head::new(3 * CELLS, 8, false);
    head.put(0, &[0.5, 0.5, 0.2, 0.2, f32::NAN, 1.0, 1.0, 1.0]);
    head.put(1, &[0.5, 0.5, 0.2, 0.2, 1.0, f32::NAN, f32::INFINITY, 0.1]);
    head.put(2, &[f32::NAN, 0.5, 0.2, 0.2, 1.0, 1.0, 0.0, 0.0]);
    head.put(3, &[0.5, 0.5, f32::INFINITY, 0.2, 1.0, 1.0, 0.0, 0.0]);
    head.put(4, &[0.5, 0.5, -0.2, 0.2, 1.0, 1.0, 0.0, 0.0]);
    let (detections, stats) = head.decode(&THREE);
    assert!(detections.is_empty(), "{detections:?}");
    assert_eq!((stats.candidates, stats.refused), (0, 6));
}

#[test]
fn every_box_can_be_a_candidate_and_the_limit_holds() {
    let mut head = Head::new(CELLS, 7, true);
    head.values.fill(0.6);
    let (detections, stats) = head.decode(&Settings {
        iou_threshold: 1.0,
        ..THREE
    });
    assert_eq!((detections.len(), stats.candidates), (8, 168));
    assert_eq!(stats.over_limit, 160);
}

#[test]
fn a_head_of_another_size_is_refused_with_the_shapes_that_would_do() {
    let error = |boxes, columns| {
        Head::new(boxes, columns, false)
            .decoder(&THREE)
            .unwrap_err()
            .to_string()
    };
    let found = error(8400, 84);
    assert!(
        found.contains(
            "expected one output [1, 168, 7] (V8) or [1, 504, 8] (V5) or [1, 170, 7] (V8) or [1, 510, 8] (V5)"
        ),
        "{found}"
    );
    assert!(found.ends_with("for 3 labels and this input"), "{found}");
    let odd = tensor("images", &[1, 100, 100, 3], TensorType::F32);
    let error = Decoder::new(&THREE, &odd, &[]).unwrap_err().to_string();
    assert!(
        error.contains("expected sides that are multiples of 32"),
        "{error}"
    );
}
