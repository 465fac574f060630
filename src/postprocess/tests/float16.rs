//! float16 outputs against the same numbers as float32.

use super::*;
use crate::profile::BoxUnit;
use half::f16;

/// Repeatable numbers of `least..=greatest`, every 97th none or beyond half precision.
fn numbers(count: usize, [least, greatest]: [f32; 2], seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = |index: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = f32::from(u16::from_be_bytes([
            state.to_be_bytes()[0],
            state.to_be_bytes()[1],
        ])) / 65_535.0;
        match index % 97 {
            13 if index.is_multiple_of(2) => f32::NAN,
            13 => 1e6,
            _ => least + share * (greatest - least),
        }
    };
    (0..count).map(&mut next).collect()
}

/// Decodes outputs of these numbers, rounded to half precision, as float16 and as float32; gives the one
/// result that both must have.
#[track_caller]
fn alike(
    settings: &Settings,
    input: &TensorInfo,
    outputs: &[(TensorInfo, Vec<f32>)],
) -> (Detections, DecodeStats) {
    let halves =
        |values: &[f32]| -> Vec<f16> { values.iter().map(|&v| f16::from_f32(v)).collect() };
    let results = [TensorType::F16, TensorType::F32].map(|kind| {
        let infos: Vec<TensorInfo> = outputs
            .iter()
            .map(|(info, _)| TensorInfo {
                kind,
                ..info.clone()
            })
            .collect();
        let stored: Vec<Vec<u8>> = outputs
            .iter()
            .map(|(_, values)| match kind {
                TensorType::F16 => halves(values)
                    .iter()
                    .flat_map(|h| h.to_ne_bytes())
                    .collect(),
                _ => bytes(
                    &halves(values)
                        .iter()
                        .map(|h| h.to_f32())
                        .collect::<Vec<_>>(),
                ),
            })
            .collect();
        for (info, stored) in infos.iter().zip(&stored) {
            assert_eq!(info.bytes(), stored.len());
        }
        let stored: Vec<&[u8]> = stored.iter().map(Vec::as_slice).collect();
        let mut decoder = Decoder::new(settings, input, &infos).unwrap();
        let mut detections = Detections::new();
        let stats = decoder.decode(&stored, &WIDE(), &mut detections).unwrap();
        (
            detections,
            stats,
            decoder.summaries().to_vec(),
            decoder.layout(),
        )
    });
    assert_eq!(results[0], results[1]);
    let [(detections, stats, ..), _] = results;
    (detections, stats)
}

#[test]
fn every_decoder_reads_float16_outputs_as_float32_ones_of_the_same_numbers() {
    let square = |side: usize| tensor("input", &[1, side, side, 3], TensorType::F16);
    let output = |name: &str, shape: &[usize], range: [f32; 2], seed: u64| {
        let values = numbers(shape.iter().product(), range, seed);
        (tensor(name, shape, TensorType::F16), values)
    };
    let anchored = [
        output("boxes", &[1, 1917, 4], [-3.0, 3.0], 3),
        output("scores", &[1, 1917, 4], [-6.0, 2.0], 4),
    ];
    let face = [
        output("regressors", &[1, 896, 16], [-40.0, 40.0], 1),
        output("classificators", &[1, 896, 1], [-20.0, 3.0], 2),
    ];
    let pixels = Settings {
        box_unit: BoxUnit::Pixel,
        ..Settings::new(profile::Decoder::Yolo, 3)
    };
    let shares = Settings::new(profile::Decoder::Yolo, 3);
    let cases = [
        (FACE, square(128), face.to_vec()),
        (
            Settings::new(profile::Decoder::Ssd, 3),
            square(300),
            anchored.to_vec(),
        ),
        (
            pixels,
            square(64),
            vec![output("v8", &[1, 7, 84], [0.0, 64.0], 5)],
        ),
        (
            shares,
            square(64),
            vec![output("v5", &[1, 252, 8], [0.0, 1.0], 6)],
        ),
        (
            Settings::new(profile::Decoder::Raw, 0),
            square(64),
            anchored.to_vec(),
        ),
    ];
    for (settings, input, outputs) in cases {
        let (detections, stats) = alike(&settings, &input, &outputs);
        assert!(
            stats.refused > 0,
            "{:?}: what is no number is refused",
            settings.decoder
        );
        let is_raw = settings.decoder == profile::Decoder::Raw;
        assert!(
            is_raw != (detections.len() > 1),
            "{:?}: {stats:?}",
            settings.decoder
        );
    }
}

#[test]
fn float16_classes_are_probabilities_or_logits_and_refused_where_they_are_no_numbers() {
    let input = tensor("input", &[1, 96, 96, 3], TensorType::F16);
    let classes = |values: [f32; 3]| [(tensor("p", &[1, 3], TensorType::F16), values.to_vec())];
    let (detections, _) = alike(&CLASSES, &input, &classes([0.1, 0.7, 0.2]));
    assert_eq!(detections[0].class, 1);
    assert_eq!(
        detections[0].score,
        f16::from_f32(0.7).to_f32(),
        "taken as it is"
    );
    let (detections, _) = alike(&CLASSES, &input, &classes([1.0, 2.0, 4.0]));
    near(detections[0].score, 0.843_795);
    for bad in [f32::NAN, f32::NEG_INFINITY, 1e5] {
        let (detections, stats) = alike(&CLASSES, &input, &classes([bad, 0.9, 0.1]));
        assert_eq!((detections.len(), stats.refused), (0, 1));
    }
}

#[test]
fn float16_boxes_that_the_model_finished_are_read() {
    let input = tensor("input", &[1, 300, 300, 3], TensorType::F16);
    let name = |end| format!("TFLite_Detection_PostProcess{end}");
    let output = |end, shape: &[usize], values: &[f32]| {
        (tensor(&name(end), shape, TensorType::F16), values.to_vec())
    };
    let outputs = [
        output("", &[1, 2, 4], &[0.3, 0.1, 0.5, 0.2, 0.6, 0.5, 0.7, 0.9]),
        output(":1", &[1, 2], &[2.0, 0.0]),
        output(":2", &[1, 2], &[0.9, 0.8]),
        output(":3", &[1], &[2.0]),
    ];
    let (detections, stats) = alike(&Settings::new(profile::Decoder::Ssd, 3), &input, &outputs);
    let seen: Vec<_> = detections.iter().map(|d| d.class).collect();
    assert_eq!((&seen[..], stats.refused), (&[2, 0][..], 0));
}
