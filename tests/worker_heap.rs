//! From the camera's bytes to detections without one heap call, in Rust, C or C++.

use pinsight::frame::{Colour, PixelFormat, StreamFormat};
use pinsight::infer::{Choice, Engine, FixedEngine, Scheduler, Seen, Share, outputs_of};
use pinsight::postprocess::{Decoder, Detections, Settings};
use pinsight::preprocess::{Kernel, Plan, Preparation};
use pinsight::profile::{
    Channels, Decoder as DecoderName, Delegate, Fit, InputRange, Resample, Rotate, View,
};
use pinsight::sys::malloc_guard;
use pinsight::sys::tflite::{self, ModelFile, TfliteEngine};
use sha2::{Digest, Sha256};
use std::path::Path;

const FORMAT: StreamFormat = StreamFormat {
    pixel: PixelFormat::Nv12,
    width_px: 1920,
    height_px: 1080,
    stride_bytes: 1920,
    size_bytes: 3_110_400,
    colour: Colour {
        encoding: pinsight::frame::Encoding::Bt709,
        quantization: pinsight::frame::Quantization::Limited,
    },
    interval_ns: 0,
};

fn face_engine() -> TfliteEngine {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache/models/face_detection_short_range.tflite");
    assert!(
        path.exists(),
        "{} is missing: `make setup` fetches it",
        path.display()
    );
    let sha256 = Sha256::digest(std::fs::read(&path).unwrap()).into();
    let file = ModelFile::read(&path, &sha256).unwrap();
    TfliteEngine::build(
        file,
        tflite::Settings {
            threads: 1,
            delegate: Delegate::Xnnpack,
        },
    )
    .unwrap()
}

/// One frame after another, by an engine of any kind; returns the detections seen.
fn run(
    engine: &mut dyn Engine,
    plan: &Plan,
    decoder: &mut Decoder,
    scheduler: &mut Scheduler,
    frame: &[u8],
) -> usize {
    let mut detections = Detections::new();
    let mut served = [0; 2];
    let mut seen = 0;
    for now_ns in 1..=50 {
        // The other camera's frame is about to come, and not worth the wait.
        let known = |camera| Seen {
            arrived_ns: now_ns - camera as u64,
            expected_ns: now_ns + 1,
            known_ns: served[camera],
            served_ns: served[camera],
        };
        let choice = scheduler.next(0b11, now_ns, known);
        let Some(Choice::Take(camera)) = choice else {
            panic!("{choice:?}");
        };
        served[camera] = now_ns;
        scheduler.learn(camera, 20);
        plan.run(frame, engine.input_bytes()).unwrap();
        engine.invoke().unwrap();
        let stats = decoder
            .decode(&outputs_of(engine), plan.mapping(), &mut detections)
            .unwrap();
        seen += stats.candidates as usize;
    }
    seen
}

#[test]
fn frames_become_detections_without_a_heap_call() {
    malloc_guard::self_test().unwrap();
    let mut engine = face_engine();
    let mut settings = Settings {
        // Every anchor is a candidate: the longest lists there can be.
        score_threshold: 0.0,
        max_detections: 32,
        ..Settings::new(DecoderName::BlazefaceShort, 1)
    };
    let mut faces = Decoder::new(&settings, engine.input(), engine.outputs()).unwrap();
    settings.score_threshold = 0.5;
    let outputs = engine
        .outputs()
        .iter()
        .map(|info| (info.clone(), vec![0; info.bytes()]))
        .collect();
    let mut fixed = FixedEngine::new(engine.input().clone(), outputs).unwrap();
    let mut none = Decoder::new(&settings, engine.input(), engine.outputs()).unwrap();
    let plan = Plan::new(&FORMAT, engine.input(), Fit::Letterbox, [-1.0, 1.0]).unwrap();
    let scalar = plan.clone().with_kernel(Kernel::Scalar).unwrap();
    let kernels: Vec<Plan> = Kernel::ALL
        .into_iter()
        .filter_map(|kernel| plan.clone().with_kernel(kernel))
        .collect();
    assert!(kernels.len() >= 2);
    let share = Share {
        interval_ns: 10,
        ..Share::default()
    };
    let mut scheduler = Scheduler::new(&[Some(share); 2], 20, 1).unwrap();
    let frame: Vec<u8> = (0..FORMAT.size_bytes)
        .map(|i| (i * 7 % 251).to_le_bytes()[0])
        .collect();
    // Aimed at a part by one kind of resampling and another, with and without turning.
    let mut moved: Vec<Plan> = [Resample::Bilinear, Resample::Area, Resample::Nearest]
        .into_iter()
        .flat_map(|resample| [Rotate::None, Rotate::Quarter].map(|rotate| (resample, rotate)))
        .map(|(resample, rotate)| {
            let preparation = Preparation {
                fit: Fit::Letterbox,
                resample,
                channels: Channels::Rgb,
                range: InputRange::One([-1.0, 1.0]),
                view: View {
                    rotate,
                    ..View::default()
                },
            };
            Plan::movable(&FORMAT, engine.input(), &preparation).unwrap()
        })
        .collect();
    // The first inferences of the library allocate.
    run(&mut engine, &plan, &mut faces, &mut scheduler, &frame);

    let hot = malloc_guard::register_hot().unwrap();
    let guard = malloc_guard::guard_on();
    let seen = run(&mut engine, &plan, &mut faces, &mut scheduler, &frame);
    run(&mut fixed, &scalar, &mut none, &mut scheduler, &frame);
    for plan in &kernels {
        plan.run(&frame, fixed.input_bytes()).unwrap();
    }
    for plan in &mut moved {
        for step in 0..40 {
            let part = [step * 48, step * 27, 8 + step * 20, 1080 - step * 26];
            plan.set_region(part).unwrap();
            plan.run(&frame, fixed.input_bytes()).unwrap();
        }
    }
    let counts = hot.counts();
    drop(guard);
    assert!(
        seen >= 50 * 800,
        "{seen} candidates: the decoder had its longest lists"
    );
    assert_eq!((counts.calls, counts.frees), (0, 0), "{counts:?}");
}
