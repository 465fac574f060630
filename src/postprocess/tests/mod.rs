//! Decoders on outputs made by hand.

mod float16;
mod raw;
mod ssd;
mod yolo;

use super::{DecodeStats, Decoder, DecoderError, Detection, Detections, Settings};
use crate::infer::{TensorInfo, TensorType};
use crate::preprocess::Mapping;
use crate::profile;

const WIDE: fn() -> Mapping =
    || Mapping::new([1920.0, 1080.0], [128.0, 128.0], [0.0, 28.0], [128.0, 72.0]);

fn tensor(name: &str, shape: &[usize], kind: TensorType) -> TensorInfo {
    TensorInfo {
        name: name.into(),
        shape: shape.to_vec(),
        kind,
        scale: 0.0,
        zero_point: 0,
    }
}

fn face_tensors() -> (TensorInfo, [TensorInfo; 2]) {
    (
        tensor("input", &[1, 128, 128, 3], TensorType::F32),
        [
            tensor("regressors", &[1, 896, 16], TensorType::F32),
            tensor("classificators", &[1, 896, 1], TensorType::F32),
        ],
    )
}

const FACE: Settings = Settings::new(profile::Decoder::BlazefaceShort, 1);
const CLASSES: Settings = Settings::new(profile::Decoder::Classify, 3);

fn bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}

/// Outputs without a face, to be written into.
struct Faces {
    regressors: Vec<f32>,
    logits: Vec<f32>,
}

impl Faces {
    fn none() -> Self {
        Self {
            regressors: vec![0.0; 896 * 16],
            logits: vec![-10.0; 896],
        }
    }

    /// A face of `size` input pixels whose centre and points lie `(dx, dy)` input pixels off its anchor.
    fn put(&mut self, anchor: usize, logit: f32, [dx, dy]: [f32; 2], size: f32) {
        self.logits[anchor] = logit;
        let values = &mut self.regressors[anchor * 16..][..16];
        for pair in values.as_chunks_mut::<2>().0 {
            *pair = [dx, dy];
        }
        values[2..4].fill(size);
    }

    fn decode(&self, settings: &Settings) -> (Detections, DecodeStats) {
        let (input, outputs) = face_tensors();
        let mut decoder = Decoder::new(settings, &input, &outputs).unwrap();
        let mut detections = Detections::new();
        let (regressors, logits) = (bytes(&self.regressors), bytes(&self.logits));
        let stats = decoder
            .decode(&[&regressors, &logits], &WIDE(), &mut detections)
            .unwrap();
        (detections, stats)
    }
}

#[track_caller]
fn near(found: f32, expected: f32) {
    assert!(
        (found - expected).abs() < 1e-2,
        "found {found}, expected {expected}"
    );
}

#[test]
fn a_face_comes_back_in_camera_pixels_with_its_points() {
    let mut faces = Faces::none();
    // Cell (7, 8) of 16 x 16: its anchor stands at input pixel (60, 68), the camera's (900, 600).
    let anchor = (8 * 16 + 7) * 2;
    faces.put(anchor, 2.0, [4.0, -4.0], 20.0);
    let (detections, stats) = faces.decode(&FACE);
    assert_eq!(
        stats,
        DecodeStats {
            candidates: 1,
            ..DecodeStats::default()
        }
    );
    let [face] = detections[..] else {
        panic!("one face: {detections:?}")
    };
    near(face.score, 0.880_797);
    near(face.x_px, 900.0 + 60.0 - 150.0);
    near(face.y_px, 600.0 - 60.0 - 150.0);
    near(face.width_px, 300.0);
    near(face.height_px, 300.0);
    assert_eq!((face.class, face.keypoint_count), (0, 6));
    for [x, y] in face.keypoints {
        near(x, 960.0);
        near(y, 540.0);
    }
}

#[test]
fn faces_are_kept_strongest_first_and_suppressed_when_they_overlap() {
    let mut faces = Faces::none();
    faces.put(0, 1.0, [0.0, 0.0], 16.0);
    faces.put(1, 3.0, [1.0, 0.0], 16.0);
    faces.put(400, 2.0, [0.0, 0.0], 16.0);
    faces.put(401, -0.1, [0.0, 0.0], 16.0);
    let (detections, stats) = faces.decode(&FACE);
    let scores: Vec<f32> = detections.iter().map(|face| face.score).collect();
    assert_eq!(scores.len(), 2);
    near(scores[0], 0.952_574);
    near(scores[1], 0.880_797);
    assert_eq!(
        stats,
        DecodeStats {
            candidates: 3,
            suppressed: 1,
            over_limit: 0,
            refused: 0
        }
    );
}

