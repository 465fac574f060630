//! YOLO heads to detections, against an independent computation: `tests/golden/yolo.py` wrote
//! `tests/golden/yolo.json`, and its head says by which rules. The heads are made by a rule, not by a network.
//!
//! | compared | tolerance |
//! |---|---|
//! | the head | none: the same bytes |
//! | detections | the same objects in the same order; overlap 0.95, score 0.02 |

mod golden;

use golden::{hex, overlap, root};
use pinsight::frame::{Colour, Encoding, PixelFormat, Quantization, StreamFormat};
use pinsight::infer::{TensorInfo, TensorType};
use pinsight::postprocess::{Decoder, Detections, Settings};
use pinsight::preprocess::Plan;
use pinsight::profile::{BoxUnit, Decoder as DecoderName, Fit};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Golden {
    classes: usize,
    objects: Vec<Planted>,
    class_thresholds: Vec<(u16, f32)>,
    camera_px: [u32; 2],
    score_min: f32,
    iou_max: f32,
    cases: Vec<Case>,
}

/// row, count, class, score, x, y, width, height
#[derive(Deserialize)]
struct Planted(usize, usize, usize, f64, f64, f64, f64, f64);

#[derive(Deserialize)]
struct Case {
    name: String,
    family: String,
    input_px: [usize; 2],
    shape: Vec<usize>,
    transposed: bool,
    unit: String,
    scale: Option<f64>,
    seed: u32,
    head_sha256: String,
    candidates_before_suppression: u32,
    detections: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    class: u16,
    score: f32,
    #[serde(rename = "box")]
    rectangle: [f32; 4],
}

struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 24)
    }
}

/// The head's bytes, by the reference's rule in its order of operations.
fn head(golden: &Golden, case: &Case) -> Vec<u8> {
    let mut noise = Noise(case.seed);
    let v5 = case.family == "v5";
    let [boxes, columns] = if case.transposed {
        [case.shape[2], case.shape[1]]
    } else {
        [case.shape[1], case.shape[2]]
    };
    let first_class = columns - golden.classes;
    let mut rows: Vec<Vec<f64>> = (0..boxes)
        .map(|_| {
            let mut row = vec![noise.next(), noise.next()];
            row.extend([0; 2].map(|_| 0.02 + 0.2 * noise.next()));
            row.extend(v5.then(|| 0.5 * noise.next()));
            row.extend((0..golden.classes).map(|_| 0.4 * noise.next()));
            row
        })
        .collect();
    for &Planted(first, count, class, score, x, y, width, height) in &golden.objects {
        for (j, offset) in (0..count).zip(0_u32..) {
            let row = &mut rows[first + 5 * j];
            for (value, planted) in row.iter_mut().zip([x, y, width, height]) {
                *value = planted + 0.01 * (noise.next() - 0.5);
            }
            if v5 {
                row[4] = 0.95;
            }
            row[first_class + class] = score - 0.02 * f64::from(offset);
        }
    }
    if case.unit == "pixel" {
        for (value, column) in rows
            .iter_mut()
            .flat_map(|row| row.iter_mut().take(4).zip(0..))
        {
            *value *= f64::from(u32::try_from(case.input_px[column % 2]).unwrap());
        }
    }
    let at = |index: usize| {
        if case.transposed {
            rows[index % boxes][index / boxes]
        } else {
            rows[index / columns][index % columns]
        }
    };
    #[allow(clippy::cast_possible_truncation)] // Rounding is meant; integers are clipped.
    match case.scale {
        None => (0..boxes * columns)
            .flat_map(|index| (at(index) as f32).to_ne_bytes())
            .collect(),
        Some(scale) => (0..boxes * columns)
            .map(|index| (at(index) / scale + 0.5).floor() - 128.0)
            .map(|stored| (stored.clamp(-128.0, 127.0) as i8).cast_unsigned())
            .collect(),
    }
}

fn tensor(shape: &[usize], kind: TensorType, scale: f32, zero_point: i32) -> TensorInfo {
    TensorInfo {
        name: "t".into(),
        shape: shape.to_vec(),
        kind,
        scale,
        zero_point,
    }
}

fn camera([width_px, height_px]: [u32; 2]) -> StreamFormat {
    StreamFormat {
        pixel: PixelFormat::Nv12,
        width_px,
        height_px,
        stride_bytes: width_px,
        size_bytes: width_px * height_px * 3 / 2,
        colour: Colour {
            encoding: Encoding::Bt709,
            quantization: Quantization::Limited,
        },
        interval_ns: 0,
    }
}

#[test]
fn heads_of_every_family_order_unit_and_type_give_the_references_detections() {
    let text = std::fs::read_to_string(root().join("tests/golden/yolo.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let mut seen = 0;
    for case in &golden.cases {
        let name = &case.name;
        let bytes = head(&golden, case);
        assert_eq!(hex(&Sha256::digest(&bytes)), case.head_sha256, "{name}");
        let [width, height] = case.input_px;
        let input = tensor(&[1, height, width, 3], TensorType::F32, 0.0, 0);
        #[allow(clippy::cast_possible_truncation)] // The tensor's own precision.
        let output = match case.scale {
            None => tensor(&case.shape, TensorType::F32, 0.0, 0),
            Some(scale) => tensor(&case.shape, TensorType::I8, scale as f32, -128),
        };
        let settings = Settings {
            score_threshold: golden.score_min,
            class_thresholds: golden.class_thresholds.clone(),
            iou_threshold: golden.iou_max,
            box_unit: match case.unit.as_str() {
                "input" => BoxUnit::Input,
                "pixel" => BoxUnit::Pixel,
                other => panic!("no unit {other}"),
            },
            ..Settings::new(DecoderName::Yolo, golden.classes)
        };
        let plan = Plan::new(
            &camera(golden.camera_px),
            &input,
            Fit::Letterbox,
            [0.0, 1.0],
        )
        .unwrap();
        let mut decoder = Decoder::new(&settings, &input, &[output]).unwrap();
        assert!(
            decoder.layout().starts_with(&case.family),
            "{name}: {}",
            decoder.layout()
        );
        let mut detections = Detections::new();
        let stats = decoder
            .decode(&[&bytes], plan.mapping(), &mut detections)
            .unwrap();
        assert_eq!(stats.refused, 0, "{name}");
        assert_eq!(
            stats.candidates, case.candidates_before_suppression,
            "{name}"
        );
        assert_eq!(
            detections.len(),
            case.detections.len(),
            "{name}: {detections:?}"
        );
        for (found, expected) in detections.iter().zip(&case.detections) {
            assert_eq!(found.class, expected.class, "{name}: {found:?}");
            let iou = overlap(found, expected.rectangle);
            assert!(iou >= 0.95, "{name}: overlap {iou}: {found:?}");
            assert!(
                (found.score - expected.score).abs() <= 0.02,
                "{name}: {found:?}"
            );
            seen += 1;
        }
    }
    assert_eq!(golden.cases.len(), 5);
    assert!(seen >= 19, "{seen}");
}
