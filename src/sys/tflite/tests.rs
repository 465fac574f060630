//! The engine on real models of the cache.

use super::test_models::{
    ADD, CALL, CAST, COS, DEQUANTIZE, FLOAT16, FLOAT32, INT64, Tensor as Described, WHERE,
};
use super::*;
use crate::infer::{Engine as _, TensorType};
use crate::profile::Delegate;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

const XNNPACK: Settings = Settings {
    threads: 1,
    delegate: Delegate::Xnnpack,
};
const NONE: Settings = Settings {
    threads: 1,
    delegate: Delegate::None,
};

#[track_caller]
fn path(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache/models")
        .join(name);
    assert!(
        path.exists(),
        "{} is missing: `make setup` fetches it",
        path.display()
    );
    path
}

#[track_caller]
fn file(name: &str) -> ModelFile {
    let path = path(name);
    let sha256 = Sha256::digest(std::fs::read(&path).unwrap()).into();
    ModelFile::read(&path, &sha256).unwrap()
}

/// `bytes` as a checked file.
fn forged(bytes: &[u8]) -> (tempfile::NamedTempFile, ModelFile) {
    let temporary = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(temporary.path(), bytes).unwrap();
    let file = ModelFile::read(temporary.path(), &Sha256::digest(bytes).into()).unwrap();
    (temporary, file)
}

fn outputs(engine: &TfliteEngine) -> Vec<Vec<u8>> {
    crate::infer::outputs_of(engine)
        .iter()
        .map(|bytes| bytes.to_vec())
        .collect()
}

const FACE: &str = "face_detection_short_range.tflite";
const INT8: &str = "image_classification_int8.tflite";

#[test]
fn a_float_model_tells_its_tensors_and_runs() {
    for settings in [
        XNNPACK,
        NONE,
        Settings {
            threads: 2,
            ..XNNPACK
        },
    ] {
        let mut engine = TfliteEngine::build(file(FACE), settings).unwrap();
        assert_eq!(
            engine.input().to_string(),
            r#""input" float32 [1, 128, 128, 3]"#
        );
        let described: Vec<String> = engine.outputs().iter().map(ToString::to_string).collect();
        assert_eq!(
            described,
            [
                r#""regressors" float32 [1, 896, 16]"#,
                r#""classificators" float32 [1, 896, 1]"#
            ]
        );
        assert_eq!(engine.input_bytes().len(), 128 * 128 * 3 * 4);
        engine.input_bytes().fill(0);
        engine.invoke().unwrap();
        let zero = outputs(&engine);
        for pixel in engine.input_bytes().as_chunks_mut().0 {
            *pixel = 0.75_f32.to_ne_bytes();
        }
        engine.invoke().unwrap();
        assert_ne!(zero, outputs(&engine), "the input reaches the model");
        engine.input_bytes().fill(0);
        engine.invoke().unwrap();
        assert_eq!(zero, outputs(&engine), "and nothing else does");
        assert_eq!(engine.output_bytes(0).len(), 896 * 16 * 4);
        assert!(engine.output_bytes(2).is_empty());
    }
}

#[test]
fn a_quantised_model_tells_scale_and_zero_point() {
    let mut engine = TfliteEngine::build(file(INT8), XNNPACK).unwrap();
    assert_eq!(
        engine.input().to_string(),
        r#""input_1_int8" int8 [1, 32, 32, 3] scale 0.0078125 zero point 0"#
    );
    assert_eq!(
        engine.outputs()[0].to_string(),
        r#""Identity_int8" int8 [1, 10] scale 0.00390625 zero point -128"#
    );
    engine.invoke().unwrap();
    let sum: i32 = engine
        .output_bytes(0)
        .iter()
        .map(|&b| i32::from(b.cast_signed()) + 128)
        .sum();
    assert!(
        (250..=262).contains(&sum),
        "probabilities add up to 256 steps: {sum}"
    );
}

