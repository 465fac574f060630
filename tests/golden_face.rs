//! Photograph to detections, against an independent computation: `tests/golden/reference.py` wrote
//! `tests/golden/face_demo.json`, and its head says by which rules.
//!
//! | compared | tolerance |
//! |---|---|
//! | the camera's frame | none: the same bytes |
//! | tensor elements | 1e-4, of the fast kernels 4e-4; a step of the camera's samples is 1/127.5 |
//! | detections | the same number; overlap 0.95, score 0.02, key points 2 camera pixels |

mod golden;

use golden::{
    Model, Scene, cached, element_tolerance, engine, frame, hex, kernels, overlap, photograph, root,
};
use pinsight::capture::synthetic::image::image_to_nv12;
use pinsight::frame::StreamFormat;
use pinsight::infer::{Engine, outputs_of};
use pinsight::postprocess::{Decoder, Detections, Settings};
use pinsight::preprocess::Plan;
use pinsight::profile::{Decoder as DecoderName, Delegate, Fit};
use pinsight::sys::tflite::TfliteEngine;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

#[derive(Deserialize)]
struct Golden {
    provenance: Provenance,
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
    tensor_samples: Vec<(usize, f32)>,
    candidates_before_suppression: u32,
    detections: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    score: f32,
    #[serde(rename = "box")]
    rectangle: [f32; 4],
    keypoints: [[f32; 2]; 6],
}

type Frame = (StreamFormat, Vec<u8>);

/// The golden file, and the camera's frame of each case with its format: made once for all tests.
static FRAMES: LazyLock<(Golden, Vec<Frame>)> = LazyLock::new(|| {
    let text = std::fs::read_to_string(root().join("tests/golden/face_demo.json")).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let frames = golden.cases.iter().map(|case| frame(&case.scene)).collect();
    (golden, frames)
});

fn cases() -> impl Iterator<Item = (&'static Case, &'static StreamFormat, &'static [u8])> {
    let (golden, frames) = &*FRAMES;
    golden
        .cases
        .iter()
        .zip(frames)
        .map(|(case, (format, bytes))| (case, format, &bytes[..]))
}

fn plans(format: &StreamFormat, engine: &TfliteEngine) -> Vec<Plan> {
    let plan = Plan::new(format, engine.input(), Fit::Letterbox, [-1.0, 1.0]).unwrap();
    kernels(&plan)
}

#[test]
fn frames_are_the_reference_byte_for_byte() {
    for (case, _, bytes) in cases() {
        assert_eq!(
            hex(&Sha256::digest(bytes)),
            case.scene.frame_sha256,
            "{}",
            case.scene.name
        );
    }
    assert_eq!(cases().count(), 4);
}

#[test]
fn the_image_sources_conversion_gives_the_same_frames() {
    let mut compared = 0;
    for (case, ..) in cases().filter(|(case, ..)| case.scene.format == "NV12") {
        let photo = photograph(&case.scene);
        let canvas = image_to_nv12(
            photo.as_raw(),
            photo.width(),
            photo.height(),
            case.scene.repeat,
        )
        .unwrap();
        let stride = canvas.stride_bytes as usize;
        let [left, top, width, height] = [
            case.scene.window_px.x,
            case.scene.window_px.y,
            case.scene.window_px.width,
            case.scene.window_px.height,
        ]
        .map(|px| px as usize);
        let (luma, chroma) = canvas.bytes.split_at(stride * canvas.height_px as usize);
        let window = |plane: &[u8], first: usize, rows: usize| -> Vec<u8> {
            (first..first + rows)
                .flat_map(|y| plane[y * stride + left..][..width].to_vec())
                .collect()
        };
        let cut = [
            window(luma, top, height),
            window(chroma, top / 2, height / 2),
        ]
        .concat();
        assert_eq!(
            hex(&Sha256::digest(&cut)),
            case.scene.frame_sha256,
            "{}",
            case.scene.name
        );
        compared += 1;
    }
    assert_eq!(compared, 3);
}

