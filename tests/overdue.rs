//! A model that hangs on one worker: what the program says, what the ledger says, and that the others go on.

mod plugin;
mod running;

use running::{Running, recorded};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// A board with one camera and two workers: one with the plugin in `mode`, one with XNNPACK. The plugin's model
/// is late from ready on, until the other worker has given results beside it, and `back` is logged. Its output, and
/// its proof.
fn run(mode: &str, back: Option<&str>) -> (Output, Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plugin = plugin::compile();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let model = |name: &str, delegate: &str, deadline_ms: u32, core: u32| {
        format!(
            "[[model]]\nname = \"{name}\"\npath = \"{root}/.cache/models/face_detection_short_range.tflite\"\n\
             sha256 = \"3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633\"\n\
             decoder = \"blazeface-short\"\nlabels = [\"face\"]\ndelegate = {delegate}\ninvoke-deadline-ms = {deadline_ms}\n\
             [[worker]]\nname = \"{name}\"\ncores = [{core}]\nmodel = \"{name}\"\nwait = \"park\"\n",
            root = root.display()
        )
    };
    let other = plugin.delegate(&format!(
        "mode = \"{mode}\", begin = \"{}\", end = \"{}\"",
        path("begin").display(),
        path("end").display()
    ));
    let board = format!(
        "name = \"overdue\"\nabsent-core = \"wrap\"\n\
         [[camera]]\nname = \"bars\"\nsource = \"pattern\"\nformat = \"NV12\"\nwidth-px = 320\nheight-px = 240\n\
         rate-hz = 60\nmax-age-ms = 10000\n{}{}",
        model("plugged", &other, 1000, 0),
        // On a busy machine a sound model may wait long for its core.
        model("sound", "\"xnnpack\"", 600_000, 1)
    );
    std::fs::write(path("overdue.toml"), board).unwrap();
    let mut run = Running::start(
        Command::new(env!("CARGO_BIN_EXE_pinsight"))
            .args(["run", "--board"])
            .arg(path("overdue.toml"))
            .arg("--proof")
            .arg(path("proof.json"))
            .arg("--record")
            .arg(path("record")),
    );
    run.until_logged("ready after");
    std::fs::write(path("begin"), "").unwrap();
    run.until_logged("invoke-deadline-ms is 1000");
    let before = recorded(&path("record")).len();
    run.until("results of the other worker", |_| {
        recorded(&path("record")).len() > before + 10
    });
    if let Some(words) = back {
        std::fs::write(path("end"), "").unwrap();
        run.until_logged(words);
    }
    let output = run.stop();
    let text = std::fs::read(path("proof.json"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output, serde_json::from_slice(&text).unwrap())
}

/// The worker's frame was given up, once, and the other worker went on.
#[track_caller]
fn given_up(output: &Output, proof: &Value) -> String {
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = log
        .lines()
        .find(|line| line.contains("invoke-deadline-ms is 1000"));
    let line = line.unwrap_or_else(|| panic!("the log says it: {log}"));
    assert!(
        line.contains("Z error: worker plugged, model plugged: it has run for "),
        "{line}"
    );
    assert!(line.contains("on a frame of camera bars"), "{line}");
    assert!(proof["inferences_overdue"].as_u64().unwrap() >= 1, "{log}");
    let camera = &proof["cameras"][0];
    assert_eq!(camera["identity_holds"], true, "{camera}");
    assert!(
        camera["dropped"]["refused"].as_u64().unwrap() >= 1,
        "{camera}"
    );
    assert!(
        camera["inferred"].as_u64().unwrap() > 10,
        "the other worker goes on: {camera}"
    );
    log
}

#[test]
fn a_model_that_returns_late_loses_its_frame_and_judges_again() {
    let words = "worker plugged, model plugged, camera bars: it has returned, and the worker infers frames again";
    let (output, proof) = run("nap", Some(words));
    let log = given_up(&output, &proof);
    assert!(log.contains(words), "{log}");
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert_eq!(proof["cameras"][0]["in_flight"], 0);
}

#[test]
fn a_model_that_never_returns_costs_one_frame_and_is_named_at_the_end() {
    let (output, proof) = run("hang", None);
    let log = given_up(&output, &proof);
    assert!(
        log.contains("thread plugged did not end within 10 s of the stop"),
        "{log}"
    );
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert_eq!(
        proof["cameras"][0]["in_flight"], 0,
        "the frame is in its column"
    );
}