#[test]
fn the_graph_says_what_the_delegate_took_and_what_it_left() {
    let left = "kernels of the library (AVERAGE_POOL_2D, SOFTMAX)";
    for (name, taken) in [
        (FACE, "1 part by TfLiteXNNPackDelegate".to_owned()),
        (INT8, format!("2 parts by TfLiteXNNPackDelegate, 2 {left}")),
        (
            "visual_wake_words.tflite",
            format!("3 parts by TfLiteXNNPackDelegate, 2 {left}"),
        ),
    ] {
        let engine = TfliteEngine::build(file(name), XNNPACK).unwrap();
        assert_eq!(engine.graph().to_string(), taken, "{name}");
        assert_eq!(engine.graph().is_wholly_delegated(), name == FACE);
        let engine = TfliteEngine::build(file(name), NONE).unwrap();
        assert_eq!(engine.graph().delegated(), 0);
        assert!(
            engine.graph().steps.len() > 10,
            "{name}: {}",
            engine.graph()
        );
    }
}

#[test]
fn the_input_keeps_what_was_written_to_it() {
    for name in [FACE, INT8] {
        for settings in [XNNPACK, NONE] {
            let mut engine = TfliteEngine::build(file(name), settings).unwrap();
            let pattern: Vec<u8> = (0..engine.input().bytes())
                .map(|i| [0, 0, 0x20, 0x3e][i % 4])
                .collect();
            engine.input_bytes().copy_from_slice(&pattern);
            for _ in 0..3 {
                engine.invoke().unwrap();
            }
            assert_eq!(engine.input_bytes(), pattern);
        }
    }
}

#[test]
fn engines_can_be_built_and_dropped_many_times() {
    for _ in 0..20 {
        let mut engine = TfliteEngine::build(file(INT8), XNNPACK).unwrap();
        engine.invoke().unwrap();
    }
}

#[test]
fn a_damaged_model_is_refused_and_named() {
    let whole = std::fs::read(path(INT8)).unwrap();
    let mut refused = 0;
    for keep in [8, 100, 4096, whole.len() / 2] {
        let (temporary, file) = forged(&whole[..keep]);
        let error = TfliteEngine::build(file, XNNPACK).unwrap_err();
        assert!(matches!(error.fault, ModelFault::Refused { .. }), "{error}");
        assert!(
            error
                .to_string()
                .starts_with(&temporary.path().display().to_string()),
            "{error}"
        );
        refused += 1;
    }
    assert_eq!(refused, 4);
}

#[test]
fn a_tensor_name_that_is_not_utf8_is_refused() {
    let mut whole = std::fs::read(path(FACE)).unwrap();
    let name = b"regressors";
    let mut renamed = 0;
    for at in 0..whole.len() - name.len() {
        if &whole[at..at + name.len()] == name {
            whole[at] = 0xFF;
            renamed += 1;
        }
    }
    assert!(renamed > 0);
    let (_temporary, file) = forged(&whole);
    let error = TfliteEngine::build(file, XNNPACK).unwrap_err();
    assert!(
        error.to_string().contains("egressors\", expected UTF-8"),
        "{error}"
    );
}

const PICTURE: Described<'_> = Described {
    name: "picture",
    shape: &[1, 4, 4, 3],
    kind: FLOAT32,
};
const ANSWER: Described<'_> = Described {
    name: "answer",
    ..PICTURE
};

#[track_caller]
fn fault(
    operator: u8,
    inputs: &[Described<'_>],
    outputs: &[Described<'_>],
    settings: Settings,
) -> String {
    let (_temporary, file) = forged(&test_models::model(operator, inputs, outputs));
    TfliteEngine::build(file, settings)
        .unwrap_err()
        .fault
        .to_string()
}

#[test]
fn a_model_made_by_hand_runs() {
    let (_temporary, file) = forged(&test_models::model(COS, &[PICTURE], &[ANSWER]));
    let mut engine = TfliteEngine::build(file, NONE).unwrap();
    engine.input_bytes().fill(0);
    engine.invoke().unwrap();
    assert_eq!(
        engine.output_bytes(0).as_chunks().0,
        [1.0_f32.to_ne_bytes(); 48]
    );
    assert_eq!(engine.graph().to_string(), "1 kernel of the library (COS)");
}

const HALVES: Described<'_> = Described {
    kind: FLOAT16,
    ..PICTURE
};
const HALF_ANSWER: Described<'_> = Described {
    kind: FLOAT16,
    ..ANSWER
};