#[test]
fn tensors_are_the_references() {
    let mut engine = engine(&FRAMES.0.provenance.model, Delegate::Xnnpack);
    let mut compared = 0;
    for (case, format, bytes) in cases() {
        for plan in plans(format, &engine) {
            plan.run(bytes, engine.input_bytes()).unwrap();
            let (elements, _) = engine.input_bytes().as_chunks();
            for &(index, expected) in &case.tensor_samples {
                let found = f32::from_ne_bytes(elements[index]);
                let off = (found - expected).abs();
                let kernel = plan.kernel().name();
                assert!(
                    off <= element_tolerance(&plan),
                    "{}, {kernel}: element {index} is {found}, expected {expected}",
                    case.scene.name
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 4 * 200, "{compared}");
}

/// What a frame showed is what the reference found: the same faces, and their key points.
#[track_caller]
fn compare(name: &str, detections: &Detections, expected: &[Found]) {
    assert_eq!(detections.len(), expected.len(), "{name}: {detections:?}");
    for (found, expected) in detections.iter().zip(expected) {
        let iou = overlap(found, expected.rectangle);
        assert!(iou >= 0.95, "{name}: overlap {iou}: {found:?}");
        assert!(
            (found.score - expected.score).abs() <= 0.02,
            "{name}: {found:?}"
        );
        assert_eq!(found.keypoint_count, 6);
        for (point, expected) in found.keypoints.iter().zip(&expected.keypoints) {
            let off = (point[0] - expected[0]).hypot(point[1] - expected[1]);
            assert!(off <= 2.0, "{name}: {point:?}, expected {expected:?}");
        }
    }
}

fn decoder(engine: &TfliteEngine) -> Decoder {
    let settings = Settings {
        score_threshold: FRAMES.0.score_min,
        iou_threshold: FRAMES.0.iou_max,
        ..Settings::new(DecoderName::BlazefaceShort, 1)
    };
    Decoder::new(&settings, engine.input(), engine.outputs()).unwrap()
}

/// Every plan makes the reference's tensor of each frame, and the model finds the reference's faces in it.
/// `element` is the number in the tensor's bytes whose place was `index` in the reference's; `rounding` is what its
/// type may add to the tolerance.
#[track_caller]
fn finds_the_references(
    engine: &mut TfliteEngine,
    rounding: f32,
    element: impl Fn(&[u8], usize) -> f32,
) {
    let mut decoder = decoder(engine);
    let mut detections = Detections::new();
    let mut faces = 0;
    for (case, format, bytes) in cases() {
        let name = &case.scene.name;
        for plan in plans(format, engine) {
            plan.run(bytes, engine.input_bytes()).unwrap();
            for &(index, expected) in &case.tensor_samples {
                let off = (element(engine.input_bytes(), index) - expected).abs();
                let bound = element_tolerance(&plan) + rounding;
                assert!(off <= bound, "{name}: element {index}");
            }
            engine.invoke().unwrap();
            let stats = decoder
                .decode(&outputs_of(engine), plan.mapping(), &mut detections)
                .unwrap();
            assert_eq!(stats.refused, 0, "{name}");
            compare(name, &detections, &case.detections);
            faces += detections.len();
        }
    }
    assert!(faces >= 3, "{faces}");
}

#[test]
fn a_model_of_planes_finds_the_same_faces() {
    const PLANE: usize = 128 * 128;
    for delegate in [Delegate::Xnnpack, Delegate::None] {
        let mut engine = golden::planes::engine(&FRAMES.0.provenance.model, delegate);
        assert_eq!(
            engine.input().to_string(),
            "\"planes\" float32 [1, 3, 128, 128]"
        );
        finds_the_references(&mut engine, 0.0, |bytes, index| {
            f32::from_ne_bytes(bytes.as_chunks().0[index % 3 * PLANE + index / 3])
        });
    }
}

#[test]
fn a_model_of_float16_finds_the_same_faces() {
    for delegate in [Delegate::Xnnpack, Delegate::None] {
        let is_plain = delegate == Delegate::None;
        let mut engine = golden::half::engine(&FRAMES.0.provenance.model, delegate);
        assert_eq!(
            engine.input().to_string(),
            "\"half_0\" float16 [1, 128, 128, 3]"
        );
        let described: Vec<String> = engine.outputs().iter().map(ToString::to_string).collect();
        assert_eq!(
            described,
            [
                "\"half_175\" float16 [1, 896, 16]",
                "\"half_174\" float16 [1, 896, 1]"
            ]
        );
        let graph = engine.graph();
        if is_plain {
            assert_eq!(graph.delegated(), 0);
        } else {
            assert_eq!(
                graph.to_string(),
                "1 part by TfLiteXNNPackDelegate, 3 kernels of the library (CAST, DEQUANTIZE)"
            );
        }
        // Up to 1 the numbers are at most 2^-11 apart.
        finds_the_references(&mut engine, 2_f32.powi(-12), |bytes, index| {
            half::f16::from_ne_bytes(bytes.as_chunks().0[index]).to_f32()
        });
    }
}

#[test]
fn a_board_runs_a_model_of_float16_and_its_log_names_the_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("half.tflite");
    let bytes = golden::half::bytes(&FRAMES.0.provenance.model);
    std::fs::write(&model, &bytes).unwrap();
    let sha256 = hex(&Sha256::digest(&bytes));
    let demo = std::fs::read_to_string(root().join("boards/demo.toml")).unwrap();
    let file = &FRAMES.0.provenance.model.file;
    let profile = demo
        .replace(&format!("../.cache/models/{file}"), model.to_str().unwrap())
        .replace(&FRAMES.0.provenance.model.sha256, &sha256)
        .replace("../.cache/photos", cached("photos").to_str().unwrap());
    let board = dir.path().join("half.toml");
    std::fs::write(&board, profile).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pinsight"))
        .args(["run", "--frames", "5", "--proof", "-", "--board"])
        .arg(&board)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    for expected in [
        "input \"half_0\" float16 [1, 128, 128, 3]",
        "output \"half_175\" float16 [1, 896, 16]",
        "output \"half_174\" float16 [1, 896, 1]",
        "3 kernels of the library (CAST, DEQUANTIZE)",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    let proof: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(proof["cameras"][0]["inferred"], 5);
    assert_eq!(proof["after_ready"]["heap_calls"], 0, "{proof}");
}

#[test]
fn detections_are_the_references() {
    for delegate in [Delegate::Xnnpack, Delegate::None] {
        let mut engine = engine(&FRAMES.0.provenance.model, delegate);
        let mut decoder = decoder(&engine);
        let mut detections = Detections::new();
        let mut faces = 0;
        for (case, format, bytes) in cases() {
            for plan in plans(format, &engine) {
                plan.run(bytes, engine.input_bytes()).unwrap();
                engine.invoke().unwrap();
                let stats = decoder
                    .decode(&outputs_of(&engine), plan.mapping(), &mut detections)
                    .unwrap();
                let name = &case.scene.name;
                assert_eq!(
                    stats.candidates, case.candidates_before_suppression,
                    "{name}"
                );
                assert_eq!(stats.refused, 0, "{name}");
                compare(name, &detections, &case.detections);
                faces += detections.len();
            }
        }
        assert!(faces >= 3, "{faces}");
    }
}