#[test]
fn values_that_are_no_numbers_are_refused_and_counted() {
    let mut faces = Faces::none();
    faces.logits[3] = f32::NAN;
    faces.logits[4] = f32::INFINITY;
    faces.logits[5] = f32::NEG_INFINITY;
    faces.put(200, 5.0, [f32::NAN, 0.0], 16.0);
    faces.put(300, 5.0, [0.0, 0.0], f32::INFINITY);
    faces.put(400, 5.0, [0.0, 0.0], 0.0);
    faces.put(500, 5.0, [0.0, 0.0], -3.0);
    faces.put(600, 5.0, [0.0, 0.0], 16.0);
    faces.regressors[600 * 16 + 9] = f32::NAN;
    let (detections, stats) = faces.decode(&FACE);
    let [face] = detections[..] else {
        panic!("one face: {detections:?}")
    };
    assert_eq!(
        face.keypoint_count, 0,
        "the box is usable, its points are not"
    );
    assert_eq!(face.keypoints, [[0.0; 2]; 6]);
    assert_eq!(
        stats,
        DecodeStats {
            candidates: 1,
            suppressed: 0,
            over_limit: 0,
            refused: 8
        }
    );
}

#[test]
fn every_anchor_can_be_a_candidate_and_the_limit_holds() {
    let mut faces = Faces::none();
    for anchor in 0..896 {
        faces.put(anchor, 1.0, [0.0, 0.0], 1.0);
    }
    let (detections, stats) = faces.decode(&FACE);
    assert_eq!(detections.len(), 8);
    assert_eq!(stats.candidates, 896);
    assert_eq!(stats.candidates, 8 + stats.suppressed + stats.over_limit);
}

#[test]
fn extreme_logits_stay_scores() {
    let mut faces = Faces::none();
    faces.put(0, f32::MAX, [0.0, 0.0], 1.0);
    faces.logits[1] = f32::MIN;
    let (detections, _) = faces.decode(&Settings {
        score_threshold: 1.0,
        ..FACE
    });
    assert_eq!(detections.len(), 1);
    let (detections, stats) = Faces::none().decode(&Settings {
        score_threshold: 0.0,
        ..FACE
    });
    assert!(detections.is_empty());
    assert_eq!(stats.refused, 896, "boxes without an area");
}

#[test]
fn outputs_in_the_other_order_are_found_by_their_shapes() {
    let (input, [regressors, logits]) = face_tensors();
    let mut decoder = Decoder::new(&FACE, &input, &[logits, regressors]).unwrap();
    let mut faces = Faces::none();
    faces.put(10, 4.0, [0.0, 0.0], 9.0);
    let mut detections = Detections::new();
    let (regressors, logits) = (bytes(&faces.regressors), bytes(&faces.logits));
    decoder
        .decode(&[&logits, &regressors], &WIDE(), &mut detections)
        .unwrap();
    assert_eq!(detections.len(), 1);
    let error = decoder
        .decode(&[&regressors, &logits], &WIDE(), &mut detections)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "output 1: found 3584 bytes, expected 57344"
    );
    assert!(detections.is_empty(), "nothing of the frame before is left");
}

#[test]
fn tensors_that_do_not_fit_are_named_with_what_was_expected() {
    let (input, outputs) = face_tensors();
    let error = |settings: &Settings, input: &TensorInfo, outputs: &[TensorInfo]| {
        Decoder::new(settings, input, outputs)
            .unwrap_err()
            .to_string()
    };
    let large = tensor("input", &[1, 192, 192, 3], TensorType::F32);
    assert_eq!(
        error(&FACE, &large, &outputs),
        "decoder \"blazeface-short\": found input \"input\" float32 [1, 192, 192, 3], expected [1, 128, 128, 3] or \
         [1, 3, 128, 128]"
    );
    let full_range = [
        tensor("boxes", &[1, 2304, 16], TensorType::F32),
        outputs[1].clone(),
    ];
    assert_eq!(
        error(&FACE, &input, &full_range),
        "decoder \"blazeface-short\": found outputs \"boxes\" float32 [1, 2304, 16] and \"classificators\" float32 \
         [1, 896, 1], expected [1, 896, 16] and [1, 896, 1]"
    );
    assert_eq!(
        error(&Settings { labels: 2, ..FACE }, &input, &outputs),
        "decoder \"blazeface-short\": found 2 labels, expected 1, as the model knows one class"
    );
    let ten = [TensorInfo {
        scale: 0.5,
        ..tensor("p", &[1, 10], TensorType::I8)
    }];
    assert_eq!(
        error(&CLASSES, &input, &ten),
        "decoder \"classify\": found 3 labels, expected 10, one for each class of the model"
    );
    assert_eq!(
        error(&CLASSES, &input, &[tensor("p", &[2, 3], TensorType::F32)]),
        "decoder \"classify\": found outputs \"p\" float32 [2, 3], expected one output [1, classes] of 2..=65535 classes"
    );
}

fn classify(info: &TensorInfo, output: &[u8], settings: &Settings) -> (Detections, DecodeStats) {
    let input = tensor("input", &[1, 96, 96, 3], TensorType::F32);
    let mut decoder = Decoder::new(settings, &input, std::slice::from_ref(info)).unwrap();
    let mut detections = Detections::new();
    let stats = decoder.decode(&[output], &WIDE(), &mut detections).unwrap();
    (detections, stats)
}

