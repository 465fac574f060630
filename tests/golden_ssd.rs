//! SSD MobileNetV2 from photograph to detections, against an independent computation: `tests/golden/ssd.py`
//! wrote `tests/golden/ssd.json`, and its head says by which rules.
//!
//! | compared | tolerance |
//! |---|---|
//! | tensor elements | 1e-4, of the fast kernels 4e-4; a step of the camera's samples is 1/127.5 |
//! | detections | the same objects in the same order; overlap 0.95, score 0.02 |

mod golden;

use golden::{Model, Scene, element_tolerance, engine, frame, hex, kernels, overlap, root};
use pinsight::infer::{Engine, outputs_of};
use pinsight::postprocess::{Decoder, Detections, Settings};
use pinsight::preprocess::Plan;
use pinsight::profile::{Decoder as DecoderName, Delegate, Fit};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Golden {
    provenance: Provenance,
    labels: Vec<String>,
    score_min: f32,
    iou_max: f32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Provenance {
    model: Model,
}

#[derive(Deserialize)]
struct Case {
    #[serde(flatten)]
    scene: Scene,
    fit: String,
    tensor_samples: Vec<(usize, f32)>,
    detections: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    class: u16,
    label: String,
    score: f32,
    #[serde(rename = "box")]
    rectangle: [f32; 4],
}

fn golden() -> Golden {
    let text = std::fs::read_to_string(root().join("tests/golden/ssd.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn frames_tensors_and_detections_are_the_references() {
    let golden = golden();
    let mut engine = engine(&golden.provenance.model, Delegate::Xnnpack);
    let settings = Settings {
        score_threshold: golden.score_min,
        iou_threshold: golden.iou_max,
        ..Settings::new(DecoderName::Ssd, golden.labels.len())
    };
    let mut decoder = Decoder::new(&settings, engine.input(), engine.outputs()).unwrap();
    assert_eq!(
        decoder.layout(),
        "1917 anchors, 23 classes and the background, logits"
    );
    let mut detections = Detections::new();
    let mut labels = vec![];
    for case in &golden.cases {
        let name = &case.scene.name;
        let (format, bytes) = frame(&case.scene);
        assert_eq!(
            hex(&Sha256::digest(&bytes)),
            case.scene.frame_sha256,
            "{name}"
        );
        let fit = match case.fit.as_str() {
            "letterbox" => Fit::Letterbox,
            "stretch" => Fit::Stretch,
            other => panic!("no fit {other}"),
        };
        let plan = Plan::new(&format, engine.input(), fit, [-1.0, 1.0]).unwrap();
        for plan in kernels(&plan) {
            plan.run(&bytes, engine.input_bytes()).unwrap();
            let (elements, _) = engine.input_bytes().as_chunks();
            for &(index, expected) in &case.tensor_samples {
                let found = f32::from_ne_bytes(elements[index]);
                assert!(
                    (found - expected).abs() <= element_tolerance(&plan),
                    "{name}, {}: element {index} is {found}, expected {expected}",
                    plan.kernel().name()
                );
            }
        }
        plan.run(&bytes, engine.input_bytes()).unwrap();
        engine.invoke().unwrap();
        let stats = decoder
            .decode(&outputs_of(&engine), plan.mapping(), &mut detections)
            .unwrap();
        assert_eq!(stats.refused, 0, "{name}");
        assert_eq!(
            detections.len(),
            case.detections.len(),
            "{name}: {detections:?}"
        );
        for (found, expected) in detections.iter().zip(&case.detections) {
            assert_eq!(found.class, expected.class, "{name}: {found:?}");
            assert_eq!(golden.labels[usize::from(found.class)], expected.label);
            let iou = overlap(found, expected.rectangle);
            assert!(iou >= 0.95, "{name}: overlap {iou}: {found:?}");
            assert!(
                (found.score - expected.score).abs() <= 0.02,
                "{name}: {found:?}"
            );
            labels.push(expected.label.as_str());
        }
    }
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(
        labels,
        ["Cat", "Coffee cup", "Person"],
        "what the pictures show"
    );
    assert_eq!(golden.cases.len(), 7);
}
