//! Cameras that are judged less often than they deliver: the whole program keeps to it, and the ledger closes.

mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Two cameras of 60 Hz before one worker, one of them with `keys`, until so many results of the other one and of
/// this one are `enough`: the proof.
fn run(keys: &str, enough: impl Fn(usize, usize) -> bool) -> Value {
    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache/models/face_detection_short_range.tflite");
    let camera = |name: &str, keys: &str| {
        format!(
            "[[camera]]\nname = \"{name}\"\nsource = \"pattern\"\nformat = \"NV12\"\nwidth-px = 64\nheight-px = 64\n\
             rate-hz = 60\nmax-age-ms = 10000\n{keys}\n"
        )
    };
    let board = format!(
        "name = \"allowance\"\nabsent-core = \"wrap\"\n{}{}[[model]]\nname = \"face\"\npath = \"{}\"\n\
         sha256 = \"3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633\"\n\
         decoder = \"blazeface-short\"\nlabels = [\"face\"]\n\
         [[worker]]\nname = \"detector\"\ncores = [1]\nmodel = \"face\"\nwait = \"park\"\n\
         [promises]\nresults = false\n",
        camera("often", ""),
        camera("rarely", keys),
        model.display()
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("allowance.toml");
    std::fs::write(&file, board).unwrap();
    let proof = dir.path().join("proof.json");
    let recording = dir.path().join("record");
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--board", file.to_str().unwrap()])
            .args(["--proof", proof.to_str().unwrap()])
            .args(["--record", recording.to_str().unwrap()]),
    );
    run.until("enough results", |_| {
        let results = recorded(&recording);
        let of = |camera| results.iter().filter(|r| r.camera == camera).count();
        enough(of(0), of(1))
    });
    let output = run.stop();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap()
}

/// Results of the camera that is judged often, and of the one that is not; and seconds of the run.
#[track_caller]
fn judged(proof: &Value) -> (f64, f64, f64) {
    for camera in proof["cameras"].as_array().unwrap() {
        assert_eq!(camera["identity_holds"], true, "{camera}");
    }
    let inferred = |camera: usize| proof["cameras"][camera]["inferred"].as_f64().unwrap();
    (
        inferred(0),
        inferred(1),
        proof["run_ms"].as_f64().unwrap() / 1e3,
    )
}

#[test]
fn a_camera_with_a_rate_of_its_own_is_judged_no_more_often_and_the_other_one_is() {
    let proof = run("max-rate-hz = 4", |often, rarely| {
        rarely >= 8 && often > 2 * rarely
    });
    let (often, rarely, seconds) = judged(&proof);
    assert!(rarely >= 1.0, "{proof}");
    assert!(rarely <= 4.0 * seconds + 2.0, "{rarely} in {seconds} s");
    assert!(often > rarely, "{often} and {rarely}");
}

#[test]
fn a_camera_outside_its_duty_is_not_judged() {
    // Once a day, for a millisecond: hardly in this test.
    let proof = run("duty-cycle-ms = [1, 86400000]", |often, _| often >= 50);
    let (often, rarely, _) = judged(&proof);
    assert!(often >= 1.0 && rarely <= 1.0, "{often} and {rarely}");
}
