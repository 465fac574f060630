use super::*;
use crate::profile::Scores;

/// Background and three classes.
const COLUMNS: usize = 4;
const ANCHORS: usize = 1917;

fn settings(labels: usize) -> Settings {
    Settings::new(profile::Decoder::Ssd, labels)
}

fn square(side: usize) -> TensorInfo {
    tensor("input", &[1, side, side, 3], TensorType::F32)
}

fn anchored() -> [TensorInfo; 2] {
    [
        tensor("boxes", &[1, ANCHORS, 4], TensorType::F32),
        tensor("scores", &[1, ANCHORS, COLUMNS], TensorType::F32),
    ]
}

/// Outputs that show nothing, to be written into.
struct Head {
    boxes: Vec<f32>,
    scores: Vec<f32>,
}

impl Head {
    fn empty() -> Self {
        Self {
            boxes: vec![0.0; ANCHORS * 4],
            scores: vec![-9.0; ANCHORS * COLUMNS],
        }
    }

    fn put(&mut self, anchor: usize, column: usize, score: f32) {
        self.scores[anchor * COLUMNS + column] = score;
    }

    fn decode(&self, settings: &Settings) -> (Detections, DecodeStats) {
        let mut decoder = Decoder::new(settings, &square(300), &anchored()).unwrap();
        let mut detections = Detections::new();
        let (boxes, scores) = (bytes(&self.boxes), bytes(&self.scores));
        let stats = decoder
            .decode(&[&boxes, &scores], &WIDE(), &mut detections)
            .unwrap();
        (detections, stats)
    }
}

#[track_caller]
fn is_at(found: &Detection, expected: [f32; 4]) {
    let found = [found.x_px, found.y_px, found.width_px, found.height_px];
    for (found, expected) in found.iter().zip(expected) {
        near(*found / 10.0, expected / 10.0);
    }
}

#[test]
fn a_box_is_decoded_from_its_anchor_and_undone_from_the_letterbox() {
    let mut head = Head::empty();
    // The last anchor stands in the middle, 0.974679 of the tensor wide and high.
    let last = ANCHORS - 1;
    head.put(last, 2, 3.0);
    head.boxes[last * 4..].copy_from_slice(&[1.0, -2.0, 5.0 * 0.5_f32.ln(), 0.0]);
    let (detections, stats) = head.decode(&settings(3));
    assert_eq!((stats.candidates, stats.refused), (1, 0));
    let [found] = detections[..] else {
        panic!("one box: {detections:?}")
    };
    assert_eq!(found.class, 1, "the first column is the background");
    near(found.score, 0.952_574);
    // The tensor's side is 1920 camera pixels; its upper edge 420 above the picture.
    let side = 0.974_679 * 1920.0;
    let (x, y) = (960.0 - 0.2 * side, 540.0 + 0.1 * side);
    is_at(&found, [x - side / 2.0, y - side / 4.0, side, side / 2.0]);
}

#[test]
fn the_background_never_wins_and_a_model_without_one_is_told_by_its_labels() {
    let mut head = Head::empty();
    head.put(7, 0, 9.0);
    head.put(7, 3, 1.0);
    let (detections, _) = head.decode(&settings(3));
    assert_eq!(detections.iter().map(|d| d.class).collect::<Vec<_>>(), [2]);
    let (detections, _) = head.decode(&settings(4));
    assert_eq!(detections.iter().map(|d| d.class).collect::<Vec<_>>(), [0]);
}

#[test]
fn probabilities_are_taken_as_they_are() {
    let mut head = Head::empty();
    head.scores.fill(0.0);
    head.put(7, 1, 0.75);
    let (detections, _) = head.decode(&Settings {
        scores: Scores::Probabilities,
        ..settings(3)
    });
    assert_eq!(detections.len(), 1);
    near(detections[0].score, 0.75);
}

#[test]
fn a_class_below_its_own_threshold_leaves_the_box_to_another() {
    let mut head = Head::empty();
    head.put(7, 1, 1.5); // 0.82
    head.put(7, 2, 0.5); // 0.62
    let strict = Settings {
        class_thresholds: vec![(0, 0.9)],
        ..settings(3)
    };
    assert_eq!(head.decode(&strict).0[0].class, 1);
    assert_eq!(head.decode(&settings(3)).0[0].class, 0);
    let none = Settings {
        class_thresholds: vec![(0, 0.9), (1, 0.7)],
        ..settings(3)
    };
    assert!(head.decode(&none).0.is_empty());
}

#[test]
fn overlapping_boxes_of_one_class_are_suppressed_and_of_two_are_not() {
    let mut head = Head::empty();
    head.put(1, 1, 2.0);
    head.put(4, 1, 1.0);
    let near = Settings {
        iou_threshold: 0.2,
        ..settings(3)
    };
    let (detections, stats) = head.decode(&near);
    assert_eq!((detections.len(), stats.suppressed), (1, 1));
    head.put(4, 1, -9.0);
    head.put(4, 2, 1.0);
    let (detections, stats) = head.decode(&near);
    assert_eq!((detections.len(), stats.suppressed), (2, 0));
}

#[test]
fn values_that_are_no_numbers_are_counted_and_never_boxes() {
    let mut head = Head::empty();
    head.put(1, 1, f32::NAN);
    head.put(2, 2, f32::INFINITY);
    head.put(3, 1, 5.0);
    head.boxes[12] = f32::NAN;
    head.put(4, 1, 5.0);
    head.boxes[18] = 1e9;
    let (detections, stats) = head.decode(&settings(3));
    assert!(detections.is_empty(), "{detections:?}");
    assert_eq!(stats.refused, 4);
}

