//! Which worker judges which camera, as a whole program tells it.

mod running;

use running::Running;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Three cameras over the photograph; `left` judges the first two, `right` the last two. Each worker's model is
/// the same file, and says of whom a detection is.
fn board() -> String {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache");
    let cache = cache.display();
    let mut text = "name = \"shared\"\nabsent-core = \"wrap\"\n".to_owned();
    for camera in ["a", "b", "c"] {
        let _ = write!(
            text,
            "[[camera]]\nname = \"{camera}\"\nsource = \"image\"\npath = \"{cache}/photos/astronaut.png\"\n\
             pan-px = 0\nformat = \"NV12\"\nwidth-px = 512\nheight-px = 512\nrate-hz = 10\nmax-age-ms = 5000\n"
        );
    }
    for (worker, cameras, core) in [("left", "\"a\", \"b\"", 0), ("right", "\"b\", \"c\"", 1)] {
        let _ = write!(
            text,
            "[[model]]\nname = \"of-{worker}\"\npath = \"{cache}/models/face_detection_short_range.tflite\"\n\
             sha256 = \"3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633\"\n\
             decoder = \"blazeface-short\"\nlabels = [\"{worker}\"]\n\
             [[worker]]\nname = \"{worker}\"\nmodel = \"of-{worker}\"\ncores = [{core}]\ncameras = [{cameras}]\n"
        );
    }
    text
}

#[test]
fn a_worker_judges_its_cameras_and_no_others_and_a_shared_camera_is_judged_once_a_frame() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("board.toml"), board()).unwrap();
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--proof", "-", "--board"])
            .arg(path("board.toml"))
            .arg("--results")
            .arg(path("results")),
    );
    run.until("ten results of each camera", |_| {
        let results = std::fs::read_to_string(path("results")).unwrap_or_default();
        ["a", "b", "c"].into_iter().all(|camera| {
            let of_camera = format!("\"camera\":\"{camera}\"");
            results.matches(&of_camera).count() >= 10
        })
    });
    let output = run.stop();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");

    let mut by_camera: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut frames = BTreeSet::new();
    let results = std::fs::read_to_string(path("results")).unwrap();
    for line in results.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let camera = event["camera"].as_str().unwrap().to_owned();
        assert!(
            frames.insert((camera.clone(), event["sequence"].as_u64())),
            "judged twice: {line}"
        );
        let labels = by_camera.entry(camera).or_default();
        for seen in event["detections"].as_array().unwrap() {
            labels.insert(seen["label"].as_str().unwrap().to_owned());
        }
    }
    let only = |label: &str| BTreeSet::from([label.to_owned()]);
    assert_eq!(by_camera.get("a"), Some(&only("left")), "{by_camera:?}");
    assert_eq!(by_camera.get("c"), Some(&only("right")), "{by_camera:?}");
    let shared = by_camera.get("b").expect("somebody judges it");
    assert!(shared.is_subset(&BTreeSet::from(["left".into(), "right".into()])));

    let proof: Value = serde_json::from_slice(&output.stdout).unwrap();
    for camera in proof["cameras"].as_array().unwrap() {
        assert_eq!(camera["identity_holds"], true, "{camera}");
        assert_eq!(camera["dropped"]["failed"], 0, "{camera}");
        // Nobody else took a frame, so nothing of it is left over.
        assert!(camera["inferred"].as_u64().unwrap() > 0, "{camera}");
    }
    assert_eq!(proof["after_ready"]["heap_calls"], 0);
}
