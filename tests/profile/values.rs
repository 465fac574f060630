//! What keys stand for: defaults, paths, numbers.

use crate::{SMALL, messages, small};
use pinsight::frame::PixelFormat;
use pinsight::profile::{
    self, AbsentCore, Decoder, Delegate, Fit, InputRange, Io, OnShortage, Source, Wait,
};
use std::path::Path;

#[test]
fn the_least_profile_gets_the_documented_defaults() {
    let board = small();
    assert_eq!(
        (board.name.as_str(), board.strict, board.absent_core),
        ("small", false, AbsentCore::Refuse)
    );
    assert_eq!(
        (board.memory.hugepage_kib, board.memory.on_shortage),
        (2048, OnShortage::Fallback)
    );
    assert_eq!(
        (board.memory.budget_mib, board.memory.malloc_arena_kib),
        (256, 0)
    );
    let camera = &board.cameras[0];
    assert_eq!(
        camera.source,
        Source::V4l2 {
            device: "/dev/video0".into()
        }
    );
    assert_eq!(
        (camera.format, camera.width_px, camera.height_px),
        (PixelFormat::Nv12, 640, 480)
    );
    assert_eq!(
        (camera.io, camera.ring_slots, camera.driver_slots),
        (Io::Auto, 1, 4)
    );
    assert_eq!((camera.capture_core, camera.node), (0, None));
    assert_eq!((camera.max_age_ms, camera.time_out_ms), (250, 2000));
    assert_eq!(board.capture.fifo_priority, 0);
    let model = &board.models[0];
    assert_eq!(
        (model.decoder, model.fit, &model.delegate),
        (Decoder::BlazefaceShort, Fit::Letterbox, &Delegate::Xnnpack)
    );
    assert_eq!((model.sha256[0], model.sha256[31]), (0x3b, 0x33));
    assert_eq!(
        (
            model.input_range,
            model.score_threshold,
            model.iou_threshold
        ),
        (InputRange::One([-1.0, 1.0]), 0.5, 0.3)
    );
    assert_eq!((model.max_detections, model.threads), (8, 1));
    let worker = &board.workers[0];
    assert_eq!(
        (worker.fifo_priority, worker.wait, worker.spin_us),
        (0, Wait::SpinThenPark, 50)
    );
    assert_eq!(
        (board.housekeeping.core, board.housekeeping.queue_results),
        (0, 64)
    );
    assert_eq!(board.housekeeping.record_results, 16_384);
}

#[test]
fn a_relative_path_starts_at_the_profiles_directory_and_an_absolute_one_does_not() {
    let model = |file: &str, text: &str| {
        profile::read(file, text).expect("sound").models[0]
            .path
            .clone()
    };
    assert_eq!(
        model("/etc/pinsight/door.toml", SMALL),
        Path::new("/etc/pinsight/face.tflite")
    );
    assert_eq!(
        model("boards/door.toml", SMALL),
        Path::new("boards/face.tflite")
    );
    assert_eq!(model("door.toml", SMALL), Path::new("face.tflite"));
    let absolute = SMALL.replace("\"face.tflite\"", "\"/opt/face.tflite\"");
    assert_eq!(
        model("boards/door.toml", &absolute),
        Path::new("/opt/face.tflite")
    );
    let image = SMALL.replace(
        "\"v4l2\"\ndevice = \"/dev/video0\"",
        "\"image\"\npath = \"a/b.png\"",
    );
    let board = profile::read("boards/door.toml", &image).expect("sound");
    assert_eq!(
        board.cameras[0].source,
        Source::Image {
            path: "boards/a/b.png".into(),
            pan_px: 8,
            scale: 1,
            phase_ns: None
        }
    );
}

#[test]
fn a_phase_is_a_part_of_the_frame_interval() {
    let with = |phase: &str| {
        SMALL.replace(
            "\"v4l2\"\ndevice = \"/dev/video0\"",
            &format!("\"image\"\npath = \"b.png\"\nphase-ms = {phase}"),
        )
    };
    let board = profile::read("b.toml", &with("4.25")).expect("sound");
    assert!(matches!(
        board.cameras[0].source,
        Source::Image {
            phase_ns: Some(4_250_000),
            ..
        }
    ));
    assert!(profile::read("b.toml", &with("33.333")).is_ok());
    let found = messages("b.toml", &with("33.334"));
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "camera.phase-ms: found 33.334, expected less than the frame interval, 33.3 ms at rate-hz = 30";
    assert!(found[0].ends_with(expected), "{}", found[0]);
    let v4l2 = SMALL.replace("source = \"v4l2\"", "source = \"v4l2\"\nphase-ms = 1");
    assert!(
        profile::read("b.toml", &v4l2).is_err(),
        "only an image has one"
    );
}

#[test]
fn numbers_may_be_written_in_all_of_tomls_ways() {
    let text = SMALL
        .replace("width-px = 640", "width-px = 0x0280")
        .replace("rate-hz = 30", "rate-hz = 2.997e1");
    let text = text.replace("[[model]]", "time-out-ms = 1_500\n[[model]]");
    let board = profile::read("b.toml", &text).expect("sound");
    let camera = &board.cameras[0];
    assert_eq!(
        (camera.width_px, camera.rate_hz, camera.time_out_ms),
        (640, 29.97, 1500)
    );
}