#[test]
fn every_anchor_can_be_a_candidate() {
    let mut head = Head::empty();
    head.scores.fill(1.0);
    let (detections, stats) = head.decode(&settings(3));
    assert_eq!((stats.candidates, detections.len()), (1917, 8));
    assert_eq!(stats.candidates, 8 + stats.suppressed + stats.over_limit);
}

#[test]
fn anchored_outputs_are_found_in_either_order_and_with_the_odd_dimension() {
    let [boxes, scores] = anchored();
    let squeezed = TensorInfo {
        shape: vec![1, ANCHORS, 1, 4],
        ..boxes
    };
    let outputs = [tensor("s", &[1, ANCHORS, 25], TensorType::F32), squeezed];
    let decoder = Decoder::new(&settings(24), &square(300), &outputs).unwrap();
    assert_eq!(
        decoder.layout(),
        "1917 anchors, 24 classes and the background, logits"
    );
    let ours = [outputs[1].clone(), scores];
    let decoder = Decoder::new(&settings(4), &square(300), &ours).unwrap();
    assert_eq!(decoder.layout(), "1917 anchors, 4 classes, logits");
}

#[test]
fn tensors_that_no_ssd_has_are_named_with_what_was_expected() {
    let error = |labels, side, outputs: &[TensorInfo]| {
        Decoder::new(&settings(labels), &square(side), outputs)
            .unwrap_err()
            .to_string()
    };
    let found = error(9, 300, &anchored());
    assert!(
        found.ends_with(
            "found 9 labels, expected 3, or 4 where the model has no class for the background"
        ),
        "{found}"
    );
    let found = error(3, 320, &anchored());
    assert!(
        found.contains("expected [1, 2034, 4] and [1, 2034, classes], or the four outputs"),
        "{found}"
    );
    let found = error(3, 32, &anchored());
    assert!(
        found.contains("expected a square of 64..=1024 pixels"),
        "{found}"
    );
    let found = error(3, 300, &anchored()[..1]);
    assert!(found.contains("expected [1, 1917, 4]"), "{found}");
}

/// The operator's outputs in its own order, of ten rows.
fn finished() -> [TensorInfo; 4] {
    let name = |end| format!("TFLite_Detection_PostProcess{end}");
    [
        tensor(&name(""), &[1, 10, 4], TensorType::F32),
        tensor(&name(":1"), &[1, 10], TensorType::F32),
        tensor(&name(":2"), &[1, 10], TensorType::F32),
        tensor(&name(":3"), &[1], TensorType::F32),
    ]
}

fn rows(count: f32) -> [Vec<u8>; 4] {
    let mut boxes = vec![0.0; 40];
    boxes[..8].copy_from_slice(&[0.3, 0.1, 0.5, 0.2, 0.6, 0.5, 0.7, 0.9]);
    let mut classes = vec![0.0; 10];
    classes[..4].copy_from_slice(&[2.0, 0.0, 7.0, 1.0]);
    let mut scores = vec![0.0; 10];
    scores[..5].copy_from_slice(&[0.9, 0.8, 0.7, 0.6, 0.55]);
    [
        bytes(&boxes),
        bytes(&classes),
        bytes(&scores),
        bytes(&[count]),
    ]
}

#[test]
fn finished_boxes_are_read_as_the_operator_leaves_them() {
    let mut decoder = Decoder::new(&settings(3), &square(300), &finished()).unwrap();
    assert_eq!(decoder.layout(), "at most 10 finished boxes");
    let mut detections = Detections::new();
    let [boxes, classes, scores, count] = rows(4.0);
    let stats = decoder
        .decode(
            &[&boxes, &classes, &scores, &count],
            &WIDE(),
            &mut detections,
        )
        .unwrap();
    let seen: Vec<_> = detections.iter().map(|d| d.class).collect();
    assert_eq!(
        seen,
        [2, 0],
        "a class without a name and a box without an area are no detections"
    );
    assert_eq!((stats.candidates, stats.refused), (2, 2));
    near(detections[0].score, 0.9);
    is_at(&detections[0], [192.0, 0.3 * 1920.0 - 420.0, 192.0, 384.0]);
    for count in [f32::NAN, 11.0, -1.0, 2.5] {
        let [boxes, classes, scores, count] = rows(count);
        let stats = decoder
            .decode(
                &[&boxes, &classes, &scores, &count],
                &WIDE(),
                &mut detections,
            )
            .unwrap();
        assert_eq!((detections.len(), stats.refused), (0, 1));
    }
}

#[test]
fn finished_boxes_of_tensorflow_2_are_told_by_their_names() {
    let renamed = |index: usize, number: u32| TensorInfo {
        name: format!("StatefulPartitionedCall:{number}"),
        ..finished()[index].clone()
    };
    // scores, boxes, count, classes
    let outputs = [renamed(2, 1), renamed(0, 3), renamed(3, 0), renamed(1, 2)];
    let mut decoder = Decoder::new(&settings(3), &square(320), &outputs).unwrap();
    let mut detections = Detections::new();
    let [boxes, classes, scores, count] = rows(2.0);
    decoder
        .decode(
            &[&scores, &boxes, &count, &classes],
            &WIDE(),
            &mut detections,
        )
        .unwrap();
    let seen: Vec<_> = detections.iter().map(|d| d.class).collect();
    assert_eq!(seen, [2, 0]);
}