#[test]
fn float16_tensors_are_told_written_and_read() {
    let stored = half::f16::from_f32(0.3);
    let (half, wide) = (stored.to_ne_bytes(), stored.to_f32().to_ne_bytes());
    for (operator, taken, given, expected) in [
        (DEQUANTIZE, HALVES, ANSWER, &wide[..]),
        (CAST, HALVES, ANSWER, &wide),
        (CAST, HALVES, HALF_ANSWER, &half),
        (CAST, PICTURE, HALF_ANSWER, &half),
    ] {
        let (_temporary, file) = forged(&test_models::model(operator, &[taken], &[given]));
        let mut engine = TfliteEngine::build(file, NONE).unwrap();
        let element = match engine.input().kind {
            TensorType::F16 => {
                let told = engine.input().to_string();
                assert_eq!(told, r#""picture" float16 [1, 4, 4, 3]"#);
                assert_eq!(engine.input_bytes().len(), 96);
                &half[..]
            }
            _ => &wide,
        };
        for bytes in engine.input_bytes().chunks_exact_mut(element.len()) {
            bytes.copy_from_slice(element);
        }
        engine.invoke().unwrap();
        let found = engine.output_bytes(0);
        assert_eq!(found.len(), 48 * expected.len());
        assert!(
            found
                .chunks_exact(expected.len())
                .all(|one| one == expected)
        );
    }
}

#[test]
fn float16_is_taken_in_and_given_out_and_not_reckoned_with() {
    for settings in [NONE, XNNPACK] {
        let found = fault(COS, &[HALVES], &[HALF_ANSWER], settings);
        assert!(found.starts_with("tensors cannot be allocated"), "{found}");
    }
    let found = fault(DEQUANTIZE, &[HALVES], &[ANSWER], XNNPACK);
    assert!(
        found.starts_with("delegate \"xnnpack\" takes none"),
        "{found}"
    );
}

#[test]
fn a_delegate_that_takes_nothing_is_refused_and_not_passed_over() {
    let found = fault(COS, &[PICTURE], &[ANSWER], XNNPACK);
    assert!(
        found.starts_with("delegate \"xnnpack\" takes none of the graph's 1 steps"),
        "{found}"
    );
}

#[test]
fn an_output_whose_size_depends_on_the_input_is_refused() {
    let positions = Described {
        name: "positions",
        shape: &[0, 4],
        kind: INT64,
    };
    let found = fault(WHERE, &[PICTURE], &[positions], NONE);
    assert!(
        found.starts_with("the size of tensor \"positions\" changes"),
        "{found}"
    );
}

#[test]
fn tensors_that_cannot_be_served_are_named() {
    let flat = Described {
        shape: &[1, 48],
        ..PICTURE
    };
    let flat_answer = Described {
        shape: &[1, 48],
        ..ANSWER
    };
    assert_eq!(
        fault(COS, &[flat], &[flat_answer], NONE),
        "found input tensor \"picture\" float32 [1, 48], expected shape [1, height, width, channels] or \
         [1, channels, height, width]"
    );
    let two = [
        PICTURE,
        Described {
            name: "second",
            ..PICTURE
        },
    ];
    assert_eq!(
        fault(ADD, &two, &[ANSWER], NONE),
        "found 2 input tensors, expected 1"
    );
    let whole = Described {
        kind: INT64,
        ..ANSWER
    };
    assert_eq!(
        fault(CAST, &[PICTURE], &[whole], NONE),
        "found tensor \"answer\" of Int64, expected float32, float16, uint8 or int8 elements"
    );
}

#[test]
fn a_model_that_the_library_cannot_prepare_is_refused() {
    let unknown = fault(CALL, &[PICTURE], &[ANSWER], NONE);
    assert!(
        unknown.contains("makes no interpreter with delegate \"none\""),
        "{unknown}"
    );
    let two = [
        PICTURE,
        Described {
            name: "second",
            ..PICTURE
        },
    ];
    let wrong = fault(COS, &two, &[ANSWER], NONE);
    assert!(
        wrong.starts_with("tensors cannot be allocated with delegate \"none\""),
        "{wrong}"
    );
}