#[test]
fn the_best_class_stands_for_the_whole_picture() {
    let info = tensor("p", &[1, 3], TensorType::F32);
    let (detections, stats) = classify(&info, &bytes(&[0.1, 0.7, 0.2]), &CLASSES);
    let [best] = detections[..] else {
        panic!("one class: {detections:?}")
    };
    assert_eq!((best.class, best.keypoint_count), (1, 0));
    near(best.score, 0.7);
    assert_eq!(
        [best.x_px, best.y_px, best.width_px, best.height_px],
        [0.0, 0.0, 1920.0, 1080.0]
    );
    assert_eq!(stats.candidates, 1);
    let (detections, stats) = classify(&info, &bytes(&[0.3, 0.4, 0.3]), &CLASSES);
    assert!(
        detections.is_empty() && stats == DecodeStats::default(),
        "below the threshold"
    );
}

#[test]
fn the_best_classes_that_reach_their_own_thresholds_are_told_best_first() {
    let info = tensor("p", &[1, 5], TensorType::F32);
    let scores = [0.1, 0.3, 0.25, 0.3, 0.05];
    let told = |max_detections, score_threshold, class_thresholds: &[(u16, f32)]| {
        let settings = Settings {
            labels: 5,
            max_detections,
            score_threshold,
            class_thresholds: class_thresholds.to_vec(),
            ..CLASSES
        };
        let (detections, stats) = classify(&info, &bytes(&scores), &settings);
        assert_eq!(stats.candidates as usize, detections.len());
        assert_eq!((stats.refused, stats.over_limit), (0, 0));
        for seen in &detections {
            near(seen.score, scores[usize::from(seen.class)]);
        }
        detections.iter().map(|seen| seen.class).collect::<Vec<_>>()
    };
    assert_eq!(told(1, 0.0, &[]), [1], "of equal scores the first class");
    assert_eq!(told(2, 0.0, &[]), [1, 3]);
    assert_eq!(told(32, 0.0, &[]), [1, 3, 2, 0, 4]);
    assert_eq!(told(32, 0.2, &[]), [1, 3, 2]);
    assert_eq!(
        told(1, 1.0, &[(2, 0.2)]),
        [2],
        "a better class that has to be surer does not stand in its way"
    );
    assert_eq!(told(2, 0.0, &[(1, 0.9), (0, 0.5)]), [3, 2]);
    assert!(told(32, 0.5, &[]).is_empty());
}

#[test]
fn logits_go_through_softmax() {
    let info = tensor("logits", &[1, 3], TensorType::F32);
    let (detections, _) = classify(&info, &bytes(&[1.0, 2.0, 4.0]), &CLASSES);
    assert_eq!(detections[0].class, 2);
    near(detections[0].score, 0.843_795);
    let (detections, _) = classify(&info, &bytes(&[1e30, -1e30, 0.0]), &CLASSES);
    near(detections[0].score, 1.0);
    let all = Settings {
        max_detections: 3,
        score_threshold: 0.0,
        ..CLASSES
    };
    let (detections, _) = classify(&info, &bytes(&[1.0, 2.0, 4.0]), &all);
    assert_eq!(
        detections.iter().map(|seen| seen.class).collect::<Vec<_>>(),
        [2, 1, 0]
    );
    near(detections.iter().map(|seen| seen.score).sum(), 1.0);
}

#[test]
fn quantised_scores_are_made_real_first() {
    let settings = Settings {
        score_threshold: 0.4,
        ..CLASSES
    };
    let probabilities = TensorInfo {
        scale: 1.0 / 256.0,
        zero_point: -128,
        ..tensor("p", &[1, 3], TensorType::I8)
    };
    let (detections, _) = classify(
        &probabilities,
        &[-128_i8, -18, -110].map(i8::cast_unsigned),
        &settings,
    );
    assert_eq!(detections[0].class, 1);
    near(detections[0].score, 110.0 / 256.0);
    let logits = TensorInfo {
        scale: 0.1,
        zero_point: 100,
        ..tensor("l", &[1, 1, 1, 3], TensorType::U8)
    };
    let (detections, _) = classify(&logits, &[110, 120, 140], &settings);
    assert_eq!(detections[0].class, 2);
    near(detections[0].score, 0.843_795);
}

#[test]
fn a_class_score_that_is_no_number_refuses_the_frame() {
    let info = tensor("p", &[1, 3], TensorType::F32);
    for bad in [f32::NAN, f32::INFINITY] {
        let (detections, stats) = classify(&info, &bytes(&[bad, 0.9, 0.1]), &CLASSES);
        assert!(detections.is_empty());
        assert_eq!(
            stats,
            DecodeStats {
                refused: 1,
                ..DecodeStats::default()
            }
        );
    }
}
